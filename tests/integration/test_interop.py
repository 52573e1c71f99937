"""This project's programs with those on wisp-mux (tests/interop), in both directions."""

from __future__ import annotations

import re
import socket
import struct
from contextlib import closing
from pathlib import Path
from typing import Callable, Iterator, NamedTuple

import pytest

import socks
from bridge import Bridge
from conftest import Start
from credentials import Key, make_key, write_secret
from origin import Origin, payload, payload_sha256, sha256, sized
from procs import GUARD, in_background, refusing_port
from wispservers import Wispd, WispMux, wisp_mux_client

USER, PASSWORD = "tester", "pass:word"
ADMITTED = f"{USER}:{PASSWORD}"


class Files(NamedTuple):
    key: Key
    stranger: Key
    password: Path
    wrong: Path
    users: Path
    keys: Path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("interop")
    key, stranger = make_key(folder, "key"), make_key(folder, "stranger")
    keys = folder / "keys"
    keys.write_text(key.ssh)
    return Files(key, stranger, write_secret(folder / "password", PASSWORD),
                 write_secret(folder / "wrong", "wrong"),
                 write_secret(folder / "users", f"{ADMITTED}\n"), keys)


@pytest.fixture(scope="module")
def udp_echo() -> Iterator[int]:
    """The port of a service that sends datagrams back."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        sock.bind(("127.0.0.1", 0))

        def serve() -> None:
            while True:
                try:
                    data, sender = sock.recvfrom(65536)
                except OSError:
                    return
                sock.sendto(data, sender)

        in_background(serve)
        yield sock.getsockname()[1]


def associate(bridge: Bridge) -> tuple[int, socks.Reply]:
    """Ask for UDP; the reply's code, and the reply."""
    program = bridge.connect(socks.greeting(socks.NO_AUTHENTICATION)
                             + socks.request("0.0.0.0", 0, socks.UDP_ASSOCIATE))
    reply = socks.recv_opening(program)
    return reply.code, reply


