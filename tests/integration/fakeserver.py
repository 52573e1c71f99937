"""A WebSocket server whose every answer the test gives, good or bad.

Nothing here runs by itself: the test accepts a connection, answers the upgrade and sends and
receives packets, one call after the other.
"""

from __future__ import annotations

import socket
import ssl

import packets
from frames import accept_key
from packets import Link
from procs import GUARD


class Peer(Link):
    """The server's end of one connection, from its HTTP request on."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock, masks=False)
        self.request_line, self.headers = self._read_head()

    def _read_head(self) -> tuple[str, dict[str, str]]:
        head = bytearray()
        while not head.endswith(b"\r\n\r\n"):
            head += self._read(1)
        request, *lines = head.decode("latin-1").strip().split("\r\n")
        self.header_lines = lines
        pairs = (line.partition(":") for line in lines)
        return request, {name.strip().lower(): value.strip() for name, _, value in pairs}

    @property
    def path(self) -> str:
        return self.request_line.split()[1]

    @property
    def offers_v2(self) -> bool:
        return "sec-websocket-protocol" in self.headers

    def answer(self, status: str, *headers: str) -> None:
        """A complete HTTP answer instead of the upgrade, and the end of the connection."""
        self._respond(status, *headers, "Content-Length: 0", "Connection: close")
        self.close()

    def upgrade(self, accept: str | None = None, behind: bytes = b"",
                connection: tuple[str, ...] = ("Upgrade",)) -> None:
        """Answer 101; ACCEPT replaces the right key, BEHIND follows in the same write.

        CONNECTION are the headers of that name.
        """
        protocol = self.headers.get("sec-websocket-protocol")
        self._respond("101 Switching Protocols", "Upgrade: websocket",
                      *(f"Connection: {each}" for each in connection),
                      f"Sec-WebSocket-Accept: "
                      f"{accept or accept_key(self.headers['sec-websocket-key'])}",
                      *([f"Sec-WebSocket-Protocol: {protocol}"] if protocol else []),
                      behind=behind)

    def _respond(self, status: str, *headers: str, behind: bytes = b"") -> None:
        head = "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""])
        self.send_raw(head.encode() + behind)

    def offer(self, *offered: bytes) -> dict[int, bytes]:
        """Upgrade and send the INFO of a v2 server; the extensions of the client's INFO."""
        self.upgrade()
        assert self.offers_v2
        self.send(packets.info(b"".join(offered)))
        return packets.extensions(self.recv_type(packets.INFO, 0))

    def open(self, version: int = 1, credit: int = 128, offered: bytes = b"") -> Peer:
        """Upgrade and go through the handshake of a server of this version."""
        if version == 2:
            self.offer(offered)
        else:
            self.upgrade()
        self.send(packets.credit(0, credit))
        return self

    def recv_connect(self) -> packets.Packet:
        return self.recv_type(packets.CONNECT)

    def recv_chunk(self) -> bytes:
        """What one read from the socket gives; with TLS, at most one record."""
        return self.sock.recv(1 << 20)


class FakeServer:
    """Listens; `accept` gives the next connection's request.

    RCVBUF is for those it accepts. LISTENER is a socket that is bound already.
    """

    def __init__(self, context: ssl.SSLContext | None = None, rcvbuf: int = 0,
                 listener: socket.socket | None = None) -> None:
        self.context = context  #: of the connections to come
        self._listener = listener or socket.socket()
        self._listener.settimeout(GUARD)
        if rcvbuf:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        if listener is None:
            self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self._peers: list[Peer] = []

    @property
    def port(self) -> int:
        return self._listener.getsockname()[1]

    @property
    def url(self) -> str:
        return self.url_at("127.0.0.1")

    def url_at(self, host: str, path: str = "/") -> str:
        return f"{'wss' if self.context else 'ws'}://{host}:{self.port}{path}"

    def accept(self) -> Peer:
        conn, _ = self._listener.accept()
        conn.settimeout(GUARD)
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.context:
            conn = self.context.wrap_socket(conn, server_side=True)
        peer = Peer(conn)
        self._peers.append(peer)
        return peer

    def accept_open(self, version: int = 1, credit: int = 128, offered: bytes = b"") -> Peer:
        """The next connection, ready for streams."""
        return self.accept().open(version, credit, offered)

    def accept_refused_handshake(self) -> None:
        """The next connection, whose client has to break off TLS before it sends a request."""
        try:
            peer = self.accept()
        except (ssl.SSLError, ConnectionError, packets.Ended):
            return
        raise AssertionError(f"the client trusted the certificate: {peer.request_line}")

    def __enter__(self) -> FakeServer:
        return self

    def __exit__(self, *exception: object) -> None:
        self._listener.close()
        for peer in self._peers:
            peer.close()
