"""The destinations: small services on 127.0.0.1 and ::1, and the bytes they serve.

Every service listens on the same port of both addresses and runs each TCP connection in a thread.
`Origin` is the set of them that the tests share.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import socket
import struct
import threading
from typing import BinaryIO, Callable

from procs import GUARD

CHUNK = 1 << 20
#: Requests and tests use slices of this many bytes without any pattern in them.
PAYLOAD_SIZE = 101_000_000


@functools.lru_cache(maxsize=None)
def _payload() -> bytes:
    return hashlib.shake_128(b"wispsocks").digest(PAYLOAD_SIZE)


def payload(size: int, offset: int = 0) -> memoryview:
    """SIZE bytes that are the same in every run; other offsets give other bytes."""
    assert offset + size <= PAYLOAD_SIZE
    return memoryview(_payload())[offset:offset + size]


def sha256(data: bytes | memoryview) -> str:
    return hashlib.sha256(data).hexdigest()


@functools.lru_cache(maxsize=None)
def payload_sha256(size: int, offset: int = 0) -> str:
    return sha256(payload(size, offset))


def reset(conn: socket.socket) -> None:
    """Close CONN with a RST instead of a FIN."""
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    conn.close()


def bind_both(kind: socket.SocketKind) -> list[socket.socket]:
    """Sockets on one port that is free on both addresses."""
    while True:
        socks = [socket.socket(socket.AF_INET, kind), socket.socket(socket.AF_INET6, kind)]
        try:
            socks[0].bind(("127.0.0.1", 0))
            socks[1].bind(("::1", socks[0].getsockname()[1]))
            return socks
        except OSError as error:
            for sock in socks:
                sock.close()
            if error.errno != errno.EADDRINUSE:
                raise


class Service:
    """A TCP service: HANDLER runs in a thread for each connection to its port."""

    def __init__(self, handler: Callable[[socket.socket], None], rcvbuf: int = 0) -> None:
        self._handler = handler
        self._listeners = self._listen(rcvbuf)
        self.port: int = self._listeners[0].getsockname()[1]
        for listener in self._listeners:
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    @staticmethod
    def _listen(rcvbuf: int) -> list[socket.socket]:
        listeners = bind_both(socket.SOCK_STREAM)
        for listener in listeners:
            if rcvbuf:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
            listener.listen(1024)
        return listeners

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                conn, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn: socket.socket) -> None:
        with conn:
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                self._handler(conn)
            except OSError:
                pass  # the other side has gone: that is for the test to judge

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *exception: object) -> None:
        for listener in self._listeners:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()


class DatagramService:
    """A UDP service: ANSWER gives what is sent back for a datagram."""

    def __init__(self, answer: Callable[[bytes], bytes] = bytes) -> None:
        self._answer = answer
        self._socks = bind_both(socket.SOCK_DGRAM)
        self.port: int = self._socks[0].getsockname()[1]
        for sock in self._socks:
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        while True:
            data, source = sock.recvfrom(1 << 16)
            if source is None:
                break  # shut down
            try:
                sock.sendto(self._answer(data), source)
            except OSError:
                pass  # lost, as datagrams may be
        sock.close()

    def __enter__(self) -> DatagramService:
        return self

    def __exit__(self, *exception: object) -> None:
        for sock in self._socks:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it is not connected, but wakes up all the same


class Gate:
    """Holds transfers in their middle until the test lets them go on."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._arrivals = threading.Semaphore(0)

    def arrive(self) -> None:
        """For the service: say that a transfer is at its middle, and wait there."""
        self._arrivals.release()
        assert self._open.wait(GUARD * 2), "nobody opened the gate"

    def wait_arrivals(self, count: int) -> None:
        """For the test: wait until COUNT transfers are at their middle."""
        for _ in range(count):
            assert self._arrivals.acquire(timeout=GUARD), "too few transfers at the gate"

    def open(self) -> None:
        self._open.set()


def read_exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise ConnectionError("the connection ended early")
    return data


