"""wispd, the server, with clients whose every frame the test decides."""

from __future__ import annotations

import queue
import signal
import socket
import ssl
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Callable, Iterator

import pytest

import frames
import packets
from certs import Authority, Certificate
from conftest import Start
from hosts import NAME, V4, two_sockets, with_two_addresses
from origin import (CHUNK, Origin, Service, payload, payload_sha256, reset, serve_bytes, sha256,
                    sized)
from procs import GUARD, Program, in_background, refusing_port, rest, wait_until
from wispclient import WispClient, connect_socket, http_status, open_client, upgrade_headers
from wispservers import Wispd

STREAM = 7
BUFFER = 128
MIB = 1 << 20
LOOPBACK = "127.0.0.1"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="


@pytest.fixture
def client(wispd: Wispd) -> Iterator[WispClient]:
    """A v1 client of the shared server, with its handshake behind it."""
    with open_client(wispd.port) as client:
        yield client


class Captured:
    """A service that hands each connection to the test instead of serving it."""

    def __init__(self, start: Start, rcvbuf: int = 0) -> None:
        self._conns: queue.Queue[socket.socket] = queue.Queue()
        self._stack = start(ExitStack())
        self.port = start(Service(self._keep, rcvbuf)).port

    def _keep(self, conn: socket.socket) -> None:
        self._conns.put(conn.dup())

    def accept(self) -> socket.socket:
        """The destination's end of the next stream."""
        conn = self._stack.enter_context(self._conns.get(timeout=GUARD))
        conn.settimeout(GUARD)
        return conn


def echo_works(client: WispClient, origin: Origin, stream: int = 1000) -> bool:
    """A stream to the echo service answers; it is closed again."""
    client.send(packets.connect(stream, LOOPBACK, origin.echo.port), packets.data(stream, b"echo"))
    answer, _ = client.recv_until(packets.DATA, stream)
    client.send(packets.close(stream, packets.VOLUNTARY))
    return answer.payload == b"echo"


def close_reason(client: WispClient, *sent: packets.Packet) -> int:
    """The reason of the CLOSE with which the server answers what is SENT."""
    client.send(*sent)
    return client.recv_type(packets.CLOSE, sent[0].stream).reason


# Opening a connection


@pytest.mark.parametrize("options, buffer", [((), BUFFER), (("--buffer", "7"), 7)],
                         ids=["default", "--buffer"])
@pytest.mark.parametrize("version", [1, 2])
def test_credit_of_new_streams(start: Start, options: tuple[str, ...], buffer: int,
                               version: int) -> None:
    server = start(Wispd(*options))
    with WispClient(server.port, version=version) as client:
        assert client.open(version) == buffer


def test_v2_continues_after_our_info(wispd: Wispd) -> None:
    with WispClient(wispd.port, version=2) as client:
        assert client.recv_type(packets.INFO, 0).payload[0] == 2
        assert client.barrier() == []
        client.send(packets.info())
        assert client.recv_type(packets.CONTINUE, 0).credit == BUFFER


def test_v2_client_that_cannot_agree(wispd: Wispd) -> None:
    with WispClient(wispd.port, version=2) as client:
        client.recv_type(packets.INFO, 0)
        client.send(packets.close(0, packets.INCOMPATIBLE))
        client.recv_end()


def test_v2_unknown_extension_of_the_client(wispd: Wispd, origin: Origin) -> None:
    with WispClient(wispd.port, version=2) as client:
        client.recv_type(packets.INFO, 0)
        client.send(packets.info(bytes([0x7f, 2, 0, 0, 0]) + b"ab"))
        client.recv_type(packets.CONTINUE, 0)
        assert echo_works(client, origin)


def test_v1_only_server(start: Start) -> None:
    """A client that offers v2 gets v1."""
    server = start(Wispd("--wisp", "1"))
    with WispClient(server.port, version=2) as client:
        assert client.open(version=1) == BUFFER


