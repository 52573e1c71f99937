"""wispsocks and the wispd that it goes to over wss, and what both keep when nothing goes on any more."""

from __future__ import annotations

import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from bridge import Bridge
from certs import Authority
from counters import Counters, counters
from memory import MIB, status_bytes
from procs import GUARD, Process, rest
from rig import Result
from wispservers import TlsWispd

#: Seconds of an idle pair whose CPU time is taken, and how much of them counts as spinning.
IDLE_SECONDS = 2
IDLE_CPU_SHARE = 0.02


class Faults:
    """What went wrong, by kind. The first few of each kind are printed when they happen."""

    SHOWN = 5

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()

    def add(self, kind: str, detail: object) -> None:
        self.kinds[kind] += 1
        if self.kinds[kind] <= self.SHOWN:
            print(f"    {time.strftime('%H:%M:%S')} {kind}: {detail}", flush=True)

    def result(self, part: int, name: str, of: str) -> Result:
        kinds = ", ".join(f"{kind} {count}" for kind, count in self.kinds.items())
        return Result(part, name, self.kinds.total(), "", 0, shown=f"of {of}" + (kinds and f": {kinds}"),
                      raw=dict(self.kinds))


class Rest(NamedTuple):
    """What a process has when nothing goes on."""

    rss: int
    heap: int
    descriptors: int

    @classmethod
    def of(cls, process: Process) -> Rest:
        return cls(status_bytes(process, "VmRSS"), status_bytes(process, "RssAnon"), process.descriptors())


class Pair:
    """The two programs. A context manager: leaving it stops both, and fails when they do not end well."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        folder = Path(self._stack.enter_context(TemporaryDirectory(prefix="wisp-soak-")))
        authority = Authority(folder)
        self._certificate = authority.issue("good")
        # Holds the port while no server listens on it: nobody else's connection may begin there meanwhile.
        holder = self._stack.enter_context(socket.socket())
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        self._port = holder.getsockname()[1]
        self._servers = self._stack.enter_context(ExitStack())  # the one that runs, if it does
        self.server = self._start_server()
        self.bridge = self._stack.enter_context(
            Bridge(self.server.url, "--cacert", authority.cacert, "--max-clients", "20000"))
        self.bridge.wait_connected()

    def _start_server(self) -> TlsWispd:
        return self._servers.enter_context(TlsWispd(self._certificate, port=self._port))

    def stop_server(self, number: signal.Signals) -> None:
        """By KILL, or by TERM, after which it has to end well."""
        if number == signal.SIGKILL:
            self.server.kill()
        self._servers.close()

    def start_server(self, since: int) -> None:
        """On the same port; waits until the bridge, whose log is read from SINCE on, has found it."""
        self.server = self._start_server()
        self.bridge.wait_connected(since)

    def processes(self) -> tuple[Process, Process]:
        return self.bridge, self.server

    def rest(self) -> list[Rest]:
        """When nothing goes on any more, and all that was for something is gone."""
        self._settle(None)
        return [Rest.of(process) for process in self.processes()]

    def _settle(self, before: list[Rest] | None) -> Counters:
        """Wait until nothing goes on, and as many descriptors are open as BEFORE; or give up after a while."""
        deadline = time.monotonic() + GUARD
        last: list[int] = []
        while True:
            now = counters(self.bridge)
            descriptors = [process.descriptors() for process in self.processes()]
            settled = now.programs == now.open == now.waiting == 0 and (
                descriptors == [r.descriptors for r in before] if before else descriptors == last)
            if settled or time.monotonic() > deadline:
                return now
            last = descriptors
            rest(0.5)

    def compare(self, part: int, before: list[Rest], growth: float) -> Iterator[Result]:
        """What is left of a load; GROWTH is how many MiB more than BEFORE each process may have."""
        now = self._settle(before)
        failed = f"{now.failed} failed ({now.reasons})" if now.failed else "none failed"
        yield Result(part, "left at the end", now.programs + now.open + now.waiting, "", 0, raw=now._asdict(),
                     shown=f"programs, streams, waiting bytes; of {now.tcp} TCP and {now.udp} UDP streams {failed}")
        cpu = [process.cpu_seconds() for process in self.processes()]
        rest(IDLE_SECONDS)
        for process, was, cpu_before in zip(self.processes(), before, cpu):
            idle = (process.cpu_seconds() - cpu_before) / IDLE_SECONDS
            yield Result(part, f"{process.name}, CPU when idle", 100 * idle, "%", 100 * IDLE_CPU_SHARE)
            here = Rest.of(process)
            left = abs(here.descriptors - was.descriptors)
            yield Result(part, f"{process.name}, descriptors left over", left, "", 0,
                         shown=f"{here.descriptors} after {was.descriptors}")
            for what, old, new in ("RSS", was.rss, here.rss), ("heap", was.heap, here.heap):
                yield Result(part, f"{process.name}, {what} grown by", (new - old) / MIB, "MiB", growth,
                             shown=f"{new / MIB:.1f} after {old / MIB:.1f} MiB", raw={"before": old, "after": new})

    def __enter__(self) -> Pair:
        return self

    def __exit__(self, kind: type | None, *exception: object) -> None:
        if kind is not None:
            for process in self.processes():
                print(f"--- the end of the log of {process.name}:", *process.lines[-20:], sep="\n", flush=True)
        self._stack.close()
