"""Whether a program has come through what was done to it: nothing is left, and it rests."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from procs import Program, rest, wait_until

MIB = 1 << 20
TICKS = os.sysconf("SC_CLK_TCK")
#: A program that does nothing uses less than this part of one processor.
AT_REST = 0.1
#: AddressSanitizer keeps what has been freed, and puts room around what has not.
SANITIZED_GROWTH = 4


def is_sanitized(program: Program) -> bool:
    return "libasan" in Path(f"/proc/{program.pid}/maps").read_text()


def cpu_seconds(program: Program) -> float:
    """What it has used of the processors so far."""
    stat = Path(f"/proc/{program.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) / TICKS


def rests(program: Program, seconds: float = 0.5) -> bool:
    """Whether it does next to nothing in the next SECONDS."""
    before = cpu_seconds(program)
    rest(seconds)
    return cpu_seconds(program) - before < AT_REST * seconds


def gauges(bridge: Program) -> tuple[int, int]:
    """How many programs and open streams wispsocks counts."""
    since = bridge.mark()
    bridge.signal(signal.SIGUSR1)
    line = bridge.wait_log(r"^counters: (\d+) programs; .*?(\d+) open", since)
    return int(line.group(1)), int(line.group(2))


def ends_at_once(program: Program) -> None:
    """TERM ends it, whatever still waits to be sent."""
    asked = time.monotonic()
    assert program.terminate() == 0
    assert time.monotonic() - asked < 5, "something was waited for"


class Vitals:
    """What a program holds, as it is now, with nothing to do: it is to come back to that.

    It has to have done once what it does: what it keeps for later, as for name servers, counts.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        wait_until(lambda: rests(program), f"{program.name} rests")
        self.descriptors = program.descriptors()
        self.rss = program.rss()

    def check_growth(self, growth: int = 8 * MIB) -> None:
        """It has grown by GROWTH bytes at the most: also while it is at work."""
        allowed = growth * (SANITIZED_GROWTH if is_sanitized(self.program) else 1)
        grown = self.program.rss() - self.rss
        assert grown < allowed, f"{self.program.name} has grown by {grown} bytes"

    def check(self, growth: int = 8 * MIB) -> None:
        """It is alive, holds what it held, and rests."""
        assert self.program.alive, self.program.log
        wait_until(lambda: self.program.descriptors() <= self.descriptors,
                   f"{self.program.name} has {self.descriptors} descriptors again")
        if self.program.name == "wispsocks":
            wait_until(lambda: gauges(self.program) == (0, 0), "no program and no stream is left")
        wait_until(lambda: rests(self.program), f"{self.program.name} rests")
        self.check_growth(growth)
