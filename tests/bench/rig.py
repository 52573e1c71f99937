"""The processes of a benchmark: ours, those that they are measured beside, and the load."""

import contextlib
import dataclasses
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


@dataclasses.dataclass
class Result:
    """One line of the table: a value, and the bound that it is to keep (None: it is only shown)."""

    figure: int
    name: str
    value: float
    unit: str
    bound: float | None = None
    at_least: bool = False
    shown: str = ""  # what was measured, for people
    raw: dict = dataclasses.field(default_factory=dict)  # the same for programs

    @property
    def reached(self) -> bool:
        if self.bound is None:
            return True
        return self.value >= self.bound if self.at_least else self.value <= self.bound


@dataclasses.dataclass
class Process:
    name: str
    popen: subprocess.Popen
    log: pathlib.Path
    port: int = 0

    @property
    def pid(self) -> int:
        return self.popen.pid

    def cpu_seconds(self) -> float:
        """User and system time of all its threads so far."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def wait_for(self, pattern: str, timeout: float = 20) -> re.Match:
        """The line of its log that matches."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if found := re.search(pattern, self.log.read_text(errors="replace")):
                return found
            if self.popen.poll() is not None:
                break
            time.sleep(0.02)
        raise RuntimeError(f"{self.name}: no '{pattern}' in its log:\n{self.log.read_text(errors='replace')[-2000:]}")

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def wait_for_port(port: int) -> None:
    for _ in range(400):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
            return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens on port {port}")


def connect_by_socks(proxy: int, port: int) -> socket.socket:
    """A connection to a port of this machine through a SOCKS5 proxy."""
    conn = socket.create_connection(("127.0.0.1", proxy))
    conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    conn.sendall(b"\5\1\0" + b"\5\1\0\1\x7f\0\0\1" + port.to_bytes(2, "big"))
    if conn.recv(12, socket.MSG_WAITALL)[3:4] != b"\0":
        raise RuntimeError("the proxy refuses the connection")
    return conn


class Rig:
    """Starts processes, and ends them all when the stack ends."""

    def __init__(self, stack: contextlib.ExitStack, build: pathlib.Path) -> None:
        self.stack = stack
        self.build = build
        self.directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wisp-bench-")))
        self.cert, self.key = self.directory / "cert.pem", self.directory / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", self.key, "-out",
             self.cert, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
            check=True, stderr=subprocess.DEVNULL)

    def program(self, name: str) -> pathlib.Path:
        """One of ours: `wispsocks`, `wispd`, or one of the benchmarks' own."""
        folder = "tests/bench" if name in ("load", "line") else f"cmd/{name}"
        return self.build / folder / name

    def spawn(self, name: str, *args: object, cwd: pathlib.Path | None = None) -> Process:
        log = self.directory / f"{name}-{len(list(self.directory.iterdir()))}.log"
        environment = os.environ | {"no_proxy": "*"}  # everything is on this machine
        with log.open("wb") as out:
            popen = subprocess.Popen([str(a) for a in args], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                     env=environment, cwd=cwd)
        process = Process(name, popen, log)
        self.stack.callback(process.kill)
        return process

    def spawn_listening(self, name: str, *args: object) -> Process:
        """One that says in its log where it listens."""
        process = self.spawn(name, *args)
        process.port = int(process.wait_for(r"listening on \S+:(\d+)")[1])
        return process

    def origin(self) -> Process:
        return self.spawn_listening("origin", self.program("load"), "origin")

    def wispd(self, *options: object, tls: bool = True, prefix: tuple = ()) -> Process:
        if tls:
            options += ("--cert", self.cert, "--cert-key", self.key)
        return self.spawn_listening("wispd", *prefix, self.program("wispd"), "-l", 0, "--allow-loopback", *options)

    def wispsocks(self, url: str, *options: object, connected: bool = True, prefix: tuple = ()) -> Process:
        """The bridge; its port is that of SOCKS."""
        process = self.spawn_listening("wispsocks", *prefix, self.program("wispsocks"), "-l", 0, "--cacert", self.cert,
                                       "--max-clients", 20000, *options, url)
        if connected:
            process.wait_for("connected to")
        return process

    def url(self, port: int, tls: bool = True) -> str:
        return f"wss://localhost:{port}/" if tls else f"ws://127.0.0.1:{port}/"

    def stunnel(self, role: str, to: int) -> Process:
        """A TLS relay to a port: the `client` takes plain connections and the `server` TLS."""
        port = free_port()
        config = self.directory / f"stunnel-{port}.conf"
        service = f"client=yes\n" if role == "client" else f"cert={self.cert}\nkey={self.key}\n"
        config.write_text("foreground=yes\npid=\nsyslog=no\nsocket=l:TCP_NODELAY=1\nsocket=r:TCP_NODELAY=1\n"
                          f"[s]\naccept=127.0.0.1:{port}\nconnect=127.0.0.1:{to}\n{service}")
        process = self.spawn(f"stunnel-{role}", "stunnel", config)
        process.wait_for("Configuration successful")
        process.port = port
        return process

    def microsocks(self) -> Process:
        process = self.spawn("microsocks", "microsocks", "-i", "127.0.0.1", "-p", port := free_port())
        process.port = port
        wait_for_port(port)
        return process

    def line(self, to: int, **options: float) -> Process:
        """A line with a delay, a rate and a queue that leads to a port."""
        return self.spawn_listening("line", self.program("line"), to, *(f"{k}={v}" for k, v in options.items()))

    def load_forever(self, kind: str, via: str, **options: int) -> Process:
        """A load that goes on until it is killed."""
        options |= {"bytes": 1 << 50}
        return self.spawn("load", self.program("load"), kind, via, *(f"{k}={v}" for k, v in options.items()))

    def load(self, kind: str, via: str, **options: int) -> float:
        """Run a load; returns the seconds that it took. `via` is `socks:PORT` or `direct:PORT`."""
        run = subprocess.run([self.program("load"), kind, via, *(f"{k}={v}" for k, v in options.items())],
                             check=True, capture_output=True, text=True, timeout=600)
        return float(run.stdout)


@contextlib.contextmanager
def rig(build: pathlib.Path):
    with contextlib.ExitStack() as stack:
        yield Rig(stack, build)
