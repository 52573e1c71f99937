"""Programs without memory: they do not start, or refuse what they have none for, and go on."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest

import socks
from bridge import Bridge
from certs import Authority, Certificate
from conftest import Start
from credentials import Key, make_key, write_secret
from origin import Origin, payload, sha256, sized
from procs import BUILD, Program, refusing_port, wait_until
from wispservers import TlsWispd

#: tests/preload/no_memory.c says what it does.
NO_MEMORY = BUILD / "tests/preload/.libs/no_memory.so"
#: No program asks for memory so often before it listens.
STARTS_MAX = 150
ROUNDS = 6
AT_ONCE = 8
SIZE = 3_000_000


def no_memory(**settings: int) -> dict[str, str]:
    """An environment in which allocations fail."""
    assert NO_MEMORY.exists(), f"{NO_MEMORY} is missing: `make check` builds it"
    return {"LD_PRELOAD": str(NO_MEMORY), "ASAN_OPTIONS": "verify_asan_link_order=0",
            **{f"NO_MEMORY_{name}": str(value) for name, value in settings.items()}}


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Key:
    return make_key(tmp_path_factory.mktemp("key"), "key")


# Before it listens


def check_starts(program: str, *options: str | Path) -> None:
    """Whichever allocation fails, the program says so in one line and ends, or goes on."""
    for number in range(1, STARTS_MAX):
        with Program(program, "--listen", "127.0.0.1:0", *options,
                     env=no_memory(AT=number)) as started:
            wait_until(lambda: not started.alive or started.find_log("^listening on "), "a start")
            if started.alive and not started.find_log("^allocation "):
                break
            if not started.alive:
                assert started.wait_exit() == 1
                said = [line for line in started.lines if not line.startswith("allocation ")]
                assert len(said) == 1 and said[0].startswith("error: "), started.log
    assert 3 < number < STARTS_MAX - 1


def test_wispd_starts(tmp_path: Path, key: Key) -> None:
    users = write_secret(tmp_path / "users", "me:secret\n")
    check_starts("wispd", "--user-file", users, "--authorized-keys", key.public)


def test_wispsocks_starts(tmp_path: Path, key: Key) -> None:
    users = write_secret(tmp_path / "users", "me:secret\n")
    with refusing_port() as port:
        check_starts("wispsocks", "--auth", users, "--user", "me", "--password-file", users,
                     "--key", key.private, "--proxy", f"http://a:b@127.0.0.1:{port}",
                     f"ws://127.0.0.1:{port}/")


# While it runs


def ask(sock: socket.socket, request: bytes) -> int | None:
    """The port in the answer to `socks.opening`; None when it is no success, or ends too early."""
    right = bytes([socks.VERSION, socks.NO_AUTHENTICATION, socks.VERSION, socks.SUCCEEDED])
    heard = b""
    try:
        sock.sendall(request)
        while len(heard) < 12 and (chunk := sock.recv(12 - len(heard))):
            heard += chunk
    except ConnectionError:
        return None
    if len(heard) < 12 or not heard.startswith(right):
        return None
    return int.from_bytes(heard[10:], "big")


class Transfer:
    """A program that has SIZE bytes sent to it, or sends as many."""

    def __init__(self, bridge: Bridge, origin: Origin, up: bool) -> None:
        self.up = up
        port = origin.digest.port if up else origin.bytes.port
        # A small buffer, so that what comes has to wait in the bridge.
        self.sock = socks.open_socket(bridge.port, rcvbuf=16384)
        self.started = ask(self.sock, socks.opening("127.0.0.1", port)) is not None
        try:
            if self.started:
                self.sock.sendall(sized(payload(SIZE) if up else str(SIZE).encode()))
        except ConnectionError:
            self.started = False

    def finish(self) -> bool:
        """Whether all has gone well. What looks as if it had, must have."""
        with self.sock:
            if not self.started:
                return False
            data, reset = socks.recv_to_end(self.sock)
        if not reset:
            assert data == (sha256(payload(SIZE)).encode() if self.up else payload(SIZE))
        return not reset


def transfer_some(bridge: Bridge, origin: Origin) -> int:
    """How many of AT_ONCE transfers have gone well."""
    transfers = [Transfer(bridge, origin, up=number % 2 == 1) for number in range(AT_ONCE)]
    return sum(transfer.finish() for transfer in transfers)


def send_datagrams(bridge: Bridge, origin: Origin) -> None:
    """Some to UDP streams that are opened for them, which may all be lost."""
    with socks.open_socket(bridge.port) as control, socket.socket(type=socket.SOCK_DGRAM) as sock:
        port = ask(control, socks.opening("0.0.0.0", 0, socks.UDP_ASSOCIATE))
        for number in range(20 if port else 0):
            sock.sendto(socks.datagram("127.0.0.1", origin.udp.port, b"%d" % number),
                        ("127.0.0.1", port))


@pytest.mark.parametrize("every", [1, 2, 3, 5, 7, 13, 29])
def test_programs_go_on(start: Start, origin: Origin, tmp_path: Path, certificate: Certificate,
                        authority: Authority, key: Key, every: int) -> None:
    """Also while they read their files again, which is of no use to them then."""
    users = write_secret(tmp_path / "users", "me:secret\n")
    server = start(TlsWispd(certificate, "--authorized-keys", key.public, "--user-file", users,
                            env=no_memory(EVERY=every)))
    bridge = start(Bridge(server.url, "--cacert", authority.cacert, "--key", key.private,
                          "--connect-timeout", "1", env=no_memory(EVERY=every)))
    bridge.wait_connected()
    programs = (server, bridge)
    for program in programs:
        program.signal(signal.SIGUSR2)
        program.wait_log("^memory is short")
    done = 0
    for number in range(ROUNDS):
        done += transfer_some(bridge, origin)
        send_datagrams(bridge, origin)
        since = programs[number % 2].mark()
        programs[number % 2].signal(signal.SIGHUP)
        programs[number % 2].wait_log("^reading credentials and certificates again", since)
    assert done < ROUNDS * AT_ONCE
    for program in programs:
        assert program.alive, program.log
        program.signal(signal.SIGUSR2)
        assert int(program.wait_log(r"^memory suffices after (\d+) failures").group(1)) > 0
    # Nothing has changed, and nobody was without a file for want of memory.
    assert not bridge.find_log("^disconnected .* have changed;")
    wait_until(lambda: transfer_some(bridge, origin) == AT_ONCE, "all transfers go well again")
