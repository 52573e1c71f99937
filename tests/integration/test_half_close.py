"""Connections of which one direction ends before the other, with wispsocks and wispd.

They tell each other. It is an extension of their own (wisp-extensions(7)); others have to pass over it.
"""

from __future__ import annotations

import queue
import socket
from typing import Callable, Iterator

import pytest

import packets
import socks
from bridge import Bridge
from certs import Authority, Certificate
from conftest import Start
from fakeserver import FakeServer
from origin import CHUNK, Origin, Service, payload, payload_sha256, reset, sha256
from procs import GUARD, wait_until
from vitals import MIB, gauges
from wispclient import WispClient
from wispservers import TlsWispd, Wispd

HOST, PORT = "host.example", 80
STREAM, OTHER = 7, 8
OFFERED = packets.extension(packets.END_OF_DATA, b"\x01")
SMALL_BUFFER = 64 * 1024


def recv_all(conn: socket.socket) -> bytes:
    received = bytearray()
    while data := conn.recv(CHUNK):
        received += data
    return bytes(received)


def answer_at_the_end(conn: socket.socket) -> None:
    """The SHA-256 of all that came, when its end has come."""
    conn.sendall(sha256(recv_all(conn)).encode())


class EndsFirst(Service):
    """Sends `payload(SIZE)` and ends it, and keeps the SHA-256 of what it then gets, up to its end."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._digests: queue.Queue[str] = queue.Queue()
        super().__init__(self._converse)

    def _converse(self, conn: socket.socket) -> None:
        conn.sendall(payload(self._size))
        conn.shutdown(socket.SHUT_WR)
        self._digests.put(sha256(recv_all(conn)))

    def digest(self) -> str:
        return self._digests.get(timeout=GUARD)


class Pair:
    """wispd and a wispsocks."""

    def __init__(self, server: Wispd, bridge: Bridge) -> None:
        self.server = server
        self.bridge = bridge
        bridge.wait_connected()

    def dial(self, service: Service, rcvbuf: int = 0) -> socket.socket:
        return self.bridge.dial("127.0.0.1", service.port, rcvbuf=rcvbuf)

    def wait_over(self) -> None:
        """No stream is left."""
        wait_until(lambda: gauges(self.bridge) == (0, 0), "no program and no stream is left")


@pytest.fixture(params=["ws", "wss"])
def pair(request: pytest.FixtureRequest, start: Start, wispsocks: Callable[..., Bridge],
         certificate: Certificate, authority: Authority) -> Pair:
    if request.param == "ws":
        server = start(Wispd())
        return Pair(server, wispsocks(f"ws://127.0.0.1:{server.port}/"))
    server = start(TlsWispd(certificate))
    return Pair(server, wispsocks(server.url, "--cacert", authority.cacert))


# Each end may be the first


@pytest.mark.parametrize("size", [0, 1, 300_000, 20_000_000])
def test_program_ends_first(pair: Pair, start: Start, size: int) -> None:
    """The destination sees the end behind all of the data, and its answer comes, and its end."""
    program = pair.dial(start(Service(answer_at_the_end)))
    program.sendall(payload(size))
    program.shutdown(socket.SHUT_WR)
    assert socks.recv_to_end(program) == (payload_sha256(size).encode(), False)
    pair.wait_over()


@pytest.mark.parametrize("size", [0, 1, 20_000_000])
def test_destination_ends_first(pair: Pair, start: Start, size: int) -> None:
    """The program sees the end behind all of the data, and may go on sending as long as it likes."""
    service = start(EndsFirst(size))
    program = pair.dial(service)
    assert sha256(recv_all(program)) == payload_sha256(size)
    assert gauges(pair.bridge) == (1, 1)
    program.sendall(payload(10_000_000))
    program.shutdown(socket.SHUT_WR)
    assert service.digest() == payload_sha256(10_000_000)
    pair.wait_over()
    program.close()


def test_end_waits_for_the_data_before_it(pair: Pair, start: Start) -> None:
    """A program that is slow gets all that waits for it, and then the end; it may send meanwhile."""
    service = start(EndsFirst(30 * MIB))
    program = pair.dial(service, rcvbuf=SMALL_BUFFER)
    program.sendall(payload(5 * MIB))
    program.shutdown(socket.SHUT_WR)
    assert service.digest() == payload_sha256(5 * MIB)
    assert sha256(recv_all(program)) == payload_sha256(30 * MIB)
    pair.wait_over()


def test_many_at_once(pair: Pair, start: Start) -> None:
    """Each sees its own end."""
    service = start(Service(answer_at_the_end))
    programs = [pair.dial(service) for _ in range(100)]
    for number, program in enumerate(programs):
        program.sendall(payload(50_000 + number))
        program.shutdown(socket.SHUT_WR)
    for number, program in enumerate(programs):
        assert recv_all(program) == payload_sha256(50_000 + number).encode()
    pair.wait_over()


# An end is not a failure, and a failure no end


def end_and_reset(conn: socket.socket) -> None:
    conn.sendall(b"all")
    conn.shutdown(socket.SHUT_WR)
    conn.recv(1)
    reset(conn)


def test_destination_fails_after_its_end(pair: Pair, start: Start) -> None:
    """A program that still sends is told."""
    program = pair.dial(start(Service(end_and_reset)))
    assert recv_all(program) == b"all"
    program.sendall(b"x")

    def told() -> bool:
        try:
            program.sendall(b"more")
        except (ConnectionResetError, BrokenPipeError):
            return True
        return False

    wait_until(told, "the program sees that it is reset")
    pair.wait_over()


def test_program_fails_after_its_end(pair: Pair, start: Start) -> None:
    """The destination is told."""
    seen: queue.Queue[str] = queue.Queue()

    def serve(conn: socket.socket) -> None:
        seen.put(recv_all(conn).decode())
        try:
            while True:
                conn.sendall(bytes(CHUNK))
        except (ConnectionResetError, BrokenPipeError):
            seen.put("reset")

    program = pair.dial(start(Service(serve)))
    program.sendall(b"all")
    program.shutdown(socket.SHUT_WR)
    assert seen.get(timeout=GUARD) == "all"
    assert socks.recv_exactly(program, 1)
    reset(program)
    assert seen.get(timeout=GUARD) == "reset"
    pair.wait_over()


def test_tunnel_fails_after_an_end(pair: Pair, start: Start) -> None:
    """The direction that has not ended was cut, and that is not an end."""
    service = start(Service(answer_at_the_end))
    program = pair.dial(service)
    program.sendall(b"all")
    pair.server.kill()
    assert socks.recv_to_end(program) == (b"", True)


# What is on the wire: wispsocks


def agree(fake: FakeServer, *offered: bytes) -> tuple[packets.Link, dict[int, bytes]]:
    peer = fake.accept()
    named = peer.offer(*offered)
    peer.send(packets.credit(0, 128))
    return peer, named


def dial(bridge: Bridge, server: packets.Link) -> tuple[socket.socket, int]:
    program = bridge.dial(HOST, PORT)
    return program, server.recv_type(packets.CONNECT).stream


def test_server_that_has_it(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    """Either end is told by a packet of its own, and the server closes."""
    bridge = wispsocks(fake.url)
    server, named = agree(fake, OFFERED)
    assert named[packets.END_OF_DATA] == b"\x01"
    program, stream = dial(bridge, server)
    program.sendall(b"question")
    assert server.recv_data(stream, 8) == b"question"
    program.shutdown(socket.SHUT_WR)
    assert server.recv() == packets.end(stream)
    server.send(packets.data(stream, b"answer"), packets.end(stream))
    assert recv_all(program) == b"answer"
    assert server.barrier() == []
    assert gauges(bridge) == (1, 1)
    server.send(packets.close(stream, packets.VOLUNTARY))
    wait_until(lambda: gauges(bridge) == (0, 0), "the stream is over")
    assert server.barrier() == []


def test_server_that_does_not_have_it(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    """It hears nothing of it, and nothing of an end: the stream stays open for the answer."""
    bridge = wispsocks(fake.url)
    server, named = agree(fake)
    assert packets.END_OF_DATA not in named
    program, stream = dial(bridge, server)
    program.shutdown(socket.SHUT_WR)
    assert server.barrier() == []
    server.send(packets.data(stream, b"answer"), packets.close(stream, packets.VOLUNTARY))
    assert recv_all(program) == b"answer"


def test_server_that_does_not_close(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    """When both directions have ended, it has some seconds for it."""
    bridge = wispsocks(fake.url)
    server, _ = agree(fake, OFFERED)
    program, stream = dial(bridge, server)
    program.shutdown(socket.SHUT_WR)
    assert server.recv() == packets.end(stream)
    server.send(packets.data(stream, b"answer"), packets.end(stream))
    assert server.recv() == packets.close(stream, packets.VOLUNTARY)
    assert socks.recv_to_end(program) == (b"answer", False)
    assert gauges(bridge) == (0, 0)


@pytest.mark.parametrize("offered, breach", [
    (OFFERED, lambda stream: [packets.end(stream), packets.data(stream, b"more")]),
    (OFFERED, lambda stream: [packets.end(stream), packets.end(stream)]),
    (b"", lambda stream: [packets.end(stream)]),
], ids=["data after it", "a second one", "without agreement"])
def test_server_that_breaks_the_rules(fake: FakeServer, wispsocks: Callable[..., Bridge],
                                      offered: bytes,
                                      breach: Callable[[int], list[packets.Packet]]) -> None:
    """Its stream ends, with a reset for the program, and no other does."""
    bridge = wispsocks(fake.url)
    server, _ = agree(fake, offered)
    program, stream = dial(bridge, server)
    other, another = dial(bridge, server)
    server.send(*breach(stream))
    assert server.recv() == packets.close(stream, packets.NETWORK_ERROR)
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        for _ in range(1000):
            program.sendall(b"more")
            program.recv(CHUNK)
    server.send(packets.data(another, b"undisturbed"), packets.close(another, packets.VOLUNTARY))
    assert recv_all(other) == b"undisturbed"


# What is on the wire: wispd


@pytest.fixture
def client(request: pytest.FixtureRequest, wispd: Wispd) -> Iterator[WispClient]:
    """A client by hand, which names the extension unless the test is marked otherwise."""
    with WispClient(wispd.port, version=2) as client:
        offered = client.recv_type(packets.INFO, 0)
        assert packets.extensions(offered)[packets.END_OF_DATA] == b"\x01"
        client.send(packets.info(getattr(request, "param", OFFERED)))
        client.recv_type(packets.CONTINUE, 0)
        yield client


def open_stream(client: WispClient, service: Service, stream: int = STREAM) -> None:
    client.send(packets.connect(stream, "127.0.0.1", service.port))


def test_client_that_names_it(client: WispClient, start: Start) -> None:
    """Its end leads to the destination; the server closes when both have ended."""
    open_stream(client, start(Service(answer_at_the_end)))
    client.send(packets.data(STREAM, b"question"), packets.end(STREAM))
    assert client.recv_data(STREAM, 64) == sha256(b"question").encode()
    assert client.recv() == packets.close(STREAM, packets.VOLUNTARY)
    assert client.barrier() == []


def test_client_is_told(client: WispClient, start: Start) -> None:
    service = start(EndsFirst(3))
    open_stream(client, service)
    assert client.recv_data(STREAM, 3) == payload(3)
    assert client.recv() == packets.end(STREAM)
    client.send(packets.data(STREAM, b"upload"))
    assert client.barrier() == []
    client.send(packets.end(STREAM))
    assert client.recv() == packets.close(STREAM, packets.VOLUNTARY)
    assert service.digest() == sha256(b"upload")


@pytest.mark.parametrize("client", [b"", packets.extension(packets.END_OF_DATA, b"\x00"),
                                    packets.extension(packets.END_OF_DATA)],
                         ids=["no extension", "version 0", "no version"], indirect=True)
def test_client_that_does_not_name_it(client: WispClient, start: Start) -> None:
    """A destination that ends its data ends the stream."""
    service = start(EndsFirst(3))
    open_stream(client, service)
    assert client.recv_data(STREAM, 3) == payload(3)
    assert client.recv() == packets.close(STREAM, packets.VOLUNTARY)
    assert service.digest() == sha256(b"")


BREACHES = {
    "data after it": [packets.end(STREAM), packets.data(STREAM, b"more")],
    "a second one": [packets.end(STREAM), packets.end(STREAM)],
}


@pytest.mark.parametrize("breach", BREACHES.values(), ids=BREACHES.keys())
def test_client_that_breaks_the_rules(client: WispClient, origin: Origin,
                                      breach: list[packets.Packet]) -> None:
    """Its stream ends, and no other does."""
    open_stream(client, origin.digest)
    client.send(*breach)
    assert client.recv() == packets.close(STREAM, packets.NETWORK_ERROR)
    open_stream(client, origin.echo, OTHER)
    client.send(packets.data(OTHER, b"undisturbed"))
    assert client.recv_data(OTHER, 11) == b"undisturbed"


@pytest.mark.parametrize("client", [b""], ids=[""], indirect=True)
def test_client_that_did_not_agree(client: WispClient, origin: Origin) -> None:
    open_stream(client, origin.echo)
    client.send(packets.end(STREAM))
    assert client.recv() == packets.close(STREAM, packets.NETWORK_ERROR)
    open_stream(client, origin.echo, OTHER)
    client.send(packets.data(OTHER, b"undisturbed"))
    assert client.recv_data(OTHER, 11) == b"undisturbed"


def test_end_before_the_destination_is_connected(client: WispClient, start: Start) -> None:
    """All in one write: the end comes behind the data, which waits for the connection."""
    service = start(Service(answer_at_the_end))
    client.send(packets.connect(STREAM, "localhost", service.port), packets.data(STREAM, b"early"),
                packets.end(STREAM))
    assert client.recv_data(STREAM, 64) == sha256(b"early").encode()
    assert client.recv() == packets.close(STREAM, packets.VOLUNTARY)
