"""Nothing waits for the server: success is answered at once, and data leaves behind CONNECT.

The server of these tests finishes the handshake of the tunnel and never says anything again.
"""

from __future__ import annotations

from typing import Callable

import pytest

import packets
import socks
from bridge import Bridge
from certs import Authority, Certificate
from conftest import Start
from fakeserver import FakeServer, Peer
from frames import read_frame
from origin import payload

HOST, PORT = "example.test", 443
DATA = b"client hello"


def decode_all(raw: bytes) -> list[packets.Packet]:
    """The packets of RAW, which has to hold whole frames."""
    decoded, position = [], 0

    def read(size: int) -> bytes:
        nonlocal position
        assert position + size <= len(raw), "a frame that is cut off"
        position += size
        return raw[position - size:position]

    while position < len(raw):
        decoded.append(packets.decode(read_frame(read).payload))
    return decoded


def check_stream(connect: packets.Packet, data: packets.Packet) -> None:
    assert connect.destination == (packets.TCP, PORT, HOST.encode())
    assert connect.stream != 0
    assert data == packets.data(connect.stream, DATA)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
def test_connect_and_data_leave_in_one_write(
        start: Start, authority: Authority, certificate: Certificate, version: int, tls: bool,
        wispsocks: Callable[..., Bridge]) -> None:
    """They are there together, so one TCP segment or one TLS record carries both."""
    fake = start(FakeServer(certificate.context() if tls else None))
    bridge = wispsocks(fake.url, "--cacert", authority.cacert)
    server = fake.accept_open(version)
    bridge.wait_connected()
    bridge.dial(HOST, PORT, DATA)
    connect, data = decode_all(server.recv_chunk())
    check_stream(connect, data)


def test_patient_program(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    """A program that waits for each answer gets it, and its data goes out without a CONTINUE."""
    bridge = wispsocks(fake.url)
    server = fake.accept_open()
    program = bridge.connect(socks.greeting(socks.NO_AUTHENTICATION))
    assert socks.recv_method(program) == socks.NO_AUTHENTICATION
    program.sendall(socks.request(HOST, PORT))
    assert socks.recv_reply(program).code == socks.SUCCEEDED
    connect = server.recv_connect()
    program.sendall(DATA)
    check_stream(connect, server.recv())


def receive_streams(server: Peer, count: int) -> dict[int, tuple[packets.Packet, bytes]]:
    """The CONNECTs and the data of COUNT streams, by stream id, up to 1000 bytes of each."""
    streams: dict[int, tuple[packets.Packet, bytes]] = {}
    while len(streams) < count or any(len(data) < 1000 for _, data in streams.values()):
        packet = server.recv()
        if packet.type == packets.CONNECT:
            assert packet.stream not in streams
            streams[packet.stream] = (packet, b"")
        else:
            assert packet.type == packets.DATA, packet
            connect, data = streams[packet.stream]
            streams[packet.stream] = (connect, data + packet.payload)
    return streams


def test_many_programs_at_once(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    """100 streams, none of them answered: each has an id of its own, and its own data."""
    bridge = wispsocks(fake.url)
    server = fake.accept_open()
    for number in range(100):
        bridge.dial(HOST, 1000 + number, bytes(payload(1000, number)))
    streams = receive_streams(server, 100)
    assert 0 not in streams
    ports = set()
    for connect, data in streams.values():
        _, port, host = connect.destination
        assert host == HOST.encode()
        assert data == payload(1000, port - 1000)
        ports.add(port)
    assert len(ports) == 100
