"""UDP streams of wispd, with clients whose every packet the test decides."""

from __future__ import annotations

import socket
from typing import Iterator

import pytest

import packets
from conftest import Start
from datagrams import LARGEST
from origin import Origin, payload
from procs import in_background
from test_wispd import LOOPBACK_HOSTS, PRIVATE_HOSTS, close_reason, echo_works
from wispclient import WispClient, open_client
from wispservers import Wispd

STREAM = 7
LOOPBACK = "127.0.0.1"


@pytest.fixture
def client(wispd: Wispd) -> Iterator[WispClient]:
    with open_client(wispd.port) as client:
        yield client


def connect(stream: int, host: str, port: int) -> packets.Packet:
    return packets.connect(stream, host, port, packets.UDP)


@pytest.mark.parametrize("host", LOOPBACK_HOSTS + PRIVATE_HOSTS)
def test_blocked_addresses(public_only: Wispd, origin: Origin, host: str) -> None:
    with open_client(public_only.port) as client:
        sent = connect(STREAM, host, origin.udp.port), packets.data(STREAM, b"x")
        assert close_reason(client, *sent) == packets.BLOCKED


@pytest.mark.parametrize("host, reason", [
    ("no-such-host.invalid", packets.UNREACHABLE), ("224.0.0.1", packets.INVALID),
    ("255.255.255.255", packets.INVALID), ("ff02::1", packets.INVALID),
])
def test_destinations_that_cannot_be(client: WispClient, origin: Origin, host: str,
                                     reason: int) -> None:
    sent = connect(STREAM, host, 53), packets.data(STREAM, b"x")
    assert close_reason(client, *sent) == reason
    assert echo_works(client, origin)


@pytest.mark.parametrize("version", [1, 2])
def test_no_udp(start: Start, origin: Origin, version: int) -> None:
    """It is not offered, and refused to those who do not ask."""
    server = start(Wispd("--no-udp"))
    with WispClient(server.port, version=version) as client:
        if version == 2:
            info = client.recv_type(packets.INFO, 0)
            assert packets.HAS_UDP not in packets.extensions(info)
            client.send(packets.info(packets.extension(packets.HAS_UDP)))
        client.recv_type(packets.CONTINUE, 0)
        assert close_reason(client, connect(STREAM, LOOPBACK, origin.udp.port)) == packets.BLOCKED
        assert echo_works(client, origin)


@pytest.mark.parametrize("host", ["localhost", LOOPBACK, "::1"])
def test_data_before_the_name_is_resolved(client: WispClient, origin: Origin, host: str) -> None:
    """It arrives, in its order, whatever its size."""
    sizes = [0, 1, 1000, LARGEST, 0, 30_000]
    client.send(connect(STREAM, host, origin.udp.port),
                *(packets.data(STREAM, payload(size)) for size in sizes))
    for size in sizes:
        assert client.recv() == packets.data(STREAM, payload(size))


def test_refused_port(client: WispClient) -> None:
    """The news that nobody listens ends no stream, and costs no datagram once somebody does."""
    refusing, service = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    with refusing, service:
        for sock in (refusing, service):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        refusing.bind((LOOPBACK, 0))
        refusing.connect((LOOPBACK, 9))  # all others are refused
        client.send(connect(STREAM, LOOPBACK, refusing.getsockname()[1]))
        for _ in range(5):
            client.send(packets.data(STREAM, b"refused"))
            assert client.barrier() == []
        service.bind(refusing.getsockname())
        service.settimeout(client.sock.gettimeout())
        client.send(packets.data(STREAM, b"data"))
        data, source = service.recvfrom(100)
        assert data == b"data"
        service.sendto(b"answer", source)
        assert client.recv() == packets.data(STREAM, b"answer")


def test_silent_streams_are_closed(start: Start, origin: Origin) -> None:
    server = start(Wispd("--udp-timeout", "0.3"))
    with open_client(server.port) as client:
        for stream in (1, 2):
            client.send(connect(stream, LOOPBACK, origin.udp.port), packets.data(stream, b"data"))
        received = [client.recv() for _ in range(4)]
        for stream in (1, 2):
            assert [packet for packet in received if packet.stream == stream] == [
                packets.data(stream, b"data"), packets.close(stream, packets.VOLUNTARY)]
        client.send(packets.data(1, b"late"))
        assert echo_works(client, origin)


def test_50_streams(client: WispClient, origin: Origin) -> None:
    streams = range(1, 51)
    for stream in streams:
        client.send(connect(stream, LOOPBACK, origin.udp.port))
    for stream in streams:
        client.send(packets.data(stream, payload(1000, stream)))
    received = {packet.stream: packet for packet in (client.recv() for _ in streams)}
    assert received == {stream: packets.data(stream, payload(1000, stream)) for stream in streams}
    for stream in streams:
        client.send(packets.close(stream, packets.VOLUNTARY))
    assert client.barrier() == []


def test_close_frees_the_socket(start: Start, origin: Origin) -> None:
    server = start(Wispd())
    with open_client(server.port) as client:
        assert echo_works(client, origin)
        before = server.descriptors()
        for stream in range(1, 101):
            client.send(connect(stream, LOOPBACK, origin.udp.port), packets.data(stream, b"data"))
            assert client.recv() == packets.data(stream, b"data")
            client.send(packets.close(stream, packets.VOLUNTARY))
        assert client.barrier() == []
        assert server.descriptors() <= before


def test_flood_of_datagrams(start: Start, origin: Origin) -> None:
    """While one client sends more than the server can handle, others are still served."""
    server = start(Wispd())
    over = False
    with open_client(server.port) as offender, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind((LOOPBACK, 0))
        offender.send(connect(STREAM, LOOPBACK, sink.getsockname()[1]))
        flood = offender.encode(packets.data(STREAM, b"x")) * 50_000

        def send() -> None:
            while not over:
                offender.send_raw(flood)

        sender = in_background(send)
        for _ in range(5):
            with open_client(server.port) as client:
                assert echo_works(client, origin)
        over = True
        sender.join()
