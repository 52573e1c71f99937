"""Which addresses wispd lets streams reach, where all could be reached."""

from __future__ import annotations

import itertools
import socket
from pathlib import Path
from typing import Iterator, NamedTuple

import pytest

import packets
from conftest import Start
from island import Island
from wispclient import WispClient, open_client

PUBLIC, PUBLIC_6 = "1.2.3.4", "2600::4"
PRIVATE = "10.1.2.3"
#: Names that wispd looks up for one client at once.
LOOKUPS = 4096

LOOPBACK_ADDRESSES = ["127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "::1", "::"]
PRIVATE_ADDRESSES = [
    PRIVATE, "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "192.0.0.1",
    "198.18.0.1", "fd00::1", "fe80::1", "fec0::1", "64:ff9b:1::1.2.3.4", "64:ff9b:1::7f00:1",
    "2001:1::1", "5f00::1", "200::1",
]
RESERVED_ADDRESSES = [
    "192.0.2.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1",
    "255.255.255.255", "100::1", "2001:db8::1", "3fff::1", "ff02::1", "ff0e::1",
]
# IPv4 in IPv6: mapped, translated, compatible, NAT64, 6to4, Teredo.
HIDDEN_ADDRESSES = [
    "::ffff:127.0.0.1", "::ffff:10.1.2.3", "::ffff:0:127.0.0.1", "::127.0.0.1",
    "64:ff9b::127.0.0.1", "64:ff9b::10.1.2.3", "2002:7f00:1::", "2002:a01:203::1",
    "2001:0:102:304:0:0:80ff:fffe", "2001:0:102:304:0:0:f5fe:fdfc",
]
PUBLIC_ADDRESSES = [PUBLIC, PUBLIC_6, "64:ff9b::102:304", "2002:102:304::1"]
# Some systems' own functions would know what these mean.
SPELLINGS = [
    "2130706433", "017700000001", "0x7f000001", "0x7f.0.0.1", "0x7f.1", "127.1",
    "127.0.1", "0", "127.0.0.1.", "127.0.0.01", "localhost.", "localhost.localdomain",
    "fe80::1%lo", "::1%lo", "[::1]", "127.0.0.1:80", "127.0.0.1%00",
]

streams = itertools.count(10_000)
names = itertools.count()


def new_name() -> str:
    """A name that wispd has no answer for yet, and keeps none."""
    return f"{next(names)}.example.test"


class Kind(NamedTuple):
    """Of streams."""

    wisp: int
    socket: int


KINDS = {"TCP": Kind(packets.TCP, socket.SOCK_STREAM), "UDP": Kind(packets.UDP, socket.SOCK_DGRAM)}


@pytest.fixture(scope="module")
def island(module_start: Start, tmp_path_factory: pytest.TempPathFactory) -> Island:
    return module_start(Island(tmp_path_factory.mktemp("island"), alone=PRIVATE))


@pytest.fixture(params=KINDS.values(), ids=KINDS.keys())
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param


@pytest.fixture
def client(island: Island) -> Iterator[WispClient]:
    with open_client(island.path) as client:
        yield client
        assert island.is_quiet()


def port_of(island: Island, kind: Kind) -> int:
    return (island.tcp if kind.wisp == packets.TCP else island.udp).getsockname()[1]


def begin(island: Island, client: WispClient, kind: Kind, host: str) -> int:
    """Open a stream, for which there is something to send at once; its number is a new one."""
    stream = next(streams)
    client.send(packets.connect(stream, host, port_of(island, kind), kind.wisp),
                packets.data(stream, b"data"))
    return stream


def refusal(island: Island, client: WispClient, kind: Kind, host: str) -> int:
    """The reason why a stream is refused."""
    packet, _ = client.recv_until(packets.CLOSE, begin(island, client, kind, host))
    assert island.is_quiet(), host
    return packet.reason


def reach(island: Island, client: WispClient, kind: Kind, host: str) -> str:
    """The address that a stream to HOST reaches."""
    stream = begin(island, client, kind, host)
    address = island.reached(kind.socket)
    client.send(packets.close(stream, packets.VOLUNTARY))
    return address


@pytest.mark.parametrize("how", ["written", "the answer for a name"])
@pytest.mark.parametrize("address, reason", [
    *((address, packets.BLOCKED)
      for address in LOOPBACK_ADDRESSES + PRIVATE_ADDRESSES + HIDDEN_ADDRESSES),
    *((address, packets.INVALID) for address in RESERVED_ADDRESSES),
])
def test_refused_address(island: Island, client: WispClient, kind: Kind, address: str,
                         reason: int, how: str) -> None:
    host = address if how == "written" else new_name()
    island.names.answers[host] = [[address]]
    assert refusal(island, client, kind, host) == reason


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES)
def test_public_address(island: Island, client: WispClient, kind: Kind, address: str) -> None:
    """All others lead somewhere here: what is refused above is so by policy."""
    assert reach(island, client, kind, address) == address
    host = new_name()
    island.names.answers[host] = [[address]]
    assert reach(island, client, kind, host) == address


