"""How data moves: credit, back pressure, the order of streams, bounds on memory, and ends.

The server is one whose every packet the test decides.
"""

from __future__ import annotations

import socket
from typing import Callable, Iterable

import pytest

import packets
import socks
from bridge import Bridge
from conftest import Start
from fakeserver import FakeServer, Peer
from origin import payload, reset, sha256
from procs import in_background, rest

HOST, PORT = "example.test", 80
UNLIMITED = 0xffffffff
MIB = 1 << 20
#: Small socket buffers, so that little is hidden in the kernel.
SMALL_BUFFER = 32 * 1024
PACKET_SIZE = 16 * 1024


def dial(bridge: Bridge, server: Peer, data: bytes = b"", rcvbuf: int = 0,
         sndbuf: int = 0) -> tuple[socket.socket, int]:
    """A program's connection and the id of its stream."""
    program = bridge.dial(HOST, PORT, data, rcvbuf, sndbuf)
    return program, server.recv_connect().stream


def send_payload(server: Peer, stream: int, data: memoryview) -> None:
    for position in range(0, len(data), PACKET_SIZE):
        server.send(packets.data(stream, data[position:position + PACKET_SIZE]))


def data_only(received: Iterable[packets.Packet], stream: int) -> list[bytes]:
    """The payloads of packets that all have to be DATA of one stream."""
    assert all(packet[:2] == (packets.DATA, stream) for packet in received), received
    return [packet.payload for packet in received]


