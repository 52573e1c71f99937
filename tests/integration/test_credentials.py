"""Passwords and keys that servers want, from both sides of it."""

from __future__ import annotations

import hashlib
import os
import pty
import re
import signal
import struct
import subprocess
from pathlib import Path
from typing import Callable, NamedTuple

import pytest

import packets
import socks
from bridge import Bridge
from certs import Authority, Certificate
from conftest import Start
from credentials import Key, make_key, openssl, ssh_line, write_secret
from fakeserver import FakeServer, Peer
from origin import Origin, payload_sha256, sha256
from procs import BUILD, GUARD, Program, clean_environment
from proxies import Tinyproxy
from test_cli import URL, check_failure, check_usage_error
from wispclient import WispClient
from wispservers import TlsWispd, Wispd

USER, PASSWORD = "tester", "pass:word s3cret"
SHOWN = {packets.PASSWORD: b"\x06testerpass:word s3cret"}
CHALLENGE = bytes(range(64))
WANTS_PASSWORD = packets.extension(packets.PASSWORD, b"\x01")
WANTS_KEY = packets.extension(packets.KEY, b"\x01\x01" + CHALLENGE)
LIKES_PASSWORD = packets.extension(packets.PASSWORD, b"\x00")
LIKES_KEY = packets.extension(packets.KEY, b"\x00\x01" + CHALLENGE)


class Files(NamedTuple):
    """What the tests show, and what servers know of it."""

    folder: Path
    password: Path
    users: Path
    key: Key
    stranger: Key
    keys: Path
    ssh_keys: Path

    @property
    def options(self) -> dict[str, list[str | Path]]:
        """Options of wispsocks."""
        wrong = write_secret(self.folder / "wrong", "wrong\n")
        return {
            "password": ["--user", USER, "--password-file", self.password],
            "key": ["--key", self.key.private],
            "both": ["-u", USER, "--password-file", self.password, "--key", self.key.private],
            "wrong password": ["-u", USER, "--password-file", wrong],
            "unknown user": ["-u", "nobody", "--password-file", self.password],
            "wrong key": ["--key", self.stranger.private],
            "wrong key, right password": ["-u", USER, "--password-file", self.password,
                                          "--key", self.stranger.private],
            "none": [],
        }

    @property
    def wanted(self) -> dict[str, list[str | Path]]:
        """Options of wispd."""
        users, keys = ["--user-file", self.users], ["--authorized-keys", self.keys]
        return {"password": users, "key": keys, "ssh key": ["--authorized-keys", self.ssh_keys],
                "either": users + keys}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("credentials")
    key, stranger = make_key(folder, "key"), make_key(folder, "stranger")
    other = make_key(folder, "other")
    keys, ssh_keys = folder / "keys", folder / "ssh-keys"
    keys.write_text(f"# comment\n{other.ssh}\n{key.public.read_text()}{other.public.read_text()}")
    ssh_keys.write_text(f"{other.public.read_text()}\n# comment\n{key.ssh}")
    return Files(folder, write_secret(folder / "password", f"{PASSWORD}\r\nsecond line\n"),
                 write_secret(folder / "users", f"other:one\n{USER}:{PASSWORD}\n"),
                 key, stranger, keys, ssh_keys)


@pytest.fixture
def strict(start: Start, certificate: Certificate, files: Files) -> Callable[..., TlsWispd]:
    """Starts wispd with TLS and what it wants: `strict("either")`."""
    return lambda wanted, *more, **kwargs: start(
        TlsWispd(certificate, *files.wanted[wanted], *more, **kwargs))


def check_refused(bridge: Bridge, said: str) -> None:
    """It ends with 1 and one error line, which says what to do."""
    assert bridge.wait_exit() == 1
    (error,) = [line for line in bridge.lines if line.startswith("error: ")]
    assert re.search(said, error), error
    assert not bridge.find_log("^connected")
    assert "s3cret" not in bridge.log


# wispsocks and wispd


