"""SOCKS proxies on the way to the server, and the proxies of the environment.

Those that HTTP proxies have to themselves are in test_way.py.
"""

from __future__ import annotations

import socket
import struct
from pathlib import Path
from typing import Callable
from urllib.parse import quote

import pytest

import socks
import wispcheck
from bridge import Bridge
from certs import Authority
from conftest import Start
from fakeserver import FakeServer, Peer
from hosts import dead, two_sockets, with_two_addresses
from origin import Origin
from procs import free_port, refusing_port
from proxies import FakeProxy, FakeSocks, Microsocks, SshDynamic, SshServer, Tinyproxy
from service import Service
from test_cli import URL, check_usage_error
from test_way import NEXT_TRY, check_transfer
from wispservers import Nginx, Wispd

GRANTED4 = bytes([0, 90]) + bytes(6)
GRANTED5 = bytes([5, 0, 0, 1]) + bytes(6)
NO_METHOD, PASSWORD_METHOD, NOTHING = b"\x05\x00", b"\x05\x02", b"\x05\xff"


@pytest.fixture
def fake_socks(start: Start) -> FakeSocks:
    return start(FakeSocks())


@pytest.fixture(scope="module")
def ssh_server(module_start: Start) -> SshServer:
    return module_start(SshServer())


@pytest.fixture(scope="module")
def ssh(module_start: Start, ssh_server: SshServer) -> SshDynamic:
    return module_start(SshDynamic(ssh_server))


def request4(host: str, port: int, user: str = "") -> bytes:
    return struct.pack("!BBH4sx", 4, 1, port, b"\0\0\0\1")[:8] + user.encode() + b"\0" + (
        host.encode() + b"\0")


# Real ones


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
@pytest.mark.parametrize("password", ["", "s3cret", "p:a@s/s"], ids=repr)
def test_microsocks(start: Start, authority: Authority, nginx: Nginx, origin: Origin,
                    wispd: Wispd, scheme: str, tls: bool, password: str,
                    wispsocks: Callable[..., Bridge]) -> None:
    proxy = start(Microsocks(("us@er", password) if password else None))
    login = f"us%40er:{quote(password, safe='')}@" if password else ""
    bridge = wispsocks(nginx.url(wispd.port) if tls else f"ws://127.0.0.1:{wispd.port}/", "-v",
                       "-v", "--cacert", authority.cacert, "--proxy",
                       f"{scheme}://{login}127.0.0.1:{proxy.port}")
    assert bridge.wait_connected().endswith(f", through 127.0.0.1:{proxy.port}")
    check_transfer(bridge, origin)
    if password:
        assert password not in bridge.log and quote(password, safe="") not in bridge.log


@pytest.mark.parametrize("given", ["", "user:wr0ng@", "wr0ng:s3cret@"], ids=repr)
@pytest.mark.parametrize("option", [True, False], ids=["option", "environment"])
def test_microsocks_refuses_credentials(start: Start, wispd: Wispd, given: str, option: bool,
                                        wispsocks: Callable[..., Bridge]) -> None:
    """The error says where to put them right."""
    proxy = start(Microsocks(("user", "s3cret")))
    url = f"socks5h://{given}127.0.0.1:{proxy.port}"
    bridge = wispsocks(f"ws://127.0.0.1:{wispd.port}/", "-v", "-v",
                       *(["--proxy", url] if option else []),
                       env={} if option else {"ALL_PROXY": url})
    assert bridge.wait_exit() == 1
    said = bridge.wait_log(rf"^error: .*the proxy 127.0.0.1:{proxy.port} (.*)").group(1)
    where = "--proxy" if option else "ALL_PROXY"
    if given:
        assert said == f"refuses the credentials (SOCKS5); check them in {where}"
    else:
        assert said == ("wants credentials (SOCKS5); give them as "
                        f"socks5h://USER:PASSWORD@127.0.0.1:{proxy.port} in {where}")
    assert "wr0ng" not in bridge.log and "s3cret" not in bridge.log