def exchange(bridge: Bridge, port: int, data: bytes) -> bytes:
    """What comes back for a datagram."""
    code, reply = associate(bridge)
    assert code == socks.SUCCEEDED
    header = b"\0\0\0" + socks.address("127.0.0.1") + struct.pack("!H", port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(GUARD)
        sock.sendto(header + data, ("127.0.0.1", reply.port))
        answer = sock.recv(65536)
    assert answer[:len(header)] == header
    return answer[len(header):]


def check_transfers(bridge: Bridge, origin: Origin) -> None:
    """Some megabytes in each direction, with their hashes."""
    result = bridge.curl(origin.url("bytes/8000000/5"))
    assert sha256(result.output) == payload_sha256(8_000_000, 5), result.errors
    program = bridge.dial("127.0.0.1", origin.digest.port)
    program.sendall(sized(payload(8_000_000, 3)))
    assert socks.recv_exactly(program, 64).decode() == payload_sha256(8_000_000, 3)


# wispsocks with a server on wisp-mux


SHOWN = {
    "password": lambda files: ["--user", USER, "--password-file", files.password],
    "key": lambda files: ["--key", files.key.private],
    "both": lambda files: ["--user", USER, "--password-file", files.password,
                           "--key", files.key.private],
    "wrong password": lambda files: ["--user", USER, "--password-file", files.wrong],
    "wrong key": lambda files: ["--key", files.stranger.private],
    "none": lambda files: [],
}
WANTED = {
    "nothing": lambda files: [],
    "password": lambda files: ["--user", ADMITTED],
    "key": lambda files: ["--key", files.key.public],
    "either": lambda files: ["--user", ADMITTED, "--key", files.key.public],
}


@pytest.mark.parametrize("wanted, shown, extensions", [
    ("nothing", "none", "udp motd"), ("nothing", "both", "udp motd"),
    ("password", "password", f"udp password motd, user {USER}"),
    ("password", "both", f"udp password motd, user {USER}"),
    ("key", "key", "udp key motd"), ("key", "both", "udp key motd"),
    ("either", "password", f"udp password motd, user {USER}"), ("either", "key", "udp key motd"),
    ("either", "both", "udp key motd"),
])
def test_server(start: Start, origin: Origin, files: Files, wanted: str, shown: str,
                extensions: str, udp_echo: int, wispsocks: Callable[..., Bridge]) -> None:
    """All that both sides have is named and used."""
    server = start(WispMux("--motd", "good day", *WANTED[wanted](files)))
    bridge = wispsocks(server.url, "--unverified-credentials", "--wait-open",
                       *SHOWN[shown](files))
    assert bridge.wait_connected().startswith("wisp v2")
    assert bridge.find_log("^message of the day: good day$")
    assert server.wait_log(r"^connection 1: wisp v2, extensions: (.*)$")[1] == extensions
    check_transfers(bridge, origin)
    assert exchange(bridge, udp_echo, b"datagram") == b"datagram"


@pytest.mark.parametrize("wanted, shown, said, reason", [
    ("password", "wrong password", "--user and --password-file", "0xc0"),
    ("either", "wrong password", "--user and --password-file", "0xc0"),
    ("key", "wrong key", "--key", "0xc1"),
    ("password", "none", "--user and --password-file", "0x04"),
    ("key", "password", "--key", "0x04"),
])
def test_server_that_refuses(start: Start, files: Files, wanted: str, shown: str, said: str,
                             reason: str, wispsocks: Callable[..., Bridge]) -> None:
    server = start(WispMux(*WANTED[wanted](files)))
    bridge = wispsocks(server.url, "--unverified-credentials", *SHOWN[shown](files))
    assert bridge.wait_exit() == 1
    (error,) = [line for line in bridge.lines if line.startswith("error: ")]
    assert re.search(said, error)
    if reason != "0x04":
        server.wait_log(rf"^connection 1: refused: .*\(reason {reason}\)")


def test_server_without_udp(start: Start, origin: Origin,
                            wispsocks: Callable[..., Bridge]) -> None:
    server = start(WispMux("--no-udp"))
    bridge = wispsocks(server.url)
    bridge.wait_connected()
    server.wait_log("^connection 1: wisp v2, extensions: none")
    assert associate(bridge)[0] == socks.COMMAND_NOT_SUPPORTED
    check_transfers(bridge, origin)


def test_no_udp_of_ours(start: Start, wispsocks: Callable[..., Bridge]) -> None:
    server = start(WispMux())
    bridge = wispsocks(server.url, "--no-udp")
    bridge.wait_connected()
    server.wait_log("^connection 1: wisp v2, extensions: none")
    assert associate(bridge)[0] == socks.COMMAND_NOT_SUPPORTED


@pytest.mark.parametrize("options, more", [([], ["--wisp", "1"]), (["--mux-handshake"], [])],
                         ids=["--wisp 1", "handshake of 5.1.0"])
def test_server_with_version_1(start: Start, origin: Origin, options: list[str], more: list[str],
                               udp_echo: int, wispsocks: Callable[..., Bridge]) -> None:
    server = start(WispMux(*options))
    bridge = wispsocks(server.url, *more)
    assert bridge.wait_connected().startswith("wisp v1")
    check_transfers(bridge, origin)
    assert exchange(bridge, udp_echo, b"datagram") == b"datagram"


def test_server_that_wants_credentials_of_v1(start: Start, files: Files,
                                             wispsocks: Callable[..., Bridge]) -> None:
    server = start(WispMux("--user", ADMITTED))
    bridge = wispsocks(server.url, "--wisp", "1", "--unverified-credentials",
                       *SHOWN["password"](files))
    assert bridge.wait_exit() == 1
    bridge.wait_log("^error: .*leave out --wisp 1")


def test_50_streams(start: Start, origin: Origin, wispsocks: Callable[..., Bridge]) -> None:
    """Each sends more than its credit, all at once, and some ports refuse."""
    server = start(WispMux())
    bridge = wispsocks(server.url)
    bridge.wait_connected()
    with refusing_port() as port:
        programs = [bridge.dial("127.0.0.1", origin.digest.port) for _ in range(50)]
        refused = [bridge.dial("127.0.0.1", port) for _ in range(10)]
        senders = [in_background(lambda program=program, number=number: program.sendall(
            sized(payload(300_000, number)))) for number, program in enumerate(programs)]
        for number, program in enumerate(programs):
            assert socks.recv_exactly(program, 64).decode() == payload_sha256(300_000, number)
        for sender in senders:
            sender.join(GUARD)
        for program in refused:
            assert socks.recv_to_end(program) == (b"", True)


# A client on wisp-mux with wispd


@pytest.fixture
def strict(module_start: Start, files: Files) -> Iterator[Callable[..., str]]:
    """Starts wispd with what it wants; its URL."""

    def begin(wanted: str, *more: str | Path) -> str:
        users, keys = ["--user-file", files.users], ["--authorized-keys", files.keys]
        options = {"nothing": [], "password": users, "key": keys, "either": users + keys}[wanted]
        return f"ws://127.0.0.1:{module_start(Wispd(*options, *more)).port}/"

    yield begin


CLIENT = {
    "password": lambda files: ["--user", ADMITTED],
    "key": lambda files: ["--key", files.key.private],
    "both": lambda files: ["--user", ADMITTED, "--key", files.key.private],
    "wrong password": lambda files: ["--user", f"{USER}:wrong"],
    "unknown user": lambda files: ["--user", f"nobody:{PASSWORD}"],
    "wrong key": lambda files: ["--key", files.stranger.private],
    "none": lambda files: [],
}


def run_client(origin: Origin, *args: str | Path, size: int = 3_000_000) -> tuple[int, str]:
    """Have an upload's hash come back through it; the exit code, and what was said."""
    done = wisp_mux_client(*args, "127.0.0.1", str(origin.digest.port),
                           data=sized(payload(size)))
    if done.returncode == 0:
        assert done.stdout.decode() == payload_sha256(size)
    return done.returncode, done.stderr.decode()


@pytest.mark.parametrize("wanted, shown, extensions", [
    ("nothing", "none", "udp motd"), ("nothing", "both", "udp motd"),
    ("password", "password", "udp password motd"), ("key", "key", "udp key motd"),
    ("either", "password", "udp password motd"), ("either", "key", "udp key motd"),
    ("either", "both", "udp password key motd"),
])
def test_client(strict: Callable[..., str], origin: Origin, files: Files, wanted: str, shown: str,
                extensions: str) -> None:
    url = strict(wanted, "--motd", "good day")
    code, said = run_client(origin, *CLIENT[shown](files), url)
    assert code == 0, said
    assert said.splitlines()[:2] == [f"wisp v2, extensions: {extensions}", "motd: good day"]


@pytest.mark.parametrize("wanted, shown, reason", [
    ("password", "wrong password", "0xc0"), ("password", "unknown user", "0xc0"),
    ("either", "wrong password", "0xc0"), ("key", "wrong key", "0xc1"),
    ("either", "wrong key", "0xc1"), ("password", "none", "0xc2"), ("key", "none", "0xc2"),
    ("password", "key", "0xc2"), ("key", "password", "0xc2"), ("either", "none", "0xc2"),
])
def test_client_that_is_refused(strict: Callable[..., str], origin: Origin, files: Files,
                                wanted: str, shown: str, reason: str) -> None:
    code, said = run_client(origin, *CLIENT[shown](files), strict(wanted))
    assert code == 1
    assert re.search(rf"refused: .*\(reason {reason}\)", said), said


@pytest.mark.parametrize("options", [["--v1"], ["--mux-handshake", "--v1"]], ids=" ".join)
def test_client_with_version_1(strict: Callable[..., str], origin: Origin,
                               options: list[str]) -> None:
    code, said = run_client(origin, *options, strict("nothing"))
    assert code == 0, said
    code, said = run_client(origin, *options, strict("password"))
    assert code == 1 and "0xc2" in said


def test_udp_of_the_client(strict: Callable[..., str], udp_echo: int) -> None:
    done = wisp_mux_client("--udp", strict("nothing"), "127.0.0.1", str(udp_echo), data=b"ping")
    assert (done.returncode, done.stdout) == (0, b"ping"), done.stderr
    done = wisp_mux_client("--udp", strict("nothing", "--no-udp"), "127.0.0.1", str(udp_echo),
                           data=b"ping")
    assert done.returncode == 1


def test_reasons_for_the_client(strict: Callable[..., str], public_only: Wispd,
                                origin: Origin) -> None:
    url = strict("nothing")
    with refusing_port() as port:
        done = wisp_mux_client(url, "127.0.0.1", str(port))
        assert done.returncode == 1 and b"0x44" in done.stderr
    done = wisp_mux_client(url, "no-such-host.invalid", "80")
    assert done.returncode == 1 and b"0x42" in done.stderr
    done = wisp_mux_client(f"ws://127.0.0.1:{public_only.port}/", "127.0.0.1",
                           str(origin.echo.port))
    assert done.returncode == 1 and b"0x48" in done.stderr


def test_20_clients(strict: Callable[..., str], origin: Origin, files: Files) -> None:
    """At once, each with credentials."""
    url = strict("either")
    results: list[tuple[int, str]] = []
    threads = [in_background(lambda shown=shown: results.append(
        run_client(origin, *CLIENT[shown](files), url, size=200_000)))
        for shown in ["password", "key"] * 10]
    for thread in threads:
        thread.join(GUARD)
    assert [code for code, _ in results] == [0] * 20
