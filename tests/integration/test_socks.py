"""The SOCKS5 side of the bridge (RFC 1928): what programs may send, and what they get back."""

from __future__ import annotations

import re
import resource
import socket
from typing import Callable, NamedTuple

import pytest

import packets
import socks
from bridge import Bridge
from conftest import Start
from fakeserver import FakeServer
from origin import Origin, payload, reset, sha256, sized
from procs import wait_until
from wispservers import Wispd

HELLO = socks.greeting(socks.NO_AUTHENTICATION)


class Lingerers(NamedTuple):
    """Programs that never finish their handshake, and one that has."""

    unfinished: list[socket.socket]
    established: socket.socket


@pytest.fixture(scope="module")
def bridge(module_start: Start, wispd: Wispd) -> Bridge:
    return module_start(Bridge(f"ws://127.0.0.1:{wispd.port}/"))


@pytest.fixture(scope="module", autouse=True)
def lingerers(bridge: Bridge, origin: Origin) -> Lingerers:
    """Connected before the first test of this module, so that the last need not wait long."""
    request = socks.request("127.0.0.1", origin.echo.port)
    beginnings = [b"", HELLO[:1], HELLO, HELLO + request[:-1]]
    return Lingerers([bridge.connect(beginning) for beginning in beginnings],
                     bridge.dial("127.0.0.1", origin.echo.port))


def answer(bridge: Bridge, sent: bytes) -> bytes:
    """All that a program gets which sends SENT and then waits for the end."""
    return socks.recv_to_end(bridge.connect(sent)).data


def echoes(program: socket.socket, data: bytes = b"still there?") -> bool:
    program.sendall(data)
    return socks.recv_exactly(program, len(data)) == data


def test_everything_in_one_segment(bridge: Bridge, origin: Origin) -> None:
    data = payload(1000)
    program = bridge.connect(socks.opening("127.0.0.1", origin.digest.port) + sized(data))
    assert socks.recv_opening(program).code == socks.SUCCEEDED
    assert socks.recv_to_end(program) == (sha256(data).encode(), False)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_byte_by_byte(bridge: Bridge, origin: Origin, host: str) -> None:
    data = payload(20)
    program = bridge.connect()
    for byte in socks.opening(host, origin.digest.port) + sized(data):
        program.send(bytes([byte]))
    assert socks.recv_opening(program).code == socks.SUCCEEDED
    assert socks.recv_to_end(program) == (sha256(data).encode(), False)


def test_success_reply(bridge: Bridge, origin: Origin) -> None:
    """Its address is well-formed, and the next byte is the destination's."""
    program = bridge.connect(socks.opening("127.0.0.1", origin.echo.port) + b"data")
    reply = socks.recv_opening(program)
    assert (reply.version, reply.code, reply.reserved) == (5, socks.SUCCEEDED, 0)
    assert reply.address_type in (socks.IPV4, socks.IPV6)
    assert socks.recv_exactly(program, 4) == b"data"


@pytest.mark.parametrize("methods", [[0], [0x80, 0x02, 0], list(range(255))],
                         ids=["alone", "last", "among-255"])
def test_method_none_is_found(bridge: Bridge, methods: list[int]) -> None:
    program = bridge.connect(socks.greeting(*methods))
    assert socks.recv_method(program) == socks.NO_AUTHENTICATION


@pytest.mark.parametrize("methods", [[1], [2], [1, 2, 0x80]], ids=str)
def test_no_acceptable_method(bridge: Bridge, methods: list[int]) -> None:
    assert answer(bridge, socks.greeting(*methods)) == bytes([5, socks.NO_ACCEPTABLE_METHOD])


@pytest.mark.parametrize("command, code", [
    pytest.param(socks.BIND, socks.COMMAND_NOT_SUPPORTED, id="bind"),
    pytest.param(0, socks.COMMAND_NOT_SUPPORTED, id="0"),
    pytest.param(0x42, socks.COMMAND_NOT_SUPPORTED, id="unknown"),
])
@pytest.mark.parametrize("host", ["example.test", "192.0.2.1", "2001:db8::1"])
def test_other_commands(bridge: Bridge, command: int, code: int, host: str) -> None:
    program = bridge.connect(HELLO + socks.request(host, 80, command))
    assert socks.recv_opening(program).code == code
    assert socks.recv_to_end(program).data == b""


@pytest.mark.parametrize("address_type", [0, 2, 5, 255])
def test_unknown_address_type(bridge: Bridge, address_type: int) -> None:
    """The length of such an address is unknown, so the answer comes without waiting for it."""
    program = bridge.connect(HELLO + bytes([5, socks.CONNECT, 0, address_type]))
    assert socks.recv_opening(program).code == socks.ADDRESS_TYPE_NOT_SUPPORTED
    assert socks.recv_to_end(program).data == b""


def test_empty_name(bridge: Bridge) -> None:
    received = answer(bridge, HELLO + socks.request(b"", 80))
    assert received[:2] == bytes([5, socks.NO_AUTHENTICATION])
    assert received[2:4] != bytes([5, socks.SUCCEEDED])