@pytest.mark.parametrize("scheme", ["socks4a", "socks5", "socks5h"])
def test_ssh(ssh: SshDynamic, ssh_server: SshServer, authority: Authority, nginx: Nginx,
             origin: Origin, wispd: Wispd, scheme: str, wispsocks: Callable[..., Bridge]) -> None:
    """It shows who looks the name up."""
    before = ssh_server.mark()
    bridge = wispsocks(nginx.url(wispd.port), "--cacert", authority.cacert, "--resolve",
                       f"localhost:{nginx.port}:127.0.0.1", "--proxy",
                       f"{scheme}://127.0.0.1:{ssh.port}")
    bridge.wait_connected()
    host = "127.0.0.1" if scheme == "socks5" else "localhost"
    ssh_server.wait_log(f"^connect to {host} {nginx.port}$", since=before)
    check_transfer(bridge, origin)


@pytest.mark.parametrize("kind", ["http", "socks5", "socks5h"])
def test_proxy_at_an_ipv6_address(start: Start, tmp_path: Path, origin: Origin, wispd: Wispd,
                                  kind: str, wispsocks: Callable[..., Bridge]) -> None:
    proxy = start(Tinyproxy(tmp_path, host="::1") if kind == "http" else Microsocks(host="::1"))
    bridge = wispsocks(f"ws://127.0.0.1:{wispd.port}/", "--proxy", f"{kind}://[::1]:{proxy.port}")
    assert bridge.wait_connected().endswith(f", through [::1]:{proxy.port}")
    check_transfer(bridge, origin)


@pytest.mark.parametrize("scheme", ["socks4a", "socks5", "socks5h"])
def test_server_behind_the_proxy_is_away(start: Start, ssh: SshDynamic, scheme: str,
                                         wispsocks: Callable[..., Bridge]) -> None:
    """It is tried again until the server is there. ssh says that the way is open before it is."""
    proxy = ssh if scheme == "socks4a" else start(Microsocks())
    with refusing_port() as port:
        bridge = wispsocks(f"ws://127.0.0.1:{port}/", "--proxy",
                           f"{scheme}://127.0.0.1:{proxy.port}")
        said = bridge.wait_lost()
    if scheme != "socks4a":
        assert said == (f"the proxy 127.0.0.1:{proxy.port} cannot connect to 127.0.0.1:{port} "
                        "(SOCKS5 5: connection refused)")
    start(Wispd(port=port))
    bridge.wait_connected()


@pytest.mark.parametrize("scheme", ["socks4a", "socks5", "socks5h"])
def test_wispcheck(ssh: SshDynamic, wispd: Wispd, scheme: str) -> None:
    result = wispcheck.check(f"ws://localhost:{wispd.port}/", "--only", "handshake", "--proxy",
                             f"{scheme}://127.0.0.1:{ssh.port}")
    assert result.code == wispcheck.PASSED, result


# What is asked


@pytest.mark.parametrize("url, host, port", [
    ("ws://no-such-host.invalid/", "no-such-host.invalid", 80),
    ("ws://192.0.2.1:8080/", "192.0.2.1", 8080),
    ("ws://[2001:db8::1]/", "2001:db8::1", 80),
    ("ws://" + 100 * "h" + "/", 100 * "h", 80),
])
@pytest.mark.parametrize("user", ["", "me"])
def test_what_socks_proxies_are_asked(fake_socks: FakeSocks, url: str, host: str, port: int,
                                      user: str, wispsocks: Callable[..., Bridge]) -> None:
    """For names as such, which are not looked up here, and for addresses as such."""
    login = f"{user}:p@" if user else ""
    bridge = wispsocks(url, "--proxy", f"socks5h://{login}127.0.0.1:{fake_socks.port}")
    way = fake_socks.accept_asked(
        *([(socks.greeting(0, 2), PASSWORD_METHOD), (socks.password(b"me", b"p"), b"\1\0")]
          if user else [(socks.greeting(0), NO_METHOD)]),
        (socks.request(host, port), GRANTED5))
    Peer(way).open()
    bridge.wait_connected()

    login = f"{user}@" if user else ""
    bridge = wispsocks(url, "--proxy", f"socks4a://{login}127.0.0.1:{fake_socks.port}")
    asked = request4(host, port, user)
    if host == "192.0.2.1":
        asked = struct.pack("!BBH4B", 4, 1, port, 192, 0, 2, 1) + user.encode() + b"\0"
    Peer(fake_socks.accept_asked((asked, GRANTED4))).open()
    bridge.wait_connected()


