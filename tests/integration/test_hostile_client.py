"""wispd and clients that flood it, ignore their credit, do not read, or come in great numbers."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import Iterator

import pytest

import floods
import frames
import packets
import socks
from certs import Authority, Certificate
from conftest import Start
from cutter import LEAVES, Leave
from floods import FLOODS, message
from origin import Origin, reset, sized
from procs import GUARD, in_background
from vitals import MIB, Vitals, ends_at_once
from wispclient import WispClient, connect_socket, http_status, open_client
from wispservers import TlsWispd, Wispd

LOOPBACK = "127.0.0.1"
STREAM, OTHER = 7, 8
#: wispd lets in 1024.
SILENT = 1000


class Opened:
    """A wispd, and a client whose stream to an echo is open."""

    def __init__(self, server: Wispd, origin: Origin) -> None:
        self.server = server
        self.client = open_client(server.port)
        self.client.send(packets.connect(STREAM, LOOPBACK, origin.echo.port))
        assert self.serves()
        self.vitals = Vitals(server)

    def serves(self) -> bool:
        self.client.send(packets.data(STREAM, b"echo"))
        # Credit comes as it is used up.
        return self.client.recv_until(packets.DATA, STREAM)[0].payload == b"echo"

    def check(self) -> None:
        """It serves, and nothing else is left."""
        assert self.serves()
        self.vitals.check()


@pytest.fixture
def opened(start: Start, origin: Origin) -> Iterator[Opened]:
    opened = Opened(start(Wispd()), origin)
    yield opened
    opened.client.close()


def test_floods(opened: Opened) -> None:
    """Streams are served meanwhile, and nothing piles up."""
    for name, flood in FLOODS.items():
        raw = flood(STREAM, True)
        for _ in range(floods.FRAMES // floods.CHUNK):
            opened.client.send_raw(raw)
            assert opened.serves(), name
        opened.vitals.check_growth()
    opened.check()


def test_packet_in_pieces(opened: Opened) -> None:
    """Of 100,000 bytes each has a frame of its own, and an empty one behind it."""
    data = bytes(range(250)) * 400
    head = frames.encode(frames.BINARY, packets.data(STREAM, b"").encode(), fin=False, masked=True)
    empty = frames.encode(frames.CONTINUATION, fin=False, masked=True)
    pieces = [frames.encode(frames.CONTINUATION, bytes([byte]), fin=False, masked=True) + empty
              for byte in range(250)]
    last = frames.encode(frames.CONTINUATION, masked=True)
    sender = in_background(lambda: opened.client.send_raw(head + b"".join(pieces) * 400 + last))
    received = bytearray()
    while len(received) < len(data):
        packet = opened.client.recv()
        received += packet.payload if packet.type == packets.DATA else b""
    assert received == data
    sender.join()
    opened.check()


def test_datagram_without_end(opened: Opened, origin: Origin) -> None:
    """It is read, and not kept; the next one is whole."""
    opened.client.send(packets.connect(OTHER, LOOPBACK, origin.udp.port, packets.UDP))
    head = packets.data(OTHER, b"").encode()
    opened.client.send_raw(frames.encode(frames.BINARY, head + bytes(100 * MIB), masked=True))
    opened.client.send(packets.data(OTHER, b"whole"))
    assert opened.client.recv_data(OTHER, 5) == b"whole"
    opened.vitals.check_growth()
    opened.client.send(packets.close(OTHER, packets.VOLUNTARY))
    opened.check()


def test_frames_that_do_not_come(opened: Opened) -> None:
    """Other clients notice nothing of those that have announced much."""
    with ExitStack() as stack:
        for length in (1 << 16, 1 << 32, (1 << 63) - 1):
            for _ in range(20):
                client = stack.enter_context(open_client(opened.server.port))
                client.send_raw(frames.encode(frames.BINARY, packets.data(1, b"data").encode(),
                                              masked=True, length=length))
        assert opened.serves()
        opened.vitals.check_growth(16 * MIB)
    opened.check()


def test_refusals_that_are_not_read(opened: Opened) -> None:
    """They do not pile up: such a client is not read any more, or it is sent away."""
    # What the kernel takes of the answers has to be full before they could: let it be little.
    lazy = open_client(socks.open_socket(opened.server.port, rcvbuf=32 * 1024))
    connects = b"".join(message(packets.connect(stream, LOOPBACK, 0), True)
                        for stream in range(1, 100_000))
    with suppress(OSError):
        socks.send_until_blocked([lazy.sock], memoryview(connects * 20))
    assert opened.serves()
    opened.vitals.check_growth(16 * MIB)
    lazy.close()
    opened.check()


def test_pongs_that_are_not_read(start: Start, origin: Origin) -> None:
    """They do not pile up, and the end is not held up."""
    opened = Opened(start(Wispd()), origin)
    raw = FLOODS["pings"](STREAM, True)
    lazy = open_client(opened.server.port)
    for _ in range(20):
        lazy.send_raw(raw)
    assert opened.serves()
    opened.vitals.check_growth()
    ends_at_once(opened.server)
    lazy.close()
    opened.client.close()


@pytest.mark.parametrize("offered, chosen", [(["h2", "http/1.1"], "http/1.1"), (["h2"], None)],
                         ids=["h2 and http/1.1", "h2"])
def test_http_2(start: Start, certificate: Certificate, authority: Authority, offered: list[str],
                chosen: str | None) -> None:
    """Browsers and curl offer it, and are told to speak HTTP/1.1, for which they get an answer."""
    server = start(TlsWispd(certificate))
    context = authority.trusted()
    context.set_alpn_protocols(offered)
    with connect_socket(server.port, context) as sock:
        assert sock.selected_alpn_protocol() == chosen
        assert http_status(sock) == 426
    with WispClient(server.port, context=authority.trusted()) as client:
        assert client.open() > 0


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nX: "], ids=["silent", "within a line"])
def test_many_clients(opened: Opened, origin: Origin, said: bytes) -> None:
    """Those that say nothing, or not enough, disturb nobody."""
    socks = [connect_socket(opened.server.port) for _ in range(SILENT)]
    for sock in socks:
        sock.sendall(said)
    assert opened.serves()
    with open_client(opened.server.port) as another:
        another.send(packets.connect(STREAM, LOOPBACK, origin.echo.port),
                     packets.data(STREAM, b"echo"))
        assert another.recv_data(STREAM, 4) == b"echo"
    opened.vitals.check_growth(16 * MIB)
    for sock in socks:
        reset(sock)
    opened.check()


def keep_busy(client: WispClient, origin: Origin) -> None:
    """A stream on which nothing moves, one in the middle of an upload, and one of a download."""
    upload, download = sized(bytes(64 * MIB)), sized(str(64 * MIB).encode())
    client.send(packets.connect(1, LOOPBACK, origin.echo.port),
                packets.connect(2, LOOPBACK, origin.digest.port),
                packets.connect(3, LOOPBACK, origin.bytes.port), packets.data(3, download))
    for number in range(16):
        client.send(packets.data(2, upload[number * 60_000:(number + 1) * 60_000]))
    client.recv_until(packets.DATA, 3)


@pytest.mark.parametrize("leave", LEAVES.values(), ids=LEAVES.keys())
def test_clients_that_leave_their_streams(opened: Opened, origin: Origin, leave: Leave) -> None:
    """Nothing is left of these."""
    for _ in range(20):
        client = open_client(opened.server.port)
        keep_busy(client, origin)
        leave(client.sock)
    opened.check()
