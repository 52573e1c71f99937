"""The counters of wispsocks, as its log has them."""

from __future__ import annotations

import re
import signal
from typing import NamedTuple

from bridge import Bridge

LINE = re.compile(
    r"^counters: (?P<programs>\d+) programs; streams: (?P<tcp>\d+) TCP and (?P<udp>\d+) UDP opened, "
    r"(?P<open>\d+) open, (?P<failed>\d+) failed(?: \((?P<reasons>.+)\))?; bytes: (?P<up>\d+) up, "
    r"(?P<down>\d+) down, (?P<waiting>\d+) waiting; (?P<connections>\d+) connections, "
    r"(?P<reconnects>\d+) reconnects, (?P<ping>no ping yet|ping \d+\.\d ms)$")


class Counters(NamedTuple):
    programs: int
    tcp: int
    udp: int
    open: int
    failed: int
    reasons: str | None
    up: int
    down: int
    waiting: int
    connections: int
    reconnects: int
    ping: str


def parse(line: str) -> Counters:
    groups = LINE.match(line).groupdict()
    return Counters(**{name: int(value) if value and value.isdigit() else value
                       for name, value in groups.items()})


def counters(bridge: Bridge) -> Counters:
    """What USR1 has logged: one line."""
    since = bridge.mark()
    bridge.signal(signal.SIGUSR1)
    return parse(bridge.wait_log("^counters: .*$", since).group())


def last_counters(bridge: Bridge) -> Counters:
    """What the end logs: one line."""
    since = bridge.mark()
    assert bridge.terminate() == 0
    (line,) = [line for line in bridge.lines[since:] if line.startswith("counters: ")]
    return parse(line)
