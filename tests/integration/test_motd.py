"""A server's message of the day, which may be anything."""

from __future__ import annotations

import re
import unicodedata
from typing import Callable

import pytest

import packets
from bridge import Bridge
from conftest import Start
from fakeserver import FakeServer
from procs import Program
from test_log import read_json
from wispservers import Wispd, WispJs, WispMux

SAID = "message of the day: "
TEXT = "Welcome, 旅人!\n\nSecond line\n"
LINES = ["Welcome, 旅人!", "", "Second line"]

HOSTILE = (b"\x1b[31mred\x07\x08\n"
           b"\r\x1b]0;title\x07\r\n"
           b"error: forged\n"
           b"\xc2\x9b31m \xc2\x85 \x9b31m \x7f\n"
           b"\xff\xfe \xed\xa0\x80 \xc0\xaf \xf0\x9f\x98\n"
           b"%s%n%1000000d\n"
           b"nul \0 hidden\n"
           b'"}\n{"time":"","level":"error","message":"forged"}')
CONTROLS = re.compile("[\0-\x1f\x7f-\x9f]")


def motd(bridge: Program, since: int = 0) -> list[str]:
    return [line.removeprefix(SAID) for line in bridge.lines[since:] if line.startswith(SAID)]


def servers(start: Start) -> dict[str, Callable[[], int]]:
    return {"wispd": lambda: start(Wispd("--motd", TEXT)).port,
            "wisp-js": lambda: start(WispJs(2, wisp_motd=TEXT)).port,
            "wisp-mux": lambda: start(WispMux("--motd", TEXT)).port}


@pytest.mark.parametrize("kind", ["wispd", "wisp-js", "wisp-mux"])
def test_motd_of_servers(start: Start, kind: str, wispsocks: Callable[..., Bridge]) -> None:
    port = servers(start)[kind]()
    bridge = wispsocks(f"ws://127.0.0.1:{port}/")
    bridge.wait_connected()
    assert motd(bridge) == LINES


def test_once_per_connection(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(fake.url)
    since = 0
    for number in range(3):
        offered = packets.extension(packets.MOTD, b"number %d" % number)
        server = fake.accept()
        assert server.offer(offered) == {packets.MOTD: b""}
        server.send(packets.credit(0, 1))
        bridge.wait_connected(since)
        assert motd(bridge, since) == [f"number {number}"]
        since = bridge.mark()
        server.close()


def said_to(fake: FakeServer, bridge: Program, text: bytes) -> list[str]:
    """What is logged when the server says TEXT."""
    fake.accept_open(2, offered=packets.extension(packets.MOTD, text))
    bridge.wait_log("connected to")
    return bridge.lines


def test_hostile_text(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    """It stays on lines of its own, and a terminal takes nothing in them for a command."""
    lines = said_to(fake, wispsocks(fake.url), HOSTILE)
    assert not [line for line in lines if CONTROLS.search(line) or "\ufffd" in line]
    assert not [line for line in lines if line.startswith("error: ")]
    shown = [line.removeprefix(SAID) for line in lines if line.startswith(SAID)]
    assert shown[2] == "error: forged" and shown[5] == "%s%n%1000000d"
    assert shown[3] == "??31m ?? ?31m ?"
    assert shown[6] == "nul "


def test_hostile_text_in_json(fake: FakeServer, start: Start) -> None:
    bridge = start(Program("wispsocks", "--log-format", "json", "-l", "127.0.0.1:0", fake.url))
    lines = said_to(fake, bridge, HOSTILE)
    entries = [read_json(line) for line in lines]
    assert {level for level, _ in entries} == {"info"}
    assert not [line for line in lines if any(unicodedata.category(c) == "Cc" for c in line)]
    shown = [message.removeprefix(SAID) for _, message in entries if message.startswith(SAID)]
    assert shown[0] == "\x1b[31mred\x07\x08"
    assert shown[3] == "\x9b31m \x85 \ufffd31m \x7f"
    assert shown[-1] == '{"time":"","level":"error","message":"forged"}'


@pytest.mark.parametrize("text", [16_000 * b"x", 16_000 * b"\n", 8000 * b"y\n",
                                  5000 * "旅".encode(), 4000 * "𝄞".encode(), 16_000 * b"\xff"],
                         ids=["x", "empty lines", "short lines", "3 bytes", "4 bytes", "no UTF-8"])
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_long_text(fake: FakeServer, start: Start, text: bytes, log_format: str) -> None:
    """Enough of it is shown, and no more than is good."""
    bridge = start(Program("wispsocks", "--log-format", log_format, "-l", "127.0.0.1:0", fake.url))
    lines = said_to(fake, bridge, text)
    if log_format == "json":
        lines = [read_json(line)[1] for line in lines]
    shown = [line for line in lines if line.startswith(SAID)]
    assert 1 <= len(shown) <= 20 and max(map(len, lines)) < 300


def test_text_beyond_what_is_taken(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    """The connection fails, with a line that says so, and will fail again."""
    bridge = wispsocks(fake.url)
    server = fake.accept()
    server.upgrade()
    server.send(packets.info(packets.extension(packets.MOTD, 100_000 * b"x")))
    assert bridge.wait_exit() == 1
    bridge.wait_log("^error: .*too long")


@pytest.mark.parametrize("text", [b"", b"\n", b"no line feed", b"\r\n"], ids=repr)
def test_small_text(fake: FakeServer, text: bytes, wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(fake.url)
    said_to(fake, bridge, text)
    assert motd(bridge) == [line.decode() for line in text.splitlines()]


def test_quiet(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(fake.url, "-l", "127.0.0.1:0", "-q")
    server = fake.accept_open(2, offered=packets.extension(packets.MOTD, b"hello"))
    assert server.barrier() == []
    assert bridge.lines == []
