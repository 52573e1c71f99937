"""INFO packets: what each side offers and names, and what comes of malformed ones."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Iterator

import pytest

import packets
import socks
from bridge import Bridge
from conftest import Start
from credentials import make_key, write_secret
from fakeserver import FakeServer
from origin import Origin
from wispclient import WispClient, open_client
from wispservers import Wispd, WispJs

CHALLENGE = bytes(range(64))
#: What a server says of each extension, and a client.
SERVER = {packets.HAS_UDP: b"", packets.PASSWORD: b"\x01", packets.KEY: b"\x01\x01" + CHALLENGE,
          packets.MOTD: b"hello", packets.CONFIRMATION: b""}
CLIENT = {packets.HAS_UDP: b"", packets.PASSWORD: b"\x02melook", packets.KEY: b"\x01" + bytes(96),
          packets.MOTD: b"", packets.CONFIRMATION: b""}
WRONG_SIZES = (0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffb, 0x10000)


def body(said: dict[int, bytes]) -> bytes:
    return b"".join(packets.extension(kind, payload) for kind, payload in said.items())


def malformed(said: dict[int, bytes]) -> Iterator[bytes]:
    """Payloads of INFO: cut off anywhere, and with each extension too short, too long and lying."""
    whole = packets.info(body(said)).payload
    for size in range(len(whole) + 1):
        yield whole[:size]
    for kind, payload in said.items():
        for size in {0, 1, 2, 3, len(payload) - 1, len(payload) + 1, len(payload) + 100}:
            if size >= 0:
                yield packets.info(body(said | {kind: (payload + bytes(size))[:size]})).payload
        for size in {len(payload) + 1, max(len(payload) - 1, 0), 0, *WRONG_SIZES}:
            lying = packets.extension(kind, payload, size)
            before = body({other: said[other] for other in said if other < kind})
            after = body({other: said[other] for other in said if other > kind})
            yield packets.info(before + lying + after).payload
            yield packets.info(before + lying).payload
        yield packets.info(2 * packets.extension(kind, payload)).payload
    yield packets.info(body(said), major=1).payload
    yield packets.info(body(said), major=0xff, minor=0xff).payload
    yield packets.info(1000 * packets.extension(0x7f, b"12345")).payload
    yield packets.info(packets.extension(0xff, 16_000 * b"\xff")).payload


@pytest.mark.parametrize("options, named", [
    ([], {packets.HAS_UDP, packets.MOTD}),
    (["--no-udp"], {packets.MOTD}),
    (["--wait-open"], {packets.HAS_UDP, packets.MOTD, packets.CONFIRMATION}),
], ids=str)
def test_what_wispsocks_names(fake: FakeServer, options: list[str], named: set[int],
                              wispsocks: Callable[..., Bridge]) -> None:
    """Of what the server offers, what it makes use of."""
    wispsocks(fake.url, *options)
    offered = {packets.HAS_UDP: b"", packets.MOTD: b"hello", packets.CONFIRMATION: b"", 0x7f: b"?"}
    assert fake.accept().offer(body(offered)).keys() == named
    wispsocks(fake.url, *options)
    assert fake.accept().offer() == {}


@pytest.mark.parametrize("options, offered", [
    ([], {packets.HAS_UDP: b"", packets.CONFIRMATION: b"", packets.END_OF_DATA: b"\x01"}),
    (["--no-udp"], {packets.CONFIRMATION: b"", packets.END_OF_DATA: b"\x01"}),
    (["--motd", "hello"], {packets.HAS_UDP: b"", packets.MOTD: b"hello", packets.CONFIRMATION: b"",
                           packets.END_OF_DATA: b"\x01"}),
], ids=str)
def test_what_wispd_offers(start: Start, options: list[str], offered: dict[int, bytes]) -> None:
    with WispClient(start(Wispd(*options)).port, version=2) as client:
        assert packets.extensions(client.recv_type(packets.INFO, 0)) == offered


def test_what_wisp_js_offers(start: Start, wispsocks: Callable[..., Bridge]) -> None:
    """And wispsocks makes use of all of it."""
    server = start(WispJs(2, wisp_motd="hello"))
    with WispClient(server.port, version=2) as client:
        offered = packets.extensions(client.recv_type(packets.INFO, 0))
    assert offered == {packets.HAS_UDP: b"", packets.MOTD: b"hello"}
    bridge = wispsocks(f"ws://127.0.0.1:{server.port}/")
    assert bridge.wait_connected().startswith("wisp v2")
    assert bridge.find_log("^message of the day: hello$")
    program = bridge.connect(socks.greeting(0) + socks.request("0.0.0.0", 0, socks.UDP_ASSOCIATE))
    assert socks.recv_opening(program).code == socks.SUCCEEDED


@pytest.mark.parametrize("named, reason", [
    (b"", packets.BLOCKED), (packets.extension(packets.HAS_UDP), None)], ids=["no", "yes"])
def test_wispd_does_udp_when_both_named_it(wispd: Wispd, origin: Origin, named: bytes,
                                           reason: int | None) -> None:
    with WispClient(wispd.port, version=2) as client:
        client.open(2, named)
        client.send(packets.connect(7, "127.0.0.1", origin.echo.port, packets.UDP))
        closed = [packet.reason for packet in client.barrier() if packet.type == packets.CLOSE]
        assert closed == ([] if reason is None else [reason])


@pytest.mark.parametrize("named, confirmed", [
    (b"", False), (packets.extension(packets.CONFIRMATION), True)], ids=["no", "yes"])
def test_wispd_confirms_when_both_named_it(wispd: Wispd, origin: Origin, named: bytes,
                                           confirmed: bool) -> None:
    with WispClient(wispd.port, version=2) as client:
        credit = client.open(2, named)
        client.send(packets.connect(7, "127.0.0.1", origin.echo.port))
        if confirmed:
            assert client.recv_type(packets.CONTINUE, 7).credit == credit
        client.send(packets.data(7, b"data"))
        assert client.recv() == packets.data(7, b"data")


def test_malformed_info_of_servers(fake: FakeServer, start: Start, tmp_path: Path) -> None:
    """None of it hangs or crashes wispsocks: it connects, gives up, or tries again."""
    key = make_key(tmp_path, "key").private
    password = write_secret(tmp_path / "password", "secret\n")
    options = ["-u", "me", "--password-file", password, "--key", key, "--unverified-credentials",
               "--wait-open"]
    for number, payload in enumerate(malformed(SERVER)):
        with Bridge(fake.url, *options) as bridge:
            server = fake.accept()
            server.upgrade()
            server.send(packets.Packet(packets.INFO, 0, payload), packets.credit(0, 1))
            try:
                bridge.wait_log("^(connected to |error: |disconnected from )|cannot connect to ")
            except AssertionError as error:
                raise AssertionError(f"number {number}, {payload!r}") from error
            server.close()


@pytest.mark.parametrize("short", [
    packets.extension(packets.PASSWORD), packets.extension(packets.KEY),
    packets.extension(packets.KEY, b"\x01"), packets.extension(packets.KEY, b"\x00\x01"),
], ids=repr)
def test_offer_that_is_too_short(fake: FakeServer, tmp_path: Path, short: bytes,
                                 wispsocks: Callable[..., Bridge]) -> None:
    """It is not made whole with what stands behind it, and what is signed is never nothing."""
    bridge = wispsocks(fake.url, "--unverified-credentials",
                       "--key", make_key(tmp_path, "key").private)
    server = fake.accept()
    server.upgrade()
    server.send(packets.info(short + packets.extension(packets.HAS_UDP)))
    assert "too short" in bridge.wait_lost()


def test_malformed_info_of_clients(start: Start, origin: Origin, tmp_path: Path) -> None:
    """None of it hangs or crashes wispd: it takes it, or ends that connection."""
    users = write_secret(tmp_path / "users", "me:look\n")
    keys = make_key(tmp_path, "key").public
    for server in (start(Wispd("--user-file", users, "--authorized-keys", keys, "--motd", "hi")),
                   start(Wispd())):
        for number, payload in enumerate(malformed(CLIENT)):
            with WispClient(server.port, version=2) as client:
                client.recv_type(packets.INFO, 0)
                client.send(packets.Packet(packets.INFO, 0, payload))
                try:
                    if client.recv().type == packets.CLOSE:
                        client.recv_end()
                except packets.Ended as end:
                    assert "timeout" not in str(end), f"number {number}, {payload!r}"
        assert server.alive
    with open_client(server.port, version=2) as client:
        client.send(packets.connect(1, "127.0.0.1", origin.echo.port), packets.data(1, b"data"))
        assert client.recv() == packets.data(1, b"data")