def test_tls(start: Start, origin: Origin, authority: Authority,
             certificate: Certificate) -> None:
    """With a certificate wss is served; a client without TLS gets nowhere and disturbs nobody."""
    server = start(Wispd("--cert", certificate.cert, "--cert-key", certificate.key))
    context = ssl.create_default_context(cafile=str(authority.cacert))
    with WispClient(server.port, context=context) as client:
        client.open()
        with connect_socket(server.port) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            try:
                assert b" 101 " not in plain.recv(CHUNK)
            except ConnectionResetError:
                pass
        assert echo_works(client, origin)


# Requests that are no upgrade


@pytest.mark.parametrize("option", ["/wisp/", "/wisp"])
def test_path(start: Start, option: str) -> None:
    """Its final slash may be left out here, as it may be at the client."""
    server = start(Wispd("--path", option))
    with WispClient(server.port, "/wisp/") as client:
        assert client.open() == BUFFER
    for path in ("/", "/wisp", "/wisp/more", "/other/"):
        assert http_status(server.port, path, *upgrade_headers(KEY, None)) == 404, path


@pytest.mark.parametrize("headers", [
    pytest.param([], id="plain GET"),
    pytest.param(upgrade_headers(KEY, None)[:-1], id="no key"),
    pytest.param(["Upgrade: h2c", "Connection: Upgrade"], id="another protocol"),
])
def test_request_without_upgrade(wispd: Wispd, headers: list[str]) -> None:
    assert 400 <= http_status(wispd.port, "/", *headers) < 500


@pytest.mark.parametrize("sent", [b"", b"GET", b"\x16\x03\x01\x00\x05hello", b"\0" * 10_000,
                                  b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000],
                         ids=["nothing", "a word", "tls", "zeros", "endless head"])
def test_no_http(wispd: Wispd, client: WispClient, origin: Origin, sent: bytes) -> None:
    """What is not HTTP gets no upgrade, and others are not disturbed."""
    with connect_socket(wispd.port) as sock:
        try:
            sock.sendall(sent)
            sock.shutdown(socket.SHUT_WR)
            assert b" 101 " not in sock.recv(CHUNK)
        except (ConnectionError, OSError) as error:
            assert not isinstance(error, socket.timeout)
    assert echo_works(client, origin)


# Destinations


LOOPBACK_HOSTS = ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1", "localhost"]
PRIVATE_HOSTS = ["10.1.2.3", "172.16.0.1", "172.31.255.254", "192.168.0.1", "169.254.1.1",
                 "100.64.0.1", "fd00::1", "fe80::1", "::ffff:10.1.2.3"]


@pytest.mark.parametrize("host", LOOPBACK_HOSTS + PRIVATE_HOSTS)
def test_blocked_addresses(public_only: Wispd, origin: Origin, host: str) -> None:
    """However they are written, also as the address of a name."""
    with open_client(public_only.port) as client:
        connect = packets.connect(STREAM, host, origin.echo.port)
        assert close_reason(client, connect, packets.data(STREAM, b"x")) == packets.BLOCKED


@pytest.mark.parametrize("allowed, blocked", [("--allow-loopback", "10.1.2.3"),
                                              ("--allow-private", LOOPBACK)])
def test_one_permission_is_not_the_other(start: Start, origin: Origin, allowed: str,
                                         blocked: str) -> None:
    server = start(Wispd(allow=(allowed,)))
    with open_client(server.port) as client:
        connect = packets.connect(STREAM, blocked, origin.echo.port)
        assert close_reason(client, connect) == packets.BLOCKED
        if allowed == "--allow-loopback":
            assert echo_works(client, origin)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "::ffff:127.0.0.1"])
def test_allowed_loopback(client: WispClient, origin: Origin, host: str) -> None:
    client.send(packets.connect(STREAM, host, origin.echo.port), packets.data(STREAM, b"data"))
    assert client.recv_data(STREAM, 4) == b"data"


def test_refused_port(client: WispClient) -> None:
    with refusing_port() as port:
        assert close_reason(client, packets.connect(STREAM, LOOPBACK, port)) == packets.REFUSED


def test_name_that_does_not_resolve(client: WispClient) -> None:
    connect = packets.connect(STREAM, "no-such-host.invalid", 80)
    assert close_reason(client, connect) == packets.UNREACHABLE


