"""A program with little to say: it measures how long an echo, or a page, takes from a program's point of view."""

import random
import socket
import threading
import time
from collections.abc import Callable

from rig import connect_by_socks

Connect = Callable[[], socket.socket]


def by_socks(proxy: int, origin: int) -> Connect:
    return lambda: connect_by_socks(proxy, origin)


def directly(port: int) -> Connect:
    def connect() -> socket.socket:
        conn = socket.create_connection(("127.0.0.1", port), timeout=60)
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return conn

    return connect


def ask(kind: bytes, count: int = 0) -> bytes:
    """What tells the origin what to do (load.c)."""
    return kind + count.to_bytes(8, "little")


def percentile(samples: list[float], percent: float) -> float:
    """The smallest sample that so many of them do not exceed."""
    return sorted(samples)[max(0, -int(-len(samples) * percent // 100) - 1)]


def ms_since(start: float) -> float:
    return (time.monotonic() - start) * 1e3


def first_echo_ms(connect: Connect) -> float:
    """From the beginning of a new connection to the first byte that comes back."""
    start = time.monotonic()
    with connect() as conn:
        conn.sendall(ask(b"E") + b"x")
        receive(conn, 1)
        return ms_since(start)


def page_ms(connect: Connect, count: int) -> float:
    """A new connection, a request, and an answer of `count` bytes."""
    start = time.monotonic()
    with connect() as conn:
        conn.sendall(ask(b"G", count))
        receive(conn, count)
        return ms_since(start)


def receive(conn: socket.socket, count: int) -> None:
    while count > 0:
        data = conn.recv(min(count, 65536))
        if not data:
            raise RuntimeError("a connection was cut off")
        count -= len(data)


def echoes_ms(conn: socket.socket, count: int) -> list[float]:
    """One byte after the other, each sent when the last is back, on a connection that the origin echoes."""
    samples = []
    for _ in range(count):
        start = time.monotonic()
        conn.sendall(b"x")
        receive(conn, 1)
        samples.append(ms_since(start))
    return samples


def keystrokes_ms(conn: socket.socket, count: int, pause: float) -> list[float]:
    """Bytes sent as they are typed, `pause` seconds apart or so, without waiting for what comes back."""
    # Not in step with anything, and the same each time.
    pauses = [random.Random(i).uniform(0.5, 1.5) * pause for i in range(count)]
    sent: list[float] = []

    def type_all() -> None:
        for p in pauses:
            time.sleep(p)
            sent.append(time.monotonic())
            conn.sendall(b"x")

    samples: list[float] = []
    typist = threading.Thread(target=type_all)
    typist.start()
    while len(samples) < count:
        data = conn.recv(4096)
        if not data:
            raise RuntimeError("the echo was cut off")
        now = time.monotonic()
        samples += [(now - sent[len(samples) + i]) * 1e3 for i in range(len(data))]
    typist.join()
    return samples


def open_echo(connect: Connect) -> socket.socket:
    """A connection that the origin echoes, and that has been used."""
    conn = connect()
    conn.sendall(ask(b"E"))
    echoes_ms(conn, 1)
    return conn
