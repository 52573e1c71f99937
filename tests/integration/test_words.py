"""What users are told: each failure names what to change, and only what is final ends a program."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import Callable

import pytest

import frames
import packets
from bridge import Bridge
from conftest import Start
from fakeserver import FakeServer
from procs import BUILD, GUARD, clean_environment
from test_cli import URL, run
from wispservers import WispPython, Wispd

# Servers that are not Wisp


FOREIGN = {
    "text": frames.encode(frames.TEXT, b"welcome"),
    "text without end": frames.encode(frames.TEXT, b"welcome", length=1 << 20),
    "short": frames.encode(frames.BINARY, b"hey"),
    "empty": frames.encode(frames.BINARY, b""),
    "unknown type": frames.encode(frames.BINARY, b"hello, who are you?"),
    "a stream's data": frames.encode(frames.BINARY, packets.data(1, b"data").encode()),
    "data for nobody": frames.encode(frames.BINARY, packets.data(0, b"data").encode()),
}


@pytest.mark.parametrize("first", FOREIGN.values(), ids=FOREIGN.keys())
def test_server_that_is_not_wisp(fake: FakeServer, first: bytes,
                                 wispsocks: Callable[..., Bridge]) -> None:
    """Its first frame says so; it is not waited for any longer, and not tried again."""
    bridge = wispsocks(fake.url)
    server = fake.accept()
    server.upgrade()
    server.send_raw(first)
    assert bridge.wait_exit() == 1
    bridge.wait_log(r"^error: .*does not speak Wisp \(.*\); check .*URL")


def test_text_behind_the_first_packet(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    """It is not Wisp either, but by then the server has shown that it speaks Wisp: passed over."""
    bridge = wispsocks(fake.url)
    server = fake.accept()
    server.upgrade()
    server.send(packets.info())
    server.recv_type(packets.INFO, 0)
    server.send_raw(FOREIGN["text"])
    server.send(packets.credit(0, 1))
    bridge.wait_connected()
    server.send_raw(FOREIGN["text"])
    assert server.barrier() == []


# Versions


@pytest.mark.parametrize("kind", [WispPython, lambda: Wispd("--wisp", "1")],
                         ids=["wisp-python", "wispd"])
def test_version_2_against_version_1(start: Start, kind: Callable[[], Wispd],
                                     wispsocks: Callable[..., Bridge]) -> None:
    server = start(kind())
    bridge = wispsocks(f"ws://127.0.0.1:{server.port}/", "--wisp", "2")
    assert bridge.wait_exit() == 1
    bridge.wait_log(r"^error: .*speaks only Wisp v1; leave out --wisp 2")


def test_version_1_against_version_2(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    """A server must not do that."""
    bridge = wispsocks(fake.url, "--wisp", "1")
    server = fake.accept()
    server.upgrade()
    server.send(packets.info())
    assert bridge.wait_exit() == 1
    bridge.wait_log(r"^error: .*speaks Wisp v2.*; leave out --wisp 1")


# Passwords


def test_variable_of_each_program() -> None:
    """A complaint about the password names the variable that it came from."""
    for program, variable in ("wispsocks", "WISPSOCKS_PASSWORD"), ("wispcheck",
                                                                   "WISPCHECK_PASSWORD"):
        for password in {}, {variable: 2000 * "x"}:
            done = subprocess.run([BUILD / "cmd" / program / program, "--user", "name", URL],
                                  env=clean_environment() | password, capture_output=True,
                                  text=True, timeout=GUARD, check=False)
            assert done.returncode == (1 if password else 2)
            assert done.stderr.count("_PASSWORD") == 1 and variable in done.stderr


# Readers that leave early


@pytest.mark.parametrize("disposition", [signal.SIG_DFL, signal.SIG_IGN],
                         ids=["default", "ignored"])
@pytest.mark.parametrize("option", [["--help"], ["--version"], ["--completion", "zsh"]], ids=" ".join)
@pytest.mark.parametrize("program", ["wispsocks", "wispd", "wispcheck"])
def test_nobody_reads(program: str, option: list[str], disposition: signal.Handlers) -> None:
    """As in `wispcheck --list | head`: no complaint, and no failure, whatever SIGPIPE does."""
    check_unread([program, *option], disposition)


@pytest.mark.parametrize("disposition", [signal.SIG_DFL, signal.SIG_IGN],
                         ids=["default", "ignored"])
def test_nobody_reads_the_list(disposition: signal.Handlers) -> None:
    assert len(run("wispcheck", "--list").stdout) > 4096  # more than its buffer holds
    check_unread(["wispcheck", "--list"], disposition)


def check_unread(argv: list[str], disposition: signal.Handlers, code: int = 0) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        done = subprocess.run([BUILD / "cmd" / argv[0] / argv[0], *argv[1:]], stdout=pipe,
                              stderr=subprocess.PIPE, timeout=GUARD, check=False,
                              restore_signals=False, env=clean_environment(),
                              preexec_fn=lambda: signal.signal(signal.SIGPIPE, disposition))
    assert (done.returncode, done.stderr) == (code, b"")


def test_nobody_reads_the_report(wispd: Wispd) -> None:
    """The checks end early, so the server has not passed."""
    check_unread(["wispcheck", f"ws://127.0.0.1:{wispd.port}/"], signal.SIG_DFL, code=1)
