"""Servers that close streams with reason 0x01, unknown, which may be an end or a cut."""

from __future__ import annotations

import re
from typing import Callable

import pytest

import packets
import socks
from bridge import Bridge
from fakeserver import FakeServer
from packets import UNKNOWN, VOLUNTARY
from vitals import gauges

WARNING = "^warning: the server ends streams with the reason 'unknown'"


class Ends:
    """wispsocks, and a server that closes one stream after another."""

    def __init__(self, fake: FakeServer, bridge: Bridge) -> None:
        self.fake = fake
        self.bridge = bridge
        self.server = fake.accept_open()
        bridge.wait_connected()

    def looks_whole(self, reason: int, data: bytes = b"data") -> bool:
        """Whether a stream that is closed like this, after DATA, looks complete to the program."""
        program = self.bridge.dial("host.example", 80)
        stream = self.server.recv_connect().stream
        self.server.send(*[packets.data(stream, data)] * (data != b""), packets.close(stream, reason))
        received = socks.recv_to_end(program)
        assert received.data == data
        return not received.was_reset

    def reconnect(self) -> None:
        since = self.bridge.mark()
        self.server.close()
        self.server = self.fake.accept_open()
        self.bridge.wait_connected(since)

    @property
    def warnings(self) -> int:
        gauges(self.bridge)  # so that all has been logged
        return len(re.findall(WARNING, self.bridge.log, re.MULTILINE))


@pytest.fixture
def ends(request: pytest.FixtureRequest, fake: FakeServer, wispsocks: Callable[..., Bridge]) -> Ends:
    return Ends(fake, wispsocks(fake.url, *getattr(request, "param", ())))


def test_server_that_says_nothing_else(ends: Ends) -> None:
    """All of its ends are taken for good ones, also the first, and the user is warned once."""
    assert [ends.looks_whole(UNKNOWN) for _ in range(3)] == [True] * 3
    assert ends.warnings == 1


def test_server_that_says_both(ends: Ends) -> None:
    """From the first that is voluntary on, the other is a cut."""
    said = [UNKNOWN, VOLUNTARY, UNKNOWN, VOLUNTARY, UNKNOWN]
    assert [ends.looks_whole(reason) for reason in said] == [True, True, False, True, False]
    assert ends.warnings == 1


def test_server_that_says_the_right_thing_first(ends: Ends) -> None:
    """There is nothing to warn of."""
    assert ends.looks_whole(VOLUNTARY)
    assert not ends.looks_whole(UNKNOWN)
    assert ends.warnings == 0


def test_another_connection(ends: Ends) -> None:
    """What was said on one counts for that one: it may be another server."""
    assert ends.looks_whole(VOLUNTARY)
    ends.reconnect()
    assert ends.looks_whole(UNKNOWN)
    assert ends.looks_whole(VOLUNTARY)
    ends.reconnect()
    assert ends.looks_whole(UNKNOWN)
    assert ends.warnings == 1


@pytest.mark.parametrize("ends", [(), ["--ends", "lenient"], ["--ends", "strict"]],
                         ids=["auto", "lenient", "strict"], indirect=True)
def test_before_any_data(ends: Ends) -> None:
    """It is no end of anything."""
    assert not ends.looks_whole(UNKNOWN, b"")
    assert ends.warnings == 0


@pytest.mark.parametrize("ends, whole", [(["--ends", "lenient"], True), (["--ends", "strict"], False)],
                         ids=["lenient", "strict"], indirect=["ends"])
def test_what_the_user_says_counts(ends: Ends, whole: bool) -> None:
    """Whatever the server has said; there is nothing to warn of."""
    said = [UNKNOWN, VOLUNTARY, UNKNOWN]
    assert [ends.looks_whole(reason) for reason in said] == [whole, True, whole]
    assert ends.warnings == 0


@pytest.mark.parametrize("reason", [0x00, packets.NETWORK_ERROR, packets.REFUSED, 0xee])
@pytest.mark.parametrize("ends", [(), ["--ends", "lenient"]], ids=["auto", "lenient"], indirect=True)
def test_other_reasons(ends: Ends, reason: int) -> None:
    """They are cuts."""
    assert not ends.looks_whole(reason)


def test_datagrams_count(ends: Ends) -> None:
    """A UDP stream that the server closes voluntarily shows that it knows the reason."""
    association = ends.bridge.associate()
    association.send("host.example", 53, b"question")
    stream = ends.server.recv_connect().stream
    ends.server.recv_data(stream, 8)
    ends.server.send(packets.close(stream, VOLUNTARY))
    ends.server.barrier()
    assert not ends.looks_whole(UNKNOWN)
