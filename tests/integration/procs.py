"""Child processes: started, read line by line, and never left behind."""

from __future__ import annotations

import atexit
import ctypes
import functools
import os
import re
import signal
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator, Sequence, TypeVar

#: Seconds after which something that should have happened counts as hung. Nothing is measured
#: with it: it only turns a hang into a failure, and is as long as the slowest machine may need.
GUARD = 60.0

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("WISP_BUILD", REPOSITORY / "build")).resolve()
TOOLS = Path(os.environ.get("WISP_TOOLS", REPOSITORY / "build" / "tools")).resolve()

LANDLOCK_CREATE_RULESET, LANDLOCK_GET_VERSION = 444, 1

SANITIZER_REPORT = re.compile(r"(Address|Leak|UndefinedBehavior)Sanitizer|runtime error:")

T = TypeVar("T")


def wait_until(condition: Callable[[], T], what: str) -> T:
    """Poll CONDITION until it is true and return its value; fail after GUARD seconds."""
    deadline = time.monotonic() + GUARD
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"still not after {GUARD:.0f} s: {what}")
        time.sleep(0.01)
    return value


def rest(seconds: float) -> None:
    """Let time pass, for what is said to happen, or not to happen, after some time."""
    time.sleep(seconds)


def in_background(work: Callable[[], object]) -> threading.Thread:
    """Run WORK in a thread of its own; the end of the tests does not wait for it."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


@contextmanager
def refusing_port() -> Iterator[int]:
    """A port of 127.0.0.1 that refuses connections, and that nobody else can take meanwhile."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses, for a program that cannot choose its own."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            try:
                udp.bind(tcp.getsockname())
            except OSError:
                continue
            return tcp.getsockname()[1]


@functools.cache
def is_sanitized(program: str) -> bool:
    """Whether a program has been built with AddressSanitizer."""
    return b"__asan_init" in (BUILD / "cmd" / program / program).read_bytes()


def has_landlock(program: str) -> bool:
    """Whether a program confines itself by Landlock: the kernel has it, and no sanitizer objects."""
    version = ctypes.CDLL(None).syscall(LANDLOCK_CREATE_RULESET, None, 0, LANDLOCK_GET_VERSION)
    return version > 0 and not is_sanitized(program)


def clean_environment() -> dict[str, str]:
    """The environment without proxy settings, which would change what the programs do."""
    return {name: value for name, value in os.environ.items()
            if not name.lower().endswith("_proxy")}


def is_probed(table: Path, local: int, remote: int) -> bool:
    """Whether keepalive probes are due on a connection between these ports.

    TABLE is a file as /proc/net/tcp.
    """
    keepalive = "02"
    lines = [line.split() for line in table.read_text().splitlines()[1:]]
    (timer,) = [line[5] for line in lines
                if [int(end.rpartition(":")[2], 16) for end in line[1:3]] == [local, remote]]
    return timer.partition(":")[0] == keepalive


