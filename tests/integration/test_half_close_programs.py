"""Real programs that close their half, through wispsocks and wispd: netcat, socat and rsync."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Callable

import pytest

from bridge import Bridge
from conftest import Start
from origin import payload, payload_sha256, sha256
from procs import GUARD, Process, free_port
from wispservers import Wispd

SIZE = 5_000_000


@pytest.fixture
def bridge(wispd: Wispd, wispsocks: Callable[..., Bridge]) -> Bridge:
    return wispsocks(f"ws://127.0.0.1:{wispd.port}/")


def netcat(bridge: Bridge, port: int, *options: str) -> list[str]:
    """netcat of OpenBSD, which speaks SOCKS5."""
    return ["nc", *options, "-X", "5", "-x", f"127.0.0.1:{bridge.port}", "127.0.0.1", str(port)]


def finish(argv: list[str], data: bytes | memoryview = b"") -> bytes:
    return subprocess.run(argv, input=data, capture_output=True, timeout=GUARD, check=True).stdout


def program(name: str) -> str:
    path = shutil.which(name)
    assert path, f"{name} is missing"
    return path


class SocatServer(Process):
    """socat, with a program for each connection, whose input ends when the other side's does."""

    def __init__(self, command: str) -> None:
        self.port = free_port()
        super().__init__([program("socat"), "-t", str(GUARD),
                          f"TCP-LISTEN:{self.port},bind=127.0.0.1,fork,reuseaddr",
                          f"EXEC:{command}"])
        self.wait_port(self.port)


def test_netcat_asks(bridge: Bridge, start: Start) -> None:
    """sha256sum, behind socat, answers when all has come: it waits for the end."""
    server = start(SocatServer("sha256sum"))
    answer = finish(netcat(bridge, server.port, "-N"), payload(SIZE))
    assert answer.split()[0].decode() == payload_sha256(SIZE)


class Netcat(Process):
    """netcat as a server of one connection: it writes what comes, and ends when that does."""

    def __init__(self, received: Path) -> None:
        self.port = free_port()
        super().__init__([program("sh"), "-c",
                          f"exec nc -N -v -l 127.0.0.1 {self.port} < /dev/null > {received}"])
        self.wait_log("(?i)listening on")


def test_netcat_at_both_ends(bridge: Bridge, start: Start, tmp_path: Path) -> None:
    """The classical way to send a file: the server ends its half first, the client when it is done."""
    received = tmp_path / "received"
    server = start(Netcat(received))
    finish(netcat(bridge, server.port, "-N"), payload(SIZE))
    assert server.wait_exit() == 0
    assert sha256(received.read_bytes()) == payload_sha256(SIZE)


class RsyncDaemon(Process):
    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.files = folder / "files"
        self.files.mkdir()
        config = folder / "rsyncd.conf"
        config.write_text("use chroot = no\nreverse lookup = no\n[files]\n"
                          f"path = {self.files}\nread only = no\n"
                          f"uid = {os.getuid()}\ngid = {os.getgid()}\n")
        super().__init__([program("rsync"), "--daemon", "--no-detach", "--address=127.0.0.1",
                          f"--port={self.port}", f"--config={config}", "--log-file=/dev/stdout"])
        self.wait_port(self.port)


def make_tree(folder: Path) -> Path:
    for number in range(20):
        path = folder / str(number % 3) / str(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(payload(100_000 * number, number))
    return folder


def contents(folder: Path) -> dict[Path, str]:
    return {path.relative_to(folder): sha256(path.read_bytes())
            for path in folder.rglob("*") if path.is_file()}


def test_rsync(bridge: Bridge, start: Start, tmp_path: Path) -> None:
    """To a daemon and back again, by the program that it connects with."""
    daemon = start(RsyncDaemon(tmp_path))
    tree = make_tree(tmp_path / "tree")
    env = {**os.environ, "RSYNC_CONNECT_PROG": " ".join(netcat(bridge, daemon.port, "-N"))}
    for source, target in ((f"{tree}/", "rsync://127.0.0.1/files/"),
                           ("rsync://127.0.0.1/files/", f"{tmp_path / 'back'}/")):
        subprocess.run(["rsync", "-a", source, target], env=env, timeout=GUARD, check=True)
    assert contents(daemon.files) == contents(tree)
    assert contents(tmp_path / "back") == contents(tree)
