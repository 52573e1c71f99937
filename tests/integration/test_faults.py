"""Servers that fail, lie, hang or go away: what programs see, what the log says, what is retried.
"""

from __future__ import annotations

import re
import signal
from contextlib import ExitStack
from typing import Callable

import pytest

import frames
import packets
import socks
from bridge import Bridge
from conftest import Start
from curl import finish_curl
from fakeserver import FakeServer
from origin import Origin, payload, payload_sha256, sha256, sized
from procs import free_port, in_background, refusing_port, rest, wait_until
from wispservers import Wispd, start_server

HOST, PORT = "example.test", 80
NEXT_TRY = r"; next try in \d+(\.\d+)? s"
CUT_OFF = 1_000_000


def check_works(bridge: Bridge, origin: Origin) -> None:
    """The bridge works: a program gets the answer to its request."""
    data = payload(1000)
    program = bridge.dial("127.0.0.1", origin.digest.port, sized(data))
    assert socks.recv_to_end(program) == (sha256(data).encode(), False)


# The server and the network


@pytest.mark.parametrize("kind", ["wisp-js-v2", "wisp-python", "wispd-v2"])
def test_server_killed_in_the_middle(start: Start, origin: Origin, kind: str,
                                     wispsocks: Callable[..., Bridge]) -> None:
    """Of 20 transfers each fails: none looks like a short success. Then the server comes back."""
    with ExitStack() as stack:
        server = stack.enter_context(start_server(kind))
        bridge = wispsocks(f"ws://127.0.0.1:{server.port}/")
        gate = origin.http.gate(f"killed-{kind}")
        transfers = [bridge.start_curl(origin.url(f"gated/killed-{kind}/{CUT_OFF}"))
                     for _ in range(20)]
        gate.wait_arrivals(len(transfers))
        before = bridge.mark()
        server.kill()
        results = [finish_curl(transfer) for transfer in transfers]
        gate.open()
    assert all(result.code != 0 for result in results), results
    bridge.wait_lost(since=before)

    start(start_server(kind, server.port))
    bridge.wait_connected(since=before)
    result = bridge.curl(origin.url(f"bytes/{CUT_OFF}/0"))
    assert result.code == 0, result.errors
    assert sha256(result.output) == payload_sha256(CUT_OFF)


@pytest.mark.parametrize("kind", ["wisp-js-v2", "wispd-v2"])
def test_server_stopped_and_continued(start: Start, origin: Origin, kind: str,
                                      wispsocks: Callable[..., Bridge]) -> None:
    """A transfer goes on where it was."""
    server = start(start_server(kind))
    bridge = wispsocks(f"ws://127.0.0.1:{server.port}/")
    gate = origin.http.gate(f"stopped-{kind}")
    transfer = bridge.start_curl(origin.url(f"gated/stopped-{kind}/{CUT_OFF}"))
    gate.wait_arrivals(1)
    server.signal(signal.SIGSTOP)
    gate.open()
    program = bridge.dial("127.0.0.1", origin.digest.port, sized(payload(1000)))
    server.signal(signal.SIGCONT)
    result = finish_curl(transfer)
    assert result.code == 0, result.errors
    assert sha256(result.output) == payload_sha256(CUT_OFF)
    assert socks.recv_to_end(program).data.decode() == payload_sha256(1000)
    assert not bridge.find_log("disconnected")


def test_dead_tunnel(start: Start, origin: Origin, wispsocks: Callable[..., Bridge]) -> None:
    """When nothing at all arrives for two ping intervals the tunnel is given up, and tried again.
    """
    server = start(Wispd())
    bridge = wispsocks(f"ws://127.0.0.1:{server.port}/", "--ping-interval", "1")
    program = bridge.dial("127.0.0.1", origin.echo.port, b"data")
    assert socks.recv_exactly(program, 4) == b"data"
    before = bridge.mark()
    server.signal(signal.SIGSTOP)
    lost = bridge.wait_log(r"disconnected from \S+: .*heard.* for (\S+) s" + NEXT_TRY,
                           since=before)
    assert 1.9 <= float(lost.group(1)) < 2.6
    assert socks.recv_to_end(program) == (b"", True)
    server.signal(signal.SIGCONT)
    bridge.wait_connected(since=before)
    check_works(bridge, origin)


def test_bridge_stopped_and_continued(start: Start, origin: Origin,
                                      wispsocks: Callable[..., Bridge]) -> None:
    """Its own silence says nothing about the server."""
    server = start(Wispd())
    bridge = wispsocks(f"ws://127.0.0.1:{server.port}/", "--ping-interval", "0.5")
    program = bridge.dial("127.0.0.1", origin.echo.port, b"data")
    assert socks.recv_exactly(program, 4) == b"data"
    bridge.signal(signal.SIGSTOP)
    program.sendall(b"more")
    rest(2)  # longer than the silence that ends a tunnel
    bridge.signal(signal.SIGCONT)
    assert socks.recv_exactly(program, 4) == b"more"
    assert not bridge.find_log("disconnected")


