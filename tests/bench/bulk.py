"""Figures 1 to 3: what a byte costs over wss and over ws, and how fast it goes, beside stunnel as a TLS relay."""

import statistics
from collections.abc import Iterator

from rig import Process, Result, Rig, rig

STREAMS = 1, 10, 100


class Way:
    """A way for the bytes: how the load reaches it, and the processes whose time counts."""

    def __init__(self, name: str, via: str, relay: Process, server: Process, **options: int) -> None:
        self.name, self.via, self.relay, self.server, self.options = name, via, relay, server, options

    def measure(self, r: Rig, direction: str, streams: int, count: int) -> dict[str, float]:
        """MB/s, and CPU-seconds per GB of the relay and of the server behind it."""
        before = self.relay.cpu_seconds(), self.server.cpu_seconds()
        seconds = r.load(direction, self.via, connections=streams, together=streams, bytes=count // streams,
                         **self.options)
        return {"rate": count / seconds / 1e6,
                "price": (self.relay.cpu_seconds() - before[0]) / count * 1e9,
                "server": (self.server.cpu_seconds() - before[1]) / count * 1e9}


def bridge(r: Rig, origin: Process, tls: bool) -> Way:
    server = r.wispd(tls=tls)
    relay = r.wispsocks(r.url(server.port, tls))
    return Way("wss" if tls else "ws", f"socks:{relay.port}", relay, server, to=origin.port)


def compare(r: Rig, ways: tuple[Way, Way], direction: str, streams: int, count: int, rounds: int) -> dict:
    """Medians of both ways, in turns, and of the ratios."""
    rows: list[list[dict]] = [[], []]
    for way, row in zip(ways, rows):
        way.measure(r, direction, streams, count // 10)
    for i in range(rounds):
        for k in (0, 1) if i % 2 == 0 else (1, 0):
            rows[k].append(ways[k].measure(r, direction, streams, count))
    median = {ways[k].name: {key: statistics.median(m[key] for m in rows[k]) for key in rows[k][0]} for k in (0, 1)}
    for key in "rate", "price":
        median[key] = statistics.median(a[key] / b[key] for a, b in zip(*rows))
    return median


def price(options) -> Iterator[Result]:
    count = 50_000_000 if options.quick else 1_000_000_000
    with rig(options.build) as r:
        origin = r.origin()
        far = r.stunnel("server", origin.port)
        near = r.stunnel("client", far.port)
        ours, reference = bridge(r, origin, True), Way("stunnel", f"direct:{near.port}", near, far)
        for direction, bound in ("down", 0.8), ("up", 1.0):
            for streams in STREAMS:
                m = compare(r, (ours, reference), direction, streams, count, options.rounds)
                o, s = m["wss"], m["stunnel"]
                name = f"{direction}, {streams} streams" if streams > 1 else f"{direction}, 1 stream"
                yield Result(1, f"price of a byte {name}", m["price"], "× stunnel", bound, raw=m,
                             shown=f"{o['price']:.2f} of {s['price']:.2f} CPU-s/GB; server {o['server']:.2f}")
                yield Result(2, f"throughput {name}", m["rate"], "× stunnel", 1.0, at_least=True, raw=m,
                             shown=f"{o['rate']:.0f} of {s['rate']:.0f} MB/s")


def plain(options) -> Iterator[Result]:
    count = 50_000_000 if options.quick else 1_000_000_000
    with rig(options.build) as r:
        origin = r.origin()
        ways = bridge(r, origin, False), bridge(r, origin, True)
        bare = r.spawn_listening("relay", r.program("load"), "relay", origin.port)
        relay = Way("bare", f"direct:{bare.port}", bare, bare)
        for direction in "down", "up":
            m = compare(r, ways, direction, 1, count, options.rounds)
            floor = compare(r, (ways[0], relay), direction, 1, count, options.rounds)
            yield Result(3, f"plain ws {direction}", m["price"], "× its wss", 0.5, raw=m,
                         shown=f"{m['ws']['price']:.2f} of {m['wss']['price']:.2f} CPU-s/GB; {m['ws']['rate']:.0f} MB/s;"
                               f" server {m['ws']['server']:.2f}")
            yield Result(3, f"plain ws {direction}", floor["price"], "× a relay", raw=floor,
                         shown=f"{floor['ws']['price']:.2f} of {floor['bare']['price']:.2f} CPU-s/GB, which only passes on")
