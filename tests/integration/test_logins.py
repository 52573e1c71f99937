"""What the logs of wispd and wispsocks say of who comes in, and of who does not."""

from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path
from typing import Callable

import pytest

import packets
import socks
from bridge import Bridge
from conftest import Start
from credentials import Key, make_key, write_secret
from procs import REPOSITORY, Program
from test_credentials import shown, shown_as_wisp_js, sign
from wispclient import WispClient
from wispservers import Wispd

COMMENT = "bob's laptop \u00fc"
USER, PASSWORD = "tester", "pass:word s3cret"
STRANGE = 'two "words" \x1b[31m\t\u00fc'


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Key:
    return make_key(tmp_path_factory.mktemp("key"), "key")


@pytest.fixture(scope="module")
def plain_key(tmp_path_factory: pytest.TempPathFactory) -> Key:
    return make_key(tmp_path_factory.mktemp("plain"), "plain")


@pytest.fixture(scope="module")
def server(module_start: Start, tmp_path_factory: pytest.TempPathFactory, key: Key,
           plain_key: Key) -> Wispd:
    """It lets two users and two keys in; one key has a comment, and one is PEM, which has none."""
    folder = tmp_path_factory.mktemp("files")
    users = write_secret(folder / "users", f"{USER}:{PASSWORD}\n{STRANGE}:{PASSWORD}\n")
    keys = folder / "keys"
    kind, blob, _ = key.ssh.split(" ", 2)
    keys.write_text(f"{kind} {blob} {COMMENT}\n{plain_key.public.read_text()}", encoding="utf-8")
    return module_start(Wispd("--user-file", users, "--authorized-keys", keys))


def fingerprint(key: Key) -> str:
    """What ssh-keygen says."""
    path = key.public.with_suffix(".ssh")
    path.write_text(key.ssh)
    said = subprocess.run(["ssh-keygen", "-lf", path], check=True, capture_output=True, text=True)
    return said.stdout.split()[1]


def failregex() -> re.Pattern[str]:
    """The expression for fail2ban that the manual has, as fail2ban completes it."""
    page = subprocess.run(["mandoc", "-T", "utf8", REPOSITORY / "man/wispd.8"], check=True,
                          capture_output=True, text=True).stdout
    page = re.sub(".\b", "", page)
    (found,) = re.findall(r"^ *failregex = (.*)$", page, re.MULTILINE)
    address = r"(?:::f{4,6}:)?(?P<ip4>(?:\d{1,3}\.){3}\d{1,3})|(?P<ip6>[0-9a-fA-F:]+)"
    return re.compile(found.replace("%(__prefix_line)s", "").replace("<ADDR>", f"(?:{address})"))


def log_in(server: Wispd, *named: tuple[int, bytes | Callable[[bytes], bytes]]) -> list[str]:
    """Come, with these credentials; what the log says of this client but for coming and going."""
    with WispClient(server.port, version=2) as client:
        name = f"127.0.0.1:{client.sock.getsockname()[1]}"
        offered = packets.extensions(client.recv_type(packets.INFO, 0))
        client.send(packets.info(b"".join(
            packets.extension(kind, data(offered[packets.KEY][2:]) if callable(data) else data)
            for kind, data in named)))
        client.recv()
    server.wait_log(f"^{re.escape(name)}: disconnected")
    lines = [line.removeprefix(f"{name}: ") for line in server.lines if line.startswith(name)]
    return [line for line in lines if not re.search("connected|closed the WebSocket", line)]


def test_users_who_come_in(server: Wispd) -> None:
    for form in (shown, shown_as_wisp_js):
        said = log_in(server, form(USER.encode(), PASSWORD.encode()))
        assert said == [f'logged in as user "{USER}"']


def test_name_is_made_printable(server: Wispd) -> None:
    said = log_in(server, shown(STRANGE.encode(), PASSWORD.encode()))
    assert said == ['logged in as user "two "words" ?[31m?\u00fc"']


def test_keys_that_come_in(server: Wispd, key: Key, plain_key: Key) -> None:
    said = log_in(server, (packets.KEY, lambda challenge: sign(key, challenge)))
    assert said == [f"logged in with key {fingerprint(key)} ({COMMENT})"]
    said = log_in(server, (packets.KEY, lambda challenge: sign(plain_key, challenge)))
    assert said == [f"logged in with key {fingerprint(plain_key)}"]


def test_key_and_password(server: Wispd, plain_key: Key) -> None:
    said = log_in(server, (packets.KEY, lambda challenge: sign(plain_key, challenge)),
                  shown(USER.encode(), PASSWORD.encode()))
    assert sorted(said) == [f'logged in as user "{USER}"',
                            f"logged in with key {fingerprint(plain_key)}"]


