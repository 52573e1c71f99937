"""Those who stop in the middle of something, or say it a byte at a time: nobody waits without end.

The limits are of ten seconds. All begin at once, before the first test, so that it is ten seconds
for all of them together.
"""

from __future__ import annotations

import socket
import ssl
from threading import Thread
from typing import Callable, NamedTuple

import pytest

import frames
import packets
import socks
from badserver import BadAtFirst, drip
from bridge import Bridge
from certs import Authority, Certificate
from conftest import Start
from hostileservers import Misdeed, after_upgrade, binary, instead_of_http, silence, then_silence
from origin import Origin, reset
from procs import in_background
from vitals import Vitals
from wispclient import WispClient, connect_socket, upgrade_headers
from wispservers import TlsWispd, Wispd

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
REQUEST = "\r\n".join(["GET / HTTP/1.1", "Host: localhost", *upgrade_headers(KEY, "wisp-v2"),
                       "", ""]).encode()
SERVER_INFO = binary(packets.info(packets.extension(packets.MOTD, b"hello" * 100)))
NOT_ANSWERED = "no answer from the server"
NOT_WISP = "the server does not begin to speak Wisp"
PING = frames.encode(frames.PING, b"ping")


# Servers


def tls(misdeed: Misdeed, context: ssl.SSLContext) -> Misdeed:
    def serve(conn: socket.socket) -> None:
        with context.wrap_socket(conn, server_side=True) as wrapped:
            misdeed(wrapped)

    return serve


class Stall(NamedTuple):
    misdeed: Misdeed
    said: str  #: by wispsocks
    tls: str = ""  #: "raw" when the misdeed is in TLS, "inside" when it comes after its handshake


#: The head of a record, and the first bytes of a ServerHello.
HALF_HELLO = bytes.fromhex("16030300 7a020000 760303")
HALF_ANSWER = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: webs"

SERVER_STALLS = {
    "after TCP": Stall(silence, NOT_ANSWERED),
    "within the answer": Stall(instead_of_http(then_silence(HALF_ANSWER)), NOT_ANSWERED),
    "an answer in drops": Stall(instead_of_http(drip(b"X" * 1000, HALF_ANSWER)), NOT_ANSWERED),
    "before TLS": Stall(silence, NOT_ANSWERED, "raw"),
    "within TLS": Stall(then_silence(HALF_HELLO), NOT_ANSWERED, "raw"),
    "TLS in drops": Stall(drip(bytes(1000), HALF_HELLO), NOT_ANSWERED, "raw"),
    "after TLS": Stall(silence, NOT_ANSWERED, "inside"),
    "after the upgrade": Stall(after_upgrade(silence), NOT_WISP),
    "within a frame's head": Stall(after_upgrade(then_silence(SERVER_INFO[:1])), NOT_WISP),
    "within INFO": Stall(after_upgrade(then_silence(SERVER_INFO[:-1])), NOT_WISP),
    "INFO in drops": Stall(after_upgrade(drip(SERVER_INFO)), NOT_WISP),
    "after INFO": Stall(after_upgrade(then_silence(SERVER_INFO)), NOT_WISP),
    "pings alone": Stall(after_upgrade(drip(PING * 1000)), NOT_WISP),
}


class Stalled(NamedTuple):
    bridge: Bridge
    stall: Stall


@pytest.fixture(scope="module", autouse=True)
def stalled(module_start: Start, authority: Authority,
            certificate: Certificate) -> dict[str, Stalled]:
    """A wispsocks for each kind of stall."""
    context = certificate.context()
    running = {}
    for name, stall in SERVER_STALLS.items():
        misdeed = tls(stall.misdeed, context) if stall.tls == "inside" else stall.misdeed
        server = module_start(BadAtFirst(misdeed))
        url = server.url.replace("ws:", "wss:") if stall.tls else server.url
        running[name] = Stalled(module_start(Bridge(url, "--cacert", authority.cacert)), stall)
    return running


@pytest.mark.parametrize("name", SERVER_STALLS)
def test_server_that_stalls(stalled: dict[str, Stalled], name: str) -> None:
    """The attempt is given up, which is said, and the next one works."""
    bridge, stall = stalled[name]
    assert stall.said in bridge.wait_lost()
    if not stall.tls:
        bridge.wait_connected()
    assert not bridge.find_log("disconnected")


# Clients of wispd


def client_hello() -> bytes:
    outgoing = ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing,
                                                server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


CLIENT_HELLO = client_hello()
CLIENT_INFO = frames.encode(frames.BINARY, packets.info(bytes(100)).encode(), masked=True)
MASKED_PING = frames.encode(frames.PING, b"ping", masked=True)


def misbehave(misdeed: Misdeed, conn: socket.socket) -> Callable[[], None]:
    """What a thread does with a connection of ours."""

    def run() -> None:
        with conn:
            try:
                misdeed(conn)
            except OSError:
                pass  # it has been closed, as it should

    return run


