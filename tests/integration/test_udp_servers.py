"""UDP through the bridge and every server, to an echo or a resolver at the other end."""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

import pytest

import datagrams
import socks
from bridge import Bridge
from conftest import Start
from datagrams import LARGEST, Exchange, answers, for_echo, header_size, spread
from origin import DatagramService, Origin, payload, sha256, sized
from procs import Process, free_port, in_background
from wispservers import VERSIONS, Wispd, WispMux, start_server

LOOPBACKS = ["localhost", "127.0.0.1", "::1"]
KINDS = [*VERSIONS, "wisp-mux"]


class Route(NamedTuple):
    kind: str
    bridge: Bridge


def start_any(kind: str) -> Process:
    return WispMux() if kind == "wisp-mux" else start_server(kind)


@pytest.fixture(scope="module", params=KINDS)
def route(request: pytest.FixtureRequest, module_start: Start) -> Route:
    """A bridge to the server that the test's parameter names."""
    server = module_start(start_any(request.param))
    return Route(request.param, module_start(Bridge(f"ws://127.0.0.1:{server.port}/")))


@pytest.fixture(scope="module")
def bridge(module_start: Start, wispd: Wispd) -> Bridge:
    return module_start(Bridge(f"ws://127.0.0.1:{wispd.port}/"))


@pytest.mark.parametrize("host", LOOPBACKS)
def test_echo(route: Route, origin: Origin, host: str) -> None:
    """Answers have their source as the program wrote it."""
    association = route.bridge.associate()
    for size in (1, 100, 1472, 9000, LARGEST - header_size(host)):
        assert answers(association, origin.udp.port, bytes(payload(size, size)), host)


def test_many_sizes(route: Route, origin: Origin) -> None:
    association = route.bridge.associate()
    largest = LARGEST - header_size("127.0.0.1")
    some = [data for data in spread(300, largest) if data]
    datagrams.run(Exchange(association, for_echo("127.0.0.1", origin.udp.port, some)))


#: asyncio, on which wisp-python stands, sends no empty datagram, and wisp-python takes an empty
#: answer for the end of the stream.
WITHOUT_EMPTY = ("wisp-python",)


def test_empty_datagrams(start: Start, route: Route, origin: Origin) -> None:
    """Both ways, and each way alone. Where a server does not have them, nothing else breaks."""
    association = route.bridge.associate()
    to_empty = start(DatagramService(lambda data: b""))
    from_empty = start(DatagramService(lambda data: data or b"it was empty"))
    association.send("127.0.0.1", origin.udp.port, b"")
    association.send("127.0.0.1", to_empty.port, b"data")
    association.send("127.0.0.1", from_empty.port, b"")
    if route.kind not in WITHOUT_EMPTY:
        assert {association.recv() for _ in range(3)} == {
            (socks.destination("127.0.0.1", origin.udp.port), b""),
            (socks.destination("127.0.0.1", to_empty.port), b""),
            (socks.destination("127.0.0.1", from_empty.port), b"it was empty")}
    for service in (origin.udp, from_empty):
        assert answers(association, service.port)


def test_refused_port(route: Route, origin: Origin) -> None:
    """Whatever a server makes of it, the association goes on, also to that destination."""
    association = route.bridge.associate()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as refusing:
        refusing.bind(("127.0.0.1", 0))
        refusing.connect(("127.0.0.1", origin.udp.port))  # others are refused
        for _ in range(3):
            association.send("127.0.0.1", refusing.getsockname()[1], b"data")
            assert answers(association, origin.udp.port)


def test_10000_datagrams(bridge: Bridge, origin: Origin) -> None:
    """Of sizes from none to the largest, none altered."""
    association = bridge.associate()
    largest = LARGEST - header_size("127.0.0.1")
    all_sizes = for_echo("127.0.0.1", origin.udp.port, spread(10_000, largest))
    datagrams.run(Exchange(association, all_sizes))


def test_largest_datagram_is_the_first(bridge: Bridge, origin: Origin) -> None:
    """It has to wait until its destination has been looked up."""
    for host in LOOPBACKS:
        association = bridge.associate()
        largest = bytes(payload(LARGEST - header_size(host)))
        assert answers(association, origin.udp.port, largest, host)


def test_udp_and_tcp_at_once(start: Start, bridge: Bridge, origin: Origin) -> None:
    """300 destinations of datagrams and 100 uploads, all at the same time."""
    services = [start(DatagramService()) for _ in range(100)]
    work = {host: [datagram for data in spread(10, 1000) for service in services
                   for datagram in for_echo(host, service.port, [data])] for host in LOOPBACKS}
    uploads = []
    for number in range(100):
        data = payload(1_000_000, number)
        program = bridge.dial("127.0.0.1", origin.digest.port)
        in_background(lambda program=program, data=data: program.sendall(sized(data)))
        uploads.append((program, sha256(data)))
    datagrams.run(*(Exchange(bridge.associate(), sent) for sent in work.values()))
    for program, digest in uploads:
        assert socks.recv_to_end(program) == (digest.encode(), False)


# A real resolver


class Dnsmasq(Process):
    """A name server that knows one address."""

    def __init__(self, name: str, address: str) -> None:
        self.port = free_port()
        super().__init__(["/usr/sbin/dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null",
                          "--no-resolv", "--no-hosts", "--pid-file=", "--user=root", "--group=root",
                          "--log-facility=-", "--listen-address=127.0.0.1", "--bind-interfaces",
                          f"--port={self.port}", f"--address=/{name}/{address}"])
        self.wait_port(self.port)


def question(name: str, number: int) -> bytes:
    """A query for the IPv4 address of NAME (RFC 1035 section 4)."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\0\0\1\0\1"


def test_dns(start: Start, bridge: Bridge) -> None:
    server = start(Dnsmasq("host.test", "192.0.2.77"))
    association = bridge.associate()
    for number in (1, 0x1234):
        asked = question("host.test", number)
        association.send("127.0.0.1", server.port, asked)
        source, answer = association.recv()
        assert source == socks.destination("127.0.0.1", server.port)
        found, flags, _, answers_count = struct.unpack("!4H", answer[:8])
        assert (found, flags & 0x800f, answers_count) == (number, 0x8000, 1)
        assert answer[12:len(asked)] == asked[12:]
        assert answer.endswith(struct.pack("!H", 4) + socket.inet_aton("192.0.2.77"))
