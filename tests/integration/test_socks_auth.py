"""Passwords of programs (RFC 1929), with --auth."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Callable

import pytest

import packets
import socks
from bridge import Bridge
from conftest import Start
from credentials import write_secret
from curl import Result, curl
from fakeserver import FakeServer, Peer
from origin import Origin, payload_sha256, sha256
from procs import Program
from test_cli import URL, check_failure, check_usage_error
from wispservers import Wispd

HOST, PORT = "example.test", 80
LONG_USER, LONG_PASSWORD = b"u" * 255, b"p" * 255
USERS = (b"# who may use the tunnel\n"
         b"\n"
         b"user:pass:word with spaces \n"
         b"space: \r\n"
         b"plain:secret\n"
         + LONG_USER + b":" + LONG_PASSWORD + b"\n"
         b"last:no line feed")


@pytest.fixture
def users(tmp_path: Path) -> Path:
    return write_secret(tmp_path / "users", USERS)


@pytest.fixture
def opened(fake: FakeServer, users: Path,
           wispsocks: Callable[..., Bridge]) -> tuple[Bridge, Peer]:
    """A bridge that wants passwords, with its tunnel up."""
    bridge = wispsocks(fake.url, "--auth", users)
    server = fake.accept_open()
    bridge.wait_connected()
    return bridge, server


def curl_as(bridge: Bridge, who: str, url: str) -> Result:
    return curl("--proxy", f"socks5h://{who}127.0.0.1:{bridge.port}", url)


def test_curl(wispd: Wispd, origin: Origin, users: Path,
              wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(f"ws://127.0.0.1:{wispd.port}/", "--auth", users, "-vv")
    url = origin.url("bytes/3000000/7")
    result = curl_as(bridge, "plain:secret@", url)
    assert result.code == 0, result
    assert sha256(result.output) == payload_sha256(3_000_000, 7)
    for who in ("plain:wrong@", "nobody:secret@", "plain:@", "", "secret:plain@"):
        result = curl_as(bridge, who, url)
        assert result.code == 97 and result.output == b"", (who, result)
    bridge.wait_log(r"^127\.0\.0\.1:\d+: login failed: wrong user name or password; see --auth")
    assert "secret" not in bridge.log and "no line feed" not in bridge.log


@pytest.mark.parametrize("user, secret", [
    (b"user", b"pass:word with spaces "), (b"space", b" "), (LONG_USER, LONG_PASSWORD),
    (b"last", b"no line feed"),
], ids=["colon", "space", "255 bytes", "last line"])
def test_right_password(opened: tuple[Bridge, Peer], user: bytes, secret: bytes) -> None:
    bridge, server = opened
    program = bridge.connect()
    assert socks.log_in(program, user, secret)
    program.sendall(socks.request(HOST, PORT) + b"data")
    stream = server.recv_connect().stream
    assert server.recv() == packets.data(stream, b"data")
    assert socks.recv_reply(program).code == socks.SUCCEEDED


@pytest.mark.parametrize("user, secret", [
    (b"", b""), (b"", b"secret"), (b"plain", b""), (b"plain", b"secret "), (b"plain", b"secre"),
    (b"plain:secret", b""), (b"Plain", b"secret"), (b"space", b""), (b"plain\0", b"secret"),
    (LONG_USER[1:], LONG_PASSWORD), (LONG_USER, LONG_PASSWORD[1:]), (LONG_USER, b"\xff" * 255),
    (b"# who may use the tunnel", b""),
], ids=repr)
def test_wrong_password(opened: tuple[Bridge, Peer], user: bytes, secret: bytes) -> None:
    """It ends the connection, and nothing behind it is looked at."""
    bridge, server = opened
    program = bridge.connect(socks.greeting(socks.PASSWORD) + socks.password(user, secret)
                             + socks.request(HOST, PORT) + b"data")
    assert socks.recv_method(program) == socks.PASSWORD
    version, status = socks.recv_exactly(program, 2)
    assert version == 1 and status != 0
    program.shutdown(socket.SHUT_WR)
    assert socks.recv_to_end(program).data == b""
    assert server.barrier() == []


def test_everything_at_once(opened: tuple[Bridge, Peer]) -> None:
    """What follows the password stays for the stream."""
    bridge, server = opened
    program = bridge.connect(socks.greeting(socks.NO_AUTHENTICATION, socks.PASSWORD)
                             + socks.password(b"plain", b"secret")
                             + socks.request(HOST, PORT) + b"data")
    assert socks.recv_method(program) == socks.PASSWORD
    stream = server.recv_connect().stream
    assert server.recv() == packets.data(stream, b"data")


def test_password_in_pieces(opened: tuple[Bridge, Peer]) -> None:
    bridge, server = opened
    program = bridge.connect()
    sent = (socks.greeting(socks.PASSWORD) + socks.password(LONG_USER, LONG_PASSWORD)
            + socks.request(HOST, PORT) + b"data")
    for byte in sent:
        program.sendall(bytes([byte]))
    assert socks.recv_method(program) == socks.PASSWORD
    assert socks.recv_exactly(program, 2) == b"\x01\x00"
    assert socks.recv_reply(program).code == socks.SUCCEEDED
    stream = server.recv_connect().stream
    assert server.recv_data(stream, 4) == b"data"


@pytest.mark.parametrize("methods", [(), (socks.NO_AUTHENTICATION,), (1,), (0x80, 0xff)],
                         ids=repr)
def test_no_method_that_is_accepted(opened: tuple[Bridge, Peer],
                                    methods: tuple[int, ...]) -> None:
    bridge, server = opened
    program = bridge.connect(socks.greeting(*methods) + socks.request(HOST, PORT))
    assert socks.recv_method(program) == socks.NO_ACCEPTABLE_METHOD
    program.shutdown(socket.SHUT_WR)
    assert socks.recv_to_end(program).data == b""
    assert server.barrier() == []
    bridge.wait_log(r"^127\.0\.0\.1:\d+: login failed: it offers no user name and password")


def test_password_is_not_wanted(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    """Without --auth, a program that insists on one is refused."""
    bridge = wispsocks(fake.url)
    assert socks.recv_method(bridge.connect(socks.greeting(socks.PASSWORD))) == \
        socks.NO_ACCEPTABLE_METHOD


@pytest.mark.parametrize("version", [0, 2, socks.VERSION, 0xff])
def test_wrong_version_of_the_password(opened: tuple[Bridge, Peer], version: int) -> None:
    bridge, server = opened
    program = bridge.connect(socks.greeting(socks.PASSWORD)
                             + socks.password(b"plain", b"secret", version)
                             + socks.request(HOST, PORT))
    assert socks.recv_method(program) == socks.PASSWORD
    assert socks.recv_to_end(program).data in (b"", b"\x01\x01")
    assert server.barrier() == []
    bridge.wait_log("RFC 1929")


# The option's first name


@pytest.mark.parametrize("name", ["--auth", "--socks-auth"])
@pytest.mark.parametrize("where", ["argument", "behind =", "file"])
def test_names_of_the_option(fake: FakeServer, users: Path, tmp_path: Path, name: str, where: str,
                             wispsocks: Callable[..., Bridge]) -> None:
    config = tmp_path / "config"
    config.write_text(f"{name[2:]} = {users}\n")
    given = {"argument": [name, users], "behind =": [f"{name}={users}"],
             "file": ["--config", config]}
    bridge = wispsocks(fake.url, *given[where])
    fake.accept_open()
    program = bridge.connect(socks.greeting(socks.NO_AUTHENTICATION))
    assert socks.recv_method(program) == socks.NO_ACCEPTABLE_METHOD
    bridge.wait_log(f"login failed: .* see {name}$")


def test_both_names_in_a_file(users: Path, tmp_path: Path) -> None:
    """They are one option."""
    config = tmp_path / "config"
    config.write_text(f"socks-auth = {users}\nauth = {users}\n")
    assert "auth stands in line 1 already" in check_usage_error("wispsocks", "-c", str(config))


@pytest.mark.parametrize("args, says", [
    (["--socks-auth"], "needs a value"), (["--socks-auth", ""], "the value is empty"),
    (["--socks"], "needs a value"), (["--socks-auths", "x"], "unknown option"),
])
def test_wrong_use_of_the_first_name(args: list[str], says: str) -> None:
    assert says in check_usage_error("wispsocks", *args)


def test_complaint_has_the_name_that_was_given(tmp_path: Path) -> None:
    for name in ("--auth", "--socks-auth"):
        check_failure(f"{name}: ", "wispsocks", "-l", "0", name, tmp_path / "missing", URL)


# The file


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o660, 0o644, 0o602], ids=oct)
def test_file_that_others_can_read(users: Path, mode: int) -> None:
    users.chmod(mode)
    error = check_failure(str(users), "wispsocks", "-l", "0", "--auth", users, URL)
    assert "--auth" in error and "chmod" in error


@pytest.mark.parametrize("text, line", [
    (b"no colon\n", 1), (b":no name\n", 1), (b"a:b\n\n# c\nno colon", 4), (b"a:b\r\nbad\r\n", 2),
    (256 * b"u" + b":p\n", 1), (b"a:b\n \n", 2), (b"a:b\nb:\n", 2), (b"a:\r\nb:c\n", 1),
], ids=repr)
def test_malformed_line(users: Path, text: bytes, line: int) -> None:
    write_secret(users, text)
    error = check_failure(str(users), "wispsocks", "-l", "0", "--auth", users, URL)
    assert "--auth" in error and re.search(rf"\bline {line}\b", error)


@pytest.mark.parametrize("kind", ["missing", "folder", "empty", "comments", "too long"])
def test_file_that_cannot_be_used(users: Path, tmp_path: Path, kind: str) -> None:
    contents = {"empty": b"", "comments": b"# a:b\n\n", "too long": b"a:b\n" * 300_000}
    if kind in contents:
        write_secret(users, contents[kind])
    path = {"missing": tmp_path / "missing", "folder": tmp_path}.get(kind, users)
    error = check_failure(str(path), "wispsocks", "-l", "0", "--auth", path, URL)
    assert "--auth" in error


def test_address_for_others(users: Path, start: Start, origin: Origin, wispd: Wispd) -> None:
    """Nobody uses the tunnel unasked, so --open-to-all is not needed."""
    bridge = start(Program("wispsocks", "-l", "0.0.0.0:0", "--auth", users,
                           f"ws://127.0.0.1:{wispd.port}/"))
    with socks.open_socket(bridge.port) as program:
        assert socks.log_in(program, b"plain", b"secret")
        program.sendall(socks.request("127.0.0.1", origin.echo.port) + b"data")
        assert socks.recv_reply(program).code == socks.SUCCEEDED
        assert socks.recv_exactly(program, 4) == b"data"
    with socks.open_socket(bridge.port) as program:
        program.sendall(socks.greeting(socks.NO_AUTHENTICATION))
        assert socks.recv_method(program) == socks.NO_ACCEPTABLE_METHOD


def test_many_programs(users: Path, origin: Origin, wispd: Wispd,
                       wispsocks: Callable[..., Bridge]) -> None:
    """50 at once, right and wrong ones mixed."""
    bridge = wispsocks(f"ws://127.0.0.1:{wispd.port}/", "--auth", users)
    programs = [bridge.connect(socks.greeting(socks.PASSWORD)) for _ in range(50)]
    for number, program in enumerate(programs):
        assert socks.recv_method(program) == socks.PASSWORD
        program.sendall(socks.password(b"plain", b"wrong" if number % 2 else b"secret"))
    for number, program in enumerate(programs):
        assert socks.recv_exactly(program, 2) == bytes([1, number % 2])
        if number % 2 == 0:
            program.sendall(socks.request("127.0.0.1", origin.echo.port) + b"%d" % number)
    for number, program in list(enumerate(programs))[::2]:
        assert socks.recv_reply(program).code == socks.SUCCEEDED
        assert socks.recv_exactly(program, len(b"%d" % number)) == b"%d" % number
