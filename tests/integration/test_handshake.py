"""The way to an open tunnel, and the WebSocket under it: upgrade, versions, frames, pings."""

from __future__ import annotations

import base64
from typing import Callable

import pytest

import frames
import packets
import socks
from bridge import Bridge
from fakeserver import FakeServer, Peer
from origin import payload

HOST, PORT = "example.test", 80


@pytest.fixture
def opened(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> tuple[Bridge, Peer]:
    """A bridge and the server's end of its tunnel."""
    bridge = wispsocks(fake.url)
    server = fake.accept_open()
    bridge.wait_connected()
    return bridge, server


@pytest.mark.parametrize("given, requested", [
    ("", "/"), ("/", "/"), ("/path", "/path/"), ("/path/", "/path/"), ("/a/b", "/a/b/"),
])
def test_path_ends_in_a_slash(fake: FakeServer, given: str, requested: str,
                              wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(fake.url_at("127.0.0.1", given))
    server = fake.accept()
    assert server.request_line == f"GET {requested} HTTP/1.1"
    server.open()
    assert bridge.wait_log(r"^connected to (\S+) ").group(1) == fake.url_at("127.0.0.1", requested)


def test_upgrade_request(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    wispsocks(fake.url_at("localhost"))
    keys = set()
    for _ in range(2):
        server = fake.accept()
        assert server.headers["host"] == f"localhost:{fake.port}"
        assert server.headers["upgrade"].lower() == "websocket"
        assert "upgrade" in server.headers["connection"].lower()
        assert server.headers["sec-websocket-version"] == "13"
        assert "sec-websocket-extensions" not in server.headers
        keys.add(server.headers["sec-websocket-key"])
        server.close()
    assert len(keys) == 2
    assert all(len(base64.b64decode(key, validate=True)) == 16 for key in keys)


@pytest.mark.parametrize("option, offered", [((), True), (("--wisp", "auto"), True),
                                             (("--wisp", "2"), True), (("--wisp", "1"), False)],
                         ids=lambda value: str(value))
def test_version_is_offered(fake: FakeServer, option: tuple[str, ...], offered: bool,
                            wispsocks: Callable[..., Bridge]) -> None:
    wispsocks(fake.url, *option)
    assert fake.accept().offers_v2 == offered


@pytest.mark.parametrize("version", [1, 2])
def test_version_that_the_server_speaks(fake: FakeServer, version: int,
                                        wispsocks: Callable[..., Bridge]) -> None:
    """v2 is offered; a server whose first packet is CONTINUE is a v1 server all the same."""
    bridge = wispsocks(fake.url)
    server = fake.accept_open(version)
    assert bridge.wait_connected().startswith(f"wisp v{version}")
    bridge.dial(HOST, PORT)
    server.recv_connect()


def test_first_packet_behind_the_upgrade(fake: FakeServer,
                                         wispsocks: Callable[..., Bridge]) -> None:
    """The server's first packet may come in one segment with its 101."""
    bridge = wispsocks(fake.url)
    server = fake.accept()
    server.upgrade(behind=server.encode(packets.credit(0, 1)))
    assert bridge.wait_connected().startswith("wisp v1")
    bridge.dial(HOST, PORT, b"data")
    server.recv_connect()
    server.recv_type(packets.DATA)


def test_nothing_is_sent_before_the_continue(fake: FakeServer,
                                             wispsocks: Callable[..., Bridge]) -> None:
    """A program that comes during the handshake waits for its end."""
    bridge = wispsocks(fake.url)
    server = fake.accept()
    server.upgrade()
    program = bridge.connect(socks.opening(HOST, PORT) + b"data")
    assert server.barrier() == []
    server.send(packets.credit(0, 1))
    stream = server.recv_connect().stream
    assert server.recv() == packets.data(stream, b"data")
    assert socks.recv_opening(program).code == socks.SUCCEEDED


def test_info_names_no_unknown_extension(fake: FakeServer,
                                         wispsocks: Callable[..., Bridge]) -> None:
    """Only what both sides know may be used: the client answers without the unknown one."""
    unknown = bytes([0x7f, 3, 0, 0, 0]) + b"abc"
    bridge = wispsocks(fake.url)
    server = fake.accept()
    server.upgrade()
    server.send(packets.info(unknown))
    extensions = server.recv_type(packets.INFO, 0).payload[2:]
    while extensions:
        size = int.from_bytes(extensions[1:5], "little")
        assert extensions[0] != 0x7f
        assert len(extensions) >= 5 + size
        extensions = extensions[5 + size:]
    server.send(packets.credit(0, 1))
    assert bridge.wait_connected().startswith("wisp v2")


def test_server_that_refuses_in_the_handshake(fake: FakeServer,
                                              wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(fake.url)
    server = fake.accept()
    server.upgrade()
    server.send(packets.info())
    server.recv_type(packets.INFO, 0)
    server.send(packets.close(0, packets.INCOMPATIBLE))
    assert bridge.wait_exit() == 1
    bridge.wait_log(r"^error: .*extensions")
    assert not bridge.find_log("^connected")


@pytest.mark.parametrize("data", [b"", b"ping", bytes(125)], ids=len)
def test_ping_is_answered(opened: tuple[Bridge, Peer], data: bytes) -> None:
    _, server = opened
    server.send_ping(data)
    frame = server.recv_frame()
    assert (frame.opcode, frame.payload) == (frames.PONG, data)


def test_bridge_pings(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    """It does so at its interval, and unsolicited pongs do not disturb it."""
    bridge = wispsocks(fake.url, "--ping-interval", "0.2")
    server = fake.accept_open()
    for _ in range(3):
        frame = server.recv_frame()
        assert frame.opcode == frames.PING
        server.send_raw(frames.encode(frames.PONG, b"unsolicited")
                        + frames.encode(frames.PONG, frame.payload))
    assert not bridge.find_log("disconnected")


def test_close_is_answered_with_close(opened: tuple[Bridge, Peer]) -> None:
    bridge, server = opened
    server.send_raw(frames.close_frame(1001))
    assert server.recv_end() == 1001
    bridge.wait_lost()


def test_fragments_with_pings_between(opened: tuple[Bridge, Peer]) -> None:
    """One packet in many fragments, some of them empty, arrives as one."""
    bridge, server = opened
    program = bridge.dial(HOST, PORT)
    message = packets.data(server.recv_connect().stream, payload(100_000)).encode()
    cuts = [0, 0, 1, 4, 5, 6, 131, 131, 70_000, len(message)]
    for number, (start, end) in enumerate(zip(cuts, cuts[1:])):
        opcode = frames.CONTINUATION if number else frames.BINARY
        server.send_raw(frames.encode(opcode, message[start:end], fin=end == len(message)))
        server.send_ping(bytes([number]))
    assert socks.recv_exactly(program, 100_000) == payload(100_000)
    # Of several pings that are there at once, only the last has to be answered (section 5.5.3).
    answered = [b""]
    while answered[-1] != bytes([len(cuts) - 2]):
        frame = server.recv_frame()
        assert frame.opcode == frames.PONG
        assert answered[-1] < frame.payload
        answered.append(frame.payload)


def test_text_is_ignored(opened: tuple[Bridge, Peer]) -> None:
    bridge, server = opened
    program = bridge.dial(HOST, PORT)
    stream = server.recv_connect().stream
    server.send_raw(frames.encode(frames.TEXT, packets.close(stream, 3).encode()))
    server.send(packets.data(stream, b"data"))
    assert socks.recv_exactly(program, 4) == b"data"


@pytest.mark.parametrize("size", [0, 1, 120, 121, 65530, 65531, 1 << 20],
                         ids=lambda size: f"{size} bytes")
def test_packet_sizes_from_the_server(opened: tuple[Bridge, Peer], size: int) -> None:
    """Around the limits of the three forms of a frame's length; a server may send large ones."""
    bridge, server = opened
    program = bridge.dial(HOST, PORT)
    stream = server.recv_connect().stream
    server.send(packets.data(stream, payload(size)), packets.data(stream, b"end"))
    assert socks.recv_exactly(program, size + 3) == bytes(payload(size)) + b"end"


BAD_FRAMES = {
    "masked": frames.encode(frames.BINARY, b"12345", masked=True),
    "reserved bit 1": frames.encode(frames.BINARY, b"12345", reserved=4),
    "reserved bit 2": frames.encode(frames.BINARY, b"12345", reserved=2),
    "reserved bit 3": frames.encode(frames.BINARY, b"12345", reserved=1),
    "reserved data opcode": frames.encode(0x3, b"12345"),
    "reserved control opcode": frames.encode(0xb, b""),
    "long ping": frames.encode(frames.PING, bytes(126)),
    "long close": frames.encode(frames.CLOSE, bytes(126)),
    "fragmented ping": frames.encode(frames.PING, b"", fin=False),
    "continuation of nothing": frames.encode(frames.CONTINUATION, b"12345"),
    "two beginnings": frames.encode(frames.BINARY, b"12345", fin=False) * 2,
    "16-bit length for 125": frames.encode(frames.BINARY, bytes(125), length_bytes=2),
    "64-bit length for 65535": frames.encode(frames.BINARY, bytes(65535), length_bytes=8),
    "length with the top bit": frames.encode(frames.BINARY, b"", length=1 << 63),
    "garbage": b"\xff\xfe" * 1000,
    "http": b"HTTP/1.1 400 Bad Request\r\n\r\n",
}


@pytest.mark.parametrize("bad", BAD_FRAMES.values(), ids=BAD_FRAMES.keys())
def test_protocol_errors_end_the_tunnel(opened: tuple[Bridge, Peer], fake: FakeServer,
                                        bad: bytes) -> None:
    """With a Close frame that says so and a line in the log; the next connection works."""
    bridge, server = opened
    program = bridge.dial(HOST, PORT)
    server.recv_connect()
    before = bridge.mark()
    server.send_raw(bad)
    assert server.recv_end() in (frames.PROTOCOL_ERROR, None)
    bridge.wait_log(r"disconnected from \S+: .+; next try in \S+ s", since=before)
    assert socks.recv_to_end(program) == (b"", True)
    fake.accept_open()
    bridge.wait_connected(since=before)
