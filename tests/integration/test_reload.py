"""HUP: files are read again."""

from __future__ import annotations

import signal
import ssl
from pathlib import Path
from typing import Callable

import pytest

import packets
import socks
from bridge import Bridge
from certs import EC_KEY, RSA_KEY, Authority, Certificate
from conftest import Start
from counters import counters
from credentials import Key, make_key, ssh_line, write_secret
from fakeserver import FakeServer, Peer
from origin import Origin
from procs import Program, in_background
from wispclient import WispClient
from wispservers import TlsWispd, Wispd

HOST, PORT = "example.test", 80
CHANGED = "credentials or certificates have changed"
WANTS_PASSWORD = packets.extension(packets.PASSWORD, b"\x01")
WANTS_KEY = packets.extension(packets.KEY, b"\x01\x01" + bytes(64))


def hang_up(program: Program) -> int:
    """Send HUP; where in the log what comes of it begins.

    All that is done is done before anything that comes afterwards is looked at.
    """
    since = program.mark()
    program.signal(signal.SIGHUP)
    program.wait_log("^reading credentials and certificates again", since)
    return since


def open_password(server: Peer) -> bytes:
    """Go through the handshake; the password of "me"."""
    named = server.offer(WANTS_PASSWORD)
    server.send(packets.credit(0, 10))
    assert named[packets.PASSWORD][:3] == b"\x02me"
    return named[packets.PASSWORD][3:]


class Opened:
    """A bridge with a password, and a program whose stream is open."""

    def __init__(self, fake: FakeServer, path: Path, wispsocks: Callable[..., Bridge]) -> None:
        self.fake = fake
        self.path = write_secret(path / "password", "one\n")
        self.bridge = wispsocks(fake.url, "-u", "me", "--password-file", self.path,
                                "--unverified-credentials")
        self.server = fake.accept()
        assert open_password(self.server) == b"one"
        self.bridge.wait_connected()
        self.program = self.bridge.dial(HOST, PORT)
        self.stream = self.server.recv_connect().stream

    def goes_on(self) -> bool:
        """The stream is still there, and so is the connection."""
        self.program.sendall(b"up")
        self.server.send(packets.data(self.stream, b"down"))
        return (self.server.recv() == packets.data(self.stream, b"up")
                and socks.recv_exactly(self.program, 4) == b"down")


@pytest.fixture
def opened(fake: FakeServer, tmp_path: Path, wispsocks: Callable[..., Bridge]) -> Opened:
    return Opened(fake, tmp_path, wispsocks)


# wispsocks


def test_changed_password(opened: Opened) -> None:
    """A new connection with the new one, at once."""
    for password in ("two", "three"):
        write_secret(opened.path, f"{password}\n")
        since = hang_up(opened.bridge)
        opened.server.recv_end()
        opened.server = opened.fake.accept()
        assert open_password(opened.server) == password.encode()
        assert opened.bridge.wait_lost(since) == CHANGED
        opened.bridge.wait_connected(since)
    assert socks.recv_to_end(opened.program) == (b"", True)


def test_while_the_budget_is_spent(fake: FakeServer, tmp_path: Path,
                                   wispsocks: Callable[..., Bridge]) -> None:
    """What waits for a program that reads nothing does not keep the new connection from opening."""
    path = write_secret(tmp_path / "password", "one\n")
    bridge = wispsocks(fake.url, "-v", "--buffer-limit", "1M", "-u", "me", "--password-file", path,
                       "--unverified-credentials")
    server = fake.accept_open()
    bridge.dial(HOST, PORT, rcvbuf=32 * 1024)
    stream = server.recv_connect().stream
    in_background(lambda: send_until_lost(server, packets.data(stream, bytes(1 << 14))))
    bridge.wait_log("the tunnel is not read")
    write_secret(path, "two\n")
    since = hang_up(bridge)
    fake.accept_open()
    bridge.wait_connected(since)
    assert bridge.wait_lost(since) == CHANGED
    assert not bridge.find_log("cannot connect")


def send_until_lost(server: Peer, packet: packets.Packet) -> None:
    try:
        while True:
            server.send(packet)
    except OSError:
        pass


