#!/usr/bin/env python3
"""What a byte costs: one stream through wispsocks and wispd over wss, beside stunnel as a TLS relay.

Both ways carry the same bytes between the same two ends, in turns within one run. Printed are medians: the rate, the
CPU-seconds that the client's relay (wispsocks, or stunnel as a client) spends on a gigabyte, and their ratio.

    tests/bench/throughput.py [--build DIR] [--megabytes N] [--rounds N]
"""

import argparse
import contextlib
import os
import pathlib
import re
import socket
import statistics
import subprocess
import tempfile
import threading
import time

CHUNK = bytes(1 << 20)
ROOT = pathlib.Path(__file__).resolve().parents[2]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def serve_origin(listener: socket.socket) -> None:
    """Answer each connection: after 8 bytes with a count, 'G' sends that many bytes and 'P' takes them."""

    def serve(conn: socket.socket) -> None:
        with conn:
            request = conn.recv(9, socket.MSG_WAITALL)
            left = int.from_bytes(request[1:], "little")
            if request[:1] == b"G":
                while left > 0:
                    left -= conn.send(memoryview(CHUNK)[: min(left, len(CHUNK))])
            else:
                take(conn, left)
                conn.sendall(b"!")

    while True:
        conn, _ = listener.accept()
        threading.Thread(target=serve, args=(conn,), daemon=True).start()


def take(conn: socket.socket, left: int) -> None:
    buffer = bytearray(len(CHUNK))
    while left > 0:
        n = conn.recv_into(buffer)
        if n == 0:
            raise ConnectionError(f"cut off with {left} bytes to come")
        left -= n


def transfer(conn: socket.socket, direction: str, count: int) -> float:
    """Move the bytes; returns the seconds that it took."""
    start = time.monotonic()
    conn.sendall((b"G" if direction == "down" else b"P") + count.to_bytes(8, "little"))
    if direction == "down":
        take(conn, count)
    else:
        left = count
        while left > 0:
            left -= conn.send(memoryview(CHUNK)[: min(left, len(CHUNK))])
        take(conn, 1)
    return time.monotonic() - start


def connect_by_socks(proxy: int, port: int) -> socket.socket:
    conn = socket.create_connection(("127.0.0.1", proxy))
    conn.sendall(b"\5\1\0" + b"\5\1\0\1\x7f\0\0\1" + port.to_bytes(2, "big"))
    conn.recv(12, socket.MSG_WAITALL)
    return conn


class Bench:
    def __init__(self, stack: contextlib.ExitStack, build: pathlib.Path, *options: object) -> None:
        self.stack = stack
        self.directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self.cert, self.key = self.directory / "cert.pem", self.directory / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", self.key, "-out",
             self.cert, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
            check=True, stderr=subprocess.DEVNULL)
        listener = socket.create_server(("127.0.0.1", 0))
        self.origin = listener.getsockname()[1]
        threading.Thread(target=serve_origin, args=(listener,), daemon=True).start()
        self.start_ours(build, options)
        self.start_stunnel()

    def spawn(self, name: str, *args: object) -> subprocess.Popen:
        log = open(self.directory / f"{name}.log", "wb")
        environment = os.environ | {"no_proxy": "*"}  # everything is on this machine
        process = subprocess.Popen([str(a) for a in args], stdout=log, stderr=log, env=environment)
        self.stack.callback(process.wait)
        self.stack.callback(process.kill)
        return process

    def wait_for(self, name: str, pattern: str) -> re.Match:
        for _ in range(200):
            if found := re.search(pattern, (self.directory / f"{name}.log").read_text()):
                return found
            time.sleep(0.05)
        raise TimeoutError(f"{name}: no '{pattern}' in its log")

    def start_ours(self, build: pathlib.Path, options: tuple) -> None:
        self.wispd = self.spawn("wispd", build / "cmd/wispd/wispd", "-l", 0, "--allow-loopback", "--cert", self.cert,
                                "--cert-key", self.key)
        port = self.wait_for("wispd", r"listening on \S+:(\d+)")[1]
        self.wispsocks = self.spawn("wispsocks", build / "cmd/wispsocks/wispsocks", "-l", 0, "--cacert", self.cert,
                                    *options, f"wss://localhost:{port}/")
        self.socks = int(self.wait_for("wispsocks", r"listening on \S+:(\d+)")[1])
        self.wait_for("wispsocks", "connected to")

    def start_stunnel(self) -> None:
        inner, self.plain = free_port(), free_port()
        common = f"foreground=yes\npid=\nsyslog=no\nsocket=l:TCP_NODELAY=1\nsocket=r:TCP_NODELAY=1\n"
        for name, config in {
            "stunnel-server": f"[s]\naccept=127.0.0.1:{inner}\nconnect=127.0.0.1:{self.origin}\ncert={self.cert}\n"
                              f"key={self.key}\n",
            "stunnel": f"[c]\nclient=yes\naccept=127.0.0.1:{self.plain}\nconnect=127.0.0.1:{inner}\n",
        }.items():
            path = self.directory / f"{name}.conf"
            path.write_text(common + config)
            process = self.spawn(name, "stunnel", path)
            self.wait_for(name, "Configuration successful")
        self.stunnel = process

    def measure(self, way: str, direction: str, count: int) -> tuple[float, float]:
        """One transfer: megabytes per second, and CPU-seconds per gigabyte of the client's relay."""
        pid = (self.wispsocks if way == "wispsocks" else self.stunnel).pid
        if way == "wispsocks":
            conn = connect_by_socks(self.socks, self.origin)
        else:
            conn = socket.create_connection(("127.0.0.1", self.plain))
        with conn:
            before = cpu_seconds(pid)
            seconds = transfer(conn, direction, count)
            return count / seconds / 1e6, (cpu_seconds(pid) - before) / (count / 1e9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()

    with contextlib.ExitStack() as stack:
        bench = Bench(stack, args.build)
        print(f"{'':10} {'':>5} {'MB/s':>7} {'CPU-s/GB':>9}")
        for direction in "down", "up":
            results: dict[str, list[tuple[float, float]]] = {"wispsocks": [], "stunnel": []}
            for _ in range(args.rounds):
                for way, rows in results.items():
                    rows.append(bench.measure(way, direction, args.megabytes * 1_000_000))
            for way, rows in results.items():
                rate, price = (statistics.median(column) for column in zip(*rows))
                print(f"{way:10} {direction:>5} {rate:7.0f} {price:9.2f}")
            ratio = statistics.median(o[1] / s[1] for o, s in zip(results["wispsocks"], results["stunnel"]))
            print(f"{'ratio':10} {direction:>5} {'':7} {ratio:9.2f}")


if __name__ == "__main__":
    main()