@pytest.mark.parametrize("host", [
    pytest.param("w" * 64 + ".invalid", id="long label"),
    pytest.param(("w" * 63 + ".") * 3 + "w" * 54 + ".invalid", id="long name"),
    pytest.param("empty..invalid", id="empty label"),
    pytest.param(".invalid", id="leading dot"),
])
def test_name_that_no_query_carries(client: WispClient, host: str) -> None:
    asked = time.monotonic()
    assert close_reason(client, packets.connect(STREAM, host, 80)) == packets.UNREACHABLE
    assert time.monotonic() - asked < 5, "it was waited for"


@pytest.mark.parametrize("connect", [
    pytest.param(packets.connect(STREAM, LOOPBACK, 0), id="port 0"),
    pytest.param(packets.connect(STREAM, "", 80), id="no host"),
    pytest.param(packets.connect(STREAM, LOOPBACK, 80, kind=9), id="unknown stream type"),
])
def test_invalid_destination(client: WispClient, origin: Origin, connect: packets.Packet) -> None:
    assert close_reason(client, connect) == packets.INVALID
    assert echo_works(client, origin)


# Streams


@pytest.mark.parametrize("version", [1, 2])
def test_data_right_behind_connect(wispd: Wispd, origin: Origin, version: int) -> None:
    data = payload(50_000)
    with open_client(wispd.port, version=version) as client:
        client.send(packets.connect(STREAM, LOOPBACK, origin.digest.port),
                    packets.data(STREAM, sized(data)))
        assert client.recv_data(STREAM, 64).decode() == sha256(data)
        assert client.recv() == packets.close(STREAM, packets.VOLUNTARY)


def test_end_of_the_destination(client: WispClient, origin: Origin) -> None:
    """All of its data comes before the CLOSE."""
    size = 20_000_000
    client.send(packets.connect(STREAM, LOOPBACK, origin.bytes.port),
                packets.data(STREAM, sized(str(size).encode())))
    assert sha256(client.recv_data(STREAM, size)) == payload_sha256(size)
    assert client.recv() == packets.close(STREAM, packets.VOLUNTARY)


def test_reset_of_the_destination(client: WispClient, origin: Origin) -> None:
    client.send(packets.connect(STREAM, LOOPBACK, origin.reset.port),
                packets.data(STREAM, sized(b"1000")))
    assert client.recv_data(STREAM, 1000) == payload(1000)
    assert close_reason(client, packets.data(STREAM, b"!")) == packets.NETWORK_ERROR


def test_close_by_the_client(start: Start, client: WispClient, origin: Origin) -> None:
    """The destination sees the end, the other streams do not."""
    captured = Captured(start)
    client.send(packets.connect(STREAM, LOOPBACK, captured.port), packets.data(STREAM, b"data"))
    conn = captured.accept()
    assert conn.recv(CHUNK) == b"data"
    client.send(packets.close(STREAM, packets.VOLUNTARY))
    assert conn.recv(CHUNK) == b""
    assert echo_works(client, origin)


def test_close_by_the_client_of_a_destination_that_talks(start: Start,
                                                         client: WispClient) -> None:
    """All that was sent before the CLOSE arrives, though answers come that nobody waits for."""
    captured = Captured(start, rcvbuf=32 * 1024)
    data = payload(1 << 20)
    client.send(packets.connect(STREAM, LOOPBACK, captured.port))
    conn = captured.accept()
    for position in range(0, len(data), packets.MAX_DATA):
        client.send(packets.data(STREAM, data[position:position + packets.MAX_DATA]))
    client.send(packets.close(STREAM, packets.VOLUNTARY))
    client.barrier()
    received = bytearray()
    while part := conn.recv(CHUNK):
        received += part
        conn.sendall(b"answer")
    assert sha256(received) == sha256(data)


def test_destination_that_talks_on_is_let_go(start: Start, client: WispClient) -> None:
    """It is not listened to for ever after the client's CLOSE."""
    captured = Captured(start)
    client.send(packets.connect(STREAM, LOOPBACK, captured.port))
    conn = captured.accept()
    client.send(packets.close(STREAM, packets.VOLUNTARY))
    assert conn.recv(CHUNK) == b""

    def talk() -> bool:
        try:
            conn.sendall(b"answer")
        except ConnectionError:
            return True
        return False

    wait_until(talk, "the destination is let go")


