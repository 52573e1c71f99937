"""wispsocks and servers that flood it, grant it nothing, do not read, or swallow everything."""

from __future__ import annotations

import socket
from functools import partial
from pathlib import Path
from typing import Callable

import pytest

import floods
import frames
import packets
import socks
from badserver import Retrying
from bridge import Bridge
from certs import Authority
from conftest import Start
from cutter import Cutter
from fakeserver import FakeServer, Peer
from floods import FLOODS
from hostileservers import HTTP_MISDEEDS, MISDEEDS, Misdeed
from origin import Origin, payload, reset
from procs import in_background, wait_until
from vitals import MIB, Vitals, ends_at_once, gauges
from wispservers import Wispd

HOST, PORT = "example.test", 80
UNLIMITED = 0xffffffff
SMALL_BUFFER = 32 * 1024


class Opened:
    """A bridge, its server, and a program whose stream is open."""

    def __init__(self, fake: FakeServer, wispsocks: Callable[..., Bridge],
                 *options: str, credit: int = UNLIMITED) -> None:
        self.bridge = wispsocks(fake.url, *options)
        self.server = fake.accept_open(credit=credit)
        self.bridge.wait_connected()
        self.vitals = Vitals(self.bridge)
        self.program, self.stream = self.dial()

    def dial(self) -> tuple[socket.socket, int]:
        program = self.bridge.dial(HOST, PORT)
        return program, self.server.recv_connect().stream

    def serves(self) -> bool:
        """Whether the stream carries something, both ways."""
        self.server.send(packets.data(self.stream, b"down"))
        if socks.recv_exactly(self.program, 4) != b"down":
            return False
        self.program.sendall(b"up")
        return self.server.recv() == packets.data(self.stream, b"up")

    def check(self) -> None:
        """It serves, and when that is over nothing is left."""
        assert self.serves()
        reset(self.program)
        self.server.recv_type(packets.CLOSE, self.stream)
        self.vitals.check()


