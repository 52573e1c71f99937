"""A Wisp client by hand: WebSocket frames and Wisp packets as the test gives them."""

from __future__ import annotations

import base64
import os
import socket
import ssl

import packets
from frames import accept_key
from packets import Link
from procs import GUARD


#: A port of 127.0.0.1, a Unix socket's path, or a connection that stands already.
Where = int | str | socket.socket


def connect_socket(where: Where, context: ssl.SSLContext | None = None) -> socket.socket:
    """A connection to WHERE, with TLS if there is CONTEXT."""
    if isinstance(where, socket.socket):
        return where
    if isinstance(where, str):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(GUARD)
        sock.connect(where)
        return sock
    sock = socket.create_connection(("127.0.0.1", where), GUARD)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(sock, server_hostname="localhost") if context else sock


def recv_head(sock: socket.socket) -> tuple[int, dict[str, str]]:
    """An HTTP answer's status and headers."""
    head = bytearray()
    while not head.endswith(b"\r\n\r\n"):
        byte = sock.recv(1)
        assert byte, f"the connection ended within the head: {bytes(head)!r}"
        head += byte
    status, *lines = head.decode("latin-1").strip().split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return int(status.split()[1]), {name.lower(): value.strip() for name, _, value in pairs}


def http_status(where: Where, path: str = "/", *headers: str) -> int:
    """The status that a plain GET with these headers gets."""
    with connect_socket(where) as sock:
        sock.sendall("\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", *headers, "", ""])
                     .encode())
        return recv_head(sock)[0]


def upgrade_headers(key: str, protocol: str | None) -> list[str]:
    headers = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
               f"Sec-WebSocket-Key: {key}"]
    return headers + [f"Sec-WebSocket-Protocol: {protocol}"] * (protocol is not None)


class WispClient(Link):
    """An upgraded connection to a Wisp server; a context manager."""

    def __init__(self, where: Where, path: str = "/", version: int = 1,
                 context: ssl.SSLContext | None = None) -> None:
        sock = connect_socket(where, context)
        key = base64.b64encode(os.urandom(16)).decode()
        headers = upgrade_headers(key, "wisp-v2" if version == 2 else None)
        sock.sendall("\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", *headers, "", ""])
                     .encode())
        status, answered = recv_head(sock)
        assert status == 101, status
        assert answered["sec-websocket-accept"] == accept_key(key)
        assert answered["upgrade"].lower() == "websocket"
        super().__init__(sock, masks=True)

    def open(self, version: int = 1, named: bytes = b"") -> int:
        """Go through the handshake, with the extensions NAMED; the credit of a new stream."""
        if version == 2:
            assert self.recv_type(packets.INFO, 0).payload[0] == 2
            self.send(packets.info(named))
        return self.recv_type(packets.CONTINUE, 0).credit

    def __enter__(self) -> WispClient:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def open_client(where: Where, path: str = "/", version: int = 1) -> WispClient:
    """A client that has its handshake behind it."""
    client = WispClient(where, path, version)
    client.open(version)
    return client
