"""The counters, which USR1 and the end log."""

from __future__ import annotations

import socket
from typing import Callable

import packets
import socks
from bridge import Bridge
from counters import Counters, counters, last_counters
from fakeserver import FakeServer
from origin import Origin, payload
from procs import in_background, refusing_port, wait_until
from wispservers import Wispd

HOST, PORT = "example.test", 80


def test_nothing_yet(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(fake.url)
    bridge.addresses()
    nothing = Counters(0, 0, 0, 0, 0, None, 0, 0, 0, 0, 0, "no ping yet")
    assert counters(bridge) == nothing
    assert last_counters(bridge) == nothing


def test_known_traffic(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(fake.url)
    server = fake.accept_open()
    bridge.wait_connected()
    streams = []
    for number in range(6):
        program = bridge.dial(HOST, PORT, b"x" * (number + 1))
        streams.append((program, server.recv_connect().stream))
        assert server.recv_data(streams[-1][1], number + 1) == b"x" * (number + 1)
    for program, stream in streams[:2]:
        server.send(packets.data(stream, payload(1000)))
        socks.recv_exactly(program, 1000)
    seen = counters(bridge)
    assert seen == Counters(6, 6, 0, 6, 0, None, 21, 2000, 0, 1, 0, "no ping yet")
    for (program, stream), reason in zip(streams, (packets.REFUSED, packets.REFUSED,
                                                   packets.BLOCKED, packets.VOLUNTARY)):
        server.send(packets.close(stream, reason))
        socks.recv_to_end(program)
        program.close()
    wait_until(lambda: counters(bridge).programs == 2, "the programs are gone")
    seen = counters(bridge)
    assert seen[1:] == (6, 0, 2, 3, seen.reasons, 21, 2000, 0, 1, 0, "no ping yet")
    assert seen.reasons == "connection refused 2, blocked by the server's policy 1"
    assert last_counters(bridge)[:3] == (2, 6, 0)


def test_every_reason(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    """The list has each kind once, and fits."""
    bridge = wispsocks(fake.url)
    server = fake.accept_open()
    bridge.wait_connected()
    for reason in range(256):
        program = bridge.dial(HOST, PORT)
        server.send(packets.close(server.recv_connect().stream, reason))
        socks.recv_to_end(program)
        program.close()
    seen = counters(bridge)
    assert seen.failed == 255
    kinds = [kind.rsplit(" ", 1) for kind in seen.reasons.split(", ")]
    assert len({text for text, _ in kinds}) == len(kinds) == 14
    assert dict(kinds)["unknown"] == str(255 - 13)
    assert sum(int(count) for _, count in kinds) == 255


def test_reconnects(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    """The streams that a tunnel takes with it have failed."""
    bridge = wispsocks(fake.url)
    server = fake.accept_open()
    bridge.wait_connected()
    for _ in range(2):
        before = bridge.mark()
        bridge.dial(HOST, PORT)
        server.recv_connect()
        server.close()
        server = fake.accept_open()
        bridge.wait_connected(before)
    seen = counters(bridge)
    assert (seen.connections, seen.reconnects) == (3, 2)
    assert (seen.failed, seen.reasons, seen.open) == (2, "network error 2", 0)


def test_complete_requests(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    """A tunnel that dies takes nothing from programs that have had their answer and are gone."""
    bridge = wispsocks(fake.url, "-v")
    server = fake.accept_open()
    bridge.wait_connected()
    for answer, end in ((b"answer", socket.socket.close), (b"", socket.socket.close),
                        (b"answer", lambda sock: sock.shutdown(socket.SHUT_WR)),
                        (b"answer", None)):
        since = bridge.mark()
        program = bridge.dial(HOST, PORT, b"x")
        stream = server.recv_connect().stream
        assert server.recv_data(stream, 1) == b"x"
        if answer:
            server.send(packets.data(stream, answer))
            socks.recv_exactly(program, len(answer))
        if end:
            end(program)
            bridge.wait_log("the program has ended its data", since)
    server.close()
    bridge.wait_lost()
    seen = counters(bridge)
    assert (seen.tcp, seen.failed, seen.reasons) == (4, 3, "network error 3")


def test_ping(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(fake.url, "--ping-interval", "0.1")
    server = fake.accept_open()
    in_background(server.answer_pings)
    bridge.wait_connected()
    wait_until(lambda: counters(bridge).ping != "no ping yet", "a round trip")
    assert last_counters(bridge).ping.startswith("ping ")


def test_waiting_bytes(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    """Those that a program does not read, beyond what the kernel takes."""
    bridge = wispsocks(fake.url)
    server = fake.accept_open()
    bridge.wait_connected()
    program = bridge.dial(HOST, PORT, rcvbuf=32 * 1024)
    stream = server.recv_connect().stream
    size, part = 20_000_000, 50_000
    for at in range(0, size, part):
        server.send(packets.data(stream, payload(part, at)))
    assert server.barrier() == []
    seen = counters(bridge)
    assert seen.down == size and size // 2 < seen.waiting < size
    assert socks.recv_exactly(program, size) == payload(size)
    seen = counters(bridge)
    assert seen.down == size and seen.waiting == 0


def test_real_server(wispd: Wispd, origin: Origin, wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(f"ws://127.0.0.1:{wispd.port}/", "--ping-interval", "0.1")
    bridge.wait_connected()
    program = bridge.dial("127.0.0.1", origin.echo.port, b"12345")
    assert socks.recv_exactly(program, 5) == b"12345"
    with refusing_port() as port:
        assert socks.recv_to_end(bridge.dial("127.0.0.1", port)) == (b"", True)
    seen = wait_until(lambda: (now := counters(bridge)).ping != "no ping yet" and now,
                      "a round trip")
    assert seen[:-1] == (1, 2, 0, 1, 1, "connection refused 1", 5, 5, 0, 1, 0)
    assert float(seen.ping.split()[1]) < 60_000