@pytest.mark.parametrize("wanted, shown", [
    ("password", "password"), ("password", "both"), ("key", "key"), ("key", "both"),
    ("ssh key", "key"), ("either", "password"), ("either", "key"), ("either", "both"),
    ("password", "wrong key, right password"),
])
def test_right_credentials(strict: Callable[..., TlsWispd], files: Files, authority: Authority,
                           origin: Origin, wanted: str, shown: str,
                           wispsocks: Callable[..., Bridge]) -> None:
    server = strict(wanted)
    bridge = wispsocks(server.url, "--cacert", authority.cacert, *files.options[shown])
    assert bridge.wait_connected().startswith("wisp v2, TLS")
    assert not bridge.find_log("^warning:")
    result = bridge.curl(origin.url("bytes/3000000"))
    assert sha256(result.output) == payload_sha256(3_000_000), result.errors
    assert "s3cret" not in bridge.log + server.log


@pytest.mark.parametrize("wanted, shown, said", [
    ("password", "wrong password", "--user and --password-file"),
    ("password", "unknown user", "--user and --password-file"),
    ("either", "wrong password", "--user and --password-file"),
    ("key", "wrong key", "--key"),
    ("either", "wrong key", "--key"),
    ("password", "none", "a user name and a password; give --user and --password-file"),
    ("password", "key", "a user name and a password; give --user and --password-file"),
    ("key", "none", "requires a key; .*--key"),
    ("key", "password", "requires a key; .*--key"),
    ("either", "none", "a password or a key; .*--user.*--key"),
])
def test_wrong_credentials(strict: Callable[..., TlsWispd], files: Files, authority: Authority,
                           wanted: str, shown: str, said: str,
                           wispsocks: Callable[..., Bridge]) -> None:
    server = strict(wanted)
    check_refused(wispsocks(server.url, "--cacert", authority.cacert, *files.options[shown]), said)
    with WispClient(server.port, version=2, context=authority.trusted()) as client:
        client.recv_type(packets.INFO, 0)  # the server goes on


def test_refused_later_on(start: Start, certificate: Certificate, files: Files,
                          authority: Authority, wispsocks: Callable[..., Bridge]) -> None:
    """It tries again slowly, also when programs come, and says why."""
    server = start(TlsWispd(certificate, *files.wanted["password"]))
    bridge = wispsocks(server.url, "--cacert", authority.cacert, "--connect-timeout", "3",
                       *files.options["password"])
    bridge.wait_connected()
    before = bridge.mark()
    port = server.port
    server.terminate()
    others = write_secret(files.folder / "others", "other:one\n")
    server = start(TlsWispd(certificate, "--user-file", others, port=port))
    why, delay = bridge.wait_log(
        rf"^(?:warning: )?cannot connect to {server.url}: (.*--password-file); next try in (\S+) s",
        before).groups()
    assert "refuses the user name or the password" in why
    assert 22 < float(delay) <= 30
    program = bridge.connect(socks.opening("127.0.0.1", 80))
    assert socks.recv_opening(program).code != socks.SUCCEEDED
    assert len([line for line in bridge.lines[before:] if "--password-file" in line]) == 1


@pytest.mark.parametrize("more, said", [((), "requires|--user"),
                                        (("--wisp", "1"), "v1 cannot carry.*leave out --wisp 1")],
                         ids=["auto", "--wisp 1"])
def test_v1_shows_nothing(strict: Callable[..., TlsWispd], files: Files, authority: Authority,
                          more: tuple[str, ...], said: str,
                          wispsocks: Callable[..., Bridge]) -> None:
    shown = files.options["both" if more else "none"]
    check_refused(wispsocks(strict("either").url, "--cacert", authority.cacert, *more, *shown),
                  said)


def test_wispd_with_v1_cannot_ask(files: Files) -> None:
    for wanted in ("password", "key"):
        error = check_usage_error("wispd", "-l", "0", "--wisp", "1", *files.wanted[wanted])
        assert "--wisp 1" in error


# What wispd takes