def test_refused_port_is_tried_again(start: Start, origin: Origin,
                                     wispsocks: Callable[..., Bridge]) -> None:
    """A bridge may be started before its server."""
    with refusing_port() as port:
        bridge = wispsocks(f"ws://127.0.0.1:{port}/")
        bridge.wait_log(rf"cannot connect to ws://127.0.0.1:{port}/: .*(?i:refused).*{NEXT_TRY}")
    start(Wispd(port=port))
    bridge.wait_connected()
    check_works(bridge, origin)


def test_unknown_host_is_tried_again(wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks("ws://no-such-host.invalid/")
    bridge.wait_log(r"cannot connect to ws://no-such-host.invalid/: .+" + NEXT_TRY)


def test_connection_that_ends_before_an_answer(fake: FakeServer,
                                               wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(fake.url)
    fake.accept().close()
    bridge.wait_log(rf"cannot connect to {fake.url}: .+{NEXT_TRY}")
    fake.accept_open()
    bridge.wait_connected()


def test_each_new_failure_waits_longer(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    """From half a second on, doubled each time: the bounds are for the jitter."""
    bridge = wispsocks(fake.url)
    for _ in range(4):
        fake.accept().close()
    pattern = r"next try in (\S+) s"
    wait_until(lambda: len(re.findall(pattern, bridge.log)) == 4, "four failures in the log")
    first, *_, fourth = map(float, re.findall(pattern, bridge.log))
    assert 0 < first <= 1
    assert 2 <= fourth <= 8


def test_no_long_wait_while_a_program_waits(fake: FakeServer,
                                            wispsocks: Callable[..., Bridge]) -> None:
    """It is tried again every two seconds at least: the program has only so much patience."""
    bridge = wispsocks(fake.url, "--connect-timeout", "600")
    program = bridge.connect(socks.opening(HOST, PORT))
    for _ in range(5):
        fake.accept().close()
    fake.accept_open().recv_connect()
    assert socks.recv_opening(program).code == socks.SUCCEEDED
    waits = list(map(float, re.findall(r"next try in (\S+) s", bridge.log)))
    assert len(waits) == 5 and max(waits) <= 2


def test_connection_that_stood_resets_the_wait(fake: FakeServer,
                                               wispsocks: Callable[..., Bridge]) -> None:
    """Its loss is followed by the shortest wait again; that of a short one is not."""
    bridge = wispsocks(fake.url)
    for _ in range(3):
        fake.accept().close()
    for stood, shortest, longest in ((0, 3, 4), (2.5, 0.3, 0.5)):  # seconds; 2 make a good one
        server = fake.accept_open()
        bridge.wait_connected(since=bridge.mark() - 1)
        before = bridge.mark()
        rest(stood)
        server.close()
        delay = bridge.wait_log(r"disconnected from .+; next try in (\S+) s", since=before).group(1)
        assert shortest <= float(delay) <= longest


# Answers that are no upgrade


@pytest.mark.parametrize("status", ["400 Bad Request", "401 Unauthorized",
                                    "403 Forbidden", "404 Not Found", "426 Upgrade Required"])
def test_hopeless_answer_ends_the_program(fake: FakeServer, status: str,
                                          wispsocks: Callable[..., Bridge]) -> None:
    """Waiting does not make it better, so it is said at once, with the number."""
    bridge = wispsocks(fake.url)
    fake.accept().answer(status, 'WWW-Authenticate: Digest realm="a", nonce="b"')
    assert bridge.wait_exit() == 1
    bridge.wait_log(rf"^error: .*{status[:3]}")


@pytest.mark.parametrize("status", ["500 Internal Server Error", "502 Bad Gateway",
                                    "503 Service Unavailable", "504 Gateway Timeout"])
def test_failing_server_is_tried_again(fake: FakeServer, status: str,
                                       wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(fake.url)
    fake.accept().answer(status)
    bridge.wait_log(rf"cannot connect to {fake.url}: .*{status[:3]}.*{NEXT_TRY}")
    fake.accept_open()
    bridge.wait_connected()


def test_hopeless_answer_later_on_is_tried_again(fake: FakeServer,
                                                 wispsocks: Callable[..., Bridge]) -> None:
    """What worked once may work again."""
    bridge = wispsocks(fake.url)
    server = fake.accept_open()
    bridge.wait_connected()
    before = bridge.mark()
    server.close()
    fake.accept().answer("401 Unauthorized")
    bridge.wait_log(rf"cannot connect to {fake.url}: .*401.*{NEXT_TRY}", since=before)
    fake.accept_open()
    bridge.wait_connected(since=before)


def test_wrong_accept_key(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(fake.url)
    fake.accept().upgrade(accept="d3JvbmcgYWNjZXB0IGtleSE=")
    assert bridge.wait_exit() == 1
    bridge.wait_log(r"^error: .*(?i:accept)")


@pytest.mark.parametrize("connection", [(), ("close",), ("keep-alive, Upgrades",)],
                         ids=str)
def test_wrong_connection_header(fake: FakeServer, connection: tuple[str, ...],
                                 wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(fake.url)
    fake.accept().upgrade(connection=connection)
    assert bridge.wait_exit() == 1
    bridge.wait_log(r"^error: .*Connection header")


@pytest.mark.parametrize("connection", [("upgrade",), ("keep-alive, UPGRADE",),
                                        ("keep-alive", "Upgrade")], ids=str)
def test_connection_header_is_a_list(fake: FakeServer, connection: tuple[str, ...],
                                     wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(fake.url)
    server = fake.accept()
    server.upgrade(connection=connection)
    server.send(packets.credit(0, 128))
    bridge.wait_connected()


# A WebSocket that is no Wisp


@pytest.mark.parametrize("answers_pings", [False, True], ids=["silent", "answers pings"])
def test_never_continue(fake: FakeServer, answers_pings: bool,
                        wispsocks: Callable[..., Bridge]) -> None:
    """A server that upgrades and then never says CONTINUE is given up, and tried again."""
    bridge = wispsocks(fake.url, "--ping-interval", "0.5")
    server = fake.accept()
    server.upgrade()
    if answers_pings:
        in_background(server.answer_pings)
    bridge.wait_log(rf"(cannot connect to|disconnected from) {fake.url}: .+{NEXT_TRY}")
    fake.accept_open()
    bridge.wait_connected()


@pytest.mark.parametrize("behind", [
    pytest.param(b"\xff" * 1000, id="garbage"),
    pytest.param(frames.encode(frames.BINARY, b"hi"), id="short packet"),
    pytest.param(frames.encode(frames.BINARY, packets.data(1, b"x").encode()), id="DATA first"),
])
def test_garbage_instead_of_a_handshake(fake: FakeServer, behind: bytes,
                                        wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(fake.url, "--retry-always")
    fake.accept().upgrade(behind=behind)
    bridge.wait_log(rf"(cannot connect to|disconnected from) {fake.url}: .+{NEXT_TRY}")
    assert not bridge.find_log("^connected")
    fake.accept_open()
    bridge.wait_connected()


# Programs while the tunnel is down


def test_program_waits_for_the_tunnel_and_fails(wispsocks: Callable[..., Bridge]) -> None:
    with refusing_port() as port:
        bridge = wispsocks(f"ws://127.0.0.1:{port}/", "--connect-timeout", "0.5")
        bridge.wait_lost()
        program = bridge.connect(socks.opening(HOST, PORT))
        assert socks.recv_opening(program).code not in (socks.SUCCEEDED,
                                                        socks.COMMAND_NOT_SUPPORTED,
                                                        socks.ADDRESS_TYPE_NOT_SUPPORTED)
        assert socks.recv_to_end(program).data == b""


def test_program_waits_for_the_tunnel_and_is_served(start: Start, origin: Origin,
                                                    wispsocks: Callable[..., Bridge]) -> None:
    """Nothing it has sent meanwhile is lost."""
    data = payload(100_000)
    port = free_port()
    bridge = wispsocks(f"ws://127.0.0.1:{port}/", "--connect-timeout", "120")
    bridge.wait_lost()
    programs = [bridge.connect(socks.opening("127.0.0.1", origin.digest.port) + sized(data))
                for _ in range(10)]
    start(Wispd(port=port))
    for program in programs:
        assert socks.recv_opening(program).code == socks.SUCCEEDED
        assert socks.recv_to_end(program) == (sha256(data).encode(), False)


# The end of the bridge itself


def test_term_with_open_streams(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    """It stops with exit code 0; programs and server see the end."""
    bridge = wispsocks(fake.url)
    server = fake.accept_open()
    programs = [bridge.dial(HOST, PORT) for _ in range(10)]
    programs.append(bridge.connect(socks.greeting(socks.NO_AUTHENTICATION)))
    for _ in range(10):
        server.recv_connect()
    assert bridge.terminate() == 0
    for program in programs:
        socks.recv_to_end(program)
    server.recv_end()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_stop_while_the_server_is_away(number: signal.Signals,
                                       wispsocks: Callable[..., Bridge]) -> None:
    with refusing_port() as port:
        bridge = wispsocks(f"ws://127.0.0.1:{port}/")
        bridge.wait_lost()
        bridge.connect(socks.opening(HOST, PORT))
        bridge.signal(number)
        assert bridge.wait_exit() == 0


def test_stop_during_the_handshake(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(fake.url)
    fake.accept()
    assert bridge.terminate() == 0