@pytest.mark.parametrize("sent", [  # what HTTP is told, test_words.py has
    pytest.param(b"\x04\x01\x00\x50\xc0\x00\x02\x01\x00", id="socks4"),
    pytest.param(b"\x16\x03\x01\x00\x05hello", id="tls"),
])
def test_not_socks5(bridge: Bridge, sent: bytes) -> None:
    before = bridge.mark()
    assert answer(bridge, sent) == b""
    bridge.wait_log(r"(?i)socks", since=before)


def test_wrong_version_in_the_request(bridge: Bridge) -> None:
    request = b"\x04" + socks.request("192.0.2.1", 80)[1:]
    assert answer(bridge, HELLO + request)[2:4] != bytes([5, socks.SUCCEEDED])


def test_program_that_leaves_early(bridge: Bridge, origin: Origin) -> None:
    """Whatever the stage at which programs go, by FIN or RST, the next one is served."""
    opening = socks.opening("127.0.0.1", origin.echo.port)
    for size in range(len(opening) + 1):
        for leave in (socket.socket.close, reset):
            leave(bridge.connect(opening[:size]))
    assert echoes(bridge.dial("127.0.0.1", origin.echo.port))


@pytest.mark.parametrize("host", [
    b"a", b"Example.TEST", b"example.test.", b"b\xc3\xbccher.test", b"under_score.test",
    b"192.0.2.1", b"n" * 255,
], ids=lambda host: host[:16].decode())
def test_names_reach_the_server_as_they_came(fake: FakeServer, host: bytes,
                                             wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(fake.url)
    server = fake.accept_open()
    bridge.dial(host, 443)
    assert server.recv_connect().destination == (packets.TCP, 443, host)


@pytest.mark.parametrize("host, text", [
    ("192.0.2.1", b"192.0.2.1"),
    ("0.0.0.0", b"0.0.0.0"),
    ("2001:db8:0:0::1", b"2001:db8::1"),
    ("::1", b"::1"),
    ("::ffff:192.0.2.1", b"::ffff:192.0.2.1"),
    (b"[::1]", b"::1"),
    (b"[2001:DB8::1]", b"2001:DB8::1"),
])
def test_addresses_reach_the_server_as_text(fake: FakeServer, host: str, text: bytes,
                                            wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(fake.url)
    server = fake.accept_open()
    bridge.dial(host, 65535)
    assert server.recv_connect().destination == (packets.TCP, 65535, text)


def test_max_clients(wispd: Wispd, origin: Origin,
                     wispsocks: Callable[..., Bridge]) -> None:
    """Those above the limit are not refused: they are served when others have gone."""
    bridge = wispsocks(f"ws://127.0.0.1:{wispd.port}/", "--max-clients", "2")
    first, second = (bridge.dial("127.0.0.1", origin.echo.port) for _ in range(2))
    opening = socks.opening("127.0.0.1", origin.echo.port)
    waiting = [bridge.connect(opening) for _ in range(3)]
    for _ in range(100):
        assert echoes(first) and echoes(second)
    assert not any(map(socks.readable, waiting))
    assert bridge.wait_log(r"(?i)clients")

    reset(first)
    wait_until(lambda: any(map(socks.readable, waiting)), "one more program is served")
    served = next(filter(socks.readable, waiting))
    waiting.remove(served)
    assert socks.recv_opening(served).code == socks.SUCCEEDED
    assert echoes(served) and echoes(second)
    assert not any(map(socks.readable, waiting))

    for program in (second, served):
        reset(program)
    for program in waiting:
        assert socks.recv_opening(program).code == socks.SUCCEEDED
        assert echoes(program)


def test_out_of_descriptors(wispd: Wispd, origin: Origin, wispsocks: Callable[..., Bridge]) -> None:
    """New programs wait, which is said once; those that are served go on."""
    bridge = wispsocks(f"ws://127.0.0.1:{wispd.port}/")
    first = bridge.dial("127.0.0.1", origin.echo.port)
    resource.prlimit(bridge.pid, resource.RLIMIT_NOFILE, (bridge.descriptors() + 2,) * 2)
    opening = socks.opening("127.0.0.1", origin.echo.port)
    programs = [bridge.connect(opening) for _ in range(6)]
    served = programs[:2]
    for program in served:
        assert socks.recv_opening(program).code == socks.SUCCEEDED
    bridge.wait_log(r"^warning: cannot accept a connection: .*files")
    assert echoes(first) and all(map(echoes, served))
    for program in served:
        reset(program)
    for program in programs[2:]:
        assert socks.recv_opening(program).code == socks.SUCCEEDED
        assert echoes(program)
        reset(program)
    assert echoes(first)
    assert len(re.findall("cannot accept", bridge.log)) == 1


def test_handshake_time_limit(lingerers: Lingerers) -> None:
    """Programs that do not get on with the handshake are closed; one that has stays."""
    for program in lingerers.unfinished:
        assert socks.recv_to_end(program).data in (b"", bytes([5, socks.NO_AUTHENTICATION]))
    assert echoes(lingerers.established)
