"""Streams that programs are told of only when the server has opened them: --wait-open."""

from __future__ import annotations

import re
import socket
from typing import Callable

import pytest

import packets
import socks
from bridge import Bridge
from fakeserver import FakeServer, Peer
from origin import Origin, payload_sha256, reset, sha256
from procs import REPOSITORY, refusing_port
from wispservers import Wispd

HOST, PORT = "example.test", 80
CONFIRMS = packets.extension(packets.CONFIRMATION)
GENERAL, NOT_ALLOWED, NETWORK, HOST_UNREACHABLE, REFUSED = 1, 2, 3, 4, 5
COMMAND = 7


def manual() -> dict[int, int]:
    """The replies that the manual's table has, by the server's reasons; -1 stands for any other."""
    page = (REPOSITORY / "man" / "wispsocks.1").read_text()
    table = re.search(r"\.Sh REPLIES\n.*?\.Bl -column(.*?)\.El", page, re.DOTALL)[1]
    found = {}
    for code, reasons in re.findall(r"^\.It .+ Ta (\d) Ta (.*)$", table, re.MULTILINE):
        for reason in re.findall(r"0x[0-9a-f]{2}", reasons):
            found[int(reason, 16)] = int(code)
        if "any other" in reasons:
            found[-1] = int(code)
    return found


REPLIES = manual()