def test_credentials_that_the_proxy_does_not_want(fake_socks: FakeSocks,
                                                  wispsocks: Callable[..., Bridge]) -> None:
    """It is not shown them."""
    bridge = wispsocks("ws://example.test/", "--proxy",
                       f"socks5h://me:p@127.0.0.1:{fake_socks.port}")
    Peer(fake_socks.accept_asked((socks.greeting(0, 2), NO_METHOD),
                                 (socks.request("example.test", 80), GRANTED5))).open()
    bridge.wait_connected()


@pytest.mark.parametrize("failure", [1, 3, 4, 5, 6, 8])
def test_addresses_of_the_server_in_turn(fake_socks: FakeSocks, failure: int,
                                         wispsocks: Callable[..., Bridge]) -> None:
    """With socks5://, they are looked up here; the one that worked is the first the next time."""
    bridge = wispsocks("ws://example.test/", "-v", "--resolve",
                       "example.test:80:192.0.2.1,[2001:db8::1]", "--proxy",
                       f"socks5://127.0.0.1:{fake_socks.port}")
    begin = (socks.greeting(0), NO_METHOD)
    fake_socks.accept_asked(begin, (socks.request("192.0.2.1", 80), bytes([5, failure, 0, 1])))
    for _ in range(2):
        server = Peer(fake_socks.accept_asked(
            begin, (socks.request("2001:db8::1", 80), GRANTED5))).open()
        before = bridge.mark()
        bridge.wait_log("^connected")
        server.close()
        bridge.wait_log("^disconnected", since=before)


def test_address_behind_the_proxy_that_fails_later(fake_socks: FakeSocks,
                                                   wispsocks: Callable[..., Bridge]) -> None:
    """The proxy got there, but there is no server."""
    wispsocks("ws://example.test/", "--resolve", "example.test:80:192.0.2.1,192.0.2.2", "--proxy",
              f"socks5://127.0.0.1:{fake_socks.port}")
    begin = (socks.greeting(0), NO_METHOD)
    fake_socks.accept_asked(begin, (socks.request("192.0.2.1", 80), GRANTED5)).close()
    Peer(fake_socks.accept_asked(begin, (socks.request("192.0.2.2", 80), GRANTED5))).open()


def test_all_addresses_behind_the_proxy_fail(start: Start, tmp_path: Path,
                                             wispsocks: Callable[..., Bridge]) -> None:
    """Each is asked for once, then there is a pause; a dead address of the proxy costs a second."""
    two = [start(sock) for sock in two_sockets()]
    start(dead(two[0]))
    two[1].listen()
    bridge = wispsocks("ws://example.test/", "--resolve", "example.test:80:192.0.2.1,192.0.2.2",
                       "-v", "--proxy", f"socks5://localhost:{two[1].getsockname()[1]}",
                       prefix=with_two_addresses(tmp_path))
    for host in ("192.0.2.1", "192.0.2.2"):
        way, _ = two[1].accept()
        with way:
            assert socks.recv_exactly(way, 3) == socks.greeting(0)
            way.sendall(NO_METHOD)
            assert socks.recv_exactly(way, 10) == socks.request(host, 80)
            way.sendall(bytes([5, 4]))
    bridge.wait_log(rf"cannot connect to \S+: the proxy localhost.*host unreachable.*{NEXT_TRY}")
    assert len([line for line in bridge.lines if "no answer from [::1]" in line]) == 1


