"""Figures 7 and 8: what a keystroke and a page wait beside uploads that fill a home's line."""

import statistics
from collections.abc import Iterator

from probe import Connect, by_socks, directly, keystrokes_ms, open_echo, page_ms, percentile
from rig import Result, Rig, rig

DELAY_MS = 20  # of one way
RATE_MBIT = 20
QUEUE = 64 * 1024  # bytes, of a home's router
DRAIN_MS = QUEUE * 8 / RATE_MBIT / 1e3
UPLOADS = 8
PAUSE_S = 0.03  # between keystrokes: that of a key that is held down
PAGE = 30 * 1024  # bytes
PAGES = 20
SLACK_MS = {"keystroke": 20, "page": 40}
PERCENT = {"keystroke": 99, "page": 90}


class Way:
    """A way to the origin over a line, for programs and for the bulk."""

    def __init__(self, r: Rig, name: str, connect: Connect, via: str, **options: int) -> None:
        self.r, self.name, self.connect, self.via, self.options = r, name, connect, via, options

    def probe(self, keystrokes: int, pages: int) -> dict[str, float]:
        with open_echo(self.connect) as conn:
            typed = keystrokes_ms(conn, keystrokes, PAUSE_S)
        took = [page_ms(self.connect, PAGE) for _ in range(pages)]
        return {"keystroke": percentile(typed, PERCENT["keystroke"]), "page": percentile(took, PERCENT["page"])}

    def measure(self, keystrokes: int, pages: int) -> dict[str, dict[str, float]]:
        idle = self.probe(keystrokes, pages)
        bulk = self.r.load_forever("up", self.via, connections=UPLOADS, together=UPLOADS, **self.options)
        # Until the queues are full.
        with open_echo(self.connect) as conn:
            keystrokes_ms(conn, keystrokes // 4, PAUSE_S)
        busy = self.probe(keystrokes, pages)
        bulk.kill()
        return {"idle": idle, "busy": busy}


def line_itself(r: Rig, origin, quick: bool) -> Iterator[Result]:
    line = r.line(origin.port, rate=RATE_MBIT, queue=QUEUE, delay=0)
    count = 1_000_000 if quick else 10_000_000
    for direction in "up", "down":
        seconds = r.load(direction, f"direct:{line.port}", bytes=count)
        yield Result(7, f"the line: {direction}", count * 8 / seconds / 1e6, "Mbit/s", shown=f"of {RATE_MBIT}")


def measure(options) -> Iterator[Result]:
    keystrokes, pages = (20, 3) if options.quick else (200, PAGES)
    settings = {"delay": DELAY_MS, "rate": RATE_MBIT, "queue": QUEUE}
    with rig(options.build) as r:
        origin, server = r.origin(), r.wispd()
        yield from line_itself(r, origin, options.quick)
        bridge = r.wispsocks(r.url(r.line(server.port, **settings).port))
        bare = r.line(origin.port, **settings)
        ways = (Way(r, "wispsocks", by_socks(bridge.port, origin.port), f"socks:{bridge.port}", to=origin.port),
                Way(r, "plain TCP", directly(bare.port), f"direct:{bare.port}"))
        rows = [[way.measure(keystrokes, pages) for way in ways] for _ in range(options.rounds)]
        for figure, what in (7, "keystroke"), (8, "page"):
            ours, plain = ({when: statistics.median(row[k][when][what] for row in rows) for when in ("idle", "busy")}
                           for k in (0, 1))
            bound = ours["idle"] + DRAIN_MS + SLACK_MS[what]
            yield Result(figure, f"{what} beside bulk, p{PERCENT[what]}", ours["busy"], "ms", round(bound, 1),
                         raw={"wispsocks": ours, "plain": plain, "drain": DRAIN_MS},
                         shown=f"idle {ours['idle']:.1f}, queue {DRAIN_MS:.1f}; plain TCP {plain['busy']:.1f}, idle "
                               f"{plain['idle']:.1f}")