@pytest.fixture(scope="module")
def lenient(module_start: Start, files: Files) -> Wispd:
    """It wants a password or a key, without TLS."""
    return module_start(Wispd(*files.wanted["either"]))


def sign(key: Key, challenge: bytes) -> bytes:
    """A client's answer to a challenge."""
    path = key.private.with_suffix(".challenge")
    path.write_bytes(challenge)
    signature = openssl("pkeyutl", "-sign", "-rawin", "-inkey", key.private, "-in", path)
    return b"\x01" + hashlib.sha256(key.raw).digest() + signature


def wispd_answers(server: Wispd, *named: tuple[int, bytes | Callable[[bytes], bytes]]) -> int:
    """0 when it lets a client in that names these extensions, or else the reason of its CLOSE.

    What is to be made of the challenge comes as a function of it.
    """
    with WispClient(server.port, version=2) as client:
        offered = packets.extensions(client.recv_type(packets.INFO, 0))
        assert offered[packets.PASSWORD] == b"\x01" and offered[packets.KEY][:2] == b"\x01\x01"
        challenge = offered[packets.KEY][2:]
        assert len(challenge) == 64
        client.send(packets.info(b"".join(
            packets.extension(kind, payload(challenge) if callable(payload) else payload)
            for kind, payload in named)))
        answer = client.recv()
        if answer.type == packets.CONTINUE:
            return 0
        assert answer.stream == 0
        client.recv_end()
        return answer.reason


def shown(user: bytes, password: bytes) -> tuple[int, bytes]:
    return packets.PASSWORD, bytes([len(user)]) + user + password


def shown_as_wisp_js(user: bytes, password: bytes) -> tuple[int, bytes]:
    return packets.PASSWORD, struct.pack("<BH", len(user), len(password)) + user + password


RIGHT = (USER.encode(), PASSWORD.encode())


def test_passwords_that_wispd_takes(lenient: Wispd) -> None:
    """Also in the form that wisp-js has."""
    for form in (shown, shown_as_wisp_js):
        assert wispd_answers(lenient, form(*RIGHT)) == 0
        for user, password in ((b"", b""), (RIGHT[0], b""), (b"", RIGHT[1]), (b"nobody", RIGHT[1]),
                               (RIGHT[0], RIGHT[1] + b"x"), (RIGHT[0], RIGHT[1][:-1]),
                               (RIGHT[0], RIGHT[1] + b"\0"), (b"other", RIGHT[1]),
                               (b"tester:pass", b"word s3cret")):
            assert wispd_answers(lenient, form(user, password)) == packets.BAD_PASSWORD, password
    for payload in (b"", b"\xff", b"\x07tester", b"\xfftester" + RIGHT[1]):
        assert wispd_answers(lenient, (packets.PASSWORD, payload)) == packets.BAD_PASSWORD, payload


def test_keys_that_wispd_takes(lenient: Wispd, files: Files) -> None:
    key = files.key

    def proof(challenge: bytes) -> bytes:
        return sign(key, challenge)

    assert wispd_answers(lenient, (packets.KEY, proof)) == 0
    wrong: list[bytes | Callable[[bytes], bytes]] = [
        b"", b"\x01", proof(CHALLENGE),
        lambda challenge: sign(files.stranger, challenge),
        lambda challenge: proof(challenge)[:-1],
        lambda challenge: proof(challenge) + b"\0",
        lambda challenge: b"\x02" + proof(challenge)[1:],
        lambda challenge: b"\x00" + proof(challenge)[1:],
        lambda challenge: proof(challenge)[:-1] + b"\xff",
        lambda challenge: proof(challenge)[:33] + sign(files.stranger, challenge)[33:],
        lambda challenge: sign(files.stranger, challenge)[:33] + proof(challenge)[33:],
        lambda challenge: proof(challenge)[:33] + bytes(64),
    ]
    for payload in wrong:
        assert wispd_answers(lenient, (packets.KEY, payload)) == packets.BAD_SIGNATURE
    assert wispd_answers(lenient, (packets.KEY, proof), shown(*RIGHT)) == 0


