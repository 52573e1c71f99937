"""Files of users, passwords and keys."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path
from typing import NamedTuple


def write_secret(path: Path, text: str | bytes) -> Path:
    """A file for its owner alone; one that is there is written anew."""
    path.touch(0o600)
    path.chmod(0o600)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


class Key(NamedTuple):
    """An Ed25519 key: files with its halves, and the bytes of the public one."""

    private: Path
    public: Path
    raw: bytes

    @property
    def ssh(self) -> str:
        """The public half as a line of OpenSSH."""
        return ssh_line(self.raw)


def ssh_line(raw: bytes) -> str:
    kind = b"ssh-ed25519"
    blob = len(kind).to_bytes(4, "big") + kind + len(raw).to_bytes(4, "big") + raw
    return f"ssh-ed25519 {base64.b64encode(blob).decode()} somebody@somewhere\n"


def make_key(folder: Path, name: str, *more: str) -> Key:
    """MORE goes to `openssl genpkey`."""
    private, public = folder / f"{name}.pem", folder / f"{name}.public.pem"
    openssl("genpkey", "-algorithm", "ed25519", *more, "-out", private)
    private.chmod(0o600)
    openssl("pkey", "-in", private, "-passin", "pass:secret", "-pubout", "-out", public)
    raw = openssl("pkey", "-pubin", "-in", public, "-outform", "DER")[-32:]
    return Key(private, public, raw)


def openssl(*args: str | Path) -> bytes:
    return subprocess.run(["openssl", *args], check=True, capture_output=True).stdout