@pytest.mark.parametrize("leave", [WispClient.close, lambda client: reset(client.sock)],
                         ids=["fin", "rst"])
def test_lost_client(start: Start, wispd: Wispd, leave: Callable[[WispClient], None]) -> None:
    """With the WebSocket go the connections of all its streams."""
    captured = Captured(start)
    client = open_client(wispd.port)
    conns = []
    for stream in range(1, 11):
        client.send(packets.connect(stream, LOOPBACK, captured.port))
        conns.append(captured.accept())
    leave(client)
    for conn in conns:
        try:
            assert conn.recv(1) == b""
        except ConnectionResetError:
            pass


class Flood:
    """A client that sends without end, credit or not, to a destination that takes nothing."""

    def __init__(self, start: Start, server: Wispd) -> None:
        captured = Captured(start, rcvbuf=32 * 1024)
        self.client = open_client(server.port)
        self.client.send(packets.connect(STREAM, LOOPBACK, captured.port))
        self.conn = captured.accept()
        self.name = f"127.0.0.1:{self.client.sock.getsockname()[1]}"
        self._data = self.client.encode(packets.data(STREAM, bytes(packets.MAX_DATA)))
        self._sender = in_background(self._send)

    def _send(self) -> None:
        with suppress(OSError):
            while True:
                self.client.send_raw(self._data)

    def wait_not_read(self, server: Wispd, since: int = 0) -> int:
        """How many bytes wait then."""
        return int(server.wait_log(rf"{self.name}: not read: (\d+) bytes", since=since).group(1))

    def reset(self) -> None:
        self.client.sock.shutdown(socket.SHUT_RDWR)
        self._sender.join()
        reset(self.client.sock)
        self.conn.sendall(b"data")  # which cannot be sent, and shows that the client is gone


def test_lost_client_that_was_not_read(start: Start) -> None:
    """Its data waits for a destination that takes none, up to the bound; then it is gone."""
    server = start(Wispd("-v"))
    flood = Flood(start, server)
    flood.wait_not_read(server)
    flood.reset()
    server.wait_log("disconnected")
    with open_client(server.port) as client:
        assert client.barrier() == []


def waiting_bytes(server: Wispd) -> int:
    """What USR1 says."""
    before = server.mark()
    server.signal(signal.SIGUSR1)
    return int(server.wait_log(r"clients, \d+ destinations, (\d+) bytes", since=before).group(1))


def test_client_that_is_not_read(start: Start) -> None:
    """Nothing more of it is taken, at no time."""
    server = start(Wispd("-v"))
    flood = Flood(start, server)
    flood.wait_not_read(server)
    before = waiting_bytes(server)
    rest(2.5)  # all sockets are looked at once a second
    assert waiting_bytes(server) == before
    flood.reset()


def test_many_clients_that_are_not_read(start: Start, origin: Origin) -> None:
    """What waits is bounded over all of them, and the others are served."""
    server = start(Wispd("-v"))
    floods = [Flood(start, server) for _ in range(4)]
    assert all(60 * MIB < flood.wait_not_read(server) < 65 * MIB for flood in floods)
    late = Flood(start, server)
    assert late.wait_not_read(server) < 2 * MIB
    with open_client(server.port) as client:
        assert echo_works(client, origin)
    before = server.mark()
    floods[0].reset()  # which leaves room
    assert late.wait_not_read(server, since=before) > 8 * MIB
    for flood in floods[1:]:
        flood.reset()
    late.reset()


def test_packets_for_no_stream(client: WispClient, origin: Origin) -> None:
    """They are dropped without an answer."""
    client.send(packets.data(99, b"data"), packets.close(99, packets.VOLUNTARY))
    assert client.barrier() == []
    assert echo_works(client, origin)


# Credit


