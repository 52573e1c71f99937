"""Figure 12: how many instructions it takes, as callgrind counts them, beside what was recorded in the tree.

Times depend on the machine and its mood, and counts hardly do: they show what a change of the code costs. What was
counted stands in instructions.json, with what it was built from; run.py --record writes it anew.
"""

import json
import pathlib
import platform
import re
import signal
import socket
import statistics
import subprocess
from collections.abc import Callable, Iterator

from rig import ROOT, Process, Result, Rig, connect_by_socks, rig

RECORD = ROOT / "tests/bench/instructions.json"
CALLGRIND = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")
SMALL = 64  # bytes of an exchange
ASKED = 1024  # bytes each way of a connection


def bulk(direction: str) -> Callable[[Rig, int, int, int], None]:
    def transfer(r: Rig, bridge: int, origin: int, megabytes: int) -> None:
        r.load(direction, f"socks:{bridge}", to=origin, bytes=megabytes * 1_000_000)
    return transfer


def exchange(r: Rig, bridge: int, origin: int, count: int) -> None:
    """Requests and answers in lock-step, so that each is a packet of its own."""
    with connect_by_socks(bridge, origin) as conn:
        conn.sendall(b"E" + bytes(8))
        for _ in range(count):
            conn.sendall(bytes(SMALL))
            if len(conn.recv(SMALL, socket.MSG_WAITALL)) < SMALL:
                raise RuntimeError("cut off")


def connect(r: Rig, bridge: int, origin: int, count: int) -> None:
    r.load("ask", f"socks:{bridge}", to=origin, connections=count, bytes=ASKED)


# A name, how to do it, and two amounts of it: what they differ by is counted, without start and end. Then the bound, in
# per cent: of the same program, most counts differ by less than 0.5, and those of a connection by up to 6 in all, as
# its last packets meet or not.
WORK = {
    "MB down": (bulk("down"), 8, 48, 2.0),
    "MB up": (bulk("up"), 8, 48, 2.0),
    f"exchange of {SMALL} B": (exchange, 250, 2250, 2.0),
    "connection": (connect, 50, 450, 6.0),
}


def counted(build: pathlib.Path, program: str, work: Callable[[Rig, int, int, int], None], amount: int) -> int:
    """Instructions of one of our programs from its start to its end, the other of which runs as ever."""
    with rig(build) as r:
        origin = r.origin()
        server = r.wispd(prefix=CALLGRIND if program == "wispd" else ())
        bridge = r.wispsocks(r.url(server.port), prefix=CALLGRIND if program == "wispsocks" else ())
        work(r, bridge.port, origin.port, amount)
        return instructions_at_end(server if program == "wispd" else bridge)


def instructions_at_end(process: Process) -> int:
    process.popen.send_signal(signal.SIGTERM)
    process.popen.wait(timeout=60)
    return int(process.wait_for(r"Collected : (\d+)")[1])


def first_line(*command: object) -> str:
    return subprocess.run([str(word) for word in command], check=True, capture_output=True,
                          text=True).stdout.splitlines()[0]


def built_from(build: pathlib.Path) -> dict[str, str]:
    """What the numbers depend on, besides the code."""
    program = build / "cmd/wispsocks/wispsocks"
    compiler = re.search(rb"(?:GCC|clang version)[^\0]*", program.read_bytes())
    libraries = re.search(r"\((.*)\)", first_line(program, "--version"))
    return {"machine": platform.machine(), "compiler": compiler[0].decode() if compiler else "unknown",
            "libraries": libraries[1] if libraries else "unknown", "libc": " ".join(platform.libc_ver()),
            "valgrind": first_line("valgrind", "--version")}


def measure(options) -> Iterator[Result]:
    context = built_from(options.build)
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    comparable = record.get("built from") == context and not options.quick
    counts: dict[str, float] = {}
    for program in "wispsocks", "wispd":
        for name, (work, few, many, bound) in WORK.items():
            if options.quick:
                few, many = max(few // 10, 1), max(many // 10, 2)
            # A few rounds tell what is stray; each takes its time.
            rounds = [(counted(options.build, program, work, many) - counted(options.build, program, work, few))
                      / (many - few) for _ in range(1 if options.quick else min(options.rounds, 3))]
            key = f"{program}, {name}"
            counts[key] = round(statistics.median(rounds))
            old = record.get("instructions", {}).get(key)
            raw = {"instructions": rounds, "recorded": old}
            if old is None:
                yield Result(12, key, counts[key], "instr.", raw=raw, shown="no record")
                continue
            yield Result(12, key, (counts[key] / old - 1) * 100, "% instr.",
                         bound if comparable else None, raw=raw,
                         shown=f"{counts[key]:,.0f}, recorded {old:,.0f}"
                               + ("" if comparable else ", not comparable"))
    if options.record:
        RECORD.write_text(json.dumps({"built from": context, "instructions": counts}, indent=1) + "\n")