class Process:
    """A running program and the lines it has logged so far.

    A context manager: leaving it kills the whole process group.
    """

    running: list[Process] = []

    def __init__(self, argv: list[str | Path], env: dict[str, str] | None = None,
                 pass_fds: tuple[int, ...] = ()) -> None:
        self.argv = [str(arg) for arg in argv]
        self.name = Path(self.argv[0]).name
        assert Path(self.argv[0]).exists(), (
            f"{self.argv[0]} is missing: build it, or set WISP_BUILD and WISP_TOOLS")
        self.lines: list[str] = []
        self._signalled = False
        self._news = threading.Condition()
        self._popen = subprocess.Popen(
            self.argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True, text=True, errors="replace",
            env=clean_environment() if env is None else env, pass_fds=pass_fds)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        Process.running.append(self)

    def _read(self) -> None:
        with self._popen.stdout as output:
            for line in output:
                with self._news:
                    self.lines.append(line.rstrip("\n"))
                    self._news.notify_all()
        with self._news:
            self._news.notify_all()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def alive(self) -> bool:
        return self._popen.poll() is None

    @property
    def log(self) -> str:
        return "\n".join(self.lines)

    def mark(self) -> int:
        """The place in the log from which `wait_log(..., since=mark)` shall look."""
        return len(self.lines)

    def find_log(self, pattern: str, since: int = 0) -> re.Match[str] | None:
        """The first logged line with PATTERN in it."""
        for line in self.lines[since:]:
            if match := re.search(pattern, line):
                return match
        return None

    def wait_log(self, pattern: str, since: int = 0) -> re.Match[str]:
        """Wait until a line with PATTERN in it has been logged."""
        deadline = time.monotonic() + GUARD
        with self._news:
            while True:
                ended = not self._reader.is_alive()
                if match := self.find_log(pattern, since):
                    return match
                left = deadline - time.monotonic()
                if left <= 0 or ended:
                    why = "ended" if ended else "did not"
                    raise AssertionError(f"{self.name} {why} without logging /{pattern}/:\n"
                                         f"{self.log}")
                self._news.wait(min(left, 0.2))

    def wait_port(self, port: int, host: str = "127.0.0.1") -> None:
        """Wait until it listens on PORT of HOST."""

        def listening() -> bool:
            assert self.alive, f"{self.name} ended:\n{self.log}"
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            with socket.socket(family) as probe:
                return probe.connect_ex((host, port)) == 0

        wait_until(listening, f"{self.name} listening on port {port}")

    def wait_exit(self) -> int:
        """Wait for the program to end by itself; its exit code, negative for a signal."""
        code = self._popen.wait(GUARD)
        self._reader.join(GUARD)
        return code

    def signal(self, number: int) -> None:
        """Send a signal to the program and its children."""
        self._signalled |= number not in (signal.SIGSTOP, signal.SIGCONT)
        os.killpg(self.pid, number)

    def terminate(self) -> int:
        """Ask the program to stop with TERM and return its exit code."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        return self.wait_exit()

    def kill(self) -> None:
        """End the program and all its children at once."""
        try:
            self.signal(signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.wait_exit()

    @classmethod
    def kill_all(cls) -> None:
        for process in cls.running:
            process.kill()

    def rss(self) -> int:
        """Resident memory, in bytes."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024

    def cpu_seconds(self) -> float:
        """User and system time of all its threads so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self) -> int:
        """How many file descriptors are open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *exception: object) -> None:
        self.kill()
        Process.running.remove(self)


class Program(Process):
    """One of this project's own programs, which has to end well.

    Leaving the context asks it to stop with TERM, and fails when that does not give exit code 0,
    when it died of a signal of its own, or when a sanitizer had something to say. PREFIX is a
    command that executes it, ENV is added to its environment.
    """

    def __init__(self, program: str, *args: str | Path, prefix: Sequence[str | Path] = (),
                 env: dict[str, str] | None = None, pass_fds: tuple[int, ...] = ()) -> None:
        env = clean_environment() | (env or {})
        # AddressSanitizer keeps freed memory; little enough not to upset what is said about RSS.
        env["ASAN_OPTIONS"] = "quarantine_size_mb=4:" + env.get("ASAN_OPTIONS", "")
        super().__init__([*prefix, BUILD / "cmd" / program / program, *args], env, pass_fds)
        self.name = program

    def addresses(self, count: int = 1) -> list[str]:
        """The first COUNT addresses it listens on, as it logs them."""
        pattern = r"^listening on (\S+)"
        wait_until(lambda: len(self._all(pattern)) >= count or not self.alive, "listening")
        found = self._all(pattern)
        assert len(found) >= count, f"{self.name} ended:\n{self.log}"
        return found[:count]

    def _all(self, pattern: str) -> list[str]:
        return [match.group(1) for line in self.lines if (match := re.search(pattern, line))]

    @property
    def port(self) -> int:
        """The port of its first TCP listener."""
        return int(self.addresses()[0].rsplit(":", 1)[1])

    def __exit__(self, *exception: object) -> None:
        try:
            if self.alive:
                assert self.terminate() == 0, f"{self.name} did not end with 0 after TERM"
            code = self.wait_exit()
            assert code >= 0 or self._signalled, f"{self.name} died of signal {-code}"
            assert not SANITIZER_REPORT.search(self.log), f"{self.name}:\n{self.log}"
        finally:
            super().__exit__(*exception)


atexit.register(Process.kill_all)
