"""Part 3: all kinds of transfers while the server is stopped and started again at random.

A transfer may fail only while the server is away. One that says that it succeeded has all of its bytes, and no byte is
ever wrong.
"""

from __future__ import annotations

import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from counters import counters
from datagrams import LARGEST as LARGEST_DATAGRAM
from datagrams import header_size
from options import Options
from origin import PAYLOAD_SIZE, Origin, payload, payload_sha256
from pair import Faults, Pair
from procs import GUARD, rest
from rig import Result
from socks import UDP_ASSOCIATE, Association, destination, open_socket, opening, readable

PART = 3
#: Programs at a time. The slow ones are there so that each outage meets transfers under way.
FAST, SLOW = 6, 4
LARGEST = 50_000_000
#: Bytes. All slow ones together stay below what may wait in the bridge, or nobody else would get on.
SLOW_SIZES = 1_000_000, 10_000_000
UPLOAD_SIZES = 0, 1, 1_000, 65_536, 1_000_000, 10_000_000, LARGEST
CHUNK = 1 << 20
WARM_UP_SECONDS = 10
#: Seconds from one event to the next, on average.
PAUSE = 6
#: Seconds that a slow transfer takes, and an outage lasts, at the most.
SLOW_SECONDS, OUTAGE = 15, 3
#: Of the time, restarts have this share: what is left shows the last server at work.
RESTARTED_SHARE = 0.85
CURL_TIMED_OUT = 28
#: MiB. What waited for slow programs, at most 64 MiB, leaves the heap in pieces.
GROWTH = 16


class Outages:
    """When the server was away, or the bridge had not found it yet."""

    def __init__(self) -> None:
        self._times: list[list[float]] = []

    def begin(self) -> None:
        self._times.append([time.monotonic(), float("inf")])

    def end(self) -> None:
        self._times[-1][1] = time.monotonic()

    def touched(self, since: float) -> bool:
        """Whether there was one between SINCE and now."""
        return any(end >= since for _, end in self._times)

    def __len__(self) -> int:
        return len(self._times)


