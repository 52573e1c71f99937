"""What is said while there is no connection to the server."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import pytest

import socks
from bridge import Bridge
from fakeserver import FakeServer
from origin import Origin
from procs import refusing_port, rest, wait_until
from wispservers import Wispd

WARNING = "^warning: cannot connect to "


def failures(bridge: Bridge, since: int = 0) -> list[str]:
    """What is said of attempts that failed, up to the fourth."""
    wait_until(lambda: sum("cannot connect to" in line for line in bridge.lines[since:]) >= 4,
               "attempts have failed")
    return [line for line in bridge.lines[since:] if "cannot connect to" in line]


def test_first_failure_is_a_warning(wispsocks: Callable[..., Bridge]) -> None:
    """The others of the same outage are information."""
    with refusing_port() as port:
        first, *others = failures(wispsocks(f"ws://127.0.0.1:{port}/"))
    assert first.startswith(f"warning: cannot connect to ws://127.0.0.1:{port}/: ")
    assert all(other.startswith("cannot connect to ") for other in others)


def test_each_outage_has_its_warning(origin: Origin, tmp_path: Path,
                                     wispsocks: Callable[..., Bridge]) -> None:
    """-q says it once, and nothing of what goes well: not even a connection that ends."""
    path = f"{tmp_path}/socket"
    with refusing_port() as port:
        bridge = wispsocks(f"ws://127.0.0.1:{port}/", "-q", "-l", f"unix:{path}")
        bridge.wait_log(WARNING)
    for outages in (1, 2):
        with Wispd(port=port):
            socks.dial(path, "127.0.0.1", origin.echo.port).close()
            assert bridge.log.count(WARNING[1:]) == outages
        wait_until(lambda: bridge.log.count(WARNING[1:]) > outages, "the next warning")
    assert not [line for line in bridge.lines if not line.startswith("warning: ")]


def test_each_server_is_no_outage_of_its_own(wispsocks: Callable[..., Bridge]) -> None:
    with refusing_port() as port:
        said = failures(wispsocks(f"ws://127.0.0.1:{port}/", "--server",
                                  f"ws://127.0.0.1:{port}/other/"))
    assert [line.startswith("warning: ") for line in said] == [True] + [False] * (len(said) - 1)


@pytest.mark.parametrize("answered", [False, True], ids=["TCP", "upgrade"])
def test_attempt_that_takes_long(fake: FakeServer, answered: bool,
                                 wispsocks: Callable[..., Bridge]) -> None:
    """It is said to be under way, once, before there is anything else to say."""
    bridge = wispsocks(fake.url)
    server = fake.accept()
    if answered:
        server.upgrade()
    bridge.wait_log(f"^connecting to {fake.url}$")
    assert not bridge.find_log("cannot connect to ")
    server.close()
    bridge.wait_log(WARNING)
    fake.accept()  # the next attempt takes as long, but that is no news
    rest(1.3)
    assert bridge.log.count("connecting to ") == 1


def test_attempt_that_takes_no_time(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(fake.url)
    server = fake.accept_open()
    bridge.wait_connected()
    rest(1.3)
    assert not bridge.find_log("^connecting to ")
    before = bridge.mark()
    server.close()
    bridge.wait_lost()
    fake.accept()
    bridge.wait_log(f"^connecting to {fake.url}$", before)