class Client(NamedTuple):
    misdeed: Misdeed
    said: str  #: by wispd
    tls: str = ""  #: as above


NO_REQUEST = "too slow to ask for the upgrade"
NO_INFO = "too slow to introduce itself"
#: Or by libwebsockets, some versions of which have a limit of their own for TLS.
GONE = f"(disconnected|{NO_REQUEST})"

CLIENT_STALLS = {
    "after TCP": Client(silence, NO_REQUEST),
    "within the request": Client(then_silence(REQUEST[:-1]), NO_REQUEST),
    "a request in drops": Client(drip(REQUEST, b"GET"), NO_REQUEST),
    "before TLS": Client(silence, GONE, "raw"),
    "within TLS": Client(then_silence(CLIENT_HELLO[:7]), GONE, "raw"),
    "TLS in drops": Client(drip(CLIENT_HELLO), GONE, "raw"),
    "after TLS": Client(silence, GONE, "inside"),
    "after the upgrade": Client(then_silence(REQUEST), NO_INFO),
    "within a frame's head": Client(then_silence(REQUEST + CLIENT_INFO[:1]), NO_INFO),
    "INFO in drops": Client(drip(CLIENT_INFO, REQUEST), NO_INFO),
    "pings alone": Client(drip(MASKED_PING * 1000, REQUEST), NO_INFO),
}


class Successor:
    """A client that comes as soon as one has been closed that never began with TLS.

    It is likely to get the descriptor of that one.
    """

    def __init__(self, server: TlsWispd, context: ssl.SSLContext) -> None:
        self._server = server
        self._context = context
        self.credit = 0
        self.thread = in_background(self._run)

    def _run(self) -> None:
        with connect_socket(self._server.port) as silent:
            silence(silent)
            with WispClient(self._server.port, context=self._context) as client:
                self.credit = client.open()


class Server(NamedTuple):
    wispd: Wispd
    vitals: Vitals
    name: str  #: what it calls the client
    thread: Thread


@pytest.fixture(scope="module", autouse=True)
def clients(module_start: Start, authority: Authority,
            certificate: Certificate) -> dict[str, Server]:
    """A wispd that has a client of each kind, and another one with those that speak TLS."""
    plain, secure = module_start(Wispd("-v")), module_start(TlsWispd(certificate, "-v"))
    vitals = {server: Vitals(server) for server in (plain, secure)}
    context = authority.trusted()
    running = {}
    for name, client in CLIENT_STALLS.items():
        server = secure if client.tls else plain
        conn = connect_socket(server.port, context if client.tls == "inside" else None)
        said = "%s:%u" % conn.getsockname()
        thread = in_background(misbehave(client.misdeed, conn))
        running[name] = Server(server, vitals[server], said, thread)
    return running


@pytest.fixture(scope="module", autouse=True)
def successor(module_start: Start, authority: Authority, certificate: Certificate) -> Successor:
    return Successor(module_start(TlsWispd(certificate)), authority.trusted())


@pytest.mark.parametrize("name", CLIENT_STALLS)
def test_client_that_stalls(clients: dict[str, Server], name: str) -> None:
    server = clients[name]
    server.wispd.wait_log(f"{server.name}: {CLIENT_STALLS[name].said}")
    server.thread.join()


def test_client_in_place_of_one_that_stalled(successor: Successor) -> None:
    successor.thread.join()
    assert successor.credit == 128


def test_nothing_is_left_of_clients(clients: dict[str, Server]) -> None:
    for server in clients.values():
        server.thread.join()
    for vitals in {id(server.vitals): server.vitals for server in clients.values()}.values():
        vitals.check()


# Programs


class Slow(NamedTuple):
    bridge: Bridge
    vitals: Vitals
    waiting: socket.socket  #: for the place of one that says its greeting a byte at a time


@pytest.fixture(scope="module", autouse=True)
def slow(module_start: Start, wispd: Wispd, origin: Origin) -> Slow:
    bridge = module_start(Bridge(f"ws://127.0.0.1:{wispd.port}/", "--max-clients", "2"))
    bridge.wait_connected()
    vitals = Vitals(bridge)
    greeting = socks.greeting(*range(200))
    for said in (b"", greeting[:1]):
        in_background(misbehave(drip(greeting), bridge.connect(said)))
    bridge.wait_log("^warning: 2 programs are connected")
    return Slow(bridge, vitals,
                bridge.connect(socks.opening("127.0.0.1", origin.echo.port) + b"echo"))


def test_program_that_speaks_in_drops(slow: Slow) -> None:
    """A byte now and then is no progress: another program gets its place."""
    assert socks.recv_opening(slow.waiting).code == socks.SUCCEEDED
    assert socks.recv_exactly(slow.waiting, 4) == b"echo"
    reset(slow.waiting)
    slow.vitals.check()