def test_nothing_has_changed(opened: Opened) -> None:
    """Streams go on, also when the file was written anew."""
    for _ in range(3):
        hang_up(opened.bridge)
        assert opened.goes_on()
        write_secret(opened.path, "one\n")
    assert not opened.bridge.find_log("disconnected|^error")


@pytest.mark.parametrize("how", ["missing", "folder", "open to others", "empty", "too long"])
def test_broken_password_file(opened: Opened, how: str) -> None:
    """It is an error in the log, and what was read before stays."""
    if how == "open to others":
        opened.path.chmod(0o644)
    elif how in ("missing", "folder"):
        opened.path.unlink()
        if how == "folder":
            opened.path.mkdir()
    else:
        write_secret(opened.path, "" if how == "empty" else 2000 * "x")
    since = hang_up(opened.bridge)
    opened.bridge.wait_log(rf"^error: --password-file: .*{opened.path}", since)
    assert opened.goes_on()
    opened.server.close()
    opened.server = opened.fake.accept()
    assert open_password(opened.server) == b"one"
    if how == "folder":
        opened.path.rmdir()
    write_secret(opened.path, "two\n")
    opened.bridge.wait_connected(since)
    since = hang_up(opened.bridge)
    opened.server.recv_end()
    assert open_password(opened.fake.accept()) == b"two"


def test_changed_key(fake: FakeServer, tmp_path: Path, wispsocks: Callable[..., Bridge]) -> None:
    keys = [make_key(tmp_path, "one"), make_key(tmp_path, "two")]
    path = write_secret(tmp_path / "key", keys[0].private.read_bytes())
    bridge = wispsocks(fake.url, "--key", path, "--unverified-credentials")

    def open_key() -> tuple[Peer, bytes]:
        server = fake.accept()
        shown = server.offer(WANTS_KEY)[packets.KEY]
        server.send(packets.credit(0, 1))
        return server, shown

    server, first = open_key()
    bridge.wait_connected()
    write_secret(path, "broken\n")
    bridge.wait_log("^error: --key: ", hang_up(bridge))
    assert server.barrier() == []
    write_secret(path, keys[1].private.read_bytes())
    hang_up(bridge)
    server.recv_end()
    _, second = open_key()
    assert first[1:33] != second[1:33]


def test_changed_cacert(start: Start, authority: Authority, certificate: Certificate,
                        tmp_path_factory: pytest.TempPathFactory, tmp_path: Path,
                        wispsocks: Callable[..., Bridge]) -> None:
    """The server has a certificate of another authority from then on."""
    other = Authority(tmp_path_factory.mktemp("other"))
    cacert = tmp_path / "cacert.pem"
    cacert.write_bytes(authority.cacert.read_bytes())
    fake = start(FakeServer(certificate.context()))
    bridge = wispsocks(fake.url_at("localhost"), "--cacert", cacert)
    server = fake.accept_open()
    bridge.wait_connected()
    fake.context = other.issue("good").context()

    cacert.write_text("broken\n")
    bridge.wait_log("^error: .*--cacert", hang_up(bridge))
    assert server.barrier() == []
    cacert.write_bytes(other.cacert.read_bytes())
    since = hang_up(bridge)
    server.recv_end()
    fake.accept_open()
    bridge.wait_connected(since)
    bridge.dial(HOST, PORT)


def test_hang_up_while_it_connects(fake: FakeServer, tmp_path: Path,
                                   wispsocks: Callable[..., Bridge]) -> None:
    """In each state on the way, and while it waits for the next attempt."""
    path = write_secret(tmp_path / "password", "0\n")
    bridge = wispsocks(fake.url, "-u", "me", "--password-file", path, "--unverified-credentials")
    server = fake.accept()  # asked for the upgrade
    write_secret(path, "1\n")
    hang_up(bridge)
    server.recv_end()
    server = fake.accept()
    server.upgrade()  # waits for the first packet
    assert not bridge.find_log("^connected")
    write_secret(path, "2\n")
    hang_up(bridge)
    server = fake.accept()
    named = server.offer(WANTS_PASSWORD)  # waits for CONTINUE
    assert named[packets.PASSWORD] == b"\x02me2"
    write_secret(path, "3\n")
    hang_up(bridge)
    server = fake.accept()
    assert open_password(server) == b"3"
    bridge.wait_connected()


