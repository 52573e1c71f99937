"""Figure 9: one transfer over a long fat line, beside stunnel. A server's credit is for some packets, not bytes."""

import statistics
from collections.abc import Iterator

from rig import Result, rig

DELAY_MS = 50  # of one way
RATE_MBIT = 500
QUEUE = 6_250_000  # bytes: what is under way in a round trip
CREDIT = 128  # packets


def measure(options) -> Iterator[Result]:
    count = 20_000_000 if options.quick else 250_000_000
    settings = {"delay": DELAY_MS, "rate": RATE_MBIT, "queue": QUEUE}
    with rig(options.build) as r:
        origin, server = r.origin(), r.wispd("--buffer", CREDIT)
        far = r.stunnel("server", origin.port)
        near = r.stunnel("client", r.line(far.port, **settings).port)
        bridge = r.wispsocks(r.url(r.line(server.port, **settings).port))
        bare = r.line(origin.port, **settings)

        def rate(direction: str, via: str, **more: int) -> float:
            return count * 8 / r.load(direction, via, bytes=count, **more) / 1e6

        for direction in "up", "down":
            yield Result(9, f"the line: {direction}", rate(direction, f"direct:{bare.port}"), "Mbit/s",
                         shown=f"of {RATE_MBIT}, with its round trips")
            pairs = [(rate(direction, f"socks:{bridge.port}", to=origin.port), rate(direction, f"direct:{near.port}"))
                     for _ in range(options.rounds)]
            ours, theirs = (statistics.median(column) for column in zip(*pairs))
            yield Result(9, f"long fat line, {direction}", statistics.median(a / b for a, b in pairs), "× stunnel", 0.9,
                         at_least=True, raw={"wispsocks": ours, "stunnel": theirs},
                         shown=f"{ours:.0f} of {theirs:.0f} Mbit/s, credit for {CREDIT} packets")
