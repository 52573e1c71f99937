"""Certificates, made with the openssl command: authorities, and servers good and bad."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple

GOOD_NAMES = "DNS:localhost,IP:127.0.0.1,IP:::1"
EC_KEY = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")
RSA_KEY = ("rsa:2048",)
VALID = ("20200101000000Z", "20491231000000Z")
AUTHORITY = ("basicConstraints = critical,CA:TRUE", "keyUsage = critical,keyCertSign,cRLSign")

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
policy = policy
[policy]
commonName = supplied
[req]
distinguished_name = name
[name]
[extensions]
{extensions}
"""


def server(names: str, *more: str) -> tuple[str, ...]:
    """The extensions of a server's certificate."""
    return "basicConstraints = CA:FALSE", f"subjectAltName = {names}", *more


class Certificate(NamedTuple):
    cert: Path
    key: Path

    def context(self, ciphers: str | None = None) -> ssl.SSLContext:
        """A TLS server's side with this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if ciphers:
            context.set_ciphers(ciphers)
        context.load_cert_chain(self.cert, self.key)
        return context


class Authority:
    """Issues certificates into a folder; `cacert` is what to trust. ABOVE issues its own."""

    def __init__(self, folder: Path, above: Authority | None = None,
                 extensions: tuple[str, ...] = AUTHORITY, valid: tuple[str, str] = VALID,
                 key: tuple[str, ...] = EC_KEY) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.cacert = folder / "ca.pem"
        self.chain = ""  #: that its servers send behind their certificates
        (folder / "index.txt").touch()
        if above is None:
            self._self_signed("ca", "wispsocks test authority", extensions)
        else:
            made = above.issue(folder.name, valid=valid, key=key, extensions=extensions)
            self.chain = made.cert.read_text()
            self.cacert.write_text(self.chain)
            made.key.rename(folder / "ca.key")

    def _openssl(self, extensions: tuple[str, ...], *args: str | Path) -> None:
        config = self.folder / "openssl.cnf"
        config.write_text(CONFIG.format(folder=self.folder, extensions="\n".join(extensions)))
        subprocess.run(["openssl", *args, "-config", config], check=True, capture_output=True)

    def _request(self, stem: str, name: str, extensions: tuple[str, ...], *args: str,
                 key: tuple[str, ...] = EC_KEY) -> Certificate:
        made = Certificate(self.folder / f"{stem}.pem", self.folder / f"{stem}.key")
        self._openssl(extensions, "req", "-newkey", *key, "-nodes", "-subj", f"/CN={name}",
                      "-keyout", made.key, "-out", made.cert, *args)
        return made

    def _self_signed(self, stem: str, name: str, extensions: tuple[str, ...]) -> Certificate:
        return self._request(stem, name, extensions, "-x509", "-days", "3650",
                             "-extensions", "extensions")

    def encrypted_key(self, certificate: Certificate) -> Path:
        """Its key, behind a passphrase."""
        path = certificate.key.with_suffix(".encrypted")
        subprocess.run(["openssl", "ec", "-in", certificate.key, "-aes128", "-passout",
                        "pass:secret", "-out", path], check=True, capture_output=True)
        return path

    def trusted(self) -> ssl.SSLContext:
        """A TLS client's side that trusts it."""
        return ssl.create_default_context(cafile=str(self.cacert))

    def self_signed(self, names: str = GOOD_NAMES) -> Certificate:
        return self._self_signed("self-signed", "localhost", server(names))

    def issue(self, stem: str, names: str = GOOD_NAMES, valid: tuple[str, str] = VALID,
              key: tuple[str, ...] = EC_KEY, extensions: tuple[str, ...] | None = None,
              name: str | None = None, digest: str = "sha256") -> Certificate:
        """A server's certificate for NAMES, valid between two dates, and its KEY.

        EXTENSIONS replaces all that a server's has; NAME is the common name.
        """
        extensions = extensions or server(names)
        made = self._request(stem, name or stem, extensions, key=key)
        self._openssl(extensions, "ca", "-batch", "-notext", "-in", made.cert, "-out", made.cert,
                      "-startdate", valid[0], "-enddate", valid[1], "-md", digest,
                      "-extensions", "extensions")
        with made.cert.open("a", encoding="ascii") as file:
            file.write(self.chain)
        return made
