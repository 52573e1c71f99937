"""UDP through the bridge (RFC 1928 section 7): associations and their streams."""

from __future__ import annotations

import signal
import socket
import struct
from pathlib import Path
from typing import Callable, NamedTuple

import pytest

import frames
import packets
import socks
from bridge import Bridge
from conftest import Start
from datagrams import LARGEST, answers, header_size
from fakeserver import FakeServer, Peer
from origin import Origin, payload, reset
from procs import free_port, in_background, is_probed, refusing_port, wait_until
from service import Service
from test_flow import MIB, SMALL_BUFFER
from wispservers import Wispd, WispJs, WispMux

HOST, PORT = "example.test", 53
HAS_UDP = packets.extension(packets.HAS_UDP)


class Program(NamedTuple):
    """A program with an association, and the server's end of the tunnel."""

    association: socks.Association
    server: Peer

    def send(self, data: bytes = b"", host: str | bytes = HOST, port: int = PORT) -> None:
        self.association.send(host, port, data)

    def send_first(self, data: bytes = b"first", host: str | bytes = HOST, port: int = PORT) -> int:
        """A datagram to a new destination; the id of the stream that it opens."""
        self.send(data, host, port)
        connect = self.server.recv_connect()
        name = host if isinstance(host, bytes) else host.encode()
        assert connect.destination == (packets.UDP, port, name)
        assert self.server.recv() == packets.data(connect.stream, data)
        return connect.stream

    def next_is(self, stream: int, data: bytes = b"good") -> bool:
        """Whether a datagram that is sent now is the next that the server gets."""
        self.send(data)
        return self.server.recv() == packets.data(stream, data)


@pytest.fixture
def program(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> Program:
    bridge = wispsocks(fake.url)
    server = fake.accept_open()
    return Program(bridge.associate(), server)


@pytest.fixture(scope="module")
def bridge(module_start: Start, wispd: Wispd, tmp_path_factory: pytest.TempPathFactory) -> Bridge:
    """To wispd, with all kinds of listeners."""
    path = tmp_path_factory.mktemp("listener") / "socket"
    return module_start(Bridge(f"ws://127.0.0.1:{wispd.port}/", "--listen", "[::1]:0",
                               "--listen", f"unix:{path}"))


def socket_is_empty(port: int) -> bool:
    """Whether all that was sent to a UDP port of 127.0.0.1 has been taken from its socket."""
    local = f"0100007F:{port:04X}"
    lines = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()]
    (queues,) = [line[4] for line in lines if line[1] == local]
    return queues.endswith(":00000000")


def send_all(association: socks.Association, sent: list[bytes]) -> None:
    """Send these datagrams so that the bridge gets every one."""
    for number, data in enumerate(sent):
        association.sock.send(data)
        if number % 50 == 49:
            wait_until(lambda: socket_is_empty(association.relay[1]), "the bridge takes datagrams")
    wait_until(lambda: socket_is_empty(association.relay[1]), "the bridge takes datagrams")


# The association


def listeners(bridge: Bridge) -> dict[str, socks.Where]:
    _, ipv6, path = bridge.addresses(3)
    return {"ipv4": bridge.port, "ipv6": ("::1", int(ipv6.rsplit(":", 1)[1])),
            "unix": path.removeprefix("unix:")}


@pytest.mark.parametrize("listener, family, host", [
    ("ipv4", socks.IPV4, "127.0.0.1"), ("ipv6", socks.IPV6, "::1"),
    ("unix", socks.IPV4, "127.0.0.1"),
])
def test_relay_is_where_the_program_reached_us(bridge: Bridge, origin: Origin, listener: str,
                                               family: int, host: str) -> None:
    """Each association has a socket of its own, there or, for Unix sockets, on loopback."""
    where = listeners(bridge)[listener]
    first, second = bridge.associate(where), bridge.associate(where)
    for association in (first, second):
        assert association.reply.address_type == family
        assert association.relay[0] == host
        assert association.relay[1] != 0
        assert answers(association, origin.udp.port)
    assert first.relay != second.relay


