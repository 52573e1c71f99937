"""Servers that are gone without a word, machines that sleep, and networks that change.

Pings that are due after a while have no part in it: they come once an hour here.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Callable, Iterator

import pytest

import frames
import packets
import socks
from bridge import Bridge
from conftest import Start
from fakeserver import FakeServer, Peer
from machines import FAR, Cable, Machine, NearBridge
from origin import payload
from procs import BUILD, Program, rest

NEVER = ("--ping-interval", "3600")
#: A network that neither machine has anything to do with.
OTHER = "10.78.0.1/24"
#: tests/preload/suspend.c says what it does.
SUSPEND = BUILD / "tests/preload/.libs/suspend.so"

NETWORK = r"disconnected from \S+: no answer from the server for \S+ s after the network changed;"
WOKEN = r"disconnected from \S+: no answer from the server for \S+ s after this machine woke up;"


@pytest.fixture
def cable(start: Start) -> Cable:
    return start(Cable())


@pytest.fixture
def near(start: Start, cable: Cable, tmp_path: Path) -> Callable[..., NearBridge]:
    return lambda url, *options, **more: start(NearBridge(cable, url, tmp_path, *options, **more))


@pytest.fixture
def far(start: Start, cable: Cable) -> FakeServer:
    """A server whose every answer the test gives, on the far machine."""
    return start(FakeServer(listener=cable.far.bind(FAR)))


def far_url(server: FakeServer) -> str:
    return server.url_at(FAR)


def recv_ping(server: Peer) -> None:
    assert server.recv_frame().opcode == frames.PING


def unread(server: Peer) -> bytes:
    """What has come and was not asked for."""
    return server.sock.recv(1000) if socks.readable(server.sock, 0.3) else b""


# Machines that are gone


def test_machine_that_vanishes(start: Start, cable: Cable, fake: FakeServer,
                               near: Callable[..., NearBridge],
                               wispsocks: Callable[..., Bridge]) -> None:
    """It is found out when something was sent to it; then the connection is made again.

    One that is there, but reads nothing for longer than that, is none of these.
    """
    patient = wispsocks(fake.url, *NEVER)
    stopped = fake.accept_open(credit=10_000)
    data = payload(20_000_000)
    program = patient.dial("example.test", 80)
    sent = socks.send_until_blocked([program], memoryview(data))
    assert sent < len(data)

    start(Program("wispd", "--listen", f"{FAR}:6001", "--allow-private", "--allow-loopback",
                  prefix=cable.far.prefix)).addresses()
    bridge = near(f"ws://{FAR}:6001/")
    target = cable.listen()
    uploading = bridge.dial_far(target.getsockname()[1])
    reached, _ = target.accept()
    cable.lose()
    uploading.sendall(b"data")
    bridge.wait_log(r"^disconnected from \S+: the server's machine has acknowledged nothing for ")
    socks.recv_to_end(uploading)
    reached.close()
    before = bridge.mark()
    cable.find()
    bridge.wait_connected(before)

    assert not patient.find_log("disconnected")
    stopped.recv_connect()
    received = b""
    while len(received) < sent:
        received += stopped.recv_type(packets.DATA).payload
    assert received == data[:sent]


def test_machine_that_does_not_answer_pings(far: FakeServer, cable: Cable,
                                            near: Callable[..., NearBridge]) -> None:
    """Its server may be busy: as long as the machine acknowledges what comes, it is there."""
    bridge = near(far_url(far))
    server = far.accept_open()
    bridge.wait_connected()
    cable.near.ip(f"address add {OTHER} dev near0")
    recv_ping(server)
    rest(2.5)
    assert not bridge.find_log("disconnected")


# Networks that change


def change_address(machine: Machine) -> None:
    machine.ip(f"address add {OTHER} dev near0")


def change_address6(machine: Machine) -> None:
    machine.ip("address add fd77::1/64 dev near0 nodad")


def change_route(machine: Machine) -> None:
    machine.ip("route add default dev near0")


def change_halves(machine: Machine) -> None:
    """As some VPNs do."""
    machine.ip("route add 128.0.0.0/1 dev near0")


CHANGES = [change_address, change_address6, change_route, change_halves]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_ping_after_a_change(far: FakeServer, cable: Cable, near: Callable[..., NearBridge],
                             change: Callable[[Machine], None]) -> None:
    bridge = near(far_url(far))
    server = far.accept_open()
    bridge.wait_connected()
    change(cable.near)
    recv_ping(server)


def test_no_ping_without_a_change(far: FakeServer, cable: Cable,
                                  near: Callable[..., NearBridge]) -> None:
    """Other routes, addresses that nobody else can reach, and lifetimes that begin anew."""
    cable.near.ip(f"address add {OTHER} dev near0")
    bridge = near(far_url(far))
    server = far.accept_open()
    bridge.wait_connected()
    cable.near.ip("route add 10.79.0.0/16 dev near0")
    cable.near.ip("address add 127.0.0.2/8 dev lo")
    cable.near.ip("address add fe80::77/64 dev near0 nodad")
    assert unread(server) == b""
    cable.near.ip(f"address add {OTHER.replace('.1/', '.2/')} dev near0 valid_lft 900 "
                  "preferred_lft 900")
    recv_ping(server)
    server.send_raw(b"\x8a\x00")
    rest(2.1)
    cable.near.ip(f"address change {OTHER.replace('.1/', '.2/')} dev near0 valid_lft 1000 "
                  "preferred_lft 1000")
    assert unread(server) == b""


def test_network_that_leads_nowhere(far: FakeServer, cable: Cable,
                                    near: Callable[..., NearBridge]) -> None:
    bridge = near(far_url(far))
    far.accept_open()
    bridge.wait_connected()
    cable.lose()
    change_address(cable.near)
    bridge.wait_log(NETWORK)


def test_our_own_network_goes(far: FakeServer, cable: Cable,
                              near: Callable[..., NearBridge]) -> None:
    """And comes back: the connection is made again, with the new address."""
    bridge = near(far_url(far))
    far.accept_open()
    bridge.wait_connected()
    cable.near.ip("address flush dev near0")
    bridge.wait_log(NETWORK)
    before = bridge.mark()
    bridge.wait_log("cannot connect to .*unreachable", before)
    cable.near.ip("address add 10.77.0.3/24 dev near0")
    far.accept_open()
    bridge.wait_connected(before)


def test_flapping_network(far: FakeServer, cable: Cable, near: Callable[..., NearBridge]) -> None:
    """Each change is followed by a ping, but there is one ping every two seconds at the most."""
    bridge = near(far_url(far))
    server = far.accept_open()
    bridge.wait_connected()
    for _ in range(5):
        cable.near.ip(f"address add {OTHER} dev near0")
        cable.near.ip(f"address delete {OTHER} dev near0")
    recv_ping(server)
    assert unread(server) == b""
    recv_ping(server)
    assert unread(server) == b""


def test_change_brings_an_attempt_forward(start: Start, cable: Cable,
                                          near: Callable[..., NearBridge]) -> None:
    """It comes before the time that was announced for it."""
    bound = cable.far.bind(FAR)
    bridge = near(f"ws://{FAR}:{bound.getsockname()[1]}/")
    announced = float(bridge.wait_log(r"; next try in ([6-8]\.\d) s").group(1))
    failed = time.monotonic()
    server = start(FakeServer(listener=bound))
    change_address(cable.near)
    server.accept_open()
    bridge.wait_connected()
    assert time.monotonic() - failed < announced - 1


# Machines that sleep


class Sleep:
    """What a wispsocks that is started with `env` takes for its machine's sleep."""

    def __init__(self, folder: Path) -> None:
        assert SUSPEND.exists(), f"{SUSPEND} is missing: `make check` builds it"
        self._clock, bell = folder / "clock", folder / "bell"
        self._clock.write_text("0")
        os.mkfifo(bell)
        self.env = {"LD_PRELOAD": str(SUSPEND), "ASAN_OPTIONS": "verify_asan_link_order=0",
                    "SUSPEND_CLOCK": str(self._clock), "SUSPEND_BELL": str(bell)}
        self._bell = os.open(bell, os.O_RDWR)
        self._slept = 0

    def set_clock(self) -> None:
        """Only the clock is set; nobody has slept."""
        os.write(self._bell, b"x")

    def __call__(self, seconds: int) -> None:
        self._slept += seconds
        self._clock.write_text(str(self._slept))
        self.set_clock()

    def close(self) -> None:
        os.close(self._bell)


@pytest.fixture
def sleep(tmp_path: Path) -> Iterator[Sleep]:
    sleep = Sleep(tmp_path)
    yield sleep
    sleep.close()


def test_ping_after_a_sleep(far: FakeServer, sleep: Sleep,
                            near: Callable[..., NearBridge]) -> None:
    bridge = near(far_url(far), env=sleep.env)
    server = far.accept_open()
    bridge.wait_connected()
    sleep.set_clock()
    assert unread(server) == b""
    for _ in range(2):
        sleep(60)
        recv_ping(server)
        rest(2.2)
    assert not bridge.find_log("disconnected")


def test_server_that_is_gone_after_a_sleep(far: FakeServer, cable: Cable, sleep: Sleep,
                                           near: Callable[..., NearBridge]) -> None:
    bridge = near(far_url(far), env=sleep.env)
    far.accept_open()
    bridge.wait_connected()
    cable.lose()
    sleep(3600)
    bridge.wait_log(WOKEN)
    cable.find()
    far.accept_open()
    bridge.wait_connected(since=bridge.mark() - 1)