@pytest.fixture(scope="module", params=[True, False], ids=["known", "unknown"])
def known(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture(scope="module")
def island_of_names(module_start: Start, known: bool,
                    tmp_path_factory: pytest.TempPathFactory) -> Island:
    """All names are known there, or none."""
    island = module_start(Island(tmp_path_factory.mktemp("names"), alone=PRIVATE))
    island.names.others = ["127.0.0.1"] if known else None
    return island


@pytest.mark.parametrize("host", SPELLINGS)
def test_spelling(island_of_names: Island, known: bool, kind: Kind, host: str) -> None:
    """It is no address, or the right one, whatever a name server knows of it."""
    with open_client(island_of_names.path) as client:
        reason = refusal(island_of_names, client, kind, host)
    assert reason == packets.BLOCKED or (reason == packets.UNREACHABLE and not known)


@pytest.mark.parametrize("host, address", [("0261.0.0.1", "177.0.0.1"), ("1.2.772", "1.2.3.4"),
                                           ("0x01020304", "1.2.3.4")])
def test_numbers(island: Island, client: WispClient, kind: Kind, host: str, address: str) -> None:
    """They mean what they mean to the system. What is judged is what is connected to."""
    assert reach(island, client, kind, host) == address


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST"])
def test_name_from_a_file(island: Island, client: WispClient, kind: Kind, host: str) -> None:
    island.names.others = None
    assert refusal(island, client, kind, host) == packets.BLOCKED


@pytest.mark.parametrize("good", [PUBLIC, PUBLIC_6])
@pytest.mark.parametrize("bad", ["127.0.0.1", PRIVATE, "::1", "fd00::1", "::ffff:10.1.2.3"])
@pytest.mark.parametrize("first", [True, False], ids=["good first", "bad first"])
def test_several_addresses(island: Island, client: WispClient, kind: Kind, good: str, bad: str,
                           first: bool) -> None:
    """Only those that may be reached are tried, and the others are no reason to refuse them."""
    host = new_name()
    island.names.answers[host] = [[good, bad] if first else [bad, good]]
    assert reach(island, client, kind, host) == good


def test_good_address_that_refuses(island: Island, client: WispClient) -> None:
    """The address behind it, where somebody listens, is not the next to be tried."""
    island.names.answers["refusing.test"] = [[PUBLIC, PRIVATE]]
    client.send(packets.connect(1, "refusing.test", island.alone.getsockname()[1]))
    assert client.recv_type(packets.CLOSE, 1).reason == packets.BLOCKED


@pytest.mark.parametrize("bad", ["127.0.0.1", PRIVATE, "::ffff:10.1.2.3"])
def test_answers_that_change(island: Island, client: WispClient, kind: Kind, bad: str) -> None:
    """What has been checked is what is connected to: no second question is asked for that."""
    name = new_name()
    island.names.answers[name] = [[PUBLIC], [bad], [PUBLIC], [bad]]
    for _ in range(2):
        assert reach(island, client, kind, name) == PUBLIC
        assert refusal(island, client, kind, name) == packets.BLOCKED


@pytest.mark.parametrize("option, allowed, refused", [
    ("--allow-loopback", LOOPBACK_ADDRESSES[:2] + ["::1"], PRIVATE_ADDRESSES),
    ("--allow-private", [PRIVATE, "100.64.0.1", "fd00::1", "64:ff9b:1::102:304"],
     LOOPBACK_ADDRESSES),
])
def test_permissions(start: Start, tmp_path: Path, kind: Kind, option: str, allowed: list[str],
                     refused: list[str]) -> None:
    """One is not the other, and neither opens what nobody may reach."""
    island = start(Island(tmp_path, option, alone=PRIVATE))
    with open_client(island.path) as client:
        for address in allowed:
            assert reach(island, client, kind, address) == address
        for address in refused:
            assert refusal(island, client, kind, address) == packets.BLOCKED
        for address in RESERVED_ADDRESSES:
            assert refusal(island, client, kind, address) == packets.INVALID


def test_names_without_an_answer(island: Island, kind: Kind) -> None:
    """They keep nobody's others waiting; each client has a bound, and addresses need no place."""
    island.names.answers["good.test"] = [[PUBLIC]]
    with open_client(island.path) as greedy, open_client(island.path) as modest:
        greedy.send(*(packets.connect(stream, f"{stream}.silent", 1, kind.wisp)
                      for stream in range(1, LOOKUPS + 2)))
        assert greedy.recv_type(packets.CLOSE, LOOKUPS + 1).reason == packets.THROTTLED
        begin(island, greedy, kind, PUBLIC)
        assert island.reached(kind.socket) == PUBLIC
        begin(island, modest, kind, "good.test")
        assert island.reached(kind.socket) == PUBLIC