def test_hang_up_instead_of_waiting(fake: FakeServer, tmp_path: Path,
                                    wispsocks: Callable[..., Bridge]) -> None:
    """The right password after a wrong one is tried at once, not after half a minute."""
    path = write_secret(tmp_path / "password", "one\n")
    bridge = wispsocks(fake.url, "-u", "me", "--password-file", path, "--unverified-credentials")
    server = fake.accept()
    assert open_password(server) == b"one"
    bridge.wait_connected()
    server.close()
    server = fake.accept()
    server.offer(WANTS_PASSWORD)
    server.send(packets.close(0, packets.BAD_PASSWORD))
    bridge.wait_log("cannot connect to .*--password-file")
    write_secret(path, "two\n")
    since = hang_up(bridge)
    assert open_password(fake.accept()) == b"two"
    bridge.wait_connected(since)


def test_programs_that_wait_at_the_change(opened: Opened) -> None:
    """They get their streams on the new connection."""
    write_secret(opened.path, "two\n")
    hang_up(opened.bridge)
    server = opened.fake.accept()
    program = opened.bridge.connect(socks.opening(HOST, PORT) + b"data")
    open_password(server)
    stream = server.recv_connect().stream
    assert server.recv() == packets.data(stream, b"data")
    assert socks.recv_opening(program).code == socks.SUCCEEDED


def test_socks_auth(fake: FakeServer, tmp_path: Path, wispsocks: Callable[..., Bridge]) -> None:
    """For programs that come from then on; the others, and the tunnel, go on."""
    users = write_secret(tmp_path / "users", "me:one\n")
    bridge = wispsocks(fake.url, "--auth", users)
    server = fake.accept_open()
    bridge.wait_connected()
    program, other = bridge.connect(), bridge.connect(socks.greeting(socks.PASSWORD))
    assert socks.log_in(program, b"me", b"one")
    program.sendall(socks.request(HOST, PORT))
    stream = server.recv_connect().stream
    assert socks.recv_reply(program).code == socks.SUCCEEDED
    assert socks.recv_method(other) == socks.PASSWORD

    write_secret(users, "me:two\n")
    hang_up(bridge)
    assert socks.log_in(bridge.connect(), b"me", b"two")
    assert not socks.log_in(bridge.connect(), b"me", b"one")
    other.sendall(socks.password(b"me", b"two"))
    assert socks.recv_exactly(other, 2) == b"\x01\x00"

    for broken in ("no colon\n", "", None):
        if broken is None:
            users.chmod(0o644)
        else:
            write_secret(users, broken)
        bridge.wait_log("^error: --auth: ", hang_up(bridge))
        assert socks.log_in(bridge.connect(), b"me", b"two")
    program.sendall(b"still here")
    assert server.recv() == packets.data(stream, b"still here")
    assert not bridge.find_log("disconnected")


