"""A SOCKS5 client (RFC 1928) by hand, whose every byte the tests decide."""

from __future__ import annotations

import ipaddress
import select
import socket
import struct
from pathlib import Path
from typing import NamedTuple

from procs import GUARD

VERSION = 5
NO_AUTHENTICATION, PASSWORD = 0, 2
CONNECT, BIND, UDP_ASSOCIATE = 1, 2, 3
IPV4, NAME, IPV6 = 1, 3, 4
NO_ACCEPTABLE_METHOD = 0xff
SUCCEEDED, GENERAL_FAILURE, COMMAND_NOT_SUPPORTED, ADDRESS_TYPE_NOT_SUPPORTED = 0, 1, 7, 8

ADDRESS_LENGTH = {IPV4: 4, IPV6: 16}


class Reply(NamedTuple):
    version: int
    code: int
    reserved: int
    address_type: int
    address: bytes
    port: int


def greeting(*methods: int) -> bytes:
    return bytes([VERSION, len(methods), *methods])


def address(host: str | bytes) -> bytes:
    """HOST with its type: a literal address as such, all else as a name."""
    if isinstance(host, str):
        try:
            parsed = ipaddress.ip_address(host)
            return bytes([IPV4 if parsed.version == 4 else IPV6]) + parsed.packed
        except ValueError:
            host = host.encode()
    return bytes([NAME, len(host)]) + host


def request(host: str | bytes, port: int, command: int = CONNECT) -> bytes:
    return bytes([VERSION, command, 0]) + address(host) + struct.pack("!H", port)


def opening(host: str | bytes, port: int, command: int = CONNECT) -> bytes:
    """The greeting and a request, as an impatient client sends them."""
    return greeting(NO_AUTHENTICATION) + request(host, port, command)


def destination(host: str | bytes, port: int) -> bytes:
    """HOST:PORT as it stands in a datagram's header."""
    return address(host) + struct.pack("!H", port)


def datagram(host: str | bytes, port: int, data: bytes | memoryview = b"",
             fragment: int = 0) -> bytes:
    return bytes([0, 0, fragment]) + destination(host, port) + data


def password(user: bytes, secret: bytes, version: int = 1) -> bytes:
    """The user name and password of RFC 1929."""
    return bytes([version, len(user)]) + user + bytes([len(secret)]) + secret


def recv_exactly(sock: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        chunk = sock.recv(size - len(data))
        assert chunk, f"the connection ended after {len(data)} of {size} bytes: {bytes(data)!r}"
        data += chunk
    return bytes(data)


def recv_reply(sock: socket.socket) -> Reply:
    version, code, reserved, kind = recv_exactly(sock, 4)
    where = recv_exactly(sock, ADDRESS_LENGTH[kind])
    (port,) = struct.unpack("!H", recv_exactly(sock, 2))
    return Reply(version, code, reserved, kind, where, port)


def recv_method(sock: socket.socket) -> int:
    version, method = recv_exactly(sock, 2)
    assert version == VERSION
    return method


#: A port of 127.0.0.1, a Unix socket's path, or an IPv6 address with its port.
Where = int | str | tuple[str, int]


def open_socket(where: Where, rcvbuf: int = 0, sndbuf: int = 0) -> socket.socket:
    """A connection to WHERE."""
    family = {str: socket.AF_UNIX, int: socket.AF_INET, tuple: socket.AF_INET6}[type(where)]
    sock = socket.socket(family)
    sock.settimeout(GUARD)
    if rcvbuf:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
    if sndbuf:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, sndbuf)
    if isinstance(where, str):
        sock.connect(where)
    else:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.connect(("127.0.0.1", where) if isinstance(where, int) else where)
    return sock


def is_listening(path: Path) -> bool:
    """Whether connections to the Unix socket PATH are taken: it is there a moment before they are."""
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex(str(path)) == 0


