"""The upgrade: what the request says, what is an answer to it, and the cookies of redirects."""

from __future__ import annotations

import subprocess
from typing import Callable

import pytest

import packets
from bridge import Bridge
from certs import Authority, Certificate
from conftest import Start
from fakeserver import FakeServer, Peer
from frames import accept_key
from procs import BUILD, GUARD, clean_environment

OK = "HTTP/1.1 101 Switching Protocols"


@pytest.fixture(params=[False, True], ids=["ws", "wss"])
def server(request: pytest.FixtureRequest, start: Start, certificate: Certificate) -> FakeServer:
    return start(FakeServer(certificate.context() if request.param else None))


@pytest.fixture
def connect(server: FakeServer, authority: Authority,
            wispsocks: Callable[..., Bridge]) -> Callable[..., Bridge]:
    return lambda *options: wispsocks(server.url_at("localhost"), "--cacert", authority.cacert,
                                      *options)


def answer(peer: Peer, head: str, behind: bytes = b"") -> None:
    """Send the lines of HEAD, with the right key for {accept}, and BEHIND in the same write."""
    accept = accept_key(peer.headers["sec-websocket-key"])
    lines = head.format(accept=accept).split("\n")
    peer.send_raw("\r\n".join([*lines, "", ""]).encode() + behind)


def check_carries(bridge: Bridge, peer: Peer) -> None:
    """A stream's bytes arrive in both directions."""
    program = bridge.dial("127.0.0.1", 9, b"up")
    stream = peer.recv_connect().stream
    assert peer.recv_type(packets.DATA, stream).payload == b"up"
    peer.send(packets.data(stream, b"down"))
    assert program.recv(4) == b"down"


def test_request_has_one_connection_header(server: FakeServer,
                                           connect: Callable[..., Bridge]) -> None:
    """Strict servers, and fronts that pass it on, refuse an upgrade that says `close` beside."""
    connect()
    peer = server.accept()
    named = [line for line in peer.header_lines if line.lower().startswith("connection:")]
    assert named == ["Connection: Upgrade"]
    assert peer.request_line == "GET / HTTP/1.1"
    peer.open()


@pytest.mark.parametrize("head", [
    f"{OK}\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: {{accept}}\n"
    "Content-Length: 0",
    f"{OK}\nContent-Length: 17\nUpgrade: websocket\nConnection: Upgrade\n"
    "Sec-WebSocket-Accept: {accept}",
    f"{OK}\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: {{accept}}\n"
    "Transfer-Encoding: chunked",
    f"{OK}\nUpgrade: \twebsocket \t\nConnection:\tUpgrade  \n"
    "Sec-WebSocket-Accept: \t {accept} \t ",
    f"{OK}\nUpgrade:websocket\nConnection:Upgrade\nSec-WebSocket-Accept:{{accept}}",
    f"{OK}\nUPGRADE: WebSocket\nConnection: keep-alive\nCONNECTION: x, uPGRADE ,y\n"
    "sec-websocket-accept: {accept}",
    f"HTTP/1.1 101\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: {{accept}}",
    f"HTTP/1.1 100 Continue\n\n{OK}\nUpgrade: websocket\nConnection: Upgrade\n"
    "Sec-WebSocket-Accept: {accept}",
    "HTTP/1.1 103 Early Hints\nLink: </x>; rel=preload\n\nHTTP/1.1 103 Early Hints\nLink: </y>\n\n"
    f"{OK}\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: {{accept}}",
    f"{OK}\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: {{accept}}\n"
    f"X-Long: {16_000 * 'x'}",
], ids=["length 0", "length", "chunked", "white space", "no white space", "lists", "no reason",
        "100", "103", "long"])
def test_answers_that_open_the_tunnel(server: FakeServer, connect: Callable[..., Bridge],
                                      head: str) -> None:
    """And what stands behind them, in the same write or later, is the tunnel's."""
    bridge = connect()
    peer = server.accept()
    answer(peer, head)
    peer.send(packets.credit(0, 128))
    bridge.wait_connected()
    check_carries(bridge, peer)


@pytest.mark.parametrize("length", ["Content-Length: 0", "Transfer-Encoding: chunked"])
def test_packets_right_behind_the_answer(server: FakeServer, connect: Callable[..., Bridge],
                                         length: str) -> None:
    bridge = connect()
    peer = server.accept()
    answer(peer, f"{OK}\nUpgrade: websocket\nConnection: Upgrade\n"
                 f"Sec-WebSocket-Accept: {{accept}}\n{length}",
           peer.encode(packets.credit(0, 128)))
    bridge.wait_connected()
    check_carries(bridge, peer)


