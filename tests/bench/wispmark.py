"""Figure 11: WispMark's load on real servers, beside the client of wisp-js.

WispMark (https://github.com/MercuryWorkshop/wispmark) has clients write to an echo through a server, 50 KiB at a time
and without a pause, and counts what passes through the echo. It is over ws, on one machine.
"""

import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator

from rig import ROOT, Process, Result, Rig, free_port, rig, wait_for_port

TOOLS = pathlib.Path(os.environ.get("WISP_TOOLS", ROOT / "build/tools")).resolve()
WRITE = 50 * 1024
STREAMS = 10  # of a client's process
PROCESSES = 1, 5
# Bytes that have gone through the echo before the window begins: buffers and credit are in use by then.
WARM_UP_BYTES = 100_000_000


def start_wispd(r: Rig) -> Process:
    return r.wispd(tls=False)


def start_wisp_js(r: Rig) -> Process:
    options = {"allow_loopback_ips": True, "allow_private_ips": True}
    process = r.spawn("wisp-js", TOOLS / "node_modules/.bin/wisp-js-server", "--host", "127.0.0.1", "--port",
                      port := free_port(), "--logging", "WARN", "--options", json.dumps(options))
    process.port = port
    wait_for_port(port)
    return process


def start_wisp_python(r: Rig) -> Process:
    """As it is when nobody tells it more: with a process for each core."""
    process = r.spawn("wisp-python", TOOLS / "venv/bin/python", "-m", "wisp.server", "--host", "127.0.0.1", "--port",
                      port := free_port(), "--log-level", "warning", "--allow-loopback", "--allow-private")
    process.port = port
    wait_for_port(port)
    return process


SERVERS: dict[str, Callable[[Rig], Process]] = {
    "wispd": start_wispd, "wisp-js": start_wisp_js, "wisp-python": start_wisp_python}


def ours(r: Rig, server: Process, origin: Process) -> list[Process]:
    """One process of a client: the bridge, and the programs that it serves. Before them it is connected."""
    bridge = r.wispsocks(r.url(server.port, tls=False))
    return [bridge, r.spawn("load", r.program("load"), "echo", f"socks:{bridge.port}", f"to={origin.port}",
                            f"connections={STREAMS}", f"together={STREAMS}", f"write={WRITE}")]


def theirs(r: Rig, server: Process, origin: Process) -> list[Process]:
    module = TOOLS / "node_modules/@mercuryworkshop/wisp-js/src/entrypoints/client.mjs"
    return [r.spawn("wisp-js-client", "node", ROOT / "tests/bench/wispmark.mjs", module, server.port, origin.port,
                    STREAMS)]


def carried(r: Rig, origin: Process) -> int:
    """Bytes that the echo has carried so far, both ways together."""
    run = subprocess.run([r.program("load"), "count", f"direct:{origin.port}"], check=True, capture_output=True,
                         text=True, timeout=60)
    return int(run.stdout)


def wait_until(what: str, condition: Callable[[], bool], timeout: float = 30) -> None:
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"{what} in {timeout} s")
        time.sleep(0.02)


def measure_client(r: Rig, client: Callable[[Rig, Process, Process], list[Process]], processes: int, server: Process,
                   origin: Process, seconds: float) -> dict[str, float]:
    """MB/s through the echo, and CPU-seconds per GB of the client, with its programs."""
    before = carried(r, origin)
    running = [process for _ in range(processes) for process in client(r, server, origin)]
    try:
        # What stalls before that is a result, too.
        with contextlib.suppress(RuntimeError):
            wait_until("", lambda: carried(r, origin) - before >= WARM_UP_BYTES, timeout=5 * seconds)
        spent = sum(process.cpu_seconds() for process in running)
        first, begun = carried(r, origin), time.monotonic()
        time.sleep(seconds)
        last, ended = carried(r, origin), time.monotonic()
        spent = sum(process.cpu_seconds() for process in running) - spent
        for process in running:
            if process.popen.poll() is not None:
                raise RuntimeError(f"{process.name} has ended: {process.log.read_text(errors='replace')[-1000:]}")
    finally:
        for process in running:
            process.kill()
    # A client that has stalled moves nothing at all.
    count = max(last - first, 1)
    return {"rate": count / (ended - begun) / 1e6, "price": spent / count * 1e9}


def wait_for_rest(r: Rig, origin: Process) -> None:
    """What was under way when its client was killed is not the next one's."""
    last = -1

    def rests() -> bool:
        nonlocal last
        before, last = last, carried(r, origin)
        return last == before

    wait_until("the echo does not come to rest", rests)


def measure(options) -> Iterator[Result]:
    seconds = 0.3 if options.quick else 3
    for name, start in SERVERS.items():
        with rig(options.build) as r:
            origin, server = r.origin(), start(r)
            for processes in PROCESSES:
                rows: list[list[dict]] = [[], []]
                for i in range(options.rounds):
                    for k in (0, 1) if i % 2 == 0 else (1, 0):
                        rows[k].append(measure_client(r, (ours, theirs)[k], processes, server, origin, seconds))
                        wait_for_rest(r, origin)
                o, t = ({key: statistics.median(m[key] for m in row) for key in row[0]} for row in rows)
                ratio = statistics.median(a["rate"] / b["rate"] for a, b in zip(*rows))
                streams = f"{STREAMS}" if processes == 1 else f"{processes}×{STREAMS}"
                yield Result(11, f"WispMark on {name}, {streams}", ratio, "× wisp-js", 1.0, at_least=True,
                             raw={"wispsocks": rows[0], "wisp-js": rows[1]},
                             shown=f"{o['rate']:.0f} of {t['rate']:.0f} MB/s; "
                                   f"client {o['price']:.2f} of {t['price']:.2f} CPU-s/GB")
