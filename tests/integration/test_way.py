"""The way to the server: what the request says, TLS, proxies, redirects, addresses, servers."""

from __future__ import annotations

import base64
import re
import socket
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Callable
from urllib.parse import quote

import pytest

import packets
import socks
from bridge import Bridge
from certs import Authority, Certificate
from conftest import Start
from fakeserver import FakeServer
from hosts import dead, two_sockets, with_two_addresses
from origin import Origin, payload_sha256, sha256
from procs import GUARD, Program, in_background, refusing_port, rest, wait_until
from proxies import FakeProxy, Tinyproxy
from test_cli import URL, check_failure, check_usage_error
from wispservers import Nginx, Wispd

NEXT_TRY = r"; next try in \d+(\.\d+)? s"

# Headers


def test_headers_of_the_user(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    """They stand in the request as they were given, the handshake's own beside them."""
    wispsocks(fake.url, "-H", "Cookie: a=1", "--header", "X-Token:  with spaces\t", "-H",
              "x-token: again", "-H", "User-Agent: tester/1.0", "-H", "Origin: https://a.test",
              "-H", "Empty:", "-H", "X-Long: " + 5000 * "x")
    server = fake.accept()
    for line in ("Cookie: a=1", "X-Token: with spaces", "x-token: again", "User-Agent: tester/1.0",
                 "Origin: https://a.test", "Empty: ", "X-Long: " + 5000 * "x"):
        assert server.header_lines.count(line) == 1
    assert server.headers["upgrade"] == "websocket"
    server.open()


@pytest.mark.parametrize("value", ["other.test", "other.test:8080", "h" * 117], ids=len)
def test_host_of_the_user(fake: FakeServer, value: str,
                          wispsocks: Callable[..., Bridge]) -> None:
    """It replaces the URL's, also in the case that the header's name is spelled in."""
    bridge = wispsocks(fake.url, "-H", f"hOST: {value} ")
    server = fake.accept()
    assert [line for line in server.header_lines
            if line.lower().startswith("host:")] == [f"Host: {value}"]
    server.open()
    bridge.wait_connected()


def test_header_value_is_not_repeated_in_an_error() -> None:
    """It may be a secret."""
    assert "s3cret" not in check_usage_error("wispsocks", "-H", "Upgrade: s3cret", URL)
    assert "s3cret" not in check_usage_error("wispsocks", "-H", "s3cret", URL)


# Client certificates


@pytest.fixture(scope="module")
def client(authority: Authority) -> Certificate:
    made = authority.issue("client", "DNS:client.test")
    made.key.chmod(0o600)
    return made


@pytest.fixture(scope="module")
def strict_nginx(module_start: Start, tmp_path_factory: pytest.TempPathFactory,
                 authority: Authority, certificate: Certificate) -> Nginx:
    """It serves only clients with a certificate of the authority."""
    return module_start(Nginx(
        tmp_path_factory.mktemp("strict-nginx"), certificate,
        f"ssl_verify_client on; ssl_client_certificate {authority.cacert};"))


@pytest.mark.parametrize("one_file", [False, True], ids=["two files", "one file"])
def test_client_certificate(strict_nginx: Nginx, authority: Authority, client: Certificate,
                            wispd: Wispd, tmp_path: Path, one_file: bool,
                            wispsocks: Callable[..., Bridge]) -> None:
    options: list[str | Path] = ["--cert", client.cert, "--cert-key", client.key]
    if one_file:
        both = tmp_path / "both.pem"
        both.touch(0o600)
        both.write_text(client.key.read_text() + client.cert.read_text())
        options = ["--cert", both]
    bridge = wispsocks(strict_nginx.url(wispd.port), "--cacert", authority.cacert, *options)
    bridge.wait_connected()
    assert not bridge.find_log("^warning:")


def test_client_certificate_is_missing(strict_nginx: Nginx, authority: Authority, wispd: Wispd,
                                       wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(strict_nginx.url(wispd.port), "--cacert", authority.cacert)
    assert bridge.wait_exit() == 1
    bridge.wait_log(r"^error: .*HTTP 400.*--cert\b")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3],
                         ids=lambda version: version.name)
@pytest.mark.parametrize("shown", [False, True], ids=["none", "a stranger's"])
def test_client_certificate_is_refused(start: Start, authority: Authority,
                                       certificate: Certificate, version: ssl.TLSVersion,
                                       shown: bool, wispsocks: Callable[..., Bridge]) -> None:
    """By an alert, which in TLS 1.3 comes after the handshake: before the request, or behind it."""
    context = certificate.context()
    context.minimum_version = context.maximum_version = version
    context.load_verify_locations(authority.cacert)
    context.verify_mode = ssl.CERT_REQUIRED
    fake = start(FakeServer(context))
    stranger = authority.self_signed()
    options = ["--cert", stranger.cert, "--cert-key", stranger.key] if shown else []
    bridge = wispsocks(fake.url_at("localhost"), "--cacert", authority.cacert, *options)

    def refuse() -> None:
        with suppress(OSError):  # the test is over
            while bridge.alive:
                fake.accept_refused_handshake()

    in_background(refuse)
    early = not shown and version == ssl.TLSVersion.TLSv1_2
    said = "refuses the" if shown else "may want a" if early else "wants a"
    bridge.wait_log(rf"{said} client certificate.*--cert\b")
    if not early:  # then the alert is a general one, and it is tried again
        assert bridge.wait_exit() == 1
        assert not bridge.find_log("next try")