@pytest.fixture
def opened(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> Opened:
    return Opened(fake, wispsocks)


def test_floods(opened: Opened) -> None:
    """Streams are served meanwhile, and nothing piles up."""
    for name, flood in FLOODS.items():
        raw = flood(opened.stream, False)
        for _ in range(floods.FRAMES // floods.CHUNK):
            opened.server.send_raw(raw)
            assert opened.serves(), name
        opened.vitals.check_growth()
    opened.check()


#: Their ends never come.
ENDLESS_FRAMES = {
    "a frame's first byte": b"\x82",
    "all but a frame's last byte": floods.message(packets.data(1, bytes(100)), False)[:-1],
    "2^32 bytes": frames.encode(frames.BINARY, packets.data(1, b"data").encode(), length=1 << 32),
    "2^63 - 1 bytes": frames.encode(frames.BINARY, packets.data(1, b"data").encode(),
                                    length=(1 << 63) - 1),
    "2^63 - 1 bytes of text": frames.encode(frames.TEXT, b"", length=(1 << 63) - 1),
}


@pytest.fixture
def retrying(start: Start, fake: FakeServer, tmp_path: Path, authority: Authority) -> Retrying:
    return start(Retrying(fake.url, tmp_path, authority, "--ping-interval", "0.5"))


@pytest.fixture
def vitals(fake: FakeServer, retrying: Retrying) -> Vitals:
    """What `retrying` held while it had a first connection, which was good."""
    server = fake.accept_open()
    in_background(server.answer_pings)
    retrying.wait_connected()
    vitals = Vitals(retrying)
    server.sock.shutdown(socket.SHUT_RDWR)
    retrying.wait_lost()
    return vitals


def check_again(fake: FakeServer, retrying: Retrying, vitals: Vitals) -> None:
    """A good server again: all is as it was."""
    since = retrying.retry()
    in_background(fake.accept_open().answer_pings)
    retrying.wait_connected(since)
    vitals.check()


def test_frames_that_do_not_come(fake: FakeServer, retrying: Retrying,
                                 vitals: Vitals) -> None:
    """They are waited for no longer than for anything else."""
    for name, raw in ENDLESS_FRAMES.items():
        since = retrying.retry()
        server = fake.accept_open()
        retrying.wait_connected(since)
        program = retrying.dial(HOST, PORT)
        server.send_raw(raw)
        assert "nothing was heard" in retrying.wait_lost(since), name
        assert socks.recv_to_end(program).was_reset
        program.close()
    check_again(fake, retrying, vitals)


def test_data_without_end(opened: Opened) -> None:
    """What belongs to one huge packet reaches the program as it comes."""
    head = packets.data(opened.stream, b"").encode()
    opened.server.send_raw(frames.encode(frames.BINARY, head, length=1 << 40))
    for position in range(0, 100 * MIB, MIB):
        part = payload(MIB, position // 10)
        opened.server.send_raw(part)
        assert socks.recv_exactly(opened.program, MIB) == part
    opened.vitals.check_growth()


def test_text_without_end(opened: Opened) -> None:
    """It is read, and not kept."""
    opened.server.send_raw(frames.encode(frames.TEXT, length=1 << 40))
    for _ in range(100):
        opened.server.send_raw(bytes(MIB))
    opened.vitals.check_growth()


#: They leave no doubt, so that nothing has to be waited for.
BAD_ANSWERS = ["garbage", "endless headers", "an endless header", "an endless answer"]
BAD_GREETINGS = ["garbage", "a frame of more than 63 bits", "a huge frame, sent",
                 "endless empty messages", "endless fragments", "endless INFO", "endless data",
                 "endless closes", "an INFO of lies", "a large INFO"]


def misbehave(server: Peer, misdeed: Misdeed) -> None:
    try:
        misdeed(server.sock)
    except OSError:
        pass  # the other side has had enough of it


def test_misdeeds_in_the_handshake(fake: FakeServer, retrying: Retrying,
                                   vitals: Vitals) -> None:
    """Each ends its attempt, which is said in one line, and nothing of it is kept."""
    for misdeed in [HTTP_MISDEEDS[name] for name in BAD_ANSWERS]:
        since = retrying.retry()
        server = fake.accept()
        in_background(partial(misbehave, server, misdeed))
        retrying.wait_lost(since)
        vitals.check_growth()
    for misdeed in [MISDEEDS[name] for name in BAD_GREETINGS]:
        since = retrying.retry()
        server = fake.accept()
        server.upgrade()
        in_background(partial(misbehave, server, misdeed))
        retrying.wait_lost(since)
        vitals.check_growth()
    assert "\x1b" not in retrying.log
    check_again(fake, retrying, vitals)


# Credit


def test_credit_of_all_sizes(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    """From none at all to 2^32 - 1 and back: what is not granted stays with the program."""
    opened = Opened(fake, wispsocks, credit=0)
    data = payload(8 * MIB)
    taken = socks.send_until_blocked([opened.program], data, quiet=0.3)
    assert opened.server.barrier() == []
    opened.server.send(packets.credit(opened.stream, UNLIMITED))
    assert opened.server.recv_data(opened.stream, taken) == data[:taken]
    opened.server.send(packets.credit(opened.stream, 0))
    opened.server.barrier()
    opened.program.sendall(b"held")
    assert opened.server.barrier() == []
    opened.server.send(packets.credit(opened.stream, 2))
    assert opened.server.recv_data(opened.stream, 4) == b"held"
    opened.check()


def test_credit_that_never_comes(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    """Uploads of many programs stay with them, and the end is not held up."""
    opened = Opened(fake, wispsocks, credit=0)
    programs = [opened.dial()[0] for _ in range(50)]
    socks.send_until_blocked(programs, payload(16 * MIB), quiet=0.3)
    assert opened.server.barrier() == []
    opened.vitals.check_growth()
    ends_at_once(opened.bridge)


# Servers that do not read, or are not there any more


def test_server_that_does_not_read(start: Start, wispsocks: Callable[..., Bridge]) -> None:
    """Programs that come and go meanwhile leave their places to others; the end is not held up."""
    opened = Opened(start(FakeServer(rcvbuf=SMALL_BUFFER)), wispsocks, "--max-clients", "50")
    uploads = [opened.bridge.dial(HOST, PORT, sndbuf=SMALL_BUFFER) for _ in range(10)]
    socks.send_until_blocked([opened.program, *uploads], payload(16 * MIB), quiet=0.3)
    for _ in range(1000):
        reset(opened.bridge.dial(HOST, PORT, b"data"))
    wait_until(lambda: gauges(opened.bridge)[0] == 11, "all that left are gone")
    opened.vitals.check_growth()
    ends_at_once(opened.bridge)


def test_server_that_is_swallowed(start: Start, wispd: Wispd, origin: Origin,
                                  wispsocks: Callable[..., Bridge]) -> None:
    """From one moment on, a box on the way takes everything and passes nothing on."""
    cutter = start(Cutter(wispd.port))
    bridge = wispsocks(f"ws://127.0.0.1:{cutter.port}/", "--ping-interval", "0.2")
    carried = cutter.carry()
    bridge.wait_connected()
    vitals = Vitals(bridge)
    program = bridge.dial("127.0.0.1", origin.echo.port, b"echo")
    assert socks.recv_exactly(program, 4) == b"echo"
    carried.swallow()
    assert "nothing was heard" in bridge.wait_lost()
    assert socks.recv_to_end(program) == (b"", True)
    cutter.carry()
    bridge.wait_connected(bridge.mark() - 1)
    program = bridge.dial("127.0.0.1", origin.echo.port, b"echo")
    assert socks.recv_exactly(program, 4) == b"echo"
    reset(program)
    vitals.check()