class HttpService(Service):
    """HTTP/1.1 with keep-alive.

    GET /empty          an empty body
    GET /bytes/N/OFFSET `payload(N, OFFSET)`
    GET /gated/NAME/N   `payload(N)` up to the end of the connection, without a Content-Length, so
                        that only a reset shows the loss of its end; waits at `gate(NAME)` in its
                        middle
    PUT, POST           the SHA-256 of the request's body, in hexadecimal digits
    """

    def __init__(self) -> None:
        self._gates: dict[str, Gate] = {}
        self._lock = threading.Lock()
        super().__init__(self._converse)

    def gate(self, name: str) -> Gate:
        with self._lock:
            return self._gates.setdefault(name, Gate())

    def _converse(self, conn: socket.socket) -> None:
        with conn.makefile("rb", CHUNK) as stream:
            while self._one_request(conn, stream):
                pass

    def _one_request(self, conn: socket.socket, stream: BinaryIO) -> bool:
        request = stream.readline().split()
        if len(request) != 3:
            return False
        method, path = request[0].decode(), request[1].decode()
        headers = self._headers(stream)
        if method in ("PUT", "POST"):
            if headers.get("expect"):
                conn.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._respond(conn, self._body_digest(stream, int(headers["content-length"])))
            return True
        kind, *args = path.strip("/").split("/")
        if kind == "empty":
            self._respond(conn, b"")
        elif kind == "bytes":
            self._respond(conn, payload(*map(int, args)))
        elif kind == "gated":
            self._gated(conn, args[0], int(args[1]))
            return False
        else:
            self._respond(conn, b"no such path\n", "404 Not Found")
        return True

    @staticmethod
    def _headers(stream: BinaryIO) -> dict[str, str]:
        headers = {}
        while line := stream.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        return headers

    @staticmethod
    def _body_digest(stream: BinaryIO, left: int) -> bytes:
        digest = hashlib.sha256()
        while left:
            data = read_exactly(stream, min(left, CHUNK))
            digest.update(data)
            left -= len(data)
        return digest.hexdigest().encode()

    @staticmethod
    def _respond(conn: socket.socket, body: bytes | memoryview, status: str = "200 OK") -> None:
        conn.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        conn.sendall(body)

    def _gated(self, conn: socket.socket, name: str, size: int) -> None:
        body = payload(size)
        conn.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        conn.sendall(body[:size // 2])
        self.gate(name).arrive()
        conn.sendall(body[size // 2:])


def echo(conn: socket.socket) -> None:
    """Send back whatever comes, until the other side ends."""
    while data := conn.recv(CHUNK):
        conn.sendall(data)


def receive_sized(conn: socket.socket) -> bytes:
    """A 64-bit length and that many bytes: the request of the services below."""
    with conn.makefile("rb", CHUNK) as stream:
        (size,) = struct.unpack("!Q", read_exactly(stream, 8))
        return read_exactly(stream, size)


def sized(data: bytes | memoryview) -> bytes:
    """DATA as `receive_sized` wants it."""
    return struct.pack("!Q", len(data)) + data


def digest(conn: socket.socket) -> None:
    """Answer `sized` bytes with their SHA-256, without waiting for an end of the connection.

    Wisp does not carry a half-close, so this is what a program that has shut down its sending
    side can still get an answer from.
    """
    conn.sendall(sha256(receive_sized(conn)).encode())


def serve_bytes(conn: socket.socket) -> None:
    """Answer `sized` decimal digits N with `payload(N)` and the end of the connection."""
    conn.sendall(payload(int(receive_sized(conn))))


def reset_on_request(conn: socket.socket) -> None:
    """Like `serve_bytes`, but a further byte from the other side has to come, and then a RST."""
    serve_bytes(conn)
    conn.recv(1)
    reset(conn)


class Origin:
    """The services most tests share."""

    def __init__(self) -> None:
        self.http = HttpService()
        self.echo = Service(echo)
        self.digest = Service(digest)
        self.bytes = Service(serve_bytes)
        self.reset = Service(reset_on_request)
        self.udp = DatagramService()

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.http.port}/{path.lstrip('/')}"

    def __enter__(self) -> Origin:
        return self

    def __exit__(self, *exception: object) -> None:
        for service in vars(self).values():
            service.__exit__(*exception)