@pytest.mark.parametrize("wrong", ["missing", "no certificate", "no key", "another's key",
                                   "encrypted key"])
def test_client_certificate_that_cannot_be_used(tmp_path: Path, authority: Authority,
                                                certificate: Certificate, client: Certificate,
                                                wrong: str) -> None:
    """The error names the file and the option."""
    path = tmp_path / "file.pem"
    if wrong != "missing":
        path.write_text("not PEM\n")
    cert, key, option = {
        "missing": (path, client.key, "--cert"),
        "no certificate": (path, client.key, "--cert"),
        "no key": (client.cert, path, "--cert-key"),
        "another's key": (client.cert, certificate.key, "--cert-key"),
        "encrypted key": (client.cert, authority.encrypted_key(client), "--cert-key"),
    }[wrong]
    error = check_failure(str(cert if option == "--cert" else key), "wispsocks", "--listen",
                          "127.0.0.1:0", "--cert", cert, "--cert-key", key, URL)
    assert option in error.split()[-1]


def test_key_that_everybody_can_read(tmp_path: Path, client: Certificate, fake: FakeServer,
                                     wispsocks: Callable[..., Bridge]) -> None:
    path = tmp_path / "key.pem"
    path.write_text(client.key.read_text())
    path.chmod(0o644)
    bridge = wispsocks(fake.url, "--cert", client.cert, "--cert-key", path)
    bridge.wait_log(rf"^warning: .*{path}")


# Redirects

REDIRECTS = ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect",
             "308 Permanent Redirect"]


@pytest.mark.parametrize("status", REDIRECTS)
def test_redirect_is_followed(start: Start, fake: FakeServer, status: str,
                              wispsocks: Callable[..., Bridge]) -> None:
    """To another server, whose name the log says beside the URL that was given."""
    other = start(FakeServer())
    bridge = wispsocks(fake.url)
    location = other.url_at("localhost", "/else/where?x=1")
    fake.accept().answer(status, f"Location: {location}")
    server = other.accept()
    assert server.path == "/else/where?x=1"
    assert server.headers["host"] == f"localhost:{other.port}"
    server.open()
    assert f"redirected to {location}" in bridge.wait_connected()
    bridge.wait_log(f"^connected to {fake.url} ")


@pytest.mark.parametrize("location, path", [
    ("/absolute/", "/absolute/"),
    ("relative", "/a/b/relative"),
    ("../up/", "/a/up/"),
    ("?query", "/a/b/?query"),
    ("http://127.0.0.1:{port}", "/"),
    ("HTTP://127.0.0.1:{port}/x#part", "/x"),
    ("//127.0.0.1:{port}/./y/../z", "/z"),
])
def test_forms_of_a_location(fake: FakeServer, location: str, path: str,
                             wispsocks: Callable[..., Bridge]) -> None:
    """Relative ones count from the URL; http is as good as ws."""
    bridge = wispsocks(fake.url_at("127.0.0.1", "/a/b/"))
    fake.accept().answer("302 Found", "Location: " + location.format(port=fake.port))
    server = fake.accept()
    assert server.path == path
    server.open()
    bridge.wait_connected()


def test_next_connection_begins_at_the_url_again(start: Start, fake: FakeServer,
                                                 wispsocks: Callable[..., Bridge]) -> None:
    other = start(FakeServer())
    bridge = wispsocks(fake.url)
    fake.accept().answer("302 Found", f"Location: {other.url}")
    server = other.accept_open()
    bridge.wait_connected()
    server.close()
    fake.accept_open()


