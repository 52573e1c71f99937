"""What users are told: each failure names what to change, and only what is final ends a program."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path
from typing import Callable

import pytest

import frames
import packets
import socks
from bridge import Bridge
from certs import Authority, Certificate
from conftest import Start
from curl import finish_curl, start_curl
from fakeserver import FakeServer
from origin import Service
from procs import BUILD, GUARD, Process, clean_environment, free_port, refusing_port
from proxies import Microsocks
from test_cli import URL, run
from wispservers import Nginx, WispPython, Wispd

# Servers that are not Wisp


FOREIGN = {
    "text": frames.encode(frames.TEXT, b"welcome"),
    "text without end": frames.encode(frames.TEXT, b"welcome", length=1 << 20),
    "short": frames.encode(frames.BINARY, b"hey"),
    "empty": frames.encode(frames.BINARY, b""),
    "unknown type": frames.encode(frames.BINARY, b"hello, who are you?"),
    "a stream's data": frames.encode(frames.BINARY, packets.data(1, b"data").encode()),
    "data for nobody": frames.encode(frames.BINARY, packets.data(0, b"data").encode()),
}


@pytest.mark.parametrize("first", FOREIGN.values(), ids=FOREIGN.keys())
def test_server_that_is_not_wisp(fake: FakeServer, first: bytes,
                                 wispsocks: Callable[..., Bridge]) -> None:
    """Its first frame says so; it is not waited for any longer, and not tried again."""
    bridge = wispsocks(fake.url)
    server = fake.accept()
    server.upgrade()
    server.send_raw(first)
    assert bridge.wait_exit() == 1
    bridge.wait_log(r"^error: .*does not speak Wisp \(.*\); check .*URL")


def test_text_behind_the_first_packet(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    """It is not Wisp either, but by then the server has shown that it speaks Wisp: passed over."""
    bridge = wispsocks(fake.url)
    server = fake.accept()
    server.upgrade()
    server.send(packets.info())
    server.recv_type(packets.INFO, 0)
    server.send_raw(FOREIGN["text"])
    server.send(packets.credit(0, 1))
    bridge.wait_connected()
    server.send_raw(FOREIGN["text"])
    assert server.barrier() == []


# Versions


@pytest.mark.parametrize("kind", [WispPython, lambda: Wispd("--wisp", "1")],
                         ids=["wisp-python", "wispd"])
def test_version_2_against_version_1(start: Start, kind: Callable[[], Wispd],
                                     wispsocks: Callable[..., Bridge]) -> None:
    server = start(kind())
    bridge = wispsocks(f"ws://127.0.0.1:{server.port}/", "--wisp", "2")
    assert bridge.wait_exit() == 1
    bridge.wait_log(r"^error: .*speaks only Wisp v1; leave out --wisp 2")


def test_version_1_against_version_2(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    """A server must not do that."""
    bridge = wispsocks(fake.url, "--wisp", "1")
    server = fake.accept()
    server.upgrade()
    server.send(packets.info())
    assert bridge.wait_exit() == 1
    bridge.wait_log(r"^error: .*speaks Wisp v2.*; leave out --wisp 1")


# Passwords


def test_variable_of_each_program() -> None:
    """A complaint about the password names the variable that it came from."""
    for program, variable in ("wispsocks", "WISPSOCKS_PASSWORD"), ("wispcheck",
                                                                   "WISPCHECK_PASSWORD"):
        for password in {}, {variable: 2000 * "x"}:
            done = subprocess.run([BUILD / "cmd" / program / program, "--user", "name", URL],
                                  env=clean_environment() | password, capture_output=True,
                                  text=True, timeout=GUARD, check=False)
            assert done.returncode == (1 if password else 2)
            assert done.stderr.count("_PASSWORD") == 1 and variable in done.stderr


# Readers that leave early


@pytest.mark.parametrize("disposition", [signal.SIG_DFL, signal.SIG_IGN],
                         ids=["default", "ignored"])
@pytest.mark.parametrize("option", [["--help"], ["--version"], ["--completion", "zsh"]], ids=" ".join)
@pytest.mark.parametrize("program", ["wispsocks", "wispd", "wispcheck"])
def test_nobody_reads(program: str, option: list[str], disposition: signal.Handlers) -> None:
    """As in `wispcheck --list | head`: no complaint, and no failure, whatever SIGPIPE does."""
    check_unread([program, *option], disposition)


@pytest.mark.parametrize("disposition", [signal.SIG_DFL, signal.SIG_IGN],
                         ids=["default", "ignored"])
def test_nobody_reads_the_list(disposition: signal.Handlers) -> None:
    assert len(run("wispcheck", "--list").stdout) > 4096  # more than its buffer holds
    check_unread(["wispcheck", "--list"], disposition)


def check_unread(argv: list[str], disposition: signal.Handlers, code: int = 0) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        done = subprocess.run([BUILD / "cmd" / argv[0] / argv[0], *argv[1:]], stdout=pipe,
                              stderr=subprocess.PIPE, timeout=GUARD, check=False,
                              restore_signals=False, env=clean_environment(),
                              preexec_fn=lambda: signal.signal(signal.SIGPIPE, disposition))
    assert (done.returncode, done.stderr) == (code, b"")


def test_nobody_reads_the_report(wispd: Wispd) -> None:
    """The checks end early, so the server has not passed."""
    check_unread(["wispcheck", f"ws://127.0.0.1:{wispd.port}/"], signal.SIG_DFL, code=1)


# Certificates


@pytest.mark.parametrize("names, said", [
    ("DNS:other.test", "other.test"),
    ("DNS:other.test,DNS:*.other.test,IP:192.0.2.1", "other.test, *.other.test, 192.0.2.1"),
    ("DNS:a.test,IP:2001:db8::1,email:a@b.test", "a.test, 2001:db8::1"),
    (",".join(f"DNS:{number}.test" for number in range(1000)),
     "0.test, 1.test, 2.test and 997 more"),
    ("DNS:" + 60 * "a." + "test", 31 * "a." + "a"),
], ids=["one", "three", "of other kinds", "many", "long"])
def test_certificate_for_another_name(start: Start, authority: Authority, names: str, said: str,
                                      wispsocks: Callable[..., Bridge]) -> None:
    fake = start(FakeServer(authority.issue("other", names).context()))
    bridge = wispsocks(fake.url_at("localhost"), "--cacert", authority.cacert)
    fake.accept_refused_handshake()
    assert bridge.wait_exit() == 1
    said = re.escape(f"the certificate is for {said}, not localhost; check the URL's host")
    bridge.wait_log(f"^error: .*{said}")


#: tests/preload/past.c says what it does.
PAST = BUILD / "tests/preload/.libs/past.so"


def past(epoch: int) -> dict[str, str]:
    assert PAST.exists(), f"{PAST} is missing: `make check` builds it"
    return {"LD_PRELOAD": str(PAST), "ASAN_OPTIONS": "verify_asan_link_order=0",
            "PAST_EPOCH": str(epoch)}


def test_clock_that_nobody_has_set(start: Start, authority: Authority, certificate: Certificate,
                                   wispsocks: Callable[..., Bridge]) -> None:
    """No certificate is valid yet; it is tried again, for the clock may soon be set."""
    fake = start(FakeServer(certificate.context()))
    bridge = wispsocks(fake.url_at("localhost"), "--cacert", authority.cacert, env=past(86400))
    for _ in range(2):
        fake.accept_refused_handshake()
    bridge.wait_log(r"not yet valid by the clock here, which says 1970-01-02.*: set the clock; "
                    r"next try")
    assert bridge.alive


def test_certificate_of_the_future(start: Start, authority: Authority,
                                   wispsocks: Callable[..., Bridge]) -> None:
    """By a clock that may be right, a certificate that is not yet valid is the server's fault."""
    now = int(time.time())
    valid = ("20480101000000Z", "20490101000000Z")
    fake = start(FakeServer(authority.issue("future", valid=valid).context()))
    bridge = wispsocks(fake.url_at("localhost"), "--cacert", authority.cacert, env=past(now))
    fake.accept_refused_handshake()
    assert bridge.wait_exit() == 1
    bridge.wait_log("^error: .*not yet valid.*; set the clock here, or have the server renew it")