def test_listener_for_both_families(start: Start, wispd: Wispd, origin: Origin) -> None:
    """A program that came by IPv4 has its relay there, however the listener calls its address."""
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
        port = listener.getsockname()[1]
        start(Service("wispsocks", "--open-to-all", f"ws://127.0.0.1:{wispd.port}/",
                      sockets=(listener,)))
        for where, family in ((port, socks.IPV4), (("::1", port), socks.IPV6)):
            with socks.open_socket(where) as control:
                control.sendall(socks.opening("0.0.0.0", 0, socks.UDP_ASSOCIATE))
                association = socks.Association(control)
                assert association.reply.address_type == family
                assert answers(association, origin.udp.port)
                association.close()


def test_first_datagram_opens_a_stream(program: Program) -> None:
    """One for each destination; the others go the same way."""
    assert program.server.barrier() == []
    first = program.send_first(b"one")
    assert program.next_is(first, b"two")
    second = program.send_first(b"three", port=PORT + 1)
    third = program.send_first(b"", host=HOST.upper())
    assert len({first, second, third}) == 3
    assert program.next_is(first, b"four")


@pytest.mark.parametrize("host", [
    b"a", b"Example.TEST", b"example.test.", b"b\xc3\xbccher.test", b"under_score.test",
    b"192.0.2.1", b"n" * 255,
], ids=lambda host: host[:16].decode())
def test_names_reach_the_server_as_they_came(program: Program, host: bytes) -> None:
    stream = program.send_first(host=host, port=65535)
    program.server.send(packets.data(stream, b"answer"))
    assert program.association.recv() == (socks.destination(host, 65535), b"answer")


@pytest.mark.parametrize("host, text", [
    ("192.0.2.1", b"192.0.2.1"), ("0.0.0.0", b"0.0.0.0"), ("2001:db8:0:0::1", b"2001:db8::1"),
    ("::ffff:192.0.2.1", b"::ffff:192.0.2.1"),
])
def test_addresses_reach_the_server_as_text(program: Program, host: str, text: bytes) -> None:
    program.send(b"data", host)
    connect = program.server.recv_connect()
    assert connect.destination == (packets.UDP, PORT, text)
    assert program.server.recv() == packets.data(connect.stream, b"data")
    program.server.send(packets.data(connect.stream, b"answer"))
    assert program.association.recv() == (socks.destination(host, PORT), b"answer")


@pytest.mark.parametrize("end", ["fin", "rst", "half"])
def test_association_ends_with_its_connection(program: Program, end: str) -> None:
    """Its streams are closed, and so is the relay's port."""
    streams = [program.send_first(port=port) for port in range(1, 6)]
    control = program.association.control
    if end == "half":
        control.shutdown(socket.SHUT_WR)
        assert socks.recv_to_end(control) == (b"", False)
    else:
        {"fin": socket.socket.close, "rst": reset}[end](control)
    for stream in streams:
        assert program.server.recv() == packets.close(stream, packets.VOLUNTARY)
    with pytest.raises(ConnectionRefusedError):
        program.association.sock.send(b"anybody?")
        program.association.sock.recv(1)


def test_connection_that_ends_with_the_request(fake: FakeServer,
                                               wispsocks: Callable[..., Bridge]) -> None:
    """The end came before there was an association, and nothing more comes after it."""
    bridge = wispsocks(fake.url)
    fake.accept_open()
    bridge.wait_connected()
    for _ in range(10):
        control = bridge.connect(socks.opening("0.0.0.0", 0, socks.UDP_ASSOCIATE))
        control.shutdown(socket.SHUT_WR)
        assert socks.recv_opening(control).code == socks.SUCCEEDED
        assert socks.recv_to_end(control) == (b"", False)
    bridge.signal(signal.SIGUSR1)
    assert bridge.wait_log("counters: 0 programs")


def test_connection_is_probed(bridge: Bridge) -> None:
    """As nothing is to be heard on it, its end would not be noticed when a machine goes away."""
    port = bridge.associate().control.getsockname()[1]
    wait_until(lambda: is_probed(Path("/proc/net/tcp"), bridge.port, port),
               "the kernel probes the connection")


def test_data_on_the_connection_is_ignored(program: Program) -> None:
    stream = program.send_first()
    program.association.control.sendall(payload(10_000_000))
    assert program.next_is(stream)


# Datagrams that nobody gets