class Uploader:
    """Sends DATA on one stream, as far as its credit goes."""

    def __init__(self, client: WispClient, stream: int, data: memoryview, size: int) -> None:
        self.client = client
        self.stream = stream
        self.credit = BUFFER
        self.sent = 0
        self._data = data
        self._size = size

    @property
    def done(self) -> bool:
        return self.sent == len(self._data)

    def send(self) -> None:
        """Use up the credit."""
        while self.credit and not self.done:
            part = self._data[self.sent:self.sent + self._size]
            self.client.send(packets.data(self.stream, part))
            self.sent += len(part)
            self.credit -= 1

    def take(self, packet: packets.Packet) -> None:
        """Note the credit of a CONTINUE, which nothing else may come in place of."""
        assert packet[:2] == (packets.CONTINUE, self.stream), packet
        self.credit = packet.credit

    def finish(self) -> None:
        self.send()
        while not self.done:
            self.take(self.client.recv())
            self.send()


@pytest.mark.parametrize("size", [1, 1000, packets.MAX_DATA])
def test_continue_as_the_destination_takes(client: WispClient, origin: Origin, size: int) -> None:
    """An upload of many times the credit gets through, whatever the size of its packets."""
    data = memoryview(sized(payload(min(500 * size, 20_000_000))))
    client.send(packets.connect(STREAM, LOOPBACK, origin.digest.port))
    Uploader(client, STREAM, data, size).finish()
    answer, before = client.recv_until(packets.DATA, STREAM)
    assert answer.payload.decode() == sha256(data[8:])
    assert all(packet.credit <= BUFFER for packet in before)


def test_destination_that_does_not_read(start: Start, client: WispClient, origin: Origin) -> None:
    """It stops getting credit, after what the kernel takes; the other streams go on."""
    captured = Captured(start, rcvbuf=32 * 1024)
    client.send(packets.connect(STREAM, LOOPBACK, captured.port))
    conn = captured.accept()
    uploader = Uploader(client, STREAM, payload(64_000_000), packets.MAX_DATA)
    uploader.send()
    while more := client.barrier():
        for _ in more:
            uploader.take(client.recv())
        uploader.send()
    assert not uploader.done
    for stream in range(1000, 1010):
        client.send(packets.connect(stream, LOOPBACK, origin.echo.port),
                    packets.data(stream, b"echo"))
        answer, credits = client.recv_until(packets.DATA, stream)
        assert answer.payload == b"echo"
        for packet in credits:
            uploader.take(packet)

    received = bytearray()
    reader = in_background(lambda: [received.extend(part) for part in iter(
        lambda: conn.recv(CHUNK), b"")])
    uploader.finish()
    wait_until(lambda: len(received) == uploader.sent, "everything sent arrives")
    client.send(packets.close(STREAM, packets.VOLUNTARY))
    reader.join()
    assert sha256(received) == sha256(payload(64_000_000))


def test_early_data_and_an_address_that_refuses(start: Start, tmp_path: Path) -> None:
    """The next address is tried, also when data comes between the refusal and its discovery."""
    server = start(Program("wispd", "--listen", "127.0.0.1:0", "--allow-loopback",
                           prefix=with_two_addresses(tmp_path)))
    stack = start(ExitStack())
    listeners = [stack.enter_context(sock) for sock in two_sockets()]
    for sock in listeners:
        sock.listen(0)
    port = listeners[1].getsockname()[1]
    for _ in range(4):  # IPv4, which is tried first, has no room for more
        sock = stack.enter_context(socket.socket())
        sock.setblocking(False)
        sock.connect_ex((V4, port))
    client = stack.enter_context(open_client(server.port))
    client.send(packets.connect(STREAM, NAME, port))
    client.barrier()
    server.signal(signal.SIGSTOP)
    client.send(packets.data(STREAM, b"data"))
    listeners[1].close()
    rest(2)  # the kernel asks again after one second, and is refused
    server.signal(signal.SIGCONT)
    listeners[0].settimeout(GUARD)
    with listeners[0].accept()[0] as conn:
        assert conn.recv(CHUNK) == b"data"


# The WebSocket


def masked(opcode: int, data: bytes = b"", **kwargs: int) -> bytes:
    return frames.encode(opcode, data, masked=True, **kwargs)