# Login pages


@pytest.mark.parametrize("status", ["200 OK", "204 No Content",
                                    "511 Network Authentication Required"])
def test_login_page(fake: FakeServer, status: str, wispsocks: Callable[..., Bridge]) -> None:
    """A captive portal answers in the server's place until somebody has logged in."""
    bridge = wispsocks(fake.url)
    fake.accept().answer(status)
    bridge.wait_log(rf"^(warning: )?cannot connect to {fake.url}: .*HTTP {status[:3]}.*behind a login page\?"
                    r".*; next try")
    fake.accept_open()
    bridge.wait_connected()


@pytest.mark.parametrize("status", ["200 OK", "403 Forbidden", "404 Not Found"])
def test_redirect_to_a_login_page(start: Start, fake: FakeServer, status: str,
                                  wispsocks: Callable[..., Bridge]) -> None:
    """Whatever the page says: it is another's."""
    portal = start(FakeServer())
    bridge = wispsocks(fake.url)
    fake.accept().answer("302 Found", f"Location: http://localhost:{portal.port}/login")
    portal.accept().answer(status)
    bridge.wait_log(rf"^(warning: )?cannot connect to .*HTTP {status[:3]}.*behind a login page\?.*; next try")
    fake.accept_open()
    bridge.wait_connected()


