"""Figure 6: how many round trips of a long line a new connection costs."""

import statistics
import time
from collections.abc import Iterator

from probe import by_socks, directly, echoes_ms, first_echo_ms, ms_since, open_echo, percentile
from rig import Process, Result, Rig, connect_by_socks, rig

DELAY_MS = 50  # of one way
ROUND_TRIP_MS = 2 * DELAY_MS
# TCP, TLS 1.3 and the upgrade, with whose answer a server's first packet comes. In v2 the client answers that with its
# own, and may open streams when the server has accepted it. Then the program's first bytes go there and back.
NEEDED = {1: 3 + 1, 2: 3 + 1 + 1}


def line_itself(r: Rig, origin: Process, rounds: int, quick: bool) -> Iterator[Result]:
    """What the line adds to its delay, and what it carries when it has no rate to keep."""
    line = r.line(origin.port, delay=DELAY_MS)
    with open_echo(directly(line.port)) as conn:
        extra = [ms - ROUND_TRIP_MS for ms in echoes_ms(conn, 20 * rounds)]
    yield Result(6, "the line: late by, p50", statistics.median(extra), "ms", shown=f"of {ROUND_TRIP_MS} ms, idle")
    yield Result(6, "the line: late by, p99", percentile(extra, 99), "ms")
    count = 100_000_000 if quick else 2_000_000_000
    free = r.line(origin.port)
    for direction in "up", "down":
        rate = statistics.median(count * 8 / r.load(direction, f"direct:{free.port}", bytes=count) / 1e6
                                 for _ in range(min(rounds, 3)))
        yield Result(6, f"the line: {direction} without a rate", rate, "Mbit/s")


def socks_reply_ms(proxy: int, origin: int) -> float:
    start = time.monotonic()
    with connect_by_socks(proxy, origin):
        return ms_since(start)


def from_the_start_ms(r: Rig, line: Process, origin: Process, version: int) -> float:
    """A program comes as soon as wispsocks listens: from its connection's first packet to the program's first byte."""
    before = len(line.log.read_text().splitlines())
    bridge = r.wispsocks(r.url(line.port), "--wisp", version, connected=False)
    first_echo_ms(by_socks(bridge.port, origin.port))
    end = time.monotonic()
    begun = float(line.log.read_text().splitlines()[before].removeprefix("connection at "))
    bridge.kill()
    return (end - begun) * 1e3


def measure(options) -> Iterator[Result]:
    count = 3 if options.quick else 10 * options.rounds
    with rig(options.build) as r:
        origin, server = r.origin(), r.wispd()
        yield from line_itself(r, origin, options.rounds, options.quick)
        line, bare = r.line(server.port, delay=DELAY_MS), r.line(origin.port, delay=DELAY_MS)
        far = r.stunnel("server", origin.port)
        near = r.stunnel("client", r.line(far.port, delay=DELAY_MS).port)
        bridge = r.wispsocks(r.url(line.port))

        reply = statistics.median(socks_reply_ms(bridge.port, origin.port) for _ in range(count))
        yield Result(6, "SOCKS reply", reply, "ms", 5, shown="no round trip")
        samples: dict[str, list[float]] = {"bare": [], "ours": [], "stunnel": []}
        with open_echo(directly(bare.port)) as conn:
            for _ in range(count):
                samples["bare"] += echoes_ms(conn, 1)
                samples["ours"].append(first_echo_ms(by_socks(bridge.port, origin.port)))
                samples["stunnel"].append(first_echo_ms(directly(near.port)))
        median = {name: statistics.median(column) for name, column in samples.items()}
        yield Result(6, "first byte, beyond the round trip", median["ours"] - median["bare"], "ms", 5, raw=median,
                     shown=f"{median['ours']:.1f} of {median['bare']:.1f} ms; stunnel {median['stunnel']:.1f}")
        for version, needed in NEEDED.items():
            ms = statistics.median(from_the_start_ms(r, line, origin, version) for _ in range(options.rounds))
            yield Result(6, f"from the start, wisp v{version}", ms / median["bare"], "round trips", needed + 0.2,
                         raw={"ms": ms, "needed": needed}, shown=f"{ms:.0f} ms; {needed} are needed")
