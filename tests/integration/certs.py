"""Certificates, made with the openssl command: one authority, and servers good and bad."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple

GOOD_NAMES = "DNS:localhost,IP:127.0.0.1,IP:::1"
EC_KEY = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")
RSA_KEY = ("rsa:2048",)
VALID = ("20200101000000Z", "20491231000000Z")

# `openssl ca` because it alone can set both dates, in the past and in the future, everywhere.
CONFIG = """
[ca]
default_ca = authority
[authority]
database = {folder}/index.txt
rand_serial = yes
unique_subject = no
new_certs_dir = {folder}
certificate = {folder}/ca.pem
private_key = {folder}/ca.key
default_md = sha256
policy = policy
[policy]
commonName = supplied
[req]
distinguished_name = name
[name]
[authority_extensions]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
[server_extensions]
basicConstraints = CA:FALSE
subjectAltName = {names}
"""


class Certificate(NamedTuple):
    cert: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """A TLS server's side with this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        return context


class Authority:
    """Issues certificates into a folder; `cacert` is what to trust."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cacert = folder / "ca.pem"
        (folder / "index.txt").touch()
        self._self_signed("ca", "wispsocks test authority", "authority_extensions", GOOD_NAMES)

    def _openssl(self, names: str, *args: str | Path) -> None:
        config = self.folder / "openssl.cnf"
        config.write_text(CONFIG.format(folder=self.folder, names=names))
        subprocess.run(["openssl", *args, "-config", config], check=True, capture_output=True)

    def _request(self, stem: str, name: str, names: str, *args: str,
                 key: tuple[str, ...] = EC_KEY) -> Certificate:
        made = Certificate(self.folder / f"{stem}.pem", self.folder / f"{stem}.key")
        self._openssl(names, "req", "-newkey", *key, "-nodes", "-subj", f"/CN={name}",
                      "-keyout", made.key, "-out", made.cert, *args)
        return made

    def _self_signed(self, stem: str, name: str, extensions: str, names: str) -> Certificate:
        return self._request(stem, name, names, "-x509", "-days", "3650",
                             "-extensions", extensions)

    def encrypted_key(self, certificate: Certificate) -> Path:
        """Its key, behind a passphrase."""
        path = certificate.key.with_suffix(".encrypted")
        subprocess.run(["openssl", "ec", "-in", certificate.key, "-aes128", "-passout",
                        "pass:secret", "-out", path], check=True, capture_output=True)
        return path

    def trusted(self) -> ssl.SSLContext:
        """A TLS client's side that trusts it."""
        return ssl.create_default_context(cafile=str(self.cacert))

    def self_signed(self) -> Certificate:
        return self._self_signed("self-signed", "localhost", "server_extensions", GOOD_NAMES)

    def issue(self, stem: str, names: str = GOOD_NAMES,
              valid: tuple[str, str] = VALID, key: tuple[str, ...] = EC_KEY) -> Certificate:
        """A server's certificate for NAMES, valid between two dates, and its KEY."""
        made = self._request(stem, stem, names, key=key)
        self._openssl(names, "ca", "-batch", "-notext", "-in", made.cert, "-out", made.cert,
                      "-startdate", valid[0], "-enddate", valid[1],
                      "-extensions", "server_extensions")
        return made