@pytest.mark.parametrize("location", [
    "https://portal.test/login?to=x", "//192.0.2.1:0/", "https://[2001:db8::1]/",
    "https://user:s3cret@portal.test/",
])
def test_redirect_that_leads_to_a_login_page(fake: FakeServer, location: str,
                                             wispsocks: Callable[..., Bridge]) -> None:
    """It is not followed, for it leads from ws to https, but said."""
    bridge = wispsocks(fake.url)
    fake.accept().answer("302 Found", f"Location: {location}")
    bridge.wait_log(r"^(warning: )?cannot connect to .*HTTP 302.*behind a login page\?.*; next try")
    fake.accept_open()
    bridge.wait_connected()
    assert "s3cret" not in bridge.log


def test_redirects_among_login_pages(start: Start, fake: FakeServer,
                                     wispsocks: Callable[..., Bridge]) -> None:
    portal = start(FakeServer())
    bridge = wispsocks(fake.url)
    for server in fake, *(5 * [portal]):
        server.accept().answer("302 Found", f"Location: {portal.url_at('localhost', '/login')}")
    bridge.wait_log(r"^(warning: )?cannot connect to .*more than 5 times.*behind a login page\?.*; next try")


def test_login_page_beside_another_server(start: Start, fake: FakeServer,
                                          wispsocks: Callable[..., Bridge]) -> None:
    """One of several servers is hopeless, the other's failure passes: it goes on."""
    other = start(FakeServer())
    bridge = wispsocks(fake.url, "--server", other.url)
    fake.accept().answer("404 Not Found")
    other.accept().answer("200 OK")
    bridge.wait_log(r"login page.*; next try in 0\.[1-9] s")
    fake.accept_open()
    bridge.wait_connected()


# --retry-always


@pytest.mark.parametrize("status", ["404 Not Found", "401 Unauthorized", "400 Bad Request"])
def test_retry_always(fake: FakeServer, status: str, wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(fake.url, "--retry-always")
    fake.accept().answer(status)
    bridge.wait_log(rf"^(warning: )?cannot connect to {fake.url}: .*HTTP {status[:3]}.*; next try")
    fake.accept_open()
    bridge.wait_connected()


def test_retry_always_with_a_wrong_certificate(start: Start, certificate: Certificate,
                                               wispsocks: Callable[..., Bridge]) -> None:
    fake = start(FakeServer(certificate.context()))
    bridge = wispsocks(fake.url_at("localhost"), "--retry-always")
    for _ in range(2):
        fake.accept_refused_handshake()
    bridge.wait_log(r"^(warning: )?cannot connect to .*issuer.*--cacert.*; next try")
    assert bridge.alive


# Ports that speak something else


class HAProxy(Process):
    """Clear on PORT, with TLS on TLS_PORT, and HTTP/2 alone on both."""

    CONFIG = """
defaults
    mode http
    timeout connect 10s
    timeout client 60s
    timeout server 60s
frontend front
    bind 127.0.0.1:{port} proto h2
    bind 127.0.0.1:{tls_port} ssl crt {both} alpn h2 proto h2
    http-request return status 200
"""

    def __init__(self, folder: Path, certificate: Certificate) -> None:
        self.port, self.tls_port = free_port(), free_port()
        both = folder / "both.pem"
        both.write_text(certificate.cert.read_text() + certificate.key.read_text())
        config = folder / "haproxy.cfg"
        config.write_text(self.CONFIG.format(port=self.port, tls_port=self.tls_port, both=both))
        super().__init__(["/usr/sbin/haproxy", "-f", config])
        self.wait_port(self.tls_port)


def check_named(bridge: Bridge, said: str) -> None:
    """It ends, and says what to change."""
    assert bridge.wait_exit() == 1
    bridge.wait_log(f"^error: .*{said}")


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "TLS"])
def test_front_that_speaks_http2_alone(start: Start, tmp_path: Path, authority: Authority,
                                       certificate: Certificate, tls: bool,
                                       wispsocks: Callable[..., Bridge]) -> None:
    """HAProxy closes what does not begin with HTTP/2; others answer with it: see test_stranger."""
    front = start(HAProxy(tmp_path, certificate))
    url = f"wss://localhost:{front.tls_port}/" if tls else f"ws://localhost:{front.port}/"
    bridge = wispsocks(url, "--cacert", authority.cacert)
    bridge.wait_log("^warning: cannot connect to .*whether .* front allows HTTP/1.1; next try")


