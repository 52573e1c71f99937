"""wispsocks and local programs that leave or half-close at any state, or come in great numbers."""

from __future__ import annotations

import queue
import resource
import socket
from pathlib import Path
from typing import Callable

import pytest

import packets
import socks
from bridge import Bridge
from conftest import Start
from fakeserver import FakeServer
from origin import Origin, payload, reset, sha256, sized
from procs import GUARD, free_port, in_background, refusing_port, wait_until
from vitals import MIB, Vitals, gauges
from wispservers import Wispd

HOST, PORT = "example.test", 80
SMALL_BUFFER = 32 * 1024
GREETING = socks.greeting(socks.NO_AUTHENTICATION)
REQUEST = socks.request(HOST, PORT)
#: Those who say nothing; fewer where there are not enough descriptors.
SILENT = 10_000
#: What the tests and the bridge have open besides.
RESERVE = 500


class Opened:
    """A bridge, and a server that grants a few packets, and reads all the time."""

    def __init__(self, fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
        self.bridge = wispsocks(fake.url)
        self.server = fake.accept_open(credit=4)
        self.bridge.wait_connected()
        self.vitals = Vitals(self.bridge)
        self._port = 0  #: of the last destination: each has its own
        self.downloading = 0
        self._received: queue.Queue[packets.Packet] = queue.Queue()
        in_background(self._receive)

    def _receive(self) -> None:
        try:
            while True:
                self._received.put(self.server.recv())
        except (packets.Ended, OSError):
            pass

    def wait(self, found: Callable[[packets.Packet], bool]) -> packets.Packet:
        """The next packet that is FOUND; what else comes before does not matter."""
        while not found(packet := self._received.get(timeout=GUARD)):
            pass
        return packet

    def greeted(self) -> socket.socket:
        program = self.bridge.connect(GREETING)
        assert socks.recv_method(program) == socks.NO_AUTHENTICATION
        return program

    def request(self) -> bytes:
        self._port += 1
        return socks.request(HOST, self._port)

    def dialled(self) -> socket.socket:
        self._port += 1
        return self.bridge.dial(HOST, self._port, rcvbuf=SMALL_BUFFER, sndbuf=SMALL_BUFFER)

    def stream(self) -> int:
        """The id of the stream for the last request, which is asked for once."""
        return self.wait(lambda packet: packet.type == packets.CONNECT
                         and packet.destination[1] == self._port).stream

    def serves(self) -> bool:
        program = self.dialled()
        stream = self.stream()
        program.sendall(b"up")
        self.wait(lambda packet: packet == packets.data(stream, b"up"))
        self.server.send(packets.data(stream, b"down"), packets.close(stream, packets.VOLUNTARY))
        received = socks.recv_to_end(program)
        program.close()
        return received == (b"down", False)


@pytest.fixture
def opened(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> Opened:
    return Opened(fake, wispsocks)


# How far programs get before they leave, without a stream and with one.


def within_the_greeting(opened: Opened) -> socket.socket:
    return opened.bridge.connect(GREETING[:-1])


def within_the_request(opened: Opened) -> socket.socket:
    program = opened.greeted()
    program.sendall(REQUEST[:-1])
    return program


def after_the_request(opened: Opened) -> socket.socket:
    """The reply may be on its way."""
    program = opened.greeted()
    program.sendall(opened.request())
    return program


def in_an_upload(opened: Opened) -> socket.socket:
    """For which the server has granted too little."""
    program = opened.dialled()
    socks.send_until_blocked([program], payload(16 * MIB), quiet=0.05)
    return program


def in_a_download(opened: Opened) -> socket.socket:
    """Of which the bridge has more than the program takes."""
    program = opened.dialled()
    opened.downloading = opened.stream()
    for _ in range(100):
        opened.server.send(packets.data(opened.downloading, bytes(50_000)))
    socks.recv_exactly(program, 1000)
    return program


Stage = Callable[[Opened], socket.socket]
HANDSHAKE: dict[str, Stage] = {
    "connected": lambda opened: opened.bridge.connect(),
    "within the greeting": within_the_greeting,
    "after the greeting": lambda opened: opened.bridge.connect(GREETING),
    "after the method": Opened.greeted,
    "within the request": within_the_request,
}
STREAM: dict[str, Stage] = {
    "after the request": after_the_request,
    "after the reply": Opened.dialled,
    "in an upload": in_an_upload,
    "in a download": in_a_download,
}


def test_programs_that_reset(opened: Opened) -> None:
    """At whatever stage: nothing is left of them."""
    for stage in (HANDSHAKE | STREAM).values():
        for _ in range(5):
            reset(stage(opened))
    opened.vitals.check()
    assert opened.serves()


def test_program_that_half_closes_in_the_handshake(opened: Opened) -> None:
    """It is closed: what is missing will not come."""
    for stage in HANDSHAKE.values():
        program = stage(opened)
        program.shutdown(socket.SHUT_WR)
        assert not socks.recv_to_end(program).was_reset
        program.close()
    opened.vitals.check()


def test_program_that_half_closes_with_a_stream(opened: Opened) -> None:
    """It gets what there is for it, up to the server's end of it."""
    for name, stage in STREAM.items():
        program = stage(opened)
        program.shutdown(socket.SHUT_WR)
        stream = opened.downloading if stage is in_a_download else opened.stream()
        opened.server.send(packets.data(stream, b"end"), packets.close(stream, packets.VOLUNTARY))
        received = socks.recv_to_end(program)
        assert received.data.endswith(b"end") and not received.was_reset, name
        program.close()
    opened.vitals.check()


def test_program_that_closes_with_a_stream(opened: Opened) -> None:
    """Nobody is there for the rest: after some seconds the server is told.

    Not so in an upload, of which the server may still want the rest.
    """
    for stage in (after_the_request, Opened.dialled, in_a_download):
        stage(opened).close()
    opened.vitals.check()
    assert opened.serves()


def test_program_that_closes_a_unix_socket(fake: FakeServer, tmp_path: Path,
                                           wispsocks: Callable[..., Bridge]) -> None:
    """Its end is seen at once there, but what it has sent before still counts."""
    path = str(tmp_path / "socket")
    bridge = wispsocks(fake.url, "--listen", f"unix:{path}")
    server = fake.accept_open(credit=0)
    bridge.wait_connected()
    bridge.addresses(2)
    program = socks.dial(path, HOST, PORT)
    stream = server.recv_connect().stream
    program.sendall(b"first")
    server.barrier()
    program.sendall(b", last")
    program.close()
    assert server.barrier() == []
    server.send(packets.credit(stream, 10))
    assert server.recv_data(stream, 11) == b"first, last"


# While the tunnel is down


def test_programs_that_reset_without_a_tunnel(wispsocks: Callable[..., Bridge]) -> None:
    """They are not kept until their patience would be over."""
    with refusing_port() as port:
        bridge = wispsocks(f"ws://127.0.0.1:{port}/", "--connect-timeout", "600")
        bridge.wait_lost()
        programs = [bridge.connect(socks.opening(HOST, PORT) + b"data") for _ in range(20)]
        wait_until(lambda: gauges(bridge) == (20, 0), "all wait")
        for program in programs:
            reset(program)
        wait_until(lambda: gauges(bridge) == (0, 0), "none waits any more")


def test_program_that_half_closes_without_a_tunnel(start: Start, origin: Origin,
                                                   wispsocks: Callable[..., Bridge]) -> None:
    """It has said all it has to say, and gets its answer when there is a tunnel."""
    port = free_port()
    bridge = wispsocks(f"ws://127.0.0.1:{port}/", "--connect-timeout", "120")
    bridge.wait_lost()
    data = payload(1000)
    program = bridge.connect(socks.opening("127.0.0.1", origin.digest.port) + sized(data))
    program.shutdown(socket.SHUT_WR)
    start(Wispd(port=port))
    assert socks.recv_opening(program).code == socks.SUCCEEDED
    assert socks.recv_to_end(program) == (sha256(data).encode(), False)


# In great numbers


def test_many_silent_programs(fake: FakeServer, start: Start) -> None:
    """10,000 that say nothing, or as many as there may be descriptors for, disturb nobody."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
    try:
        count = min(SILENT, limits[1] - RESERVE)
        opened = Opened(fake, lambda url: start(Bridge(url, "--max-clients", str(count + 10))))
        programs = [socks.open_socket(opened.bridge.port) for _ in range(count)]
        wait_until(lambda: gauges(opened.bridge)[0] == count, "all are connected")
        assert opened.serves()
        opened.vitals.check_growth(64 * MIB)
        for program in programs:
            reset(program)
        opened.vitals.check(64 * MIB)
        assert opened.serves()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