def test_failures(server: Wispd, key: Key, tmp_path: Path) -> None:
    """Each is one line, without what was given for a name or a password."""
    stranger = make_key(tmp_path, "stranger")
    hashed = hashlib.sha256(stranger.raw).hexdigest()
    wrong = "wrong user name or password"
    for named, says in (
            ([], "no credentials"),
            ([(packets.HAS_UDP, b"")], "no credentials"),
            ([shown(USER.encode(), b"wrong")], wrong),
            ([shown(PASSWORD.encode(), b"")], wrong),
            ([shown_as_wisp_js(b"nobody", b"x\n1.2.3.4:5: login failed: y")], wrong),
            ([(packets.PASSWORD, b"")], wrong),
            ([(packets.KEY, lambda challenge: sign(stranger, challenge))],
             f"unknown key with the SHA-256 {hashed}"),
            ([(packets.KEY, lambda challenge: sign(key, bytes(64)))],
             f"wrong signature by key {fingerprint(key)} ({COMMENT})"),
            ([(packets.KEY, b"\x01")], "malformed signature")):
        said = log_in(server, *named)
        assert said == [f"login failed: {says}"], named
    assert "s3cret" not in server.log and "nobody" not in server.log


def test_v1_client(server: Wispd) -> None:
    since = server.mark()
    with WispClient(server.port) as client:
        client.recv_end()
    server.wait_log(r"^127\.0\.0\.1:\d+: login failed: no credentials, which Wisp v1", since)


def test_nothing_to_say_without_credentials(wispd: Wispd) -> None:
    assert log_in(wispd) == []


def test_clients_cannot_claim_a_failure(wispd: Wispd) -> None:
    """What a client says of itself is no failed login."""
    with WispClient(wispd.port, version=2) as client:
        name = f"127.0.0.1:{client.sock.getsockname()[1]}"
        client.recv_type(packets.INFO, 0)
        client.send(packets.close(0, packets.BAD_PASSWORD))
        client.recv_end()
    wispd.wait_log(f"^{name}: disconnected")
    assert "login failed" not in wispd.log


def test_manual_matches_failures(server: Wispd) -> None:
    """The manual's expression for fail2ban finds the address, and nothing else does it find."""
    pattern = failregex()
    log_in(server)
    log_in(server, shown(USER.encode(), PASSWORD.encode()))
    failed = [line for line in server.lines if "login failed" in line]
    matched = [line for line in server.lines if pattern.search(line)]
    assert failed == matched != []
    assert pattern.search(matched[-1]).group("ip4") == "127.0.0.1"
    for line in ("[2001:db8::1]:4711: login failed: x", "[::ffff:192.0.2.1]:1: login failed: x"):
        found = pattern.search(line)
        assert (found.group("ip4"), found.group("ip6")) in (("192.0.2.1", None),
                                                            (None, "2001:db8::1"))
    assert not pattern.search('192.0.2.1:7: logged in as user "1.2.3.4:5: login failed: x"')
    assert not pattern.search("1.2.3.4 192.0.2.1:7: login failed: x")


# Programs of wispsocks


@pytest.fixture
def strict(wispd: Wispd, tmp_path: Path, wispsocks: Callable[..., Bridge]) -> Bridge:
    users = write_secret(tmp_path / "users", f"{USER}:{PASSWORD}\n")
    return wispsocks(f"ws://127.0.0.1:{wispd.port}/", "--auth", users)


def test_programs_that_do_not_come_in(strict: Bridge) -> None:
    """Their addresses are named, also when they do not wait for the answer."""
    pattern = failregex()
    for sent, says in (
            (socks.greeting(socks.PASSWORD) + socks.password(b"s3cret", b"x"), "wrong user name"),
            (socks.greeting(socks.NO_AUTHENTICATION), "offers no user name and password")):
        for hurry in (False, True):
            since = strict.mark()
            program = socks.open_socket(strict.port)
            name = f"127.0.0.1:{program.getsockname()[1]}"
            program.sendall(sent)
            if not hurry:
                socks.recv_to_end(program)
            program.close()
            line = strict.wait_log(rf"^{name}: login failed: .*{says}", since).string
            assert pattern.search(line).group("ip4") == "127.0.0.1"
    assert "s3cret" not in strict.log


def test_program_of_a_unix_socket_that_does_not_come_in(start: Start, tmp_path: Path) -> None:
    users = write_secret(tmp_path / "users", f"{USER}:{PASSWORD}\n")
    path = tmp_path / "socket"
    bridge = start(Program("wispsocks", "-l", f"unix:{path}", "--auth", users,
                           "ws://127.0.0.1:1/"))
    bridge.addresses()
    program = socks.open_socket(str(path))
    program.sendall(socks.greeting(socks.PASSWORD) + socks.password(b"nobody", b"x"))
    socks.recv_to_end(program)
    bridge.wait_log("^a program on this machine: login failed: wrong user name or password")