def test_front_whose_tls_refuses_http1(start: Start, authority: Authority,
                                       certificate: Certificate,
                                       wispsocks: Callable[..., Bridge]) -> None:
    port = free_port()
    server = start(Process([shutil.which("openssl"), "s_server", "-accept", f"127.0.0.1:{port}", "-alpn", "h2",
                            "-cert", certificate.cert, "-key", certificate.key, "-www"]))
    server.wait_log("ACCEPT")
    check_named(wispsocks(f"wss://localhost:{port}/", "--cacert", authority.cacert),
                "TLS refuses HTTP/1.1")


def test_wss_to_a_port_without_tls(wispd: Wispd, start: Start, tmp_path: Path,
                                   certificate: Certificate,
                                   wispsocks: Callable[..., Bridge]) -> None:
    """Where it answers, as nginx does; wispd closes, which may pass."""
    port = free_port()
    front = start(Nginx(tmp_path, certificate, f"listen 127.0.0.1:{port};"))
    front.wait_port(port)
    check_named(wispsocks(f"wss://localhost:{port}/"), "ws:// instead of wss://")
    bridge = wispsocks(f"wss://localhost:{wispd.port}/")
    bridge.wait_log("^warning: cannot connect to .*whether it is ws or wss|ws:// instead of wss://")


def test_ws_to_a_port_with_tls(start: Start, nginx: Nginx, certificate: Certificate,
                               wispsocks: Callable[..., Bridge]) -> None:
    check_named(wispsocks(f"ws://localhost:{nginx.port}/1/"), "HTTP 400.*whether it is ws or wss")
    fake = start(FakeServer(certificate.context()))
    bridge = wispsocks(f"ws://localhost:{fake.port}/")
    with pytest.raises(ssl.SSLError):
        fake.accept()
    bridge.wait_log("^warning: cannot connect to .*whether it is ws or wss")


@pytest.mark.parametrize("said, named", [
    (b"\x05\xff", "SOCKS5.*--proxy"),
    (b"\x15\x03\x03\x00\x02\x02\x32", "wss:// instead of ws://"),
    (bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]), "must allow HTTP/1.1"),
    (bytes([0, 0, 8, 7, 0, 0, 0, 0, 0]) + bytes(8), "must allow HTTP/1.1"),
    (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "SSH; check the port"),
    (b"HTTP/2 200\r\n\r\n", "must allow HTTP/1.1"),
    (b"220 mail.test ESMTP\r\n", "does not speak HTTP; check the port"),
], ids=["SOCKS5", "TLS", "SETTINGS", "GOAWAY", "SSH", "HTTP/2", "SMTP"])
def test_stranger(start: Start, said: bytes, named: str, wispsocks: Callable[..., Bridge]) -> None:

    def answer(conn: socket.socket) -> None:
        conn.recv(1 << 16)
        conn.sendall(said)
        conn.recv(1)

    check_named(wispsocks(f"ws://localhost:{start(Service(answer)).port}/"), named)


def test_stranger_without_tls(start: Start, wispsocks: Callable[..., Bridge]) -> None:

    def greet(conn: socket.socket) -> None:
        conn.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")
        conn.recv(1 << 16)

    check_named(wispsocks(f"wss://localhost:{start(Service(greet)).port}/"), "not speak TLS but SSH")