def recv_opening(sock: socket.socket) -> Reply:
    """What the server answers to `opening`."""
    assert recv_method(sock) == NO_AUTHENTICATION
    return recv_reply(sock)


def dial(where: int | str, host: str | bytes, port: int, data: bytes = b"",
         rcvbuf: int = 0, sndbuf: int = 0) -> socket.socket:
    """A connection to HOST:PORT through the SOCKS server at WHERE; DATA goes with the request."""
    sock = open_socket(where, rcvbuf, sndbuf)
    sock.sendall(opening(host, port) + data)
    assert recv_opening(sock).code == SUCCEEDED
    return sock


def log_in(sock: socket.socket, user: bytes, secret: bytes) -> bool:
    """Greet with the password method alone, and show a password; whether it is taken."""
    sock.sendall(greeting(PASSWORD))
    assert recv_method(sock) == PASSWORD
    sock.sendall(password(user, secret))
    version, status = recv_exactly(sock, 2)
    assert version == 1
    return status == 0


class Answer(NamedTuple):
    """A datagram from a relay: its source as it stands in the header, and what it carries."""

    source: bytes
    data: bytes


def split_datagram(received: bytes) -> Answer:
    assert received[:3] == bytes(3), received[:3]
    size = 1 + received[4] if received[3] == NAME else ADDRESS_LENGTH[received[3]]
    end = 4 + size + 2
    return Answer(received[3:end], received[end:])


class Association:
    """A UDP association: the connection that it lives with, and a socket for its datagrams.

    CONTROL has sent its request. SOCK is where the datagrams are to come from, if that matters.
    """

    def __init__(self, control: socket.socket, sock: socket.socket | None = None) -> None:
        self.control = control
        self.reply = recv_opening(control)
        assert self.reply.code == SUCCEEDED, self.reply
        self.relay = (str(ipaddress.ip_address(self.reply.address)), self.reply.port)
        self.sock = sock or self.another_socket()
        self.sock.settimeout(GUARD)
        self.sock.connect(self.relay)

    def another_socket(self, host: str | None = None) -> socket.socket:
        """A socket, on the relay's host or on HOST, that may send to the relay."""
        host = host or self.relay[0]
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((host, 0))
        return sock

    def send(self, host: str | bytes, port: int, data: bytes | memoryview = b"",
             fragment: int = 0) -> None:
        self.sock.send(datagram(host, port, data, fragment))

    def recv(self) -> Answer:
        return split_datagram(self.sock.recv(1 << 16))

    def close(self) -> None:
        self.control.close()
        self.sock.close()


class End(NamedTuple):
    """All that came before the end of a connection, and whether that end was a reset."""

    data: bytes
    was_reset: bool


def recv_to_end(sock: socket.socket) -> End:
    data = bytearray()
    try:
        while chunk := sock.recv(1 << 20):
            data += chunk
    except (ConnectionResetError, BrokenPipeError):
        return End(bytes(data), True)
    return End(bytes(data), False)


def readable(sock: socket.socket, seconds: float = 0) -> bool:
    """Whether something (data or the end) can be read right now, or within some SECONDS."""
    return bool(select.select([sock], [], [], seconds)[0])


def send_until_blocked(socks: list[socket.socket], data: memoryview, quiet: float = 1.0) -> int:
    """Send DATA on each of SOCKS until no more is taken; how many bytes were, in all.

    Nothing taken for QUIET seconds counts as blocked. Waiting too short a time can only make the
    sum smaller, so an assertion that it stays below a bound never fails for that reason.
    """
    sent = {sock: 0 for sock in socks}
    for sock in socks:
        sock.setblocking(False)
    while waiting := [sock for sock in socks if sent[sock] < len(data)]:
        writable = select.select([], waiting, [], quiet)[1]
        if not writable:
            break
        for sock in writable:
            sent[sock] += sock.send(data[sent[sock]:sent[sock] + (1 << 16)])
    for sock in socks:
        sock.settimeout(GUARD)
    return sum(sent.values())
