"""Part 1: ten thousand open streams, of which a hundred carry all they can."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

import socks
from echo import EchoOrigin, first_wrong, head, pattern
from memory import MIB, raise_limit
from options import Options
from pair import Faults, Pair, Rest
from procs import GUARD
from rig import Result

PART = 1
STREAMS, SOME_STREAMS, BUSY_STREAMS = 10_000, 1_000, 100
CHUNK = 64 * 1024
#: What a busy stream has on its way at the most, in bytes.
UNDER_WAY = 256 * 1024
#: MiB. Such a load leaves the heap in other pieces than it was; 256 bytes lost for each stream would be more.
GROWTH = 2


class Busy:
    """A stream whose pattern goes round; each has a part of the pattern of its own."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        self.sock = sock
        self.sock.setblocking(False)
        self.number = number
        self._start = number * 1_000_003
        self._sent = 0
        self.received = 0

    @property
    def under_way(self) -> int:
        return self._sent - self.received

    def send(self) -> None:
        """What may be under way, and fits into the socket. The next answer makes room again."""
        while self.under_way < UNDER_WAY:
            try:
                self._sent += self.sock.send(pattern(self._start + self._sent, min(CHUNK, UNDER_WAY - self.under_way)))
            except BlockingIOError:
                return

    def receive(self) -> str:
        """Take what came; returns what is wrong with it."""
        data = self.sock.recv(CHUNK)
        if not data:
            return f"ended after {self.received} bytes"
        wrong = first_wrong(data, self._start + self.received)
        self.received += len(data)
        return "" if wrong is None else f"byte {wrong - self._start} is wrong"


class Load(NamedTuple):
    received: int  # bytes that the busy streams got back
    faults: Faults
    when_open: list[Rest]


def echo_once(sock: socket.socket, number: int) -> None:
    """A few bytes that no other stream has."""
    data = number.to_bytes(8, "big")
    sock.sendall(data)
    answer = socks.recv_exactly(sock, len(data))
    assert answer == data, f"{answer!r} for {data!r}"


def try_each(conns: list[socket.socket], faults: Faults) -> None:
    for number, conn in enumerate(conns):
        try:
            echo_once(conn, number)
        except (AssertionError, OSError) as error:
            faults.add("idle stream", f"{number}: {error}")


def go_round(busy: list[Busy], seconds: float, faults: Faults) -> None:
    """Traffic for so long, and then until all is back."""
    end = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for stream in busy:
            selector.register(stream.sock, selectors.EVENT_READ, stream)
            stream.send()
        while selector.get_map():
            ready = selector.select(GUARD)
            if not ready:
                faults.add("silence", f"{len(selector.get_map())} streams wait for their bytes")
                return
            for key, _ in ready:
                stream = key.data
                try:
                    wrong = stream.receive()
                    if time.monotonic() < end:
                        stream.send()
                except OSError as error:
                    wrong = str(error)
                if wrong:
                    faults.add("busy stream", f"{stream.number}: {wrong}")
                if wrong or stream.under_way == 0:
                    selector.unregister(stream.sock)


def hold(pair: Pair, origin: EchoOrigin, count: int, seconds: float) -> Load:
    """Open so many streams, keep some of them busy, and close them all."""
    faults = Faults()
    with ExitStack() as stack:
        conns = []
        for _ in range(count):
            conns.append(stack.enter_context(socks.dial(pair.bridge.port, "127.0.0.1", origin.port, head())))
        try_each(conns, faults)
        busy = [Busy(conn, number) for number, conn in enumerate(conns[:BUSY_STREAMS])]
        go_round(busy, seconds, faults)
        try_each(conns[BUSY_STREAMS:], faults)
        when_open = [Rest.of(process) for process in pair.processes()]
    return Load(sum(stream.received for stream in busy), faults, when_open)


def measure(options: Options) -> Iterator[Result]:
    count = STREAMS if options.seconds >= 60 else SOME_STREAMS
    raise_limit(count)
    with EchoOrigin() as origin, Pair() as pair:
        hold(pair, origin, count, 1)
        before = pair.rest()
        load = hold(pair, origin, count, options.seconds)
        yield Result(PART, "open streams", count, "", raw={"busy": BUSY_STREAMS})
        rate = load.received / 1e6 / options.seconds
        yield Result(PART, "bytes each way", load.received / 1e9, "GB",
                     shown=f"in {BUSY_STREAMS} streams, each byte compared; {rate:.0f} MB/s")
        yield load.faults.result(PART, "streams that failed", f"{count}")
        for process, when_open in zip(pair.processes(), load.when_open):
            yield Result(PART, f"{process.name}, RSS when all are open", when_open.rss / MIB, "MiB",
                         shown=f"{when_open.descriptors} descriptors")
        yield from pair.compare(PART, before, GROWTH)