class Transfers:
    """Programs that transfer, each in a thread. A context manager: leaving it waits for those under way."""

    def __init__(self, pair: Pair, origin: Origin, folder: Path, outages: Outages, seed: int,
                 slow_seconds: float) -> None:
        self._pair, self._origin, self._folder, self._outages = pair, origin, folder, outages
        self._slow_seconds = slow_seconds
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._one_datagram = threading.Lock()
        self.faults = Faults()
        self.done: Counter[str] = Counter()  # by kind
        self.cut: Counter[str] = Counter()  # by what it was told, when the server was away
        self.bytes = 0
        fast = [self._download, self._unsized_download, self._upload, self._datagrams]
        slow = [self._slow_download, self._slow_upload]
        self._threads = [threading.Thread(target=self._work, daemon=True,
                                          args=(kinds, random.Random(f"{seed} {number}")))
                         for number, kinds in enumerate([fast] * FAST + [slow] * SLOW)]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Transfers:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _work(self, kinds: list[Callable[[random.Random], None]], choice: random.Random) -> None:
        while not self._stop.is_set():
            kind = choice.choice(kinds)
            try:
                kind(choice)
            except Exception as error:  # whatever it is, the run is to go on, and to fail
                self._fault("exception", f"{kind.__name__}: {error!r}")

    def _fault(self, kind: str, detail: object) -> None:
        with self._lock:
            self.faults.add(kind, detail)

    def _size(self, choice: random.Random) -> int:
        """Small ones as often as large ones, and the extremes now and then."""
        return choice.choices([0, LARGEST, int(10 ** choice.uniform(0, 7.7))], [1, 1, 20])[0]

    def _pace(self, choice: random.Random, size: int) -> list[str]:
        """curl's options for being slow with SIZE bytes."""
        return ["--limit-rate", str(int(size / choice.uniform(1, self._slow_seconds)))]

    def _host(self, choice: random.Random) -> str:
        return choice.choice(["127.0.0.1", "localhost"])

    def _download(self, choice: random.Random) -> None:
        """One, or several on one connection, or on a connection each."""
        count = choice.choice([1, 1, 2, 8])
        sizes = [self._size(choice) // count for _ in range(count)]
        parts = [(size, choice.randrange(PAYLOAD_SIZE - size)) for size in sizes]
        urls = [self._origin.url(f"bytes/{size}/{offset}", self._host(choice)) for size, offset in parts]
        options = ["--header", "Connection: close"] if choice.random() < 0.5 else []
        self._curl("download", [payload(*part) for part in parts], "--fail-early", *options, *urls)

    def _unsized_download(self, choice: random.Random) -> None:
        """Only a reset shows the loss of its end."""
        size = self._size(choice)
        self._curl("unsized download", [payload(size)], self._origin.url(f"gated/soak/{size}", self._host(choice)))

    def _slow_download(self, choice: random.Random) -> None:
        size = choice.randint(*SLOW_SIZES)
        path = choice.choice([f"bytes/{size}/0", f"gated/soak/{size}"])
        self._curl("slow download", [payload(size)], *self._pace(choice, size), self._origin.url(path))

    def _slow_upload(self, choice: random.Random) -> None:
        size = choice.choice([size for size in UPLOAD_SIZES if SLOW_SIZES[0] <= size <= SLOW_SIZES[1]])
        self._curl("slow upload", [self._digest(size)], *self._pace(choice, size), *self._upload_of(size),
                   carried=size)

    def _upload(self, choice: random.Random) -> None:
        sizes = choice.choices(UPLOAD_SIZES, k=choice.choice([1, 1, 2, 4]))
        options = ["--header", "Expect:"] if choice.random() < 0.5 else []
        for size in sizes:
            options += self._upload_of(size, self._host(choice))
        self._curl("upload", [self._digest(size) for size in sizes], "--fail-early", *options, carried=sum(sizes))

    def _upload_of(self, size: int, host: str = "127.0.0.1") -> list[str]:
        return ["--upload-file", str(self._folder / str(size)), self._origin.url("upload", host)]

    def _digest(self, size: int) -> memoryview:
        """What the origin answers to that upload."""
        return memoryview(payload_sha256(size, size).encode())

    def _curl(self, kind: str, wanted: list[memoryview], *args: str, carried: int = 0) -> None:
        """Run curl with ARGS, whose output has to be WANTED, one after the other."""
        since = time.monotonic()
        with self._pair.bridge.start_curl(*args) as process:
            received, wrong = self._compare(process, wanted)
            errors = process.stderr.read().decode(errors="replace").strip()
        if wrong:
            self._fault("wrong bytes", f"{kind} {args}: {wrong}; curl {process.returncode} {errors}")
        elif process.returncode == 0 and received < sum(map(len, wanted)):
            self._fault("short success", f"{kind} {args}: {received} bytes of {sum(map(len, wanted))}")
        elif process.returncode == 0:
            with self._lock:
                self.done[kind] += 1
                self.bytes += carried or received
        elif process.returncode == CURL_TIMED_OUT:
            self._fault("hung", f"{kind} {args}: after {time.monotonic() - since:.0f} s, {received} bytes")
        elif self._outages.touched(since):
            with self._lock:
                self.cut[f"curl {process.returncode}"] += 1
        else:
            self._fault("failed while the server was there", f"{kind} {args}: curl {process.returncode}, {errors}")

    @staticmethod
    def _compare(process: subprocess.Popen[bytes], wanted: list[memoryview]) -> tuple[int, str]:
        """Read all of the output; returns how much it was, and where it is wrong."""
        received, wrong = 0, ""
        for part in wanted:
            at = 0
            while at < len(part) and (data := process.stdout.read(min(CHUNK, len(part) - at))):
                if data != bytes(part[at:at + len(data)]):
                    wrong = wrong or f"within {len(data)} bytes from {at} on of {len(part)}"
                at += len(data)
            received += at
        while data := process.stdout.read(CHUNK):
            received += len(data)
            wrong = wrong or f"{len(data)} bytes more than {sum(map(len, wanted))}"
        return received, wrong

    def _datagrams(self, choice: random.Random) -> None:
        since = time.monotonic()
        host = self._host(choice)
        try:
            with open_socket(self._pair.bridge.port) as control:
                control.sendall(opening("0.0.0.0", 0, UDP_ASSOCIATE))
                association = Association(control)
                with association.sock:
                    for _ in range(20):
                        self._datagram(association, host, choice, since)
        except (OSError, AssertionError) as error:
            if not self._outages.touched(since):
                self._fault("failed while the server was there", f"datagrams: {error!r}")
            with self._lock:
                self.cut["datagrams"] += 1

    def _datagram(self, association: Association, host: str, choice: random.Random, since: float) -> None:
        """Of all programs one at a time is under way, so that none has a reason to be lost. Raises TimeoutError."""
        size = choice.randint(0, LARGEST_DATAGRAM - header_size(host))
        data = payload(size, choice.randrange(PAYLOAD_SIZE - size))
        with self._one_datagram:
            association.send(host, self._origin.udp.port, data)
            end = time.monotonic() + GUARD
            while not readable(association.sock, 1):
                if time.monotonic() > end or self._outages.touched(since):
                    raise TimeoutError("no answer")
            if association.recv() != (destination(host, self._origin.udp.port), bytes(data)):
                self._fault("wrong bytes", f"a datagram of {size} bytes")
        with self._lock:
            self.done["datagram"] += 1
            self.bytes += size


def restart(pair: Pair, choice: random.Random, number: signal.Signals, outages: Outages) -> None:
    before = pair.bridge.mark()
    outages.begin()
    pair.stop_server(number)
    rest(choice.choice([0, choice.uniform(0, OUTAGE)]))
    pair.start_server(before)
    outages.end()


def disturb(pair: Pair, choice: random.Random, seconds: float, outages: Outages) -> Counter[str]:
    """Things happen at random for so long; returns how often each did."""
    happened: Counter[str] = Counter()
    end = time.monotonic() + seconds
    pause = min(PAUSE, seconds / 8)
    while True:
        rest(choice.uniform(0, 2 * pause))
        if time.monotonic() > end:
            return happened
        event = choice.choices(["KILL", "TERM", "HUP", "USR1"], [3, 3, 1, 1])[0]
        happened[event] += 1
        match event:
            case "HUP":
                pair.bridge.signal(signal.SIGHUP)
            case "USR1":
                counters(pair.bridge)
            case _:
                restart(pair, choice, signal.Signals[f"SIG{event}"], outages)


def measure(options: Options) -> Iterator[Result]:
    slow_seconds = min(SLOW_SECONDS, options.seconds / 4)
    with TemporaryDirectory(prefix="wisp-soak-") as name, Origin() as origin, Pair() as pair:
        folder = Path(name)
        for size in UPLOAD_SIZES:
            (folder / str(size)).write_bytes(payload(size, size))
        origin.http.gate("soak").open()
        outages = Outages()
        with Transfers(pair, origin, folder, outages, options.seed, slow_seconds / 4) as warm_up:
            rest(min(WARM_UP_SECONDS, options.seconds / 4))
        before = pair.rest()
        with Transfers(pair, origin, folder, outages, options.seed + 1, slow_seconds) as transfers:
            happened = disturb(pair, random.Random(options.seed), options.seconds * RESTARTED_SHARE, outages)
            rest(options.seconds * (1 - RESTARTED_SHARE))
        transfers.faults.kinds += warm_up.faults.kinds
        yield Result(PART, "transfers", transfers.done.total(), "", raw=dict(transfers.done),
                     shown=", ".join(f"{kind} {count}" for kind, count in sorted(transfers.done.items())))
        yield Result(PART, "bytes", transfers.bytes / 1e9, "GB", shown="each compared")
        yield Result(PART, "restarts", len(outages), "", raw=dict(happened),
                     shown=", ".join(f"{event} {count}" for event, count in sorted(happened.items())))
        yield Result(PART, "transfers cut by them", transfers.cut.total(), "", raw=dict(transfers.cut),
                     shown=", ".join(f"{told} {count}" for told, count in sorted(transfers.cut.items())))
        yield transfers.faults.result(PART, "transfers that failed", "those, and of the warm-up's")
        yield from pair.compare(PART, before, GROWTH)