def test_redirects_have_a_limit(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    """Five are followed, the sixth is an error."""
    bridge = wispsocks(fake.url)
    for number in range(6):
        fake.accept().answer("302 Found", f"Location: /{number}/")
    assert bridge.wait_exit() == 1
    bridge.wait_log(r"^error: .*5 times.*/5/.*302")

    bridge = wispsocks(fake.url)
    for number in range(5):
        fake.accept().answer("302 Found", f"Location: /{number}/")
    fake.accept_open()
    bridge.wait_connected()


@pytest.mark.parametrize("location", [
    None, "", "wss://127.0.0.1/", "https://127.0.0.1/", "ftp://127.0.0.1/", "http:relative",
    "http://", "http://user@127.0.0.1/", "http://user:password@127.0.0.1/", "//127.0.0.1:0/",
    "//127.0.0.1:70000/", "http://[::1/", "http://two words/", "/\x01", "//" + 200 * "h" + "/",
    "/" + 1100 * "p", "/" + 5000 * "p",
], ids=lambda location: repr(location)[:30])
def test_redirect_that_is_not_followed(fake: FakeServer, location: str | None,
                                       wispsocks: Callable[..., Bridge]) -> None:
    """It ends the program, as it did not get anywhere yet."""
    bridge = wispsocks(fake.url)
    fake.accept().answer("302 Found", *([] if location is None else [f"Location: {location}"]))
    assert bridge.wait_exit() == 1
    bridge.wait_log(r"^error: .*302")


def test_redirect_of_wss(nginx: Nginx, start: Start, tmp_path: Path, authority: Authority,
                         certificate: Certificate, wispd: Wispd,
                         wispsocks: Callable[..., Bridge]) -> None:
    """The certificate is checked for the host that the redirect leads to."""
    to_good = start(Nginx(tmp_path, certificate,
                          f"location /good/ {{ return 301 {nginx.url(wispd.port)}; }}"
                          f"location /plain/ {{ return 301 ws://localhost:{wispd.port}/; }}"))
    url = f"wss://127.0.0.1:{to_good.port}"
    bridge = wispsocks(f"{url}/good/", "--cacert", authority.cacert)
    assert nginx.url(wispd.port) in bridge.wait_connected()

    bridge = wispsocks(f"{url}/plain/", "--cacert", authority.cacert)
    assert bridge.wait_exit() == 1
    bridge.wait_log(r"^error: .*301")


def test_redirect_to_a_wrong_certificate(start: Start, authority: Authority,
                                         certificate: Certificate,
                                         wispsocks: Callable[..., Bridge]) -> None:
    fake = start(FakeServer(certificate.context()))
    other = start(FakeServer(authority.issue("for-127", "IP:127.0.0.1").context()))
    bridge = wispsocks(fake.url_at("127.0.0.1"), "--cacert", authority.cacert)
    fake.accept().answer("302 Found", f"Location: {other.url_at('localhost')}")
    other.accept_refused_handshake()
    assert bridge.wait_exit() == 1
    bridge.wait_log(r"^error: .*certificate")


@pytest.mark.parametrize("same", [False, True], ids=["other origin", "same origin"])
def test_what_a_redirect_takes_along(start: Start, authority: Authority, client: Certificate,
                                     certificate: Certificate, same: bool,
                                     wispsocks: Callable[..., Bridge]) -> None:
    """The user's headers and the client certificate are for the origin of the URL alone."""
    context = certificate.context()
    context.load_verify_locations(authority.cacert)
    context.verify_mode = ssl.CERT_OPTIONAL
    fake, other = start(FakeServer(context)), start(FakeServer(context))
    bridge = wispsocks(fake.url_at("localhost"), "--cacert", authority.cacert, "--cert",
                       client.cert, "--cert-key", client.key, "-H", "Cookie: secret", "-H",
                       "Host: virtual.test")
    target = fake if same else other
    first = fake.accept()
    assert first.sock.getpeercert() and first.headers["cookie"] == "secret"
    first.answer("302 Found", f"Location: {target.url_at('localhost', '/there/')}")
    server = target.accept()
    assert server.path == "/there/"
    assert bool(server.sock.getpeercert()) == same
    assert server.headers.get("cookie") == ("secret" if same else None)
    assert server.headers["host"] == ("virtual.test" if same else f"localhost:{other.port}")
    server.open()
    bridge.wait_connected()


def test_long_answer(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    """Servers may say much in their headers."""
    bridge = wispsocks(fake.url)
    more = [f"X-Policy-{number}: " + 3000 * "x" for number in range(5)]
    fake.accept().answer("302 Found", *more, "Set-Cookie: " + 4000 * "c", "Location: /there/")
    assert fake.accept().path == "/there/"
    assert not bridge.find_log("cannot connect")


# Addresses


@pytest.fixture
def two(start: Start) -> tuple[socket.socket, socket.socket]:
    """Bound to the same port of ::1 and 127.0.0.1."""
    sockets = two_sockets()
    for sock in sockets:
        start(sock)
    return sockets


@pytest.mark.parametrize("live", [0, 1], ids=["IPv6", "IPv4"])
def test_dead_address(start: Start, two: tuple[socket.socket, socket.socket], live: int,
                      tmp_path: Path, wispsocks: Callable[..., Bridge]) -> None:
    """IPv6 is tried first, and the next one while programs still wait when the first says nothing.

    Then the one that has worked is the first.
    """
    start(dead(two[1 - live]))
    fake = start(FakeServer(listener=two[live]))
    bridge = wispsocks(fake.url_at("localhost"), "-v", "--connect-timeout", "6",
                       prefix=with_two_addresses(tmp_path))
    program = bridge.connect(socks.opening("example.test", 80))
    server = fake.accept_open()
    assert socks.recv_opening(program).code == socks.SUCCEEDED
    bridge.wait_connected()
    assert bool(bridge.find_log(r"no answer from \[::1\]")) == (live == 1)
    before = bridge.mark()
    server.close()
    fake.accept_open()
    bridge.wait_connected(since=before)
    assert not bridge.find_log("no answer", since=before)


def test_answer_is_told_rather_than_a_refusal(fake: FakeServer, tmp_path: Path,
                                              wispsocks: Callable[..., Bridge]) -> None:
    """Also when it came from the address that was tried first, and the other one refuses."""
    bridge = wispsocks(fake.url_at("localhost"), prefix=with_two_addresses(tmp_path))
    server = fake.accept_open()
    bridge.wait_connected()
    since = bridge.mark()
    server.close()
    fake.accept().answer("503 Service Unavailable")
    assert "503" in bridge.wait_log("^(?:warning: )?cannot connect to (.*); next try",
                                    since).group(1)


def test_last_address_is_not_hurried(start: Start, two: tuple[socket.socket, socket.socket],
                                     tmp_path: Path, wispsocks: Callable[..., Bridge]) -> None:
    """TCP may take its time with the last one, for there is nothing better to do."""
    start(dead(two[0]))
    start(dead(two[1]))
    bridge = wispsocks(f"ws://localhost:{two[0].getsockname()[1]}/", "-v",
                       prefix=with_two_addresses(tmp_path))
    bridge.wait_log(r"no answer from \[::1\]")
    two[1].settimeout(GUARD)
    two[1].accept()[0].close()  # the one that fills the queue
    conn, _ = two[1].accept()  # the kernel has asked again
    conn.close()
    bridge.wait_lost()
    assert not bridge.find_log(r"no answer from 127\.0\.0\.1")


def test_limit_for_tcp_is_for_tcp_alone(start: Start, two: tuple[socket.socket, socket.socket],
                                        tmp_path: Path, wispsocks: Callable[..., Bridge]) -> None:
    """A server that has accepted the connection may take longer to answer."""
    fake = start(FakeServer(listener=two[0]))
    start(FakeServer(listener=two[1]))
    bridge = wispsocks(fake.url_at("localhost"), "-v", prefix=with_two_addresses(tmp_path))
    server = fake.accept()
    rest(1.5)
    server.open()
    bridge.wait_connected()
    assert not bridge.find_log("no answer")


def test_refused_address(start: Start, two: tuple[socket.socket, socket.socket], tmp_path: Path,
                         wispsocks: Callable[..., Bridge]) -> None:
    fake = start(FakeServer(listener=two[1]))
    bridge = wispsocks(fake.url_at("localhost"), prefix=with_two_addresses(tmp_path))
    fake.accept_open()
    bridge.wait_connected()


@pytest.mark.parametrize("answers", ["nothing", "no TLS", "another's certificate", "503"])
def test_address_that_fails_later(start: Start, two: tuple[socket.socket, socket.socket],
                                  tmp_path: Path, authority: Authority, certificate: Certificate,
                                  answers: str, wispsocks: Callable[..., Bridge]) -> None:
    """The other one is tried all the same, also where waiting would be of no use."""
    context = certificate.context()
    if answers == "another's certificate":
        context = authority.issue("other", "DNS:other.test").context()
    bad = start(FakeServer(context, listener=two[0]))
    good = start(FakeServer(certificate.context(), listener=two[1]))
    bridge = wispsocks(good.url_at("localhost"), "-v", "--cacert", authority.cacert,
                       prefix=with_two_addresses(tmp_path))
    if answers == "503":
        bad.accept().answer("503 Service Unavailable")
    elif answers == "another's certificate":
        bad.accept_refused_handshake()
    else:
        conn, _ = two[0].accept()
        if answers == "no TLS":
            conn.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        conn.close()
    good.accept_open()
    bridge.wait_connected()
    bridge.wait_log(r"^debug: .*\[::1\]")


def test_answer_counts_for_all_addresses(start: Start,
                                         two: tuple[socket.socket, socket.socket],
                                         tmp_path: Path,
                                         wispsocks: Callable[..., Bridge]) -> None:
    """A server that says no means it, and an unfit certificate is not covered up by a dead one."""
    fake = start(FakeServer(listener=two[0]))
    start(FakeServer(listener=two[1]))
    bridge = wispsocks(fake.url_at("localhost"), "-v", prefix=with_two_addresses(tmp_path))
    fake.accept().answer("404 Not Found")
    assert bridge.wait_exit() == 1
    assert not bridge.find_log(r" at 127\.0\.0\.1")


def test_lasting_failure_outweighs_a_passing_one(start: Start, authority: Authority,
                                                 certificate: Certificate,
                                                 two: tuple[socket.socket, socket.socket],
                                                 tmp_path: Path,
                                                 wispsocks: Callable[..., Bridge]) -> None:
    """The first address has a certificate that cannot be trusted, the second refuses: it ends."""
    fake = start(FakeServer(certificate.context(), listener=two[0]))
    bridge = wispsocks(fake.url_at("localhost"), prefix=with_two_addresses(tmp_path))
    fake.accept_refused_handshake()
    assert bridge.wait_exit() == 1
    bridge.wait_log("^error: .*--cacert")


# Proxies


def check_transfer(bridge: Bridge, origin: Origin) -> None:
    result = bridge.curl(origin.url("bytes/300000/0"))
    assert result.code == 0, result.errors
    assert sha256(result.output) == payload_sha256(300000)


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
@pytest.mark.parametrize("password", ["", "s3cret", "p.a_s-s"], ids=repr)
def test_real_proxy(start: Start, tmp_path: Path, authority: Authority, nginx: Nginx,
                    origin: Origin, wispd: Wispd, tls: bool, password: str,
                    wispsocks: Callable[..., Bridge]) -> None:
    proxy = start(Tinyproxy(tmp_path, f"user {password}" if password else None))
    bridge = wispsocks(nginx.url(wispd.port) if tls else f"ws://127.0.0.1:{wispd.port}/",
                       "-v", "-v", "--cacert", authority.cacert, "--proxy",
                       proxy.url(f"user:{quote(password, safe='')}" if password else ""))
    assert bridge.wait_connected().endswith(f", through 127.0.0.1:{proxy.port}")
    proxy.wait_log(f"CONNECT {'localhost' if tls else '127.0.0.1'}:"
                   f"{nginx.port if tls else wispd.port} ")
    check_transfer(bridge, origin)
    if password:
        for secret in (password, quote(password, safe=""),
                       base64.b64encode(f"user:{password}".encode()).decode()):
            assert secret not in bridge.log


@pytest.mark.parametrize("given", ["", "user:wr0ng"], ids=["none", "wrong"])
def test_real_proxy_refuses_credentials(start: Start, tmp_path: Path, wispd: Wispd, given: str,
                                        wispsocks: Callable[..., Bridge]) -> None:
    proxy = start(Tinyproxy(tmp_path, "user s3cret"))
    bridge = wispsocks(f"ws://127.0.0.1:{wispd.port}/", "-v", "-v", "--proxy", proxy.url(given))
    assert bridge.wait_exit() == 1
    bridge.wait_log(rf"^error: .*127.0.0.1:{proxy.port}.* credentials .*HTTP 40[17].*--proxy")
    assert "wr0ng" not in bridge.log


def test_real_proxy_that_forbids_the_port(start: Start, tmp_path: Path, wispd: Wispd,
                                          wispsocks: Callable[..., Bridge]) -> None:
    proxy = start(Tinyproxy(tmp_path, more="ConnectPort 443"))
    bridge = wispsocks(f"ws://127.0.0.1:{wispd.port}/", "--proxy", proxy.url())
    assert bridge.wait_exit() == 1
    bridge.wait_log(r"^error: .*proxy.*403")


def test_real_proxy_whose_server_is_away(start: Start, tmp_path: Path,
                                         wispsocks: Callable[..., Bridge]) -> None:
    """It is tried again until the server is there."""
    proxy = start(Tinyproxy(tmp_path))
    with refusing_port() as port:
        bridge = wispsocks(f"ws://127.0.0.1:{port}/", "--proxy", proxy.url())
        bridge.wait_log(rf"cannot connect to \S+: the proxy .*HTTP 5\d\d.*{NEXT_TRY}")
    start(Wispd(port=port))
    bridge.wait_connected()


@pytest.mark.parametrize("url, target", [
    ("ws://no-such-host.invalid/", "no-such-host.invalid:80"),
    ("ws://no-such-host.invalid:8080/", "no-such-host.invalid:8080"),
    ("ws://[2001:db8::1]/", "[2001:db8::1]:80"),
    ("ws://" + 100 * "h" + "/", 100 * "h" + ":80"),
])
def test_proxy_is_asked_for_the_server(start: Start, url: str, target: str,
                                       wispsocks: Callable[..., Bridge]) -> None:
    """By its name: nothing is looked up here. The headers for the server are for it alone."""
    fake = start(FakeProxy())
    bridge = wispsocks(url, "--proxy", fake.proxy_url, "-H", "Cookie: secret")
    proxy = fake.accept()
    assert proxy.request_line == f"CONNECT {target} HTTP/1.1"
    assert proxy.headers["host"] == target
    assert "proxy-authorization" not in proxy.headers
    assert "cookie" not in proxy.headers
    proxy.send_raw(b"HTTP/1.0 200 OK\r\n\r\n")
    server = fake.behind(proxy)
    assert server.headers["host"] == target.removesuffix(":80")
    assert server.headers["cookie"] == "secret"
    server.open()
    bridge.wait_connected()


def test_credentials_are_for_the_proxy_alone(start: Start,
                                             wispsocks: Callable[..., Bridge]) -> None:
    fake = start(FakeProxy())
    url = fake.proxy_url.replace("//", "//us%40er:p%3Aw%20@")
    wispsocks("ws://example.test/", "--proxy", url)
    proxy = fake.accept()
    assert proxy.headers["proxy-authorization"] == "Basic " + base64.b64encode(
        b"us@er:p:w ").decode()
    proxy.send_raw(b"HTTP/1.1 200 OK\r\n\r\n")
    assert "proxy-authorization" not in fake.behind(proxy).headers


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 200 Connection established\r\nProxy-Agent: x/1\r\nContent-Length: 5\r\n\r\n",
    b"HTTP/1.1 204\r\n\r\n",
    b"HTTP/1.0 200 OK\n\n",
    b"HTTP/1.1 200 OK\r\nX: " + 8000 * b"x" + b"\r\n\r\n",
], ids=["headers", "204", "bare line ends", "long"])
def test_answer_of_the_proxy_in_pieces(start: Start, answer: bytes,
                                       wispsocks: Callable[..., Bridge]) -> None:
    fake = start(FakeProxy())
    bridge = wispsocks("ws://example.test/", "--proxy", fake.proxy_url)
    proxy = fake.accept()
    for piece in (*(bytes([byte]) for byte in answer[:20]), answer[20:-1], answer[20:][-1:]):
        proxy.send_raw(piece)
    fake.behind(proxy).open()
    bridge.wait_connected()


