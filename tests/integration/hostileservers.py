"""Servers that would hurt their clients: silent, endless, enormous or mad, from some stage on."""

from __future__ import annotations

import os
import socket
import struct
from typing import Callable

import frames
import packets
from frames import accept_key

Misdeed = Callable[[socket.socket], None]

MEGABYTE = 1 << 20


# What they do: until the client has gone, unless they end by themselves.


def silence(conn: socket.socket) -> None:
    while conn.recv(1 << 16):
        pass


def endless(chunk: bytes) -> Misdeed:
    def send(conn: socket.socket) -> None:
        while True:
            conn.sendall(chunk)

    return send


def then_silence(raw: bytes) -> Misdeed:
    def send(conn: socket.socket) -> None:
        conn.sendall(raw)
        silence(conn)

    return send


def binary(*sent: packets.Packet) -> bytes:
    return b"".join(frames.encode(frames.BINARY, packet.encode()) for packet in sent)


def fragments(size: int) -> Misdeed:
    """A message without an end."""
    first = frames.encode(frames.BINARY, bytes(size), fin=False)
    more = frames.encode(frames.CONTINUATION, bytes(size), fin=False) * (1 << 12 if not size else 1)

    def send(conn: socket.socket) -> None:
        conn.sendall(first)
        endless(more)(conn)

    return send


def leave(conn: socket.socket) -> None:
    conn.close()


def reset(conn: socket.socket) -> None:
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    conn.close()


def drip(conn: socket.socket) -> None:
    """A byte of a frame now and then: there is always something new."""
    conn.settimeout(0.05)
    conn.sendall(frames.encode(frames.BINARY, b"", length=MEGABYTE))
    while True:
        conn.sendall(b"\0")
        try:
            if not conn.recv(1 << 16):
                return
        except socket.timeout:
            pass


#: On a WebSocket.
MISDEEDS: dict[str, Misdeed] = {
    "silence": silence,
    "the end": leave,
    "a reset": reset,
    "garbage": then_silence(os.urandom(MEGABYTE)),
    "half a frame": then_silence(b"\x82"),
    "a huge frame, announced": then_silence(frames.encode(frames.BINARY, b"", length=1 << 62)),
    "a frame of more than 63 bits": then_silence(frames.encode(frames.BINARY, b"",
                                                               length=(1 << 64) - 1)),
    "a huge frame, sent": lambda conn: (
        conn.sendall(frames.encode(frames.BINARY, b"", length=1 << 40)),
        endless(bytes(MEGABYTE))(conn)),
    "a frame in drops": drip,
    "endless pings": endless(frames.encode(frames.PING, b"x" * 125) * 100),
    "endless pongs": endless(frames.encode(frames.PONG) * 100),
    "endless texts": endless(frames.encode(frames.TEXT, b"hello") * 100),
    "endless empty messages": endless(frames.encode(frames.BINARY) * 1000),
    "endless fragments": fragments(1 << 16),
    "endless empty fragments": fragments(0),
    "endless credit": endless(binary(packets.credit(0, 0xffffffff)) * 100),
    "endless credit for streams": endless(binary(*(packets.credit(number, 0xffffffff)
                                                   for number in range(100)))),
    "endless INFO": endless(binary(packets.info(packets.extension(1))) * 100),
    "endless data": endless(binary(*(packets.data(number, bytes(1 << 12))
                                     for number in range(100)))),
    "endless closes": endless(binary(*(packets.close(number, 0xff) for number in range(100)))),
    "an INFO of lies": then_silence(binary(packets.info(
        packets.extension(packets.MOTD, b"x", 0xffffffff)))),
    "a large INFO": then_silence(binary(packets.info(
        packets.extension(packets.MOTD, b"x" * 3 * MEGABYTE)))),
    "a message of control characters": then_silence(binary(packets.info(
        packets.extension(packets.MOTD, b"\x1b]0;owned\x07\x1b[2J\n\0pass")))),
}

#: On a TCP connection that should become one.
HTTP_MISDEEDS: dict[str, Misdeed] = {
    "silence": silence,
    "the end": leave,
    "a reset": reset,
    "garbage": then_silence(os.urandom(MEGABYTE)),
    "half an answer": then_silence(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: webs"),
    "endless headers": endless(b"X-More: yes\r\n" * 100),
    "an endless header": endless(b"x" * MEGABYTE),
    "an endless answer": lambda conn: (
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n"),
        endless(bytes(MEGABYTE))(conn)),
    "an answer of control characters": then_silence(
        b"HTTP/1.1 418 \x1b[2J\x07\r\nX: \x1b]0;owned\x07\r\n\r\n"),
}


def read_key(conn: socket.socket) -> str:
    """Take the client's request; its key."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        if not (byte := conn.recv(1)):
            raise ConnectionError("no request")
        head += byte
    return next(line.split(": ", 1)[1] for line in head.decode("latin-1").split("\r\n")
                if line.lower().startswith("sec-websocket-key: "))


def instead_of_http(misdeed: Misdeed) -> Misdeed:
    def serve(conn: socket.socket) -> None:
        read_key(conn)
        misdeed(conn)

    return serve


def after_upgrade(misdeed: Misdeed) -> Misdeed:
    def serve(conn: socket.socket) -> None:
        upgrade(conn)
        misdeed(conn)

    return serve


def upgrade(conn: socket.socket) -> None:
    key = read_key(conn)
    conn.sendall("\r\n".join(["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket",
                              "Connection: Upgrade", f"Sec-WebSocket-Accept: {accept_key(key)}",
                              "", ""]).encode())


def after_connect(misdeed: Misdeed) -> Misdeed:
    """When the client has sent something. Up to there it is a server of version 1."""

    def serve(conn: socket.socket) -> None:
        upgrade(conn)
        conn.sendall(binary(packets.credit(0, 128)))
        if conn.recv(1):
            misdeed(conn)

    return serve