def test_socks_proxy_instead_of_a_server(start: Start, wispd: Wispd,
                                         wispsocks: Callable[..., Bridge]) -> None:
    """wispsocks itself, for one: what it says to HTTP stands in test_http_to_the_socks_port."""
    other = wispsocks(f"ws://127.0.0.1:{wispd.port}/")
    check_named(wispsocks(f"ws://127.0.0.1:{other.port}/"), "SOCKS5 port: the URL must be the Wisp server's")
    proxy = start(Microsocks())
    bridge = wispsocks(f"ws://127.0.0.1:{proxy.port}/", "--retry-always")
    bridge.wait_log("^warning: .*(SOCKS5|check the port)")  # it may reset what it answers


# nginx that does not pass the upgrade on


@pytest.mark.parametrize("passes", ["", "proxy_set_header Upgrade $http_upgrade; "
                                        "proxy_set_header Connection upgrade;",
                                    "proxy_http_version 1.1;",
                                    "proxy_http_version 1.1; "
                                    "proxy_set_header Upgrade $http_upgrade;"],
                         ids=["nothing", "headers", "version", "half"])
def test_nginx_without_the_upgrade(start: Start, tmp_path: Path, authority: Authority,
                                   certificate: Certificate, wispd: Wispd, passes: str,
                                   wispsocks: Callable[..., Bridge]) -> None:
    front = start(Nginx(tmp_path, certificate, f"location /wisp/ {{ {passes} "
                        f"proxy_pass http://127.0.0.1:{wispd.port}/; }}"))
    check_named(wispsocks(f"wss://localhost:{front.port}/wisp/", "--cacert", authority.cacert),
                "HTTP 426.*nginx: proxy_http_version 1.1.* Upgrade and Connection")


def test_nginx_without_its_server(nginx: Nginx, authority: Authority,
                                  wispsocks: Callable[..., Bridge]) -> None:
    with refusing_port() as port:
        bridge = wispsocks(nginx.url(port), "--cacert", authority.cacert)
        bridge.wait_log(r"^warning: cannot connect to .*or the one behind it.*HTTP 502")


# Programs that do not speak SOCKS5


@pytest.mark.parametrize("request_line", [
    b"GET / HTTP/1.1", b"GET http://example.test/ HTTP/1.1", b"CONNECT example.test:443 HTTP/1.1",
    b"POST http://example.test/ HTTP/1.1\r\nContent-Length: 100000"])
def test_http_to_the_socks_port(start: Start, wispd: Wispd, request_line: bytes,
                                wispsocks: Callable[..., Bridge]) -> None:
    """It gets a page for people, and the log says what to change."""
    bridge = wispsocks(f"ws://127.0.0.1:{wispd.port}/")
    conn = start(bridge.connect(request_line + b"\r\nHost: example.test\r\n\r\n" + bytes(100000)))
    head, _, page = socks.recv_to_end(conn).data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert f"Content-Length: {len(page)}\r\n".encode() in head + b"\r\n"
    here = f"127.0.0.1:{bridge.port}"
    assert f"--socks5-hostname {here}\n" in page.decode()
    assert 4 < len(page.splitlines()) < 10
    bridge.wait_log(f"speaks HTTP to {here}, a SOCKS5 port: set it to SOCKS5")


def test_curl_that_takes_it_for_an_http_proxy(wispd: Wispd,
                                              wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(f"ws://127.0.0.1:{wispd.port}/")
    curl = start_curl("--no-fail", "-x", f"http://127.0.0.1:{bridge.port}", "http://example.test/")
    assert b"This is a SOCKS5 port" in finish_curl(curl).output
    for scheme in "https", "http":  # a proxy that is spoken to by TLS
        curl = start_curl("-x", f"{scheme}://127.0.0.1:{bridge.port}", "https://example.test/")
        assert finish_curl(curl).code != 0
    bridge.wait_log("speaks TLS to 127.0.0.1:.*not to an HTTPS proxy")


@pytest.mark.parametrize("first, said", [(b"\x04\x01\x00\x50", "SOCKS4 to .*: set it to SOCKS5"),
                                         (b"\x00\x00", "first byte is 0x00.*set it to SOCKS5")],
                         ids=["SOCKS4", "garbage"])
def test_others_at_the_socks_port(start: Start, wispd: Wispd, first: bytes, said: str,
                                  wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(f"ws://127.0.0.1:{wispd.port}/")
    assert socks.recv_to_end(start(bridge.connect(first))).data == b""
    bridge.wait_log(said)
