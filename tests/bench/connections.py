"""Figure 5: what a new connection costs, beside microsocks, which has no tunnel."""

import statistics
from collections.abc import Iterator

from rig import Result, rig

SIZE = 1024  # bytes each way


def measure(options) -> Iterator[Result]:
    count = 1000 if options.quick else 10_000
    with rig(options.build) as r:
        origin, server, microsocks = r.origin(), r.wispd(), r.microsocks()
        bridge = r.wispsocks(r.url(server.port))

        def run(relay, together: int) -> dict[str, float]:
            n = count if together > 1 else count // 4
            before, server_before = relay.cpu_seconds(), server.cpu_seconds()
            seconds = r.load("ask", f"socks:{relay.port}", to=origin.port, connections=n, together=together, bytes=SIZE)
            return {"rate": n / seconds, "price": (relay.cpu_seconds() - before) / n * 1e6,
                    "server": (server.cpu_seconds() - server_before) / n * 1e6}

        for together in 1, 64:
            pairs = [(run(bridge, together), run(microsocks, together)) for _ in range(options.rounds)]
            o, m = ({key: statistics.median(p[k][key] for p in pairs) for key in p0} for k, p0 in enumerate(pairs[0]))
            ratio = {key: statistics.median(a[key] / b[key] for a, b in pairs) for key in ("price", "rate")}
            raw = {"wispsocks": o, "microsocks": m}
            yield Result(5, f"CPU of a connection, {together} at a time", ratio["price"], "× microsocks", 1.0, raw=raw,
                         shown=f"{o['price']:.0f} of {m['price']:.0f} µs; server {o['server']:.0f}")
            yield Result(5, f"connections a second, {together} at a time", ratio["rate"], "× microsocks", 0.5,
                         at_least=True, raw=raw, shown=f"{o['rate']:.0f} of {m['rate']:.0f}")