def test_what_follows_the_answer_of_the_proxy(start: Start,
                                              wispsocks: Callable[..., Bridge]) -> None:
    """It is the server's, also when it comes in the same segment."""
    fake = start(FakeProxy())
    bridge = wispsocks("ws://example.test/", "--proxy", fake.proxy_url)
    fake.accept().send_raw(b"HTTP/1.1 200 OK\r\n\r\n"
                           b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    assert bridge.wait_exit() == 1
    bridge.wait_log(r"^error: .*no WebSocket.*404")


@pytest.mark.parametrize("answer, said", [
    (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407"),
    (b"HTTP/1.1 400 Bad Request\r\n\r\n", "400"),
    (b"HTTP/1.1 403 Forbidden\r\n\r\n", "403"),
    (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n", "302"),
    (b"HTTP/1.1 100 Continue\r\n\r\n", "100"),
    (b"HTTP/1.1 2000 OK\r\n\r\n", "no HTTP proxy"),
    (b"HTTP/2 200\r\n\r\n", "no HTTP proxy"),
    (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n\r\n", "no HTTP proxy"),
    (b"\0" * 10 + b"\n\n", "no HTTP proxy"),
    (b"\n\n", "no HTTP proxy"),
    (b"HTTP/1.1 200 OK\r\nX: " + 9000 * b"x", "too long"),
], ids=lambda value: value[:20].decode("latin-1") if isinstance(value, bytes) else value)
def test_proxy_refuses(start: Start, answer: bytes, said: str,
                       wispsocks: Callable[..., Bridge]) -> None:
    """With the number, and once and for all."""
    fake = start(FakeProxy())
    bridge = wispsocks("ws://example.test/", "--proxy", fake.proxy_url)
    fake.accept().send_raw(answer)
    assert bridge.wait_exit() == 1
    bridge.wait_log(rf"^error: .*127.0.0.1:{fake.port}.*{said}")


@pytest.mark.parametrize("status", ["408 Request Timeout", "429 Too Many Requests",
                                    "500 Unable to connect", "502 Bad Gateway",
                                    "503 Service Unavailable", "504 Gateway Timeout", ""])
def test_proxy_that_fails_is_tried_again(start: Start, status: str,
                                         wispsocks: Callable[..., Bridge]) -> None:
    fake = start(FakeProxy())
    bridge = wispsocks("ws://example.test/", "--proxy", fake.proxy_url)
    proxy = fake.accept()
    if status:
        proxy.answer(status)
    else:
        proxy.close()
    bridge.wait_log(rf"cannot connect to ws://example.test/: the proxy .*{status[:3]}.*{NEXT_TRY}")
    fake.accept_through().open()
    bridge.wait_connected()


def test_proxy_that_refuses_connections(wispsocks: Callable[..., Bridge]) -> None:
    with refusing_port() as port:
        bridge = wispsocks("ws://example.test/", "--proxy", f"http://127.0.0.1:{port}")
        bridge.wait_log(rf"cannot connect to \S+: the proxy 127.0.0.1:{port}: .*(?i:refused)")


def test_proxy_that_does_not_answer(start: Start, wispsocks: Callable[..., Bridge]) -> None:
    fake = start(FakeProxy())
    bridge = wispsocks("ws://example.test/", "--proxy", fake.proxy_url)
    fake.accept()
    bridge.wait_log(rf"cannot connect to \S+: no answer from the proxy .*{NEXT_TRY}")
    fake.accept_through().open()
    bridge.wait_connected()


def test_name_of_the_proxy(start: Start, two: tuple[socket.socket, socket.socket],
                           tmp_path: Path, wispsocks: Callable[..., Bridge]) -> None:
    """It is looked up like a server's, and has addresses like one."""
    start(dead(two[0]))
    fake = start(FakeProxy(listener=two[1]))
    bridge = wispsocks("ws://example.test/", "--proxy", f"http://localhost:{fake.port}/", "-v",
                       prefix=with_two_addresses(tmp_path))
    fake.accept_through().open()
    assert bridge.wait_connected().endswith(f", through localhost:{fake.port}")
    bridge.wait_log(r"no answer from \[::1\]")

    bridge = wispsocks("ws://example.test/", "--proxy", "http://no-such-host.invalid")
    bridge.wait_log(rf"cannot connect to \S+: cannot resolve the proxy no-such-.*{NEXT_TRY}")


PROXY, ELSEWHERE = "http://127.0.0.1:{port}", "http://127.0.0.1:1"


@pytest.mark.parametrize("environment, used", [
    ({"http_proxy": PROXY}, True),
    ({"http_proxy": "127.0.0.1:{port}"}, True),
    ({"HTTP_PROXY": PROXY}, False),
    ({"https_proxy": PROXY, "HTTPS_PROXY": PROXY}, False),
    ({"all_proxy": PROXY}, True),
    ({"ALL_PROXY": PROXY}, True),
    ({"http_proxy": PROXY, "all_proxy": ELSEWHERE, "ALL_PROXY": ELSEWHERE}, True),
    ({"all_proxy": PROXY, "ALL_PROXY": ELSEWHERE}, True),
    ({"http_proxy": "", "all_proxy": PROXY}, True),
    ({"http_proxy": "https://127.0.0.1:{port}"}, False),
    ({"http_proxy": "https://127.0.0.1:1", "all_proxy": PROXY}, True),
    ({"socks_proxy": "127.0.0.1:1"}, False),
    ({"http_proxy": PROXY, "no_proxy": "*"}, False),
    ({"http_proxy": PROXY, "no_proxy": "example.test, 127.0.0.1"}, False),
    ({"http_proxy": PROXY, "NO_PROXY": "127.0.0.0/8"}, False),
    ({"http_proxy": PROXY, "no_proxy": "example.test", "NO_PROXY": "*"}, True),
], ids=str)
def test_proxy_of_the_environment(start: Start, environment: dict[str, str], used: bool,
                                  wispsocks: Callable[..., Bridge]) -> None:
    """For ws. What cannot be used is test_proxies.py's."""
    proxy, direct = start(FakeProxy()), start(FakeServer())
    bridge = wispsocks(direct.url, env={name: value.format(port=proxy.port)
                                        for name, value in environment.items()})
    (proxy.accept_through() if used else direct.accept()).open()
    bridge.wait_connected()


@pytest.mark.parametrize("environment, used", [
    ({"https_proxy": PROXY}, True),
    ({"HTTPS_PROXY": PROXY}, True),
    ({"https_proxy": PROXY, "HTTPS_PROXY": ELSEWHERE, "all_proxy": ELSEWHERE}, True),
    ({"http_proxy": PROXY}, False),
    ({"ALL_PROXY": PROXY}, True),
    ({"https_proxy": PROXY, "no_proxy": "localhost"}, False),
], ids=str)
def test_proxy_of_the_environment_for_wss(start: Start, tmp_path: Path, authority: Authority,
                                          nginx: Nginx, wispd: Wispd,
                                          environment: dict[str, str], used: bool,
                                          wispsocks: Callable[..., Bridge]) -> None:
    proxy = start(Tinyproxy(tmp_path))
    bridge = wispsocks(nginx.url(wispd.port), "--cacert", authority.cacert,
                       env={name: value.format(port=proxy.port)
                            for name, value in environment.items()})
    assert (", through " in bridge.wait_connected()) == used


def test_proxy_option_wins_over_the_environment(start: Start,
                                                wispsocks: Callable[..., Bridge]) -> None:
    """All of it, also no_proxy; and an empty one is for none."""
    proxy, direct = start(FakeProxy()), start(FakeServer())
    bridge = wispsocks(direct.url, "--proxy", proxy.proxy_url,
                       env={"http_proxy": ELSEWHERE, "no_proxy": "*"})
    proxy.accept_through().open()
    bridge.wait_connected()
    bridge = wispsocks(direct.url, "--proxy", "", env={"http_proxy": ELSEWHERE})
    direct.accept_open()
    bridge.wait_connected()


def test_redirect_has_its_own_proxy(start: Start, wispsocks: Callable[..., Bridge]) -> None:
    proxy, direct = start(FakeProxy()), start(FakeServer())
    wispsocks("ws://example.test/", env={"http_proxy": proxy.proxy_url, "no_proxy": "127.0.0.1"})
    proxy.accept_through().answer("302 Found", f"Location: {direct.url}")
    direct.accept_open()


def test_proxy_password_is_not_repeated_in_an_error() -> None:
    for wrong in ("socks4a://user:s3cret@127.0.0.1", "http://user:s3cret@", "user:s3cret@[",
                  "http://user:s3cret%@127.0.0.1"):
        assert "s3cret" not in check_usage_error("wispsocks", "--proxy", wrong, URL)


# Several servers


def check_order(bridge: Bridge, *expected: tuple[str, bool]) -> None:
    """The failures in the log: of which URL, and whether there is a pause before the next try."""
    pattern = r"^(?:disconnected from|(?:warning: )?cannot connect to) (\S+): .*; next try in (\S+) s$"

    def failures() -> list[tuple[str, bool]]:
        found = (re.search(pattern, line) for line in list(bridge.lines))
        return [(match[1], float(match[2]) > 0) for match in found if match]

    wait_until(lambda: len(failures()) >= len(expected), f"{len(expected)} failures in the log")
    assert failures()[:len(expected)] == list(expected)


def test_next_server(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    """It is tried at once, with all that the user gave for servers."""
    with refusing_port() as port:
        bridge = wispsocks(f"ws://127.0.0.1:{port}/", "--server", fake.url, "-H", "X-Token: 1")
        server = fake.accept()
        assert server.headers["x-token"] == "1"
        server.open()
        bridge.wait_log(f"^connected to {fake.url} ")
        check_order(bridge, (f"ws://127.0.0.1:{port}/", False))


def test_servers_without_an_argument(fake: FakeServer) -> None:
    with refusing_port() as port, Program("wispsocks", "--listen", "127.0.0.1:0", "--server",
                                          f"ws://127.0.0.1:{port}/", "--server",
                                          fake.url) as bridge:
        fake.accept_open()
        bridge.wait_log(f"^connected to {fake.url} ")


def test_round_without_success(start: Start, wispsocks: Callable[..., Bridge]) -> None:
    """All are tried in their order, then there is a pause."""
    fakes = [start(FakeServer()) for _ in range(3)]
    first, second, third = (fake.url for fake in fakes)
    bridge = wispsocks(first, "--server", second, "--server", third)
    for _ in range(2):
        for fake in fakes:
            fake.accept().answer("503 Service Unavailable")
    check_order(bridge, *[(first, False), (second, False), (third, True)] * 2)


@pytest.mark.parametrize("failure", ["no Wisp", "redirect", "unknown host"])
def test_next_server_whatever_the_failure(start: Start, fake: FakeServer, failure: str,
                                          wispsocks: Callable[..., Bridge]) -> None:
    bad = start(FakeServer())
    url = "ws://no-such-host.invalid/" if failure == "unknown host" else bad.url
    bridge = wispsocks(url, "--server", fake.url)
    if failure == "no Wisp":
        bad.accept().upgrade(behind=b"\xff" * 100)
    elif failure == "redirect":
        bad.accept().answer("302 Found", "Location: https://127.0.0.1/")
    fake.accept_open()
    bridge.wait_log(f"^connected to {fake.url} ")


def test_hopeless_is_what_all_servers_are(start: Start, wispsocks: Callable[..., Bridge]) -> None:
    """As long as one may come back, the program goes on."""
    fakes = [start(FakeServer()), start(FakeServer())]
    bridge = wispsocks(fakes[0].url, "--server", fakes[1].url)
    fakes[0].accept().answer("404 Not Found")
    fakes[1].accept().answer("503 Service Unavailable")
    fakes[0].accept().answer("503 Service Unavailable")
    fakes[1].accept().answer("404 Not Found")
    for fake in fakes:
        fake.accept().answer("404 Not Found")
    assert bridge.wait_exit() == 1
    bridge.wait_log(rf"^error: {fakes[1].url}: .*404")


def test_server_in_use_comes_first_for_a_while(start: Start, fake: FakeServer,
                                               wispsocks: Callable[..., Bridge]) -> None:
    """After a loss, the first one is not bothered again at once."""
    first = start(FakeServer())
    bridge = wispsocks(first.url, "--server", fake.url)
    first.accept().answer("503 Service Unavailable")
    for _ in range(3):
        server = fake.accept_open()
        before = bridge.mark()
        server.close()
        bridge.wait_log(f"^disconnected from {fake.url}: ", since=before)
    fake.accept().answer("503 Service Unavailable")
    first.accept_open()
    bridge.wait_log(f"^connected to {first.url} ")


def test_first_server_is_preferred_later(start: Start, fake: FakeServer,
                                         wispsocks: Callable[..., Bridge]) -> None:
    """After a loss that comes later than that while."""
    first = start(FakeServer())
    bridge = wispsocks(first.url, "--server", fake.url, "--return-after", "0.5")
    first.accept().answer("503 Service Unavailable")
    server = fake.accept_open()
    bridge.dial("example.test", 80)  # with a stream, it does not go by itself
    server.recv_connect()
    rest(1)
    server.close()
    first.accept_open()
    bridge.wait_log(f"^connected to {first.url} ")


def test_tunnel_moves_back_when_idle(start: Start, fake: FakeServer,
                                     wispsocks: Callable[..., Bridge]) -> None:
    first = start(FakeServer())
    bridge = wispsocks(first.url, "--server", fake.url, "--return-after", "0.2")
    first.accept().answer("503 Service Unavailable")
    server = fake.accept_open()
    bridge.wait_log(f"^disconnected from {fake.url}: going back to the first server; "
                    r"next try in 0\.0 s$")
    assert server.recv_end() == 1001
    first.accept().answer("503 Service Unavailable")  # it is not back yet
    server = fake.accept_open()
    assert server.recv_end() == 1001
    server = first.accept_open()
    bridge.wait_log(f"^connected to {first.url} ")
    rest(0.5)
    bridge.dial("example.test", 80)  # and there it stays
    server.recv_connect()


def test_tunnel_does_not_move_under_streams(start: Start, fake: FakeServer,
                                            wispsocks: Callable[..., Bridge]) -> None:
    first = start(FakeServer())
    bridge = wispsocks(first.url, "--server", fake.url, "--return-after", "0.2")
    first.accept().answer("503 Service Unavailable")
    server = fake.accept_open()
    program = bridge.dial("example.test", 80)
    stream = server.recv_connect().stream
    rest(2)
    server.send(packets.data(stream, b"still here"))
    assert socks.recv_exactly(program, 10) == b"still here"
    assert not bridge.find_log("going back")
    server.send(packets.close(stream, packets.VOLUNTARY))
    first.accept_open()
    bridge.wait_log(f"^connected to {first.url} ")


def test_wrong_url_of_another_server() -> None:
    assert "http://127.0.0.1/" in check_usage_error("wispsocks", URL, "--server",
                                                    "http://127.0.0.1/")