def test_wispd_wants_to_see_something(lenient: Wispd) -> None:
    assert wispd_answers(lenient) == packets.CREDENTIALS_REQUIRED
    assert wispd_answers(lenient, (packets.HAS_UDP, b"")) == packets.CREDENTIALS_REQUIRED


def test_challenges_differ(lenient: Wispd) -> None:
    seen = set()
    for _ in range(5):
        with WispClient(lenient.port, version=2) as client:
            seen.add(packets.extensions(client.recv_type(packets.INFO, 0))[packets.KEY])
    assert len(seen) == 5


def test_no_stream_before_the_credentials(lenient: Wispd, origin: Origin) -> None:
    with WispClient(lenient.port, version=2) as client:
        client.recv_type(packets.INFO, 0)
        client.send(packets.connect(1, "127.0.0.1", origin.echo.port), packets.data(1, b"x"))
        try:
            while (packet := client.recv()).type == packets.CLOSE:
                assert packet.stream == 0
            raise AssertionError(packet)
        except packets.Ended:
            pass


def test_v1_client_of_a_strict_wispd(lenient: Wispd, origin: Origin) -> None:
    with WispClient(lenient.port) as client:
        client.send(packets.connect(1, "127.0.0.1", origin.echo.port))
        assert client.recv() == packets.close(0, packets.CREDENTIALS_REQUIRED)
        client.recv_end()


# To whom wispsocks shows them


def open_with(server: Peer, *offered: bytes) -> dict[int, bytes]:
    """Go through the handshake; the extensions that the client named."""
    named = server.offer(*offered)
    server.send(packets.credit(0, 1))
    return named


def refuses(server: Peer, *offered: bytes) -> None:
    """Offer what the client turns down, and see that it says so and nothing else."""
    server.upgrade()
    server.send(packets.info(b"".join(offered)))
    assert server.recv() == packets.close(0, packets.INCOMPATIBLE)
    server.recv_end()


@pytest.fixture
def secure(start: Start, certificate: Certificate) -> FakeServer:
    return start(FakeServer(certificate.context()))