def test_other_sources_are_dropped(program: Program) -> None:
    """Before the program has sent anything: by their address; from then on, by their port too."""
    association = program.association
    with association.another_socket("127.0.0.2") as other:
        other.sendto(socks.datagram(HOST, PORT, b"other host"), association.relay)
        stream = program.send_first()
    for host in ("127.0.0.1", "127.0.0.2"):
        with association.another_socket(host) as other:
            other.sendto(socks.datagram(HOST, PORT, b"other port"), association.relay)
            assert program.next_is(stream)


def test_other_sources_that_were_already_there(fake: FakeServer,
                                               wispsocks: Callable[..., Bridge]) -> None:
    """What arrived before the bridge knew where the program sends from is not let in later."""
    bridge = wispsocks(fake.url)
    server = fake.accept_open()
    program = Program(bridge.associate(), server)
    with program.association.another_socket() as other:
        bridge.signal(signal.SIGSTOP)
        program.send(b"one")
        other.sendto(socks.datagram(HOST, PORT, b"other"), program.association.relay)
        program.send(b"two")
        bridge.signal(signal.SIGCONT)
        stream = program.server.recv_connect().stream
        assert program.server.recv() == packets.data(stream, b"one")
        assert program.server.recv() == packets.data(stream, b"two")


def test_announced_port(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    """A program that says from which port it will send is not mistaken for another."""
    bridge = wispsocks(fake.url)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    server = fake.accept_open()
    program = Program(bridge.associate(sock=sock), server)
    with program.association.another_socket() as other:
        other.sendto(socks.datagram(HOST, PORT, b"other"), program.association.relay)
        program.send_first()


HEADERS = [socks.datagram(host, PORT) for host in (HOST, "192.0.2.1", "2001:db8::1")]
MALFORMED = {
    "truncated": [header[:size] for header in HEADERS for size in range(len(header))],
    "address type": [bytes([0, 0, 0, kind]) + bytes(300) for kind in (0, 2, 5, 255)],
    "empty name": [bytes([0, 0, 0, socks.NAME, 0, 0, PORT]) + b"data"],
    "name with a NUL": [socks.datagram(b"a\0b", PORT, b"data")],
    "fragment": [socks.datagram(HOST, PORT, b"data", number) for number in (1, 2, 127, 128, 255)],
}


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_datagrams_are_dropped(program: Program, sent: list[bytes]) -> None:
    """Each of them, and a good one behind it still goes through."""
    stream = program.send_first()
    for bad in sent:
        program.association.sock.send(bad)
        assert program.next_is(stream), bad


def test_what_the_server_should_not_send(program: Program) -> None:
    """Datagrams that are too long, credit, and packets for no stream change nothing."""
    server = program.server
    stream = program.send_first()
    too_long = packets.data(stream, bytes(70_000)).encode()
    for bad in (packets.data(stream, bytes(65536)), packets.data(stream, bytes(65535)),
                packets.data(stream, bytes(1 << 20)), packets.data(99, b"nobody"),
                packets.credit(stream, 0), packets.credit(stream, 5), packets.credit(99, 5),
                packets.close(99, packets.VOLUNTARY)):
        server.send(bad)
        assert program.next_is(stream), bad
    server.send_raw(frames.encode(frames.BINARY, too_long[:4], fin=False)
                    + frames.encode(frames.CONTINUATION, too_long[4:40_000], fin=False)
                    + frames.encode(frames.CONTINUATION, too_long[40_000:]))
    for size in (0, 1, 1000, LARGEST - header_size(HOST)):
        server.send(packets.data(stream, payload(size)))
        assert program.association.recv() == (socks.destination(HOST, PORT), payload(size))
    assert program.next_is(stream)


def test_server_closes_a_stream(program: Program) -> None:
    """With whatever reason: the next datagram opens another one."""
    for reason in (packets.VOLUNTARY, packets.BLOCKED, packets.UNREACHABLE, 0xee):
        stream = program.send_first()
        program.server.send(packets.close(stream, reason), packets.data(stream, b"late"))
        assert program.server.barrier() == []


# Streams do not stay for ever


def test_silent_streams_are_closed(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    """Those first on which nothing has moved for longer, in either direction."""
    bridge = wispsocks(fake.url, "--udp-timeout", "2")
    server = fake.accept_open()
    program = Program(bridge.associate(), server)
    streams = [program.send_first(port=port) for port in range(1, 5)]
    program.server.send(packets.data(streams[0], b"answer"))
    assert program.association.recv().data == b"answer"
    program.send(b"again", port=2)
    assert program.server.recv() == packets.data(streams[1], b"again")
    for number in (2, 3, 0, 1):
        assert program.server.recv() == packets.close(streams[number], packets.VOLUNTARY)
    assert program.send_first(port=1) not in streams


def test_least_recently_used_stream_goes(program: Program) -> None:
    """A 257th destination takes the place of the one that was silent for the longest."""
    streams = [program.send_first(port=port) for port in range(1, 257)]
    program.send(b"again", port=1)
    assert program.server.recv() == packets.data(streams[0], b"again")
    program.server.send(packets.data(streams[1], b"answer"))
    assert program.association.recv().data == b"answer"
    for port, closed in ((257, streams[2]), (258, streams[3])):
        program.send(b"new", port=port)
        got = [program.server.recv() for _ in range(3)]
        assert packets.close(closed, packets.VOLUNTARY) in got
        (connect,) = [packet for packet in got if packet.type == packets.CONNECT]
        assert connect.destination == (packets.UDP, port, HOST.encode())
        assert packets.data(connect.stream, b"new") in got


# Servers without UDP


def no_udp_v2(start: Start) -> str:
    fake = start(FakeServer())
    in_background(lambda: fake.accept_open(2).answer_pings())
    return fake.url


NO_UDP: dict[str, Callable[[Start], str]] = {
    "fake": no_udp_v2,
    "wispd": lambda start: f"ws://127.0.0.1:{start(Wispd('--no-udp')).port}/",
    "wisp-js": lambda start: f"ws://127.0.0.1:{start(WispJs(2, allow_udp_streams=False)).port}/",
    "wisp-mux": lambda start: start(WispMux("--no-udp")).url,
}


def associate_reply(bridge: Bridge) -> int:
    program = bridge.connect(socks.opening("0.0.0.0", 0, socks.UDP_ASSOCIATE))
    code = socks.recv_opening(program).code
    assert code == socks.SUCCEEDED or socks.recv_to_end(program) == (b"", False)
    return code


@pytest.mark.parametrize("kind", NO_UDP)
def test_server_without_udp(start: Start, kind: str, wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(NO_UDP[kind](start))
    assert associate_reply(bridge) == socks.COMMAND_NOT_SUPPORTED


def test_no_udp(wispsocks: Callable[..., Bridge]) -> None:
    """It is refused whether or not there is a server."""
    with refusing_port() as port:
        bridge = wispsocks(f"ws://127.0.0.1:{port}/", "--no-udp", "--connect-timeout", "3600")
        assert associate_reply(bridge) == socks.COMMAND_NOT_SUPPORTED


def test_v1_server_without_udp(start: Start, origin: Origin,
                               wispsocks: Callable[..., Bridge]) -> None:
    """Version 1 cannot say that: each datagram opens a stream that is refused, and no more."""
    server = start(Wispd("--no-udp", "--wisp", "1"))
    bridge = wispsocks(f"ws://127.0.0.1:{server.port}/", "-v")
    association = bridge.associate()
    for _ in range(2):
        before = bridge.mark()
        association.send("127.0.0.1", origin.udp.port, b"lost")
        bridge.wait_log("blocked", since=before)
    program = bridge.dial("127.0.0.1", origin.echo.port, b"data")
    assert socks.recv_exactly(program, 4) == b"data"


# Another connection to the server


@pytest.mark.parametrize("version", [1, 2])
def test_association_outlives_the_tunnel(fake: FakeServer, version: int,
                                         wispsocks: Callable[..., Bridge]) -> None:
    """It goes on with new streams. Datagrams from in between are lost."""
    bridge = wispsocks(fake.url)
    server = fake.accept_open(2, offered=HAS_UDP)
    association = bridge.associate()
    old = Program(association, server)
    old.send_first()
    old.send_first(port=PORT + 1)
    server.close()
    bridge.wait_lost()
    send_all(association, [socks.datagram(HOST, PORT, b"lost")])
    new = Program(association, fake.accept_open(version, offered=HAS_UDP))
    bridge.wait_connected()
    assert new.server.barrier() == []
    stream = new.send_first()
    new.server.send(packets.data(stream, b"answer"))
    assert association.recv() == (socks.destination(HOST, PORT), b"answer")


def test_association_ends_when_the_new_server_has_no_udp(fake: FakeServer,
                                                         wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(fake.url)
    server = fake.accept_open(2, offered=HAS_UDP)
    association = bridge.associate()
    Program(association, server).send_first()
    server.close()
    fake.accept_open(2)
    assert socks.recv_to_end(association.control) == (b"", False)


def test_association_waits_for_the_tunnel(start: Start, origin: Origin,
                                          wispsocks: Callable[..., Bridge]) -> None:
    port = free_port()
    bridge = wispsocks(f"ws://127.0.0.1:{port}/", "--connect-timeout", "120")
    bridge.wait_lost()
    program = bridge.connect(socks.opening("0.0.0.0", 0, socks.UDP_ASSOCIATE))
    start(Wispd(port=port))
    assert answers(socks.Association(program), origin.udp.port)


# A tunnel that takes less than there is


class Jam(NamedTuple):
    """A server that does not read, and programs; the tunnel to it is full of datagrams."""

    bridge: Bridge
    server: Peer
    association: socks.Association
    other: socket.socket  # another program's connection
    stream: int  # and its stream
    sent: int  # datagrams, numbered
    growth: int  # of the bridge's memory, in bytes

    SIZE = 1400

    def numbers(self) -> list[int]:
        """Read on, to the last datagram."""
        numbers: list[int] = []
        while not numbers or numbers[-1] != self.sent - 1:
            packet = self.server.recv()
            if packet.type == packets.DATA and len(packet.payload) == self.SIZE:
                numbers.append(struct.unpack("!I", packet.payload[:4])[0])
        return numbers


@pytest.fixture
def jam(start: Start, wispsocks: Callable[..., Bridge]) -> Jam:
    fake = start(FakeServer(rcvbuf=SMALL_BUFFER))
    bridge = wispsocks(fake.url, "--max-clients", "2")
    server = fake.accept_open()
    other = bridge.dial("other.test", 80)
    stream = server.recv_connect().stream
    association = bridge.associate()
    before = bridge.rss()
    count = 12_000
    send_all(association, [socks.datagram(HOST, PORT, struct.pack("!I", number).ljust(Jam.SIZE))
                           for number in range(count)])
    return Jam(bridge, server, association, other, stream, count, bridge.rss() - before)


def test_oldest_datagrams_are_dropped(jam: Jam) -> None:
    """The newest arrive when the server reads again; little was kept meanwhile."""
    numbers = jam.numbers()
    assert numbers == sorted(set(numbers))
    assert len(numbers) < jam.sent
    newest = 50
    assert numbers[-newest:] == list(range(jam.sent - newest, jam.sent))
    assert jam.growth < 10 * MIB


def test_others_go_on_behind_a_jam(jam: Jam) -> None:
    """Another program gets its data meanwhile, and what it sends is not behind all datagrams."""
    jam.server.send(packets.data(jam.stream, b"down"))
    assert socks.recv_exactly(jam.other, 4) == b"down"
    jam.other.sendall(b"up")
    packet, before = jam.server.recv_until(packets.DATA, jam.stream)
    assert packet.payload == b"up"
    assert sum(len(other.payload) for other in before) < MIB


def test_ever_new_destinations_do_not_pile_up(jam: Jam) -> None:
    """Not even while the server does not take the CLOSE of the streams that had to go."""
    send_all(jam.association, [socks.datagram(HOST, port) for port in range(1000, 7000)])
    jam.bridge.signal(signal.SIGUSR1)
    streams = int(jam.bridge.wait_log(r"counters: .* (\d+) open").group(1))
    assert streams < 5000
    jam.other.sendall(b"up")
    assert jam.server.recv_until(packets.DATA, jam.stream)[0].payload == b"up"


def test_flood_of_answers(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    """While the server sends more than the bridge can handle, programs are still served."""
    bridge = wispsocks(fake.url)
    server = fake.accept_open()
    program = Program(bridge.associate(), server)
    stream = program.send_first()
    flood = program.server.encode(packets.data(stream, b"x")) * 50_000
    over = False

    def send() -> None:
        while not over:
            program.server.send_raw(flood)

    sender = in_background(send)
    for _ in range(5):
        with socks.open_socket(bridge.port) as other:
            other.sendall(socks.greeting(socks.NO_AUTHENTICATION))
            assert socks.recv_method(other) == socks.NO_AUTHENTICATION
    over = True
    sender.join()