def test_without_files(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(fake.url)
    server = fake.accept_open()
    bridge.wait_connected()
    hang_up(bridge)
    assert server.barrier() == []


# wispd


def lets_in(server: Wispd, password: bytes) -> bool:
    with WispClient(server.port, version=2) as client:
        client.recv_type(packets.INFO, 0)
        client.send(packets.info(packets.extension(packets.PASSWORD, b"\x02me" + password)))
        return client.recv().type == packets.CONTINUE


def test_user_file(start: Start, origin: Origin, tmp_path: Path) -> None:
    users = write_secret(tmp_path / "users", "me:one\n")
    server = start(Wispd("--user-file", users))
    with WispClient(server.port, version=2) as client, \
            WispClient(server.port, version=2) as late:
        client.open(2, packets.extension(packets.PASSWORD, b"\x02meone"))
        late.recv_type(packets.INFO, 0)
        client.send(packets.connect(1, "127.0.0.1", origin.echo.port))
        write_secret(users, "me:two\n")
        hang_up(server)
        assert lets_in(server, b"two") and not lets_in(server, b"one")
        late.send(packets.info(packets.extension(packets.PASSWORD, b"\x02metwo")))
        late.recv_type(packets.CONTINUE, 0)
        for broken in ("no colon\n", "", None):
            if broken is None:
                users.chmod(0o640)
            else:
                write_secret(users, broken)
            server.wait_log("^error: --user-file: ", hang_up(server))
            assert lets_in(server, b"two") and not lets_in(server, b"one")
        client.send(packets.data(1, b"data"))
        assert client.recv_data(1, 4) == b"data"


def test_authorized_keys(start: Start, tmp_path: Path, wispsocks: Callable[..., Bridge]) -> None:
    one, two = make_key(tmp_path, "one"), make_key(tmp_path, "two")
    keys = tmp_path / "keys"
    keys.write_text(one.ssh)
    server = start(Wispd("--authorized-keys", keys))

    def check(right: Key, wrong: Key) -> None:
        url = f"ws://127.0.0.1:{server.port}/"
        wispsocks(url, "--unverified-credentials", "--key", right.private).wait_connected()
        refused = wispsocks(url, "--unverified-credentials", "--key", wrong.private)
        assert refused.wait_exit() == 1

    check(one, two)
    keys.write_text(ssh_line(bytes(32)) + two.public.read_text())
    hang_up(server)
    check(two, one)
    keys.write_text("broken\n" + one.ssh)
    server.wait_log("^error: --authorized-keys: ", hang_up(server))
    check(two, one)


def serial(port: int, authority: Authority) -> str:
    """The serial number of the server's certificate."""
    with WispClient(port, context=authority.trusted()) as client:
        client.open()
        assert isinstance(client.sock, ssl.SSLSocket)
        return client.sock.getpeercert()["serialNumber"]


def test_certificate(start: Start, authority: Authority, origin: Origin, tmp_path: Path) -> None:
    made = [authority.issue(f"reload-{number}") for number in range(2)]
    used = Certificate(tmp_path / "cert.pem", tmp_path / "key.pem")

    def install(certificate: Certificate) -> None:
        used.cert.write_bytes(certificate.cert.read_bytes())
        write_secret(used.key, certificate.key.read_bytes())

    install(made[0])
    server = start(TlsWispd(used))
    first = serial(server.port, authority)
    with WispClient(server.port, context=authority.trusted()) as client:
        client.open()
        client.send(packets.connect(1, "127.0.0.1", origin.echo.port))
        assert serial(server.port, authority) == first
        install(made[1])
        assert serial(server.port, authority) == first
        hang_up(server)
        second = serial(server.port, authority)
        assert second != first

        write_secret(used.key, made[0].key.read_bytes())  # not this certificate's
        server.wait_log("^error: --cert-key ", hang_up(server))
        assert serial(server.port, authority) == second
        write_secret(used.key, authority.encrypted_key(made[1]).read_bytes())
        server.wait_log("^error: --cert-key ", hang_up(server))
        assert serial(server.port, authority) == second
        used.cert.unlink()
        server.wait_log("^error: --cert ", hang_up(server))
        assert serial(server.port, authority) == second

        install(made[0])
        hang_up(server)
        assert serial(server.port, authority) == first
        client.send(packets.data(1, b"data"))
        assert client.recv_data(1, 4) == b"data"


def test_certificate_of_another_kind(start: Start, authority: Authority, tmp_path: Path) -> None:
    """The one with the other kind of key is not shown any more, whichever clients like better."""
    made = [authority.issue(f"kind-{key[0][:3]}", key=key) for key in (EC_KEY, RSA_KEY, EC_KEY)]
    used = Certificate(tmp_path / "cert.pem", tmp_path / "key.pem")
    seen = []
    for certificate in made:
        used.cert.write_bytes(certificate.cert.read_bytes())
        write_secret(used.key, certificate.key.read_bytes())
        if not seen:
            server = start(TlsWispd(used))
        hang_up(server)
        seen.append(serial(server.port, authority))
    assert seen[0] != seen[1] != seen[2]


def test_many_hang_ups(opened: Opened) -> None:
    """In a row, with and without changes; nothing is left behind."""
    opened.program.close()
    for _ in range(5):
        hang_up(opened.bridge)
    counters(opened.bridge)  # which come when the last file has been read
    before = opened.bridge.descriptors()
    for number in range(20):
        write_secret(opened.path, f"{number}\n")
        since = hang_up(opened.bridge)
        opened.server.recv_end()
        opened.server = opened.fake.accept()
        assert open_password(opened.server) == b"%d" % number
        opened.bridge.wait_connected(since)
    assert opened.bridge.descriptors() <= before