BAD_FRAMES = {
    "unmasked": frames.encode(frames.BINARY, packets.data(1, b"x").encode()),
    "reserved bit": masked(frames.BINARY, b"12345", reserved=4),
    "reserved opcode": masked(0x3, b"12345"),
    "long ping": masked(frames.PING, bytes(126)),
    "long close": masked(frames.CLOSE, bytes(126)),
    "fragmented ping": masked(frames.PING, b"", fin=False),
    "continuation of nothing": masked(frames.CONTINUATION, b"12345"),
    "16-bit length for 125": masked(frames.BINARY, bytes(125), length_bytes=2),
    "length with the top bit": masked(frames.BINARY, b"", length=1 << 63),
    "garbage": b"\xff\xfe" * 1000,
}


@pytest.mark.parametrize("bad", BAD_FRAMES.values(), ids=BAD_FRAMES.keys())
def test_protocol_errors_end_the_connection(wispd: Wispd, origin: Origin, client: WispClient,
                                            bad: bytes) -> None:
    """With a Close frame that says so; the other clients notice nothing."""
    with open_client(wispd.port) as offender:
        assert echo_works(offender, origin)
        offender.barrier()
        offender.send_raw(bad)
        assert offender.recv_end() in (frames.PROTOCOL_ERROR, None)
    assert echo_works(client, origin)


def test_fragmented_message(client: WispClient, origin: Origin) -> None:
    client.send(packets.connect(STREAM, LOOPBACK, origin.echo.port))
    message = packets.data(STREAM, b"fragments").encode()
    client.send_raw(masked(frames.BINARY, message[:3], fin=False)
                    + masked(frames.PING, b"between")
                    + masked(frames.CONTINUATION, b"", fin=False)
                    + masked(frames.CONTINUATION, message[3:]))
    assert client.recv_data(STREAM, 9) == b"fragments"


def test_text_is_ignored(client: WispClient, origin: Origin) -> None:
    client.send_raw(masked(frames.TEXT, packets.connect(STREAM, LOOPBACK, 1).encode()))
    assert client.barrier() == []
    assert echo_works(client, origin)


def test_ping_and_close(wispd: Wispd) -> None:
    with open_client(wispd.port) as client:
        client.send_ping(b"payload")
        frame = client.recv_frame()
        assert (frame.opcode, frame.payload) == (frames.PONG, b"payload")
        client.send_raw(frames.close_frame(1000, masked=True))
        assert client.recv_end() == 1000


def test_50_clients(start: Start, wispd: Wispd, origin: Origin) -> None:
    """Each with a stream of the same id, all at once."""
    clients = [start(open_client(wispd.port, version=1 + number % 2)) for number in range(50)]
    for number, client in enumerate(clients):
        client.send(packets.connect(STREAM, LOOPBACK, origin.digest.port),
                    packets.data(STREAM, sized(payload(10_000, number))))
    for number, client in enumerate(clients):
        assert client.recv_data(STREAM, 64).decode() == payload_sha256(10_000, number)


def test_client_that_does_not_read(start: Start, origin: Origin) -> None:
    """It is sent what the kernel takes, no more is kept for it, and the others go on."""
    all_sent = threading.Event()
    service = start(Service(lambda conn: (serve_bytes(conn), all_sent.set())))
    size = 100_000_000
    server = start(Wispd())
    with open_client(server.port) as lazy, open_client(server.port) as client:
        before = server.rss()
        lazy.send(packets.connect(STREAM, LOOPBACK, service.port),
                  packets.data(STREAM, sized(str(size).encode())))
        lazy.recv_type(packets.DATA, STREAM)
        for stream in range(1000, 1010):
            assert echo_works(client, origin, stream)
        assert server.rss() - before < 32 * 1024 * 1024
        assert not all_sent.is_set(), "the destination has been able to send everything"


def test_client_that_does_not_introduce_itself(wispd: Wispd, origin: Origin,
                                               client: WispClient) -> None:
    """It is let go after ten seconds, though it answers pings; others notice nothing."""
    with WispClient(wispd.port, version=2) as silent:
        silent.recv_type(packets.INFO, 0)
        since = wispd.mark()
        assert silent.barrier() == []
        silent.recv_end()
    wispd.wait_log("too slow to introduce itself", since)
    assert echo_works(client, origin)
