"""Figure 4: small writes by many programs at once, beside stunnel with the same bytes."""

import signal
import statistics
from collections.abc import Iterator

from rig import Result, Rig, rig

PROGRAMS = 50


def measure(options) -> Iterator[Result]:
    with rig(options.build) as r:
        origin, server = r.origin(), r.wispd()
        bridge = r.wispsocks(r.url(server.port))
        far = r.stunnel("server", origin.port)
        near = r.stunnel("client", far.port)

        def run(relay, via: str, size: int, **more: int) -> float:
            """CPU-seconds for a million writes."""
            count = 10_000 if options.quick else 400_000
            before = relay.cpu_seconds()
            r.load("up", via, connections=PROGRAMS, together=PROGRAMS, bytes=count // PROGRAMS * size, write=size, **more)
            return (relay.cpu_seconds() - before) / count * 1e6

        for size in 64, 1400:
            pairs = [(run(bridge, f"socks:{bridge.port}", size, to=origin.port), run(near, f"direct:{near.port}", size))
                     for _ in range(options.rounds)]
            ours, theirs = (statistics.median(column) for column in zip(*pairs))
            yield Result(4, f"writes of {size} B", statistics.median(a / b for a, b in pairs), "× stunnel", 1.5,
                         raw={"wispsocks": ours, "stunnel": theirs},
                         shown=f"{ours:.2f} of {theirs:.2f} CPU-s a million")
            written, records = count_records(r, server.port, origin.port, size)
            yield Result(4, f"writes of {size} B in a TLS record", written / records, "writes", 2, at_least=True,
                         raw={"writes": written, "records": records}, shown=f"{written} writes in {records} records")


def count_records(r: Rig, server: int, origin: int, size: int) -> tuple[int, int]:
    """Writes by all programs, and the TLS records that carried them to the server."""
    count = 100_000
    line = r.spawn_listening("line", r.program("line"), server, "records=1")
    bridge = r.wispsocks(r.url(line.port))
    r.load("up", f"socks:{bridge.port}", to=origin, connections=PROGRAMS, together=PROGRAMS,
           bytes=count // PROGRAMS * size, write=size)
    line.popen.send_signal(signal.SIGUSR1)
    records = int(line.wait_for(r"records (\d+)")[1])
    bridge.kill()
    line.kill()
    return count, records
