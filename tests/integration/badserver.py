"""Servers that are bad for once, and a wispsocks that does not wait before it tries again."""

from __future__ import annotations

import signal
import socket
import threading
from pathlib import Path

import packets
from bridge import Bridge
from certs import Authority
from hostileservers import Misdeed, binary, upgrade
from origin import Service
from packets import Link


class BadAtFirst(Service):
    """Does MISDEED to its first client. To the others it is a v1 server that answers pings."""

    def __init__(self, misdeed: Misdeed) -> None:
        self._misdeed = misdeed
        self._first = threading.Lock()
        super().__init__(self._converse)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/"

    def _converse(self, conn: socket.socket) -> None:
        if self._first.acquire(blocking=False):
            self._misdeed(conn)
            return
        upgrade(conn)
        conn.sendall(binary(packets.credit(0, 128)))
        Link(conn, masks=False).answer_pings()


def drip(raw: bytes, first: bytes = b"") -> Misdeed:
    """FIRST at once, then RAW in single bytes, a long time apart, as long as they last."""

    def send(conn: socket.socket) -> None:
        conn.sendall(first)
        conn.settimeout(0.2)
        for byte in raw:
            conn.sendall(bytes([byte]))
            try:
                while conn.recv(1 << 16):
                    pass
                return
            except socket.timeout:
                pass

    return send


class Retrying(Bridge):
    """wispsocks whose next attempt comes when the test says so.

    By itself it would wait after each failure, longer each time. A HUP ends that, when --cacert
    has changed.
    """

    def __init__(self, url: str, folder: Path, authority: Authority, *options: str) -> None:
        self._cacert = folder / "ca.pem"
        self._cacert.write_bytes(authority.cacert.read_bytes())
        super().__init__(url, "--cacert", self._cacert, *options)

    def retry(self) -> int:
        """Have it try again, after it has said that it failed; where the log goes on."""
        since = self.mark()
        with self._cacert.open("a") as file:
            file.write("\n")
        self.signal(signal.SIGHUP)
        self.wait_log("^reading", since)
        return since
