#!/usr/bin/env python3
"""What an idle stream costs in memory: that of wispsocks and of wispd, with some thousand streams open and silent.

    tests/bench/memory.py [--build DIR] [--streams N]
"""

import argparse
import contextlib
import pathlib
import resource
import socket
import threading

from throughput import ROOT, Bench, connect_by_socks


def resident_bytes(pid: int) -> int:
    """Memory that is the process's alone: what its heap and stack take."""
    fields = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    return sum(int(fields[name].split()[0]) for name in ("Private_Dirty", "Private_Clean")) * 1024


def hold_connections(listener: socket.socket, kept: list[socket.socket]) -> None:
    while True:
        kept.append(listener.accept()[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--streams", type=int, default=5000)
    args = parser.parse_args()

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with contextlib.ExitStack() as stack:
        bench = Bench(stack, args.build, "--max-clients", args.streams + 100)
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        kept: list[socket.socket] = []
        threading.Thread(target=hold_connections, args=(listener, kept), daemon=True).start()
        processes = {"wispsocks": bench.wispsocks.pid, "wispd": bench.wispd.pid}
        clients = []

        def open_streams(count: int) -> None:
            for _ in range(count):
                clients.append(connect_by_socks(bench.socks, listener.getsockname()[1]))
            while len(kept) < len(clients):
                pass

        open_streams(50)
        before = {name: resident_bytes(pid) for name, pid in processes.items()}
        open_streams(args.streams - 50)
        for name, pid in processes.items():
            grown = resident_bytes(pid) - before[name]
            print(f"{name:10} {before[name] / 1e6:6.1f} MB at first, {grown / (args.streams - 50):6.0f} bytes a stream")


if __name__ == "__main__":
    main()
