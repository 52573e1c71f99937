"""Part 2: a thousand new connections a second, each with its own bytes there and back."""

from __future__ import annotations

import os
import random
import selectors
import socket
import statistics
import time
from array import array
from collections.abc import Iterator

import socks
from echo import EchoOrigin, head, pattern
from options import Options
from pair import Faults, Pair
from procs import GUARD
from rig import Result

PART = 2
RATE = 1000  # connections a second
LARGEST = 16 * 1024  # bytes each way
#: Those that may be open at a time, when everything stands still for a moment.
TOGETHER = 2000
WARM_UP_SECONDS = 3
#: MiB. In ten minutes, eight bytes lost for each connection would be more.
GROWTH = 4

METHOD = bytes([socks.VERSION, socks.NO_AUTHENTICATION])
REPLY = bytes([socks.VERSION, socks.SUCCEEDED, 0, socks.IPV4]) + bytes(6)


class Connection:
    """One of them: what is sent, what has to come for it, and who closes first."""

    def __init__(self, where: int, to: int, choice: random.Random) -> None:
        data = pattern(choice.randrange(1 << 26), choice.randint(1, LARGEST))
        self._far_end_closes = choice.random() < 0.5
        request = head(len(data) if self._far_end_closes else 0) + data
        # In steps, as most programs do it, or all at once.
        self._steps = [(socks.greeting(socks.NO_AUTHENTICATION), METHOD),
                       (socks.request("127.0.0.1", to), REPLY), (request, data)]
        if choice.random() < 0.5:
            self._steps = [tuple(b"".join(parts) for parts in zip(*self._steps))]
        self._to_send, self._wanted = b"", b""
        self._far_end_closed = False
        self.begun = time.monotonic()
        self.size = len(data)
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.connect_ex(("127.0.0.1", where))

    @property
    def events(self) -> int:
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if self._to_send or self._waits else 0)

    @property
    def _waits(self) -> bool:
        """Whether the next step is to be taken."""
        return not self._wanted and bool(self._steps)

    @property
    def done(self) -> bool:
        return not self._wanted and not self._steps and self._far_end_closed == self._far_end_closes

    def go_on(self, events: int) -> None:
        """Send and receive what is possible now. Raises OSError, also for what is wrong."""
        if events & selectors.EVENT_WRITE and (error := self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)):
            raise OSError(error, os.strerror(error))
        if events & selectors.EVENT_READ:
            self._receive()
        if self._waits:
            self._to_send, self._wanted = self._steps.pop(0)
        if self._to_send:
            self._to_send = self._to_send[self.sock.send(self._to_send):]

    def _receive(self) -> None:
        data = self.sock.recv(LARGEST * 2)
        if not data and not (self._far_end_closes and not self._wanted and not self._steps):
            raise OSError(f"ended, {len(self._wanted)} bytes too early")
        if not self._wanted.startswith(data):
            raise OSError(f"wrong bytes, {len(self._wanted)} before the end")
        self._wanted = self._wanted[len(data):]
        self._far_end_closed = not data


class Load:
    """Begins connections at a rate, whatever becomes of those before, and checks each."""

    def __init__(self, where: int, to: int, seed: int) -> None:
        self._where, self._to = where, to
        self._choice = random.Random(seed)
        self._selector = selectors.DefaultSelector()
        self._open: dict[Connection, None] = {}  # the oldest first
        self.faults = Faults()
        self.seconds = array("d")  # that each took
        self.received = 0  # bytes
        self.peak = 0  # of those open at a time

    def run(self, count: int) -> float:
        """So many in all; returns the seconds that it took to begin them."""
        start = begun_at = time.monotonic()
        begun = 0
        while begun < count or self._open:
            due = min(count, int((time.monotonic() - start) * RATE) + 1)
            while begun < due and len(self._open) < TOGETHER:
                self._begin()
                begun += 1
                begun_at = time.monotonic()
            self.peak = max(self.peak, len(self._open))
            pause = 1 if begun == count else max(0, start + begun / RATE - time.monotonic())
            for key, events in self._selector.select(pause):
                self._go_on(key.data, events)
            self._give_up_old_ones()
        return begun_at - start

    def _begin(self) -> None:
        connection = Connection(self._where, self._to, self._choice)
        self._open[connection] = None
        self._selector.register(connection.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, connection)

    def _go_on(self, connection: Connection, events: int) -> None:
        try:
            connection.go_on(events)
        except BlockingIOError:
            pass
        except OSError as error:
            self._end(connection, str(error))
            return
        if connection.done:
            self._end(connection)
        else:
            self._selector.modify(connection.sock, connection.events, connection)

    def _end(self, connection: Connection, fault: str = "") -> None:
        self._selector.unregister(connection.sock)
        connection.sock.close()
        del self._open[connection]
        if fault:
            self.faults.add("connection", fault)
            return
        self.seconds.append(time.monotonic() - connection.begun)
        self.received += connection.size

    def _give_up_old_ones(self) -> None:
        while self._open and (oldest := next(iter(self._open))).begun < time.monotonic() - GUARD:
            self._end(oldest, f"nothing for {GUARD:.0f} s")


def measure(options: Options) -> Iterator[Result]:
    count = int(options.seconds * RATE)
    with EchoOrigin() as origin, Pair() as pair:
        Load(pair.bridge.port, origin.port, options.seed).run(WARM_UP_SECONDS * RATE)
        before = pair.rest()
        load = Load(pair.bridge.port, origin.port, options.seed + 1)
        seconds = load.run(count)
        percentiles = statistics.quantiles(load.seconds, n=100) if len(load.seconds) > 1 else [0.0] * 99
        yield Result(PART, "new connections", count, "", shown=f"with {load.received / 1e9:.2f} GB each way; "
                     f"{load.peak} open at a time at the most")
        yield Result(PART, "rate", count / seconds, "1/s", shown=f"for {seconds:.0f} s; to be {RATE}")
        longest = max(load.seconds, default=0) * 1000
        yield Result(PART, "median time of one", percentiles[49] * 1000, "ms",
                     shown=f"99th percentile {percentiles[98] * 1000:.1f} ms, the longest {longest:.0f} ms")
        yield load.faults.result(PART, "connections that failed", f"{count}")
        yield from pair.compare(PART, before, GROWTH)