def test_answer_in_single_bytes(server: FakeServer, connect: Callable[..., Bridge]) -> None:
    bridge = connect()
    peer = server.accept()
    accept = accept_key(peer.headers["sec-websocket-key"])
    head = (f"HTTP/1.1 103 Early Hints\r\n\r\n{OK}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n")
    for byte in head.encode():
        peer.send_raw(bytes([byte]))
    peer.send(packets.credit(0, 128))
    bridge.wait_connected()
    check_carries(bridge, peer)


@pytest.mark.parametrize("sent, said", [
    (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 30, "sends only interim answers .HTTP 103"),
    (b"HTTP/1.1 101 x\r\n" + b"X: " + 25_000 * b"x", "24 KiB"),
    (b"SSH-2.0-OpenSSH_9.2p1\r\n", "does not speak HTTP"),
    (b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n",
     "refuses access.*401"),
], ids=["interim answers", "long head", "not HTTP", "401 with a challenge"])
def test_answers_that_do_not(server: FakeServer, connect: Callable[..., Bridge], sent: bytes,
                             said: str) -> None:
    bridge = connect()
    server.accept().send_raw(sent)
    assert bridge.wait_exit() == 1
    bridge.wait_log(f"^error: .*{said}")


def test_wispcheck_takes_the_same_way(fake: FakeServer) -> None:
    """Its request and what it takes for an answer are those of wispsocks."""
    process = subprocess.Popen([BUILD / "cmd/wispcheck/wispcheck", "--timeout", "1", "--only",
                                "handshake", fake.url], env=clean_environment(),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        peer = fake.accept()
        assert [line for line in peer.header_lines
                if line.lower().startswith("connection:")] == ["Connection: Upgrade"]
        answer(peer, f"HTTP/1.1 103 Early Hints\n\n{OK}\nUpgrade: websocket\nConnection: x\n"
                     "Connection: Upgrade\nSec-WebSocket-Accept: {accept} \nContent-Length: 0")
        peer.send(packets.credit(0, 128))
        fake.accept()  # it knows now what this server is, and begins with its checks
    finally:
        process.kill()
        process.wait(GUARD)


# Cookies


def cookies_of(peer: Peer) -> list[str]:
    return [line.partition(": ")[2] for line in peer.header_lines
            if line.lower().startswith("cookie:")]


def redirect(peer: Peer, location: str, *cookies: str) -> None:
    peer.answer("302 Found", f"Location: {location}", *(f"Set-Cookie: {each}" for each in cookies))


def test_cookies_of_a_redirect(server: FakeServer, connect: Callable[..., Bridge]) -> None:
    """They go back to where they come from, with this attempt's next requests only."""
    bridge = connect()
    peer = server.accept()
    assert cookies_of(peer) == []
    redirect(peer, "/there/", "lb=one; Path=/; HttpOnly", "lb2 = two;SameSite=None")
    peer = server.accept()
    assert cookies_of(peer) == ["lb=one; lb2=two"]
    redirect(peer, "/again/", "lb=three; path=/", "lb2=; Max-Age=0; Path=/")
    peer = server.accept()
    assert cookies_of(peer) == ["lb=three"]
    peer.open()
    bridge.wait_connected()
    peer.close()
    assert cookies_of(server.accept()) == []


def test_cookies_of_the_user_stand_beside(server: FakeServer,
                                          connect: Callable[..., Bridge]) -> None:
    connect("-H", "Cookie: mine=1")
    redirect(server.accept(), "/there/", "lb=one")
    peer = server.accept()
    assert cookies_of(peer) == ["mine=1; lb=one"]
    peer.open()


def test_cookies_stay_with_their_origin(start: Start, fake: FakeServer,
                                        wispsocks: Callable[..., Bridge]) -> None:
    other = start(FakeServer())
    wispsocks(fake.url, "-H", "Cookie: mine=1")
    redirect(fake.accept(), other.url, "lb=one; Path=/; Domain=127.0.0.1")
    peer = other.accept()
    assert cookies_of(peer) == []
    redirect(peer, fake.url, "lb=two; Path=/")
    peer = fake.accept()
    assert cookies_of(peer) == ["mine=1; lb=one"]
    peer.open()


@pytest.mark.parametrize("cookie", ["lb=1; Path=/other/", "lb=1; Domain=other.test", "lb",
                                    "lb=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
                                    "lb=1; Secure", "lb=" + 2000 * "x"], ids=lambda c: c[:20])
def test_cookies_that_are_not_sent(fake: FakeServer, cookie: str,
                                   wispsocks: Callable[..., Bridge]) -> None:
    wispsocks(fake.url)
    redirect(fake.accept(), "/there/", cookie, "good=1")
    peer = fake.accept()
    assert cookies_of(peer) == ["good=1"]
    peer.open()