def test_credit_is_respected(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    """Exactly as many DATA packets as the CONTINUE allows, first for the stream's start."""
    bridge = wispsocks(fake.url)
    server = fake.accept_open(credit=3)
    program, stream = dial(bridge, server)
    data = payload(4 * MIB)
    sender = in_background(lambda: program.sendall(data))
    received = []
    for credit in (3, 1, 2, 5):
        if credit != 3:
            server.send(packets.credit(stream, credit))
        for _ in range(credit):
            received += data_only([server.recv()], stream)
        assert server.barrier() == []
    server.send(packets.credit(stream, UNLIMITED))
    rest_of_it = server.recv_data(stream, len(data) - sum(map(len, received)))
    assert b"".join(received) + rest_of_it == data
    sender.join()


def test_continue_replaces_the_credit(fake: FakeServer,
                                      wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(fake.url)
    server = fake.accept_open(credit=3)
    program, stream = dial(bridge, server, b"first")
    assert data_only([server.recv()], stream) == [b"first"]
    server.send(packets.credit(stream, 2))
    assert server.barrier() == []
    socks.send_until_blocked([program], payload(MIB))
    for _ in range(2):
        server.recv_type(packets.DATA, stream)
    assert server.barrier() == []


def test_credit_of_one_stream_is_no_other_streams(fake: FakeServer,
                                                  wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(fake.url)
    server = fake.accept_open(credit=1)
    spent, first = dial(bridge, server, b"one")
    assert data_only([server.recv()], first) == [b"one"]
    spent.sendall(b"two")
    assert server.barrier() == []
    fresh, second = dial(bridge, server, b"three")
    assert data_only([server.recv()], second) == [b"three"]
    server.send(packets.credit(first, 1))
    assert data_only([server.recv()], first) == [b"two"]


def test_packets_have_at_most_64_kib(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    """A stream that waits for credit makes its packets large, but never larger than that."""
    bridge = wispsocks(fake.url)
    server = fake.accept_open(credit=1)
    program, stream = dial(bridge, server)
    data = payload(8 * MIB)
    sender = in_background(lambda: program.sendall(data))
    sizes, received = [], bytearray()
    while len(received) < len(data):
        part = server.recv_type(packets.DATA, stream).payload
        received += part
        sizes.append(len(part))
        server.barrier()
        server.send(packets.credit(stream, 1))
    assert received == data
    assert max(sizes) <= packets.MAX_DATA
    # Between a packet and its credit the program's next bytes have had time to arrive: nearly all
    # packets are full then. The bound leaves room for a start in small pieces.
    assert len(data) / len(sizes) >= packets.MAX_DATA / 2
    sender.join()


def test_upload_is_pulled(start: Start, wispsocks: Callable[..., Bridge]) -> None:
    """When the server does not read, the program cannot send either: nothing piles up between.

    What is taken from the program fits into socket buffers: its own, those of its connection at
    the bridge, and those of the tunnel, each at most a few megabytes and small at the outer ends.
    """
    fake = start(FakeServer(rcvbuf=SMALL_BUFFER))
    bridge = wispsocks(fake.url)
    server = fake.accept_open(credit=UNLIMITED)
    program, stream = dial(bridge, server, sndbuf=SMALL_BUFFER)
    data = payload(64 * MIB)
    before = bridge.rss()
    taken = socks.send_until_blocked([program], data)
    assert taken < 8 * MIB
    assert bridge.rss() - before < 8 * MIB

    sender = in_background(lambda: program.sendall(data[taken:]))
    assert sha256(server.recv_data(stream, len(data))) == sha256(data)
    sender.join()


def test_short_flows_go_first(start: Start, wispsocks: Callable[..., Bridge]) -> None:
    """A byte of a new stream overtakes what many uploads have waiting.

    While the server reads nothing, 32 programs upload until none can send any more, and then
    another one sends a byte. When the server reads on, what may come before that byte is what had
    already left: the tunnel's socket buffers, which are small (the fake server's is set, and the
    bridge keeps its own low), and what the bridge has ready to write. Had each upload only one of
    its packets sent first, it would be 2 MiB.
    """
    fake = start(FakeServer(rcvbuf=SMALL_BUFFER))
    bridge = wispsocks(fake.url)
    server = fake.accept_open(credit=UNLIMITED)
    uploads = [dial(bridge, server, sndbuf=SMALL_BUFFER)[0] for _ in range(32)]
    assert socks.send_until_blocked(uploads, payload(16 * MIB)) > 2 * MIB

    bridge.dial(HOST, PORT + 1, b"k")
    overtaken = 0
    while (packet := server.recv()).type != packets.CONNECT:
        overtaken += len(packet.payload)
    assert packet.destination == (packets.TCP, PORT + 1, HOST.encode())
    packet, before = server.recv_until(packets.DATA, packet.stream)
    assert packet.payload == b"k"
    overtaken += sum(len(other.payload) for other in before)
    assert overtaken < MIB


def test_uploads_share_the_tunnel(start: Start, wispsocks: Callable[..., Bridge]) -> None:
    """Of several uploads none waits for the end of another."""
    fake = start(FakeServer(rcvbuf=SMALL_BUFFER))
    bridge = wispsocks(fake.url)
    server = fake.accept_open(credit=UNLIMITED)
    data = payload(8 * MIB)
    programs = dict(reversed(dial(bridge, server)) for _ in range(4))
    for program in programs.values():
        in_background(lambda program=program: program.sendall(data))
    received = dict.fromkeys(programs, 0)
    while max(received.values()) < len(data):
        packet = server.recv_type(packets.DATA)
        received[packet.stream] += len(packet.payload)
    assert min(received.values()) > MIB


def test_stalled_reader_within_the_budget(fake: FakeServer,
                                          wispsocks: Callable[..., Bridge]) -> None:
    """A program that does not read holds up no other as long as the budget lasts."""
    bridge = wispsocks(fake.url, "--buffer-limit", "64M")
    server = fake.accept_open()
    stalled, first = dial(bridge, server, rcvbuf=SMALL_BUFFER)
    other, second = dial(bridge, server)
    data = payload(16 * MIB)
    sender = in_background(lambda: (send_payload(server, first, data),
                                    send_payload(server, second, data),
                                    server.send(packets.close(second, packets.VOLUNTARY))))
    assert sha256(socks.recv_to_end(other).data) == sha256(data)
    sender.join()
    server.send(packets.close(first, packets.VOLUNTARY))
    assert sha256(socks.recv_to_end(stalled).data) == sha256(data)


def test_stalled_reader_beyond_the_budget(fake: FakeServer,
                                          wispsocks: Callable[..., Bridge]) -> None:
    """It is closed with the reason for it, and the others go on; memory stays in its bound."""
    bridge = wispsocks(fake.url, "--buffer-limit", "1M", "--stall-timeout", "0.5")
    server = fake.accept_open()
    stalled, first = dial(bridge, server, rcvbuf=SMALL_BUFFER)
    other, second = dial(bridge, server)
    before = bridge.rss()

    flood, data = payload(40 * MIB), payload(20_000_000)
    sender = in_background(lambda: (send_payload(server, first, flood),
                                    send_payload(server, second, data),
                                    server.send(packets.close(second, packets.VOLUNTARY))))
    received = socks.recv_to_end(other)
    assert (sha256(received.data), received.was_reset) == (sha256(data), False)
    sender.join()
    assert server.recv() == packets.close(first, packets.CLIENT_OVERWHELMED)
    assert bridge.rss() - before < 16 * MIB
    cut = socks.recv_to_end(stalled)
    assert cut.was_reset and len(cut.data) < len(flood)


def test_paused_tunnel_is_not_dead(fake: FakeServer,
                                   wispsocks: Callable[..., Bridge]) -> None:
    """While the bridge itself does not read, silence says nothing about the server."""
    interval = 0.3
    data = payload(80 * MIB)  # which takes longer than the silence that ends a tunnel
    bridge = wispsocks(fake.url, "--buffer-limit", "1M", "--ping-interval", str(interval))
    server = fake.accept_open()
    program, stream = dial(bridge, server, rcvbuf=SMALL_BUFFER)
    in_background(server.answer_pings)
    sender = in_background(lambda: send_payload(server, stream, data))
    rest(4 * interval)
    assert sender.is_alive(), "the bridge should have stopped reading"
    assert not bridge.find_log("disconnected")
    # Comparing that much would keep Python from answering pings.
    assert sha256(socks.recv_exactly(program, len(data))) == sha256(data)
    sender.join()
    assert not bridge.find_log("disconnected")


def test_data_before_a_voluntary_close_arrives(fake: FakeServer,
                                               wispsocks: Callable[..., Bridge]) -> None:
    """All of it, also to a program that starts to read only after the CLOSE."""
    bridge = wispsocks(fake.url)
    server = fake.accept_open()
    program, stream = dial(bridge, server, rcvbuf=SMALL_BUFFER)
    data = payload(16 * MIB)
    send_payload(server, stream, data)
    server.send(packets.close(stream, packets.VOLUNTARY))
    server.barrier()
    received = socks.recv_to_end(program)
    assert (sha256(received.data), received.was_reset) == (sha256(data), False)


@pytest.mark.parametrize("reason", [0x03, 0x41, 0x42, 0x43, 0x44, 0x47, 0x48, 0x49, 0xee],
                         ids=hex)
@pytest.mark.parametrize("size", [0, 1000])
def test_cut_off_stream_is_reset(fake: FakeServer, reason: int, size: int,
                                 wispsocks: Callable[..., Bridge]) -> None:
    """Any other reason than the voluntary one looks like a failure, known or not."""
    bridge = wispsocks(fake.url)
    server = fake.accept_open()
    program, stream = dial(bridge, server)
    if size:
        server.send(packets.data(stream, payload(size)))
        assert socks.recv_exactly(program, size) == payload(size)
    server.send(packets.close(stream, reason))
    assert socks.recv_to_end(program) == (b"", True)


def test_streams_are_reset_with_the_tunnel(fake: FakeServer,
                                           wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(fake.url)
    server = fake.accept_open()
    programs = [dial(bridge, server)[0] for _ in range(10)]
    server.close()
    for program in programs:
        assert socks.recv_to_end(program) == (b"", True)
    bridge.wait_lost()


def test_local_end_does_not_end_the_stream(fake: FakeServer,
                                           wispsocks: Callable[..., Bridge]) -> None:
    """The data before it arrives, no CLOSE is sent, and the answer gets through."""
    bridge = wispsocks(fake.url)
    server = fake.accept_open()
    program, stream = dial(bridge, server)
    request, answer = payload(200_000), payload(300_000, 1)
    program.sendall(request)
    program.shutdown(socket.SHUT_WR)
    assert server.recv_data(stream, len(request)) == request
    assert server.barrier() == []
    send_payload(server, stream, answer)
    server.send(packets.close(stream, packets.VOLUNTARY))
    assert socks.recv_to_end(program) == (answer, False)


def test_reset_by_the_program_closes_the_stream(fake: FakeServer,
                                                wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(fake.url)
    server = fake.accept_open()
    program, stream = dial(bridge, server)
    other, second = dial(bridge, server)
    reset(program)
    server.recv_type(packets.CLOSE, stream)
    other.sendall(b"still here")
    assert server.recv() == packets.data(second, b"still here")


def test_packets_that_crossed_a_close(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    """Packets for streams that are gone, or never were, disturb nothing."""
    bridge = wispsocks(fake.url)
    server = fake.accept_open()
    program, gone = dial(bridge, server)
    other, stream = dial(bridge, server)
    server.send(packets.close(gone, packets.VOLUNTARY))
    assert socks.recv_to_end(program) == (b"", False)
    program.close()
    for unknown in (gone, 0x7fffffff, 0xffffffff):
        server.send(packets.data(unknown, b"late"), packets.credit(unknown, 1),
                    packets.close(unknown, packets.NETWORK_ERROR))
    server.send(packets.data(stream, b"in time"))
    assert socks.recv_exactly(other, 7) == b"in time"
    assert server.barrier() == []


def test_idle_timeout(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    """A stream on which nothing moves is closed, towards both sides."""
    bridge = wispsocks(fake.url, "--idle-timeout", "0.5")
    server = fake.accept_open()
    program, stream = dial(bridge, server)
    server.recv_type(packets.CLOSE, stream)
    socks.recv_to_end(program)