@pytest.mark.parametrize("required", [True, False], ids=["required", "optional"])
@pytest.mark.parametrize("kind", ["password", "key"])
def test_verified_server(secure: FakeServer, authority: Authority, files: Files, kind: str,
                         required: bool, wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(secure.url_at("localhost"), "--cacert", authority.cacert,
                       *files.options["both"])
    wants = {"password": (WANTS_PASSWORD, LIKES_PASSWORD), "key": (WANTS_KEY, LIKES_KEY)}
    named = open_with(secure.accept(), wants[kind][0 if required else 1])
    check_named(named, kind, files)
    bridge.wait_connected()
    assert not bridge.find_log("^warning:")


def check_named(named: dict[int, bytes], kind: str, files: Files) -> None:
    """The client showed this and nothing else."""
    if kind == "password":
        assert named == SHOWN
        return
    assert named.keys() == {packets.KEY}
    algorithm, digest, signature = named[packets.KEY][:1], named[packets.KEY][1:33], \
        named[packets.KEY][33:]
    assert (algorithm, digest) == (b"\x01", hashlib.sha256(files.key.raw).digest())
    challenge, file = files.folder / "challenge", files.folder / "signature"
    challenge.write_bytes(CHALLENGE)
    file.write_bytes(signature)
    openssl("pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", files.key.public, "-in", challenge,
            "-sigfile", file)


@pytest.mark.parametrize("offered, kind", [
    (WANTS_PASSWORD + LIKES_KEY, "password"), (LIKES_PASSWORD + WANTS_KEY, "key"),
    (WANTS_PASSWORD + WANTS_KEY, "key"), (LIKES_KEY + LIKES_PASSWORD, "key"),
    (WANTS_PASSWORD + packets.extension(packets.KEY, b"\x01\x02" + CHALLENGE), "password"),
], ids=["password wanted", "key wanted", "both wanted", "none wanted", "another algorithm"])
def test_one_of_two(secure: FakeServer, authority: Authority, files: Files, offered: bytes,
                    kind: str, wispsocks: Callable[..., Bridge]) -> None:
    """What is required, and a key rather than a password."""
    bridge = wispsocks(secure.url_at("localhost"), "--cacert", authority.cacert,
                       *files.options["both"])
    check_named(open_with(secure.accept(), offered), kind, files)
    bridge.wait_connected()


class Unverified(NamedTuple):
    fake: FakeServer
    options: list[str | Path]
    url: str


@pytest.fixture(params=["ws", "insecure"])
def unverified(request: pytest.FixtureRequest, start: Start, authority: Authority) -> Unverified:
    """A server that TLS does not verify, and how to come to it."""
    if request.param == "ws":
        fake = start(FakeServer())
        return Unverified(fake, [], fake.url)
    fake = start(FakeServer(authority.self_signed().context()))
    return Unverified(fake, ["--insecure"], fake.url_at("localhost"))


def warnings(bridge: Bridge) -> list[str]:
    return [line for line in bridge.lines
            if line.startswith("warning: ") and not line.startswith("warning: --insecure")]


@pytest.mark.parametrize("wants, likes", [(WANTS_PASSWORD, LIKES_PASSWORD),
                                          (WANTS_KEY, LIKES_KEY)], ids=["password", "key"])
def test_unverified_server(unverified: Unverified, files: Files, wants: bytes, likes: bytes,
                           wispsocks: Callable[..., Bridge]) -> None:
    """It does not get to see them."""
    bridge = wispsocks(unverified.url, *unverified.options, *files.options["both"])
    refuses(unverified.fake.accept(), wants)
    check_refused(bridge, "--unverified-credentials")

    bridge = wispsocks(unverified.url, *unverified.options, *files.options["both"])
    assert open_with(unverified.fake.accept(), likes) == {}
    bridge.wait_connected()
    bridge.wait_log("^warning: .*--unverified-credentials")
    assert len(warnings(bridge)) == 1


@pytest.mark.parametrize("kind, wants", [("password", WANTS_PASSWORD), ("key", WANTS_KEY)])
def test_unverified_credentials(unverified: Unverified, files: Files, kind: str, wants: bytes,
                                wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(unverified.url, *unverified.options, *files.options["both"],
                       "--unverified-credentials")
    check_named(open_with(unverified.fake.accept(), wants), kind, files)
    bridge.wait_connected()
    assert warnings(bridge) == []


@pytest.mark.parametrize("more", [[], ["--unverified-credentials"]], ids=["", "unverified"])
def test_redirect_to_another_origin(secure: FakeServer, start: Start, authority: Authority,
                                    certificate: Certificate, files: Files, more: list[str],
                                    wispsocks: Callable[..., Bridge]) -> None:
    """Only the server of the URL gets them, whoever else TLS verifies."""
    other = start(FakeServer(certificate.context()))
    options = ["--cacert", authority.cacert, *files.options["both"], *more]

    def lead() -> tuple[Bridge, Peer]:
        bridge = wispsocks(secure.url_at("localhost"), *options)
        secure.accept().answer("302 Found", f"Location: {other.url_at('localhost')}")
        return bridge, other.accept()

    for wants in (WANTS_PASSWORD, WANTS_KEY):
        bridge, server = lead()
        refuses(server, wants)
        check_refused(bridge, "redirect")
        assert not bridge.find_log("--unverified-credentials")
    bridge, server = lead()
    assert open_with(server, LIKES_PASSWORD, LIKES_KEY) == {}
    bridge.wait_connected()
    bridge.wait_log("^warning: .*redirect")


@pytest.mark.parametrize("told", [False, True], ids=["", "unverified"])
@pytest.mark.parametrize("way", ["straight", "proxy", "its redirect", "redirect elsewhere",
                                 "redirect elsewhere, by a proxy"])
@pytest.mark.parametrize("trust", ["no TLS", "insecure", "verified"])
@pytest.mark.parametrize("kind, likes", [("password", LIKES_PASSWORD), ("key", LIKES_KEY)],
                         ids=["password", "key"])
def test_who_is_shown_them(start: Start, authority: Authority, certificate: Certificate,
                           files: Files, kind: str, likes: bytes, trust: str, way: str, told: bool,
                           wispsocks: Callable[..., Bridge]) -> None:
    """The URL's own server, if TLS verifies it or the user says so; a proxy never."""
    context = None if trust == "no TLS" else certificate.context()
    fake, other = start(FakeServer(context)), start(FakeServer(context))
    options: list[str | Path] = [*files.options[kind], *{
        "no TLS": [], "insecure": ["--insecure"], "verified": ["--cacert", authority.cacert],
    }[trust]]
    proxy = start(Tinyproxy(files.folder)) if "proxy" in way else None
    if proxy:
        options += ["--proxy", proxy.url()]
    if told:
        options.append("--unverified-credentials")
    bridge = wispsocks(fake.url_at("localhost"), *options)
    server = fake.accept()
    if "redirect" in way:
        target = other if "elsewhere" in way else fake
        server.answer("302 Found", f"Location: {target.url_at('localhost', '/there/')}")
        server = target.accept()
    if proxy:
        proxy.wait_log(rf"CONNECT localhost:{fake.port} ")
    assert all("s3cret" not in line for line in server.header_lines)
    named = open_with(server, likes)
    if "elsewhere" not in way and (told or trust == "verified"):
        check_named(named, kind, files)
    else:
        assert named == {}
    bridge.wait_connected()


def test_redirect_within_the_origin(secure: FakeServer, authority: Authority, files: Files,
                                    wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(secure.url_at("localhost"), "--cacert", authority.cacert,
                       *files.options["password"])
    secure.accept().answer("302 Found", "Location: /there/")
    assert open_with(secure.accept(), WANTS_PASSWORD) == SHOWN
    bridge.wait_connected()


def test_server_that_does_not_ask(secure: FakeServer, authority: Authority, files: Files,
                                  wispsocks: Callable[..., Bridge]) -> None:
    """What is not asked for is not shown, and that is no reason for a warning."""
    bridge = wispsocks(secure.url_at("localhost"), "--cacert", authority.cacert,
                       *files.options["both"])
    assert open_with(secure.accept()) == {}
    bridge.wait_connected()
    assert not bridge.find_log("^warning:")


def test_optional_credentials_that_are_not_there(fake: FakeServer,
                                                 wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(fake.url)
    assert open_with(fake.accept(), LIKES_PASSWORD, LIKES_KEY) == {}
    bridge.wait_connected()
    assert not bridge.find_log("^warning:")


@pytest.mark.parametrize("reason, said", [
    (packets.BAD_PASSWORD, "--user and --password-file"), (packets.BAD_SIGNATURE, "--key"),
    (packets.CREDENTIALS_REQUIRED, "--user.*--key"), (packets.INCOMPATIBLE, "--wisp 1"),
], ids=["password", "signature", "required", "incompatible"])
@pytest.mark.parametrize("first", [True, False], ids=["at once", "after INFO"])
def test_reasons_of_a_refusal(fake: FakeServer, reason: int, said: str, first: bool,
                              wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(fake.url)
    server = fake.accept()
    if first:
        server.upgrade()
    else:
        server.offer()
    server.send(packets.close(0, reason))
    check_refused(bridge, said)


# Where they come from


def test_password_from_the_environment(fake: FakeServer, files: Files,
                                       wispsocks: Callable[..., Bridge]) -> None:
    """The file wins over it."""
    options = ["--unverified-credentials", "-u", USER]
    env = {"WISPSOCKS_PASSWORD": "from outside"}
    wispsocks(fake.url, *options, env=env)
    named = open_with(fake.accept(), WANTS_PASSWORD)
    assert named == {packets.PASSWORD: b"\x06testerfrom outside"}
    wispsocks(fake.url, *options, "--password-file", files.password, env=env)
    assert open_with(fake.accept(), WANTS_PASSWORD) == SHOWN


@pytest.mark.parametrize("env", [False, True], ids=["file", "environment"])
def test_long_password(fake: FakeServer, tmp_path: Path, env: bool,
                       wispsocks: Callable[..., Bridge]) -> None:
    """The longest one arrives whole, a longer one is refused and not cut."""

    def run(password: str) -> Bridge:
        options = ["--unverified-credentials", "-u", 255 * "u"]
        if env:
            return wispsocks(fake.url, *options, env={"WISPSOCKS_PASSWORD": password})
        return wispsocks(fake.url, *options, "--password-file",
                         write_secret(tmp_path / "password", password))

    run(1024 * "p")
    named = open_with(fake.accept(), WANTS_PASSWORD)
    assert named[packets.PASSWORD] == b"\xff" + 255 * b"u" + 1024 * b"p"
    check_refused(run(1025 * "p"), "too long")


def test_password_from_a_pipe(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    """As a shell's <(...) gives it. It can be read once, so later on it stays in force."""
    reader, writer = os.pipe()
    os.write(writer, PASSWORD.encode() + b"\n")
    os.close(writer)
    bridge = wispsocks(fake.url, "--unverified-credentials", "-u", USER, "--password-file",
                       f"/dev/fd/{reader}", pass_fds=(reader,))
    os.close(reader)
    server = fake.accept()
    assert open_with(server, WANTS_PASSWORD) == SHOWN
    bridge.wait_connected()
    bridge.signal(signal.SIGHUP)
    bridge.wait_log("^error: --password-file: ")
    bridge.dial("example.test", 80)
    server.recv_connect()


@pytest.mark.parametrize("args", [["-u", USER], ["--password-file", "/nonexistent"],
                                  ["-u", 256 * "u", "--password-file", "/nonexistent"]], ids=str)
def test_half_of_a_password(args: list[str]) -> None:
    error = check_usage_error("wispsocks", *args, URL)
    assert "--user" in error


@pytest.mark.parametrize("contents", [b"", b"\n", b"\r\nsecond line\n", None],
                         ids=["no line", "LF", "CRLF", "environment"])
def test_empty_password(tmp_path: Path, contents: bytes | None) -> None:
    """It is the sign of something that was forgotten, and never sent."""
    where = "WISPSOCKS_PASSWORD"
    options: list[str | Path] = []
    if contents is not None:
        where = str(write_secret(tmp_path / "password", contents))
        options = ["--password-file", where]
    done = subprocess.run([BUILD / "cmd/wispsocks/wispsocks", "-l", "0", "-u", USER, *options, URL],
                          env=clean_environment() | {"WISPSOCKS_PASSWORD": ""},
                          capture_output=True, text=True, timeout=GUARD, check=False)
    assert done.returncode == 1
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert f"the password in {where} is empty: put one there" in error


@pytest.mark.parametrize("option", ["--password-file", "--key", "--user-file"])
@pytest.mark.parametrize("mode", [0o604, 0o640, 0o644, 0o620], ids=oct)
def test_file_that_others_can_read(tmp_path: Path, files: Files, option: str, mode: int) -> None:
    source = {"--password-file": files.password, "--key": files.key.private,
              "--user-file": files.users}[option]
    path = write_secret(tmp_path / "file", source.read_bytes())
    path.chmod(mode)
    error = check_failure(str(path), *command(option, path))
    assert option in error and "chmod" in error


def command(option: str, path: Path) -> list[str | Path]:
    """A program that wants this file."""
    if option in ("--user-file", "--authorized-keys"):
        return ["wispd", "-l", "127.0.0.1:0", option, path]
    user = ["-u", USER] if option == "--password-file" else []
    return ["wispsocks", "-l", "127.0.0.1:0", *user, option, path, URL]


@pytest.mark.parametrize("option, contents", [
    ("--password-file", b""),
    ("--key", b""), ("--key", b"not PEM\n"), ("--key", "public"), ("--key", "rsa"),
    ("--key", "x25519"), ("--key", "cut"),
    ("--user-file", b""), ("--user-file", b"no colon\n"), ("--user-file", b"user:\n"),
    ("--authorized-keys", b""), ("--authorized-keys", b"# nothing\n"),
    ("--authorized-keys", b"garbage\n"), ("--authorized-keys", "private"),
    ("--authorized-keys", b"ssh-ed25519 AAAA\n"), ("--authorized-keys", "cut public"),
    ("--authorized-keys", b"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ== me\n"),
], ids=str)
def test_file_that_cannot_be_used(tmp_path: Path, files: Files, option: str,
                                  contents: bytes | str) -> None:
    path = tmp_path / "file"
    made = {"public": lambda: files.key.public.read_bytes(),
            "private": lambda: files.key.private.read_bytes(),
            "cut": lambda: files.key.private.read_bytes()[:-30],
            "cut public": lambda: files.key.public.read_bytes()[:-30],
            "rsa": lambda: openssl("genpkey", "-algorithm", "RSA", "-quiet"),
            "x25519": lambda: openssl("genpkey", "-algorithm", "x25519")}
    write_secret(path, contents if isinstance(contents, bytes) else made[contents]())
    assert option in check_failure(str(path), *command(option, path))
    assert option in check_failure(str(tmp_path), *command(option, tmp_path))
    path.unlink()
    assert option in check_failure(str(path), *command(option, path))


def run_on_terminal(program: str, *args: str | Path) -> tuple[int, str]:
    """Run a program that has a terminal to ask on; its exit code, and all that it said there."""
    argv = [str(BUILD / "cmd" / program / program), *map(str, args)]
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(argv[0], argv, clean_environment())
    said = b""
    try:
        while part := os.read(terminal, 4096):
            said += part
            assert b"phrase:" not in said, said
    except OSError:
        pass  # the end of the terminal
    finally:
        os.close(terminal)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code, said.decode()


@pytest.mark.parametrize("option", ["--key", "wispsocks --cert-key", "wispd --cert-key"])
def test_encrypted_key(tmp_path: Path, authority: Authority, certificate: Certificate,
                       option: str) -> None:
    """It is refused, and nobody is asked for the passphrase."""
    encrypted = authority.encrypted_key(certificate)
    cert = ["--cert", certificate.cert, "--cert-key", encrypted]
    args = {"wispsocks --cert-key": ["wispsocks", "-l", "127.0.0.1:0", *cert, URL],
            "wispd --cert-key": ["wispd", "-l", "127.0.0.1:0", *cert]}.get(option)
    if args is None:
        encrypted = make_key(tmp_path, "encrypted", "-aes128", "-pass", "pass:secret").private
        args = command("--key", encrypted)
    code, said = run_on_terminal(*args)
    assert code == 1
    assert re.search(rf"error: .*{encrypted}", said) and option.split()[-1] in said, said


def test_many_keys(start: Start, tmp_path: Path, files: Files) -> None:
    """The last of a thousand is found."""
    keys = tmp_path / "keys"
    keys.write_text("".join(ssh_line(number.to_bytes(32, "big")) for number in range(1000))
                    + files.key.ssh.rstrip("\n"))
    server = start(Wispd("--authorized-keys", keys))
    with WispClient(server.port, version=2) as client:
        challenge = packets.extensions(client.recv_type(packets.INFO, 0))[packets.KEY][2:]
        client.send(packets.info(packets.extension(packets.KEY, sign(files.key, challenge))))
        client.recv_type(packets.CONTINUE, 0)


def test_credentials_in_a_file_of_options(start: Start, fake: FakeServer, tmp_path: Path,
                                          files: Files) -> None:
    config = tmp_path / "test.conf"
    config.write_text(f"listen = 127.0.0.1:0\nuser = {USER}\npassword-file = {files.password}\n"
                      f"unverified-credentials\nserver = {fake.url}\n")
    start(Program("wispsocks", "-c", config))
    assert open_with(fake.accept(), WANTS_PASSWORD) == SHOWN