@pytest.fixture
def opened(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> tuple[Bridge, Peer]:
    """A bridge that waits, and a server that confirms."""
    bridge = wispsocks(fake.url, "--wait-open", "-v")
    server = fake.accept()
    assert server.offer(CONFIRMS) == {packets.CONFIRMATION: b""}
    server.send(packets.credit(0, 128))
    bridge.wait_connected()
    return bridge, server


def ask(bridge: Bridge, server: Peer, data: bytes = b"") -> tuple[socket.socket, int]:
    """A program that has asked for a connection, and the stream for it."""
    program = bridge.connect(socks.opening(HOST, PORT) + data)
    stream = server.recv_connect().stream
    assert socks.recv_method(program) == socks.NO_AUTHENTICATION
    return program, stream


def test_manual_has_a_table() -> None:
    assert REPLIES == {-1: GENERAL, 0x03: NETWORK, 0x41: HOST_UNREACHABLE, 0x42: HOST_UNREACHABLE,
                       0x43: 6, 0x44: REFUSED, 0x48: NOT_ALLOWED}


def test_every_reason(opened: tuple[Bridge, Peer]) -> None:
    """Each gives the reply that the manual says, and the end of the connection, without a reset."""
    bridge, server = opened
    for reason in range(256):
        program, stream = ask(bridge, server, b"data")
        server.send(packets.close(stream, reason))
        reply = socks.recv_reply(program)
        assert reply.code == REPLIES.get(reason, REPLIES[-1]), f"reason {reason:#04x}"
        assert socks.recv_to_end(program) == (b"", False)
        program.close()
    assert server.barrier() == []


def test_success_after_continue(opened: tuple[Bridge, Peer]) -> None:
    """Not before, and the program's data stays with it until then."""
    bridge, server = opened
    program, stream = ask(bridge, server, b"data")
    assert server.barrier() == []
    assert not socks.readable(program)
    server.send(packets.credit(stream, 10))
    assert socks.recv_reply(program).code == socks.SUCCEEDED
    assert server.recv() == packets.data(stream, b"data")
    server.send(packets.data(stream, b"answer"), packets.close(stream, packets.VOLUNTARY))
    assert socks.recv_to_end(program) == (b"answer", False)


def test_data_is_as_good_as_continue(opened: tuple[Bridge, Peer]) -> None:
    bridge, server = opened
    program, stream = ask(bridge, server)
    server.send(packets.data(stream, b"early"))
    assert socks.recv_reply(program).code == socks.SUCCEEDED
    assert socks.recv_exactly(program, 5) == b"early"
    program.sendall(b"data")
    assert server.recv() == packets.data(stream, b"data")
    server.send(packets.credit(stream, 10))
    program.sendall(b"more")
    assert server.recv() == packets.data(stream, b"more")


def test_streams_do_not_wait_for_each_other(opened: tuple[Bridge, Peer]) -> None:
    bridge, server = opened
    asked = [ask(bridge, server) for _ in range(10)]
    for program, stream in reversed(asked):
        server.send(packets.credit(stream, 10))
        assert socks.recv_reply(program).code == socks.SUCCEEDED


def test_end_after_the_confirmation(opened: tuple[Bridge, Peer]) -> None:
    """A failure that comes then is a reset."""
    bridge, server = opened
    program, stream = ask(bridge, server)
    server.send(packets.credit(stream, 10), packets.close(stream, packets.REFUSED))
    assert socks.recv_reply(program).code == socks.SUCCEEDED
    assert socks.recv_to_end(program) == (b"", True)


def test_program_that_leaves(opened: tuple[Bridge, Peer]) -> None:
    """While it waits, or after: the server is told, and other programs are not disturbed."""
    bridge, server = opened
    program, stream = ask(bridge, server)
    reset(program)
    assert server.recv_type(packets.CLOSE).stream == stream
    server.send(packets.credit(stream, 10), packets.data(stream, b"too late"))

    program, stream = ask(bridge, server)
    program.close()
    server.send(packets.credit(stream, 10), packets.data(stream, b"for nobody"))
    assert server.recv_type(packets.CLOSE).stream == stream

    program, stream = ask(bridge, server)
    server.send(packets.credit(stream, 10))
    assert socks.recv_reply(program).code == socks.SUCCEEDED


def test_lost_tunnel(opened: tuple[Bridge, Peer], fake: FakeServer) -> None:
    """Those that wait for the server's word are told; later ones wait for the next tunnel."""
    bridge, server = opened
    waiting = [ask(bridge, server)[0] for _ in range(3)]
    server.close()
    for program in waiting:
        assert socks.recv_reply(program).code == REPLIES[packets.NETWORK_ERROR]
        assert socks.recv_to_end(program) == (b"", False)
    program = bridge.connect(socks.opening(HOST, PORT))
    server = fake.accept_open(2, offered=CONFIRMS)
    stream = server.recv_connect().stream
    server.send(packets.credit(stream, 10))
    assert socks.recv_opening(program).code == socks.SUCCEEDED


@pytest.mark.parametrize("version, offered, options", [
    (1, b"", ["--wait-open"]), (2, b"", ["--wait-open"]), (2, CONFIRMS, []),
    (1, b"", ["--wait-open", "--wisp", "1"]),
], ids=["v1", "not offered", "not asked for", "--wisp 1"])
def test_answered_at_once(fake: FakeServer, version: int, offered: bytes, options: list[str],
                          wispsocks: Callable[..., Bridge]) -> None:
    """Where nothing will be confirmed, or is not to be."""
    bridge = wispsocks(fake.url, *options)
    server = fake.accept()
    if version == 2:
        assert server.offer(offered) == {}
    else:
        server.upgrade()
    server.send(packets.credit(0, 10))
    bridge.wait_connected()
    bridge.dial(HOST, PORT)


def test_udp_that_the_server_does_not_have(fake: FakeServer,
                                           wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(fake.url)
    fake.accept_open(2)
    bridge.wait_connected()
    program = bridge.connect(socks.greeting(0) + socks.request("0.0.0.0", 0, socks.UDP_ASSOCIATE))
    assert socks.recv_opening(program).code == COMMAND


# With a real server, and what curl makes of it


def curl_reply(bridge: Bridge, url: str) -> int:
    """The reply that curl complains of."""
    result = bridge.curl(url)
    assert result.code == 97, result
    return int(re.search(r"SOCKS5 connection to .*\((\d+)\)", result.errors)[1])


def test_wispd(wispd: Wispd, public_only: Wispd, origin: Origin,
               wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(f"ws://127.0.0.1:{wispd.port}/", "--wait-open")
    bridge.wait_connected()
    with refusing_port() as port:
        assert curl_reply(bridge, f"http://127.0.0.1:{port}/") == REFUSED
    assert curl_reply(bridge, "http://no-such-host.invalid/") == HOST_UNREACHABLE
    result = bridge.curl(origin.url("bytes/3000000"))
    assert sha256(result.output) == payload_sha256(3_000_000), result.errors
    bridge = wispsocks(f"ws://127.0.0.1:{public_only.port}/", "--wait-open")
    assert curl_reply(bridge, origin.url("empty")) == NOT_ALLOWED


def test_wispd_without_waiting(wispd: Wispd, wispsocks: Callable[..., Bridge]) -> None:
    """The same is a reset then, which may overtake the reply; the log has the reason."""
    bridge = wispsocks(f"ws://127.0.0.1:{wispd.port}/", "-v")
    bridge.wait_connected()
    with refusing_port() as port:
        assert bridge.curl(f"http://127.0.0.1:{port}/").code in (52, 55, 56, 97)
    bridge.wait_log(r"^debug: stream \d+: connection refused \(0x44\)")


def test_many_with_wispd(wispd: Wispd, origin: Origin, wispsocks: Callable[..., Bridge]) -> None:
    """50 at once, half of them to a port that refuses."""
    bridge = wispsocks(f"ws://127.0.0.1:{wispd.port}/", "--wait-open")
    bridge.wait_connected()
    with refusing_port() as port:
        programs = [bridge.connect(socks.opening("127.0.0.1", port if number % 2 else
                                                 origin.echo.port) + b"data")
                    for number in range(50)]
        for number, program in enumerate(programs):
            code = socks.recv_opening(program).code
            assert code == (REFUSED if number % 2 else socks.SUCCEEDED)
            if code == socks.SUCCEEDED:
                assert socks.recv_exactly(program, 4) == b"data"