def test_name_that_is_not_found_here(fake_socks: FakeSocks,
                                     wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks("ws://no-such-host.invalid/", "--proxy",
                       f"socks5://127.0.0.1:{fake_socks.port}")
    assert bridge.wait_lost().startswith("cannot resolve no-such-host.invalid: ")
    bridge = wispsocks("ws://127.0.0.1/", "--proxy", "socks5://no-such-host.invalid")
    assert bridge.wait_lost().startswith("cannot resolve the proxy no-such-host.invalid: ")


# What is answered


@pytest.mark.parametrize("scheme", ["socks4a", "socks5h"])
@pytest.mark.parametrize("bound", [
    bytes([1]) + bytes(6),
    bytes([4]) + bytes(18),
    bytes([3, 9]) + b"localhost\x04\x38",
    bytes([3, 0]) + bytes(2),
], ids=["IPv4", "IPv6", "name", "empty name"])
@pytest.mark.parametrize("in_pieces", [False, True], ids=["at once", "in pieces"])
def test_what_follows_is_the_servers(fake_socks: FakeSocks, scheme: str, bound: bytes,
                                     in_pieces: bool, wispsocks: Callable[..., Bridge]) -> None:
    """Also when it comes in the same segment, before anything was asked of the server."""
    bridge = wispsocks("ws://example.test/", "--proxy",
                       f"{scheme}://127.0.0.1:{fake_socks.port}")
    if scheme == "socks4a":
        way = fake_socks.accept_asked((request4("example.test", 80), b""))
        answer = b"\0\x5a" + bound[:6].ljust(6, b"\0")
    else:
        way = fake_socks.accept_asked((socks.greeting(0), NO_METHOD),
                                      (socks.request("example.test", 80), b""))
        answer = b"\x05\0\0" + bound
    answer += b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    for piece in ([bytes([byte]) for byte in answer] if in_pieces else [answer]):
        way.sendall(piece)
    assert bridge.wait_exit() == 1
    bridge.wait_log(r"^error: .*no WebSocket.*404")


GREETING = socks.greeting(0, 2)


def conversation(scheme: str, host: str) -> list[tuple[bytes, bytes]]:
    """What is asked and answered until the way is open."""
    if scheme == "socks4a":
        return [(request4(host, 80, "me"), GRANTED4)]
    return [(GREETING, PASSWORD_METHOD), (socks.password(b"me", b"p"), b"\1\0"),
            (socks.request(host, 80), GRANTED5)]


@pytest.mark.parametrize("scheme, login", [("socks4a", "me@"), ("socks5h", "me:p@")])
def test_truncated_answers(fake_socks: FakeSocks, scheme: str, login: str,
                           wispsocks: Callable[..., Bridge]) -> None:
    """The proxy goes away before each byte of what it says: a passing failure."""
    size = sum(len(answer) for _, answer in conversation(scheme, ""))
    hosts = [f"{i:02}.test" for i in range(size)]
    bridge = wispsocks(f"ws://{hosts[0]}/", *(f"--server=ws://{host}/" for host in hosts[1:]),
                       "--proxy", f"{scheme}://{login}127.0.0.1:{fake_socks.port}")
    for left, host in enumerate(hosts):
        with fake_socks.accept() as way:
            for asked, answer in conversation(scheme, host):
                assert socks.recv_exactly(way, len(asked)) == asked
                way.sendall(answer[:left])
                left -= len(answer)
                if left < 0:
                    break
        bridge.wait_log(rf"cannot connect to ws://{host}/: the proxy .* closed the connection "
                        rf"instead of an answer; check that it speaks SOCKS[45]{NEXT_TRY}")


@pytest.mark.parametrize("scheme", ["socks4a", "socks5h"])
@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH\r\n", b"\x04", b"\x06\0", b"\xff" * 8,
], ids=repr)
def test_what_is_no_socks_proxy(fake_socks: FakeSocks, scheme: str, answer: bytes,
                                wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks("ws://example.test/", "--proxy",
                       f"{scheme}://127.0.0.1:{fake_socks.port}")
    fake_socks.accept().sendall(answer)
    assert bridge.wait_exit() == 1
    bridge.wait_log(rf"^error: .*what answers at 127.0.0.1:{fake_socks.port} is no SOCKS[45] "
                    r"proxy; check --proxy$")


def test_what_is_no_http_proxy(fake_socks: FakeSocks, wispsocks: Callable[..., Bridge]) -> None:
    """It is found out by its first byte, whatever follows or not."""
    bridge = wispsocks("ws://example.test/", "--proxy", f"http://127.0.0.1:{fake_socks.port}")
    fake_socks.accept().sendall(NOTHING)
    assert bridge.wait_exit() == 1
    bridge.wait_log("^error: .*is no HTTP proxy; check --proxy$")


@pytest.mark.parametrize("login, exchanges, said", [
    ("", [(socks.greeting(0), NOTHING)], "wants credentials"),
    ("", [(socks.greeting(0), PASSWORD_METHOD)], "wants credentials"),
    ("", [(socks.greeting(0), b"\x05\x01")], "wants credentials"),
    ("me:p@", [(GREETING, NOTHING)], "accepts neither a user name and password nor"),
    ("me:p@", [(GREETING, PASSWORD_METHOD), (b"", b"\1\1")], "refuses the credentials"),
    ("me:p@", [(GREETING, PASSWORD_METHOD), (b"", b"\5\0")], "no SOCKS5 proxy"),
    ("", [(socks.greeting(0), NO_METHOD), (b"", b"\5\2\0\1")], "not allowed"),
    ("", [(socks.greeting(0), NO_METHOD), (b"", b"\5\7")], "command not supported"),
    ("", [(socks.greeting(0), NO_METHOD), (b"", b"\5\x63")], "SOCKS5 99"),
    ("", [(socks.greeting(0), NO_METHOD), (b"", b"\5\0\0\2")], "no SOCKS5 proxy"),
    ("", [(socks.greeting(0), NO_METHOD), (b"", b"\5\x08")], "type not supported.*socks5://"),
])
def test_socks5_refuses(fake_socks: FakeSocks, login: str, exchanges: list[tuple[bytes, bytes]],
                        said: str, wispsocks: Callable[..., Bridge]) -> None:
    """Once and for all."""
    bridge = wispsocks("ws://example.test/", "--proxy",
                       f"socks5h://{login}127.0.0.1:{fake_socks.port}")
    fake_socks.accept_asked(*exchanges)
    assert bridge.wait_exit() == 1
    bridge.wait_log(rf"^error: .*127.0.0.1:{fake_socks.port}.*{said}")


@pytest.mark.parametrize("scheme, code, final", [
    ("socks4a", 91, False), ("socks4a", 92, True), ("socks4a", 93, True), ("socks4a", 1, True),
    ("socks5h", 1, False), ("socks5h", 3, False), ("socks5h", 4, False), ("socks5h", 5, False),
    ("socks5h", 6, False),
])
def test_codes_of_socks(fake_socks: FakeSocks, scheme: str, code: int, final: bool,
                        wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks("ws://example.test/", "--proxy",
                       f"{scheme}://127.0.0.1:{fake_socks.port}")
    if scheme == "socks4a":
        fake_socks.accept_asked((request4("example.test", 80), bytes([0, code]) + bytes(6)))
    else:
        fake_socks.accept_asked((socks.greeting(0), NO_METHOD),
                                (socks.request("example.test", 80), bytes([5, code])))
    bridge.wait_log(rf"the proxy 127.0.0.1:{fake_socks.port} .*SOCKS[45] {code}\b"
                    rf"{'' if final else '.*' + NEXT_TRY}")
    if final:
        assert bridge.wait_exit() == 1


def test_socks_proxy_that_stops_to_answer(fake_socks: FakeSocks,
                                          wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks("ws://example.test/", "--proxy",
                       f"socks5h://127.0.0.1:{fake_socks.port}")
    fake_socks.accept_asked((socks.greeting(0), NO_METHOD),
                            (socks.request("example.test", 80), b"\5\0\0\1"))
    bridge.wait_log(rf"no answer from the proxy 127.0.0.1:{fake_socks.port}; check --proxy{NEXT_TRY}")


# The environment


@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks4a", "socks", "SOCKS5H"])
@pytest.mark.parametrize("variable", ["all_proxy", "ALL_PROXY", "http_proxy"])
def test_socks_proxy_of_the_environment(ssh: SshDynamic, wispd: Wispd, scheme: str, variable: str,
                                        wispsocks: Callable[..., Bridge]) -> None:
    """It is used; socks:// is what GNOME sets."""
    bridge = wispsocks(f"ws://127.0.0.1:{wispd.port}/",
                       env={variable: f"{scheme}://127.0.0.1:{ssh.port}/"})
    assert bridge.wait_connected().endswith(f", through 127.0.0.1:{ssh.port}")


@pytest.mark.parametrize("value", [
    "https://user:s3cret@127.0.0.1:1", "socks4://127.0.0.1:1", "quic://127.0.0.1:1",
    "http://", "http://127.0.0.1:0", "socks4a://user:s3cret@127.0.0.1:1",
    "http://127.0.0.1:1/path", "http://" + 5000 * "h",
], ids=lambda value: value[:30])
@pytest.mark.parametrize("variable", ["all_proxy", "https_proxy"])
def test_proxy_of_the_environment_that_cannot_be_used(
        authority: Authority, nginx: Nginx, wispd: Wispd, value: str, variable: str,
        wispsocks: Callable[..., Bridge]) -> None:
    """A warning names the variable, once."""
    bridge = wispsocks(nginx.url(wispd.port), "--cacert", authority.cacert, env={variable: value})
    assert "through" not in bridge.wait_connected()
    warnings = [line for line in bridge.lines if line.startswith("warning: ")]
    assert len(warnings) == 1 and variable in warnings[0]
    assert "s3cret" not in bridge.log


def test_variables_that_do_not_matter(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    """A proxy for wss alone is nothing to warn of when no server is there."""
    bridge = wispsocks(fake.url, env={"https_proxy": "https://127.0.0.1:1",
                                      "no_proxy": "127.0.0.1"})
    fake.accept_open()
    bridge.wait_connected()
    assert not bridge.find_log("^warning")


@pytest.mark.parametrize("listen, host", [
    ("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "localhost"), ("127.0.0.1", "LocalHost."),
    ("127.0.0.1", "wisp.localhost"), ("127.0.0.1", "127.1"), ("127.0.0.1", "0.0.0.0"),
    ("127.0.0.1", "[::ffff:127.0.0.1]"), ("[::1]", "[::1]"), ("[::1]", "localhost"),
    ("[::1]", "[0:0:0:0:0:0:0:1]"), ("0.0.0.0", "127.0.0.1"), ("0.0.0.0", "127.7.7.7"),
    ("[::]", "[::1]"), ("0.0.0.0", "{hostname}"),
])
@pytest.mark.parametrize("scheme", ["socks5h", "http"])
def test_proxy_of_the_environment_that_is_ourselves(fake: FakeServer, listen: str, host: str,
                                                    scheme: str,
                                                    wispsocks: Callable[..., Bridge]) -> None:
    """It is passed over, which is said once; and as an option it is wrong usage."""
    port = free_port()
    url = f"{scheme}://u:s3cret@{host.format(hostname=socket.gethostname())}:{port}"
    options = ("--listen", f"{listen}:{port}", "--open-to-all")
    bridge = wispsocks(fake.url, *options, env={"all_proxy": url, "ALL_PROXY": "https://x"})
    fake.accept_open()
    assert "through" not in bridge.wait_connected()
    assert len([line for line in bridge.lines if "all_proxy" in line]) == 1
    assert bridge.find_log(rf"^the proxy in all_proxy is not used: \S+:{port} is our own listener")
    assert bridge.find_log("^warning: .*ALL_PROXY")
    assert "s3cret" not in bridge.log
    bridge.terminate()

    error = check_usage_error("wispsocks", *options, "--proxy", url, URL)
    assert "--proxy" in error and f":{port}" in error and "s3cret" not in error


@pytest.mark.parametrize("listen, host, other_port", [
    ("127.0.0.1", "127.0.0.1", True), ("127.0.0.1", "127.0.0.2", False),
    ("[::1]", "127.0.0.1", False), ("127.0.0.1", "192.0.2.1", False),
    ("0.0.0.0", "192.0.2.1", False), ("127.0.0.1", "localhost.test", False),
])
def test_proxy_that_is_not_ourselves(listen: str, host: str, other_port: bool,
                                     wispsocks: Callable[..., Bridge]) -> None:
    port = free_port()
    bridge = wispsocks("ws://127.0.0.1:9/", "--listen", f"{listen}:{port}", "--open-to-all", "-v",
                       env={"all_proxy": f"socks5h://{host}:{port + other_port}"})
    bridge.wait_log(r"^listening on")
    bridge.addresses(2)
    assert not bridge.find_log("all_proxy")


def test_sockets_of_systemd_are_ourselves(fake: FakeServer, start: Start) -> None:
    """Their addresses are asked for."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        bridge = start(Service("wispsocks", fake.url, sockets=(listener,),
                               env={"all_proxy": f"socks5://localhost:{port}"}))
        fake.accept_open()
        bridge.wait_log("^the proxy in all_proxy is not used")
