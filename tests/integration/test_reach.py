"""How wispd reaches a destination: which of its addresses, in which order, and to the last byte."""

from __future__ import annotations

import itertools
import re
import socket
from pathlib import Path
from typing import Iterator

import pytest

import packets
from conftest import Start
from island import OWN, OWN_6, OWN_ANYCAST, OWN_TOO, Island
from procs import GUARD
from wispclient import WispClient, open_client

GOOD, GOOD_6 = "1.2.3.4", "2600::4"
DEAD, DEAD_TOO, DEAD_6, DEAD_6_TOO = "1.2.66.1", "1.2.66.2", "2600:dead::1", "2600:dead::2"
PRIVATE = "10.1.2.3"
OWN_ADDRESSES = [OWN, OWN_TOO, OWN_6, f"::ffff:{OWN}"]
KINDS = {"TCP": packets.TCP, "UDP": packets.UDP}

streams = itertools.count(1)


@pytest.fixture(scope="module")
def island(module_start: Start, tmp_path_factory: pytest.TempPathFactory) -> Island:
    return module_start(Island(tmp_path_factory.mktemp("island"), "-v", alone=PRIVATE))


@pytest.fixture
def client(island: Island) -> Iterator[WispClient]:
    with open_client(island.path) as client:
        yield client
        assert island.is_quiet()


@pytest.fixture(params=KINDS.values(), ids=KINDS.keys())
def kind(request: pytest.FixtureRequest) -> int:
    return request.param


def port_of(island: Island, kind: int = packets.TCP) -> int:
    return (island.tcp if kind == packets.TCP else island.udp).getsockname()[1]


def all_at_once(island: Island, client: WispClient, host: str, *payloads: bytes) -> None:
    """CONNECT, DATA and the end of it, in one write."""
    stream = next(streams)
    client.send(packets.connect(stream, host, port_of(island)),
                *(packets.data(stream, payload) for payload in payloads),
                packets.close(stream, packets.VOLUNTARY))


def heard(island: Island) -> bytes:
    """What the next connection brings, to its end."""
    with island.tcp.accept()[0] as conn:
        conn.settimeout(GUARD)
        return b"".join(iter(lambda: conn.recv(65536), b""))


# The machine's own addresses


@pytest.mark.parametrize("address", [*OWN_ADDRESSES, OWN_ANYCAST])
def test_own_address(island: Island, client: WispClient, kind: int, address: str) -> None:
    """They are public, and lead to what listens on this machine: nothing of that is seen there."""
    stream = next(streams)
    client.send(packets.connect(stream, address, port_of(island, kind), kind),
                packets.data(stream, b"data"))
    assert client.recv_type(packets.CLOSE, stream).reason == packets.BLOCKED
    assert island.is_quiet()


def test_own_address_is_not_in_the_way(island: Island, client: WispClient) -> None:
    island.names.answers["own.test"] = [[OWN, OWN_6, GOOD]]
    client.send(packets.connect(next(streams), "own.test", port_of(island)))
    assert island.reached(socket.SOCK_STREAM) == GOOD


def test_own_address_with_loopback(start: Start, tmp_path: Path, kind: int) -> None:
    island = start(Island(tmp_path, "--allow-loopback", alone=PRIVATE))
    with open_client(island.path) as client:
        for address in OWN_ADDRESSES:
            stream = next(streams)
            client.send(packets.connect(stream, address, port_of(island, kind), kind),
                        packets.data(stream, b"data"))
            reached = island.reached(socket.SOCK_STREAM if kind == packets.TCP
                                     else socket.SOCK_DGRAM)
            assert reached == address.removeprefix("::ffff:")


# Addresses that race


@pytest.mark.parametrize("addresses, tried", [
    ([DEAD_6, GOOD], [DEAD_6, GOOD]),
    ([GOOD_6, DEAD], [GOOD_6]),
    ([DEAD, DEAD_TOO, DEAD_6, GOOD_6], [DEAD_6, DEAD, GOOD_6]),
    ([DEAD, GOOD, DEAD_6, DEAD_6_TOO], [DEAD_6, DEAD, DEAD_6_TOO, GOOD]),
    ([PRIVATE, GOOD, DEAD_6, "::1"], [DEAD_6, GOOD]),
], ids=["dead IPv6", "good IPv6", "IPv6 behind", "IPv4 behind", "some are refused"])
def test_dead_addresses(island: Island, client: WispClient, addresses: list[str],
                        tried: list[str]) -> None:
    """IPv6 and IPv4 in turn, without those that may not be reached, until one connects."""
    name = f"race-{next(streams)}.test"
    island.names.answers[name] = [addresses]
    since = island.server.mark()
    stream = next(streams)
    client.send(packets.connect(stream, name, port_of(island)))
    assert island.reached(socket.SOCK_STREAM) == tried[-1]
    trying = rf"{name}: trying \[?([0-9a-f.:]+?)\]?:\d+$"
    island.server.wait_log(trying.replace("([0-9a-f.:]+?)", re.escape(tried[-1])), since)
    assert re.findall(trying, "\n".join(island.server.lines[since:]), re.MULTILINE) == tried
    assert client.recv_type(packets.CLOSE, stream).reason == packets.VOLUNTARY


def test_losers_are_closed(island: Island, client: WispClient) -> None:
    """What is open after races is what has won them."""
    before = island.server.descriptors()
    island.names.answers["losers.test"] = [[DEAD, GOOD, DEAD_6, DEAD_6_TOO]]
    stream = next(streams)
    client.send(packets.connect(stream, "losers.test", port_of(island)))
    with island.tcp.accept()[0] as conn:
        conn.send(b"x")
        assert client.recv_data(stream, 1) == b"x"
        assert island.server.descriptors() == before + 1
        client.send(packets.close(stream, packets.VOLUNTARY))
        assert conn.recv(1) == b""


# Ends that come early


@pytest.mark.parametrize("host", [GOOD, GOOD_6, "early.test", "early-and-dead.test"])
def test_end_before_the_beginning(island: Island, client: WispClient, host: str) -> None:
    """The data reaches the destination, and its end, though the stream was over before."""
    island.names.answers["early.test"] = [[GOOD]]
    island.names.answers["early-and-dead.test"] = [[DEAD_6, GOOD]]
    all_at_once(island, client, host, b"all ", b"of it")
    assert heard(island) == b"all of it"


def test_end_before_the_name_is_found(island: Island) -> None:
    """Nor does it need its client."""
    name = "early.held"
    island.names.answers[name] = [[GOOD]]
    since = island.server.mark()
    with open_client(island.path) as client:
        all_at_once(island, client, name, b"all of it")
    island.server.wait_log("disconnected$", since)
    island.names.release.set()
    assert heard(island) == b"all of it"


@pytest.mark.parametrize("end", [
    [packets.VOLUNTARY], [packets.UNKNOWN, b"data"], [packets.NETWORK_ERROR, b"data"],
], ids=["without data", "unknown", "error"])
def test_nothing_to_deliver(island: Island, client: WispClient, end: list) -> None:
    """Nobody is disturbed for nothing, nor for what is not whole."""
    reason, *payloads = end
    stream = next(streams)
    client.send(packets.connect(stream, GOOD, port_of(island)),
                *(packets.data(stream, payload) for payload in payloads),
                packets.close(stream, reason))
    all_at_once(island, client, GOOD, b"the next")
    assert heard(island) == b"the next"
