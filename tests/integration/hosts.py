"""A name with two addresses, and addresses that are alive, that refuse, or that are dead."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

V6, V4 = "::1", "127.0.0.1"
NAME = "localhost"


def with_two_addresses(folder: Path) -> list[str | Path]:
    """The prefix of a command for which NAME has both addresses."""
    found = {line.split()[0] for line in Path("/etc/hosts").read_text().splitlines()
             if NAME in line.partition("#")[0].split()[1:]}
    if {V6, V4} <= found:
        return []
    return with_hosts(folder, f"{V4} {NAME}\n{V6} {NAME}\n")


def with_hosts(folder: Path, text: str) -> list[str | Path]:
    """The prefix of a command for which TEXT is what stands in /etc/hosts."""
    hosts = folder / "hosts"
    hosts.write_text(text)
    return ["/usr/bin/unshare", "-m" if os.getuid() == 0 else "-rm", "sh", "-c",
            'mount --bind "$0" /etc/hosts && exec "$@"', hosts]


def two_sockets() -> tuple[socket.socket, socket.socket]:
    """Sockets that have the same port of the two addresses, and do not listen yet."""
    while True:
        v6, v4 = socket.socket(socket.AF_INET6), socket.socket()
        v6.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        v6.bind((V6, 0))
        try:
            v4.bind((V4, v6.getsockname()[1]))
        except OSError as error:
            v6.close()
            v4.close()
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            return v6, v4


@contextmanager
def dead(listener: socket.socket) -> Iterator[None]:
    """Let nobody connect to a bound socket, and nobody be told so: its queue is full."""
    listener.listen(0)
    with socket.socket(listener.family) as last:
        last.connect(listener.getsockname()[:2])
        yield
