"""--resolve, --sni and --congestion: other addresses, another name for TLS, another congestion control."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Callable

import pytest

import wispcheck
from bridge import Bridge
from certs import Authority, Certificate
from conftest import Start
from fakeserver import FakeServer
from hosts import two_sockets
from proxies import FakeProxy
from test_cli import URL, check_usage_error
from wispservers import Nginx, Wispd

# --resolve


@pytest.mark.parametrize("host, rule", [
    ("wisp.test", "wisp.test:{port}:127.0.0.1"),
    ("WISP.test.", "wisp.TEST:{port}:127.0.0.1"),
    ("wisp.test", "wisp.test.:{port}:127.0.0.1"),
    ("wisp.test", "+wisp.test:{port}:127.0.0.1"),
    ("wisp.test", "*:{port}:127.0.0.1"),
    ("127.0.0.2", "127.0.0.2:{port}:127.0.0.1"),
    ("[2001:db8::1]", "[2001:db8::1]:{port}:127.0.0.1"),
    ("xn--bcher-kva.test", "bücher.test:{port}:127.0.0.1"),
])
def test_resolve(fake: FakeServer, host: str, rule: str, wispsocks: Callable[..., Bridge]) -> None:
    """Nobody is asked for the name; the server hears of its own."""
    bridge = wispsocks(fake.url_at(host), "--resolve", rule.format(port=fake.port))
    server = fake.accept()
    assert server.headers["host"] == f"{host}:{fake.port}"
    server.open()
    bridge.wait_connected()


@pytest.mark.parametrize("rules", [
    ["wisp.test:{port}:[::1]"],
    ["wisp.test:{port}:::1"],
    ["wisp.test:{port}:127.0.0.1,[::1]"],
    ["wisp.test:{port}:127.0.0.1", "other.test:{port}:192.0.2.1", "wisp.test:{port}:[::1]"],
    ["*:{port}:127.0.0.1", "wisp.test:{port}:[::1]"],
], ids=" ".join)
def test_several_addresses(start: Start, rules: list[str],
                           wispsocks: Callable[..., Bridge]) -> None:
    """They are tried in the order in which they were given."""
    v6, v4 = (start(sock) for sock in two_sockets())
    v4.close()
    fake = start(FakeServer(listener=v6))
    bridge = wispsocks(f"ws://wisp.test:{fake.port}/", "-v",
                       *(f"--resolve={rule.format(port=fake.port)}" for rule in rules))
    fake.accept_open()
    bridge.wait_connected()
    first = bridge.find_log(r"at 127.0.0.1:\d+: Connection refused")
    assert bool(first) == ("127.0.0.1" in " ".join(rules) and "*" not in rules[0])


def test_resolve_is_for_its_port(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(f"ws://no-such-host.invalid:{fake.port}/", "--resolve",
                       f"no-such-host.invalid:{fake.port - 1}:127.0.0.1")
    assert bridge.wait_lost().startswith("cannot resolve no-such-host.invalid: ")


def test_resolve_for_a_redirect_and_for_a_proxy(start: Start, fake: FakeServer,
                                                wispsocks: Callable[..., Bridge]) -> None:
    other = start(FakeServer())
    bridge = wispsocks(fake.url, "--resolve", f"other.test:{other.port}:127.0.0.1")
    fake.accept().answer("302 Found", f"Location: {other.url_at('other.test')}")
    other.accept_open()
    bridge.wait_connected()

    proxy = start(FakeProxy())
    bridge = wispsocks("ws://no-such-host.invalid/", "--resolve",
                       f"proxy.test:{proxy.port}:127.0.0.1", "--resolve",
                       "no-such-host.invalid:80:192.0.2.1", "--proxy",
                       f"http://proxy.test:{proxy.port}")
    peer = proxy.accept()
    assert peer.request_line == "CONNECT no-such-host.invalid:80 HTTP/1.1"
    peer.send_raw(b"HTTP/1.1 200 OK\r\n\r\n")
    proxy.behind(peer).open()
    bridge.wait_connected()


def test_resolve_without_any_dns(fake: FakeServer, tmp_path: Path,
                                 wispsocks: Callable[..., Bridge]) -> None:
    """Neither name servers nor a hosts file: as behind a wall that lets only the tunnel through."""
    nothing = tmp_path / "nothing"
    nothing.touch()
    unshare = ["/usr/bin/unshare", "-m" if os.getuid() == 0 else "-rm", "sh", "-c",
               'mount --bind "$0" /etc/resolv.conf && mount --bind "$0" /etc/hosts && exec "$@"',
               nothing]
    bridge = wispsocks(fake.url_at("wisp.test"), "--resolve", f"wisp.test:{fake.port}:127.0.0.1",
                       prefix=unshare)
    fake.accept_open()
    bridge.wait_connected()


@pytest.mark.parametrize("rule", [
    "wisp.test", "wisp.test:80", "wisp.test:80:", "wisp.test:80:host", "wisp.test:80:127.0.0.1,",
    "wisp.test:80:127.0.0.1, 127.0.0.2", "wisp.test:80:[127.0.0.1]", "wisp.test:80:[::1",
    "wisp.test:0:127.0.0.1", "wisp.test:http:127.0.0.1", "wisp.test:70000:127.0.0.1",
    ":80:127.0.0.1", "-wisp.test:80", "[::1:80:127.0.0.1", "a/b:80:127.0.0.1",
    120 * "h" + ":80:127.0.0.1", "wisp.test:80:" + 50 * "1",
])
def test_resolve_that_is_wrong(rule: str) -> None:
    error = check_usage_error("wispsocks", f"--resolve={rule}", URL)
    assert f"--resolve: '{rule[:100]}': " in error


# --sni


@pytest.fixture(scope="module")
def for_other(authority: Authority) -> Certificate:
    return authority.issue("for-other", "DNS:other.test,DNS:xn--bcher-kva.test,IP:192.0.2.1")


@pytest.fixture
def sni_server(start: Start, for_other: Certificate) -> FakeServer:
    """A server with a certificate for another name than its own; `names` are what it was told."""
    context = for_other.context()
    fake = start(FakeServer(context))
    fake.names = []
    context.sni_callback = lambda sock, name, _: fake.names.append(name)
    return fake


@pytest.mark.parametrize("name, told", [("Other.Test", "other.test"),
                                        ("bücher.test", "xn--bcher-kva.test")])
def test_sni(sni_server: FakeServer, authority: Authority, name: str, told: str,
             wispsocks: Callable[..., Bridge]) -> None:
    """It is for TLS and the certificate alone."""
    bridge = wispsocks(sni_server.url_at("localhost"), "--cacert", authority.cacert, "--sni", name)
    server = sni_server.accept()
    assert [name.lower() for name in sni_server.names] == [told]
    assert server.headers["host"] == f"localhost:{sni_server.port}"
    server.open()
    bridge.wait_connected()


def test_sni_of_a_real_front(start: Start, tmp_path: Path, authority: Authority,
                             for_other: Certificate, wispd: Wispd,
                             wispsocks: Callable[..., Bridge]) -> None:
    nginx = start(Nginx(tmp_path, for_other, "server_name other.test;"))
    url = nginx.url(wispd.port)
    bridge = wispsocks(url, "--cacert", authority.cacert, "--sni", "other.test")
    bridge.wait_connected()

    bridge = wispsocks(url, "--cacert", authority.cacert)
    assert bridge.wait_exit() == 1
    bridge.wait_log("^error: .*certificate")

    result = wispcheck.check(url, "--cacert", authority.cacert, "--sni", "other.test", "--only",
                             "handshake")
    assert result.code == wispcheck.PASSED, result


def test_sni_is_an_address(sni_server: FakeServer, authority: Authority,
                           wispsocks: Callable[..., Bridge]) -> None:
    """The certificate is for that; TLS has no place for it (RFC 6066 section 3)."""
    bridge = wispsocks(sni_server.url_at("localhost"), "--cacert", authority.cacert, "--sni",
                       "192.0.2.1")
    sni_server.accept_open()
    bridge.wait_connected()
    assert sni_server.names == [None]


@pytest.mark.parametrize("host, sni", [("other.test", "localhost"), ("localhost", "wrong.test")])
def test_certificate_for_the_host_is_not_enough(sni_server: FakeServer, authority: Authority,
                                                host: str, sni: str,
                                                wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(sni_server.url_at(host), "--cacert", authority.cacert, "--sni", sni,
                       "--resolve", f"{host}:{sni_server.port}:127.0.0.1")
    sni_server.accept_refused_handshake()
    assert bridge.wait_exit() == 1
    bridge.wait_log("^error: .*certificate")


def test_sni_is_not_for_redirects(start: Start, sni_server: FakeServer, authority: Authority,
                                  certificate: Certificate,
                                  wispsocks: Callable[..., Bridge]) -> None:
    """Elsewhere the certificate is to be for the host there."""
    elsewhere = start(FakeServer(certificate.context()))
    bridge = wispsocks(sni_server.url_at("127.0.0.1"), "--cacert", authority.cacert, "--sni",
                       "other.test")
    sni_server.accept().answer("302 Found", f"Location: {elsewhere.url_at('localhost')}")
    elsewhere.accept_open()
    bridge.wait_connected()


@pytest.mark.parametrize("name", ["", "other.test:443", "https://other.test", "other.test/", "a b",
                                  "::1", "[::1", "user@other.test", 200 * "h"])
def test_sni_that_is_wrong(name: str) -> None:
    assert "--sni" in check_usage_error("wispsocks", "--sni", name, URL)


# --congestion


def congestion(port: int) -> str:
    """What the socket has that is connected to PORT of 127.0.0.1."""
    shown = subprocess.run(["ss", "-Htin", f"dst 127.0.0.1:{port}"], capture_output=True,
                           text=True, check=True).stdout
    return re.search(r"\n\s+([\w-]+) ", shown).group(1)


ALLOWED = Path("/proc/sys/net/ipv4/tcp_allowed_congestion_control").read_text().split()


@pytest.mark.parametrize("name", ALLOWED)
def test_congestion(fake: FakeServer, name: str, wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(fake.url, "--congestion", name)
    server = fake.accept()
    assert congestion(fake.port) == name
    server.open()
    bridge.wait_connected()
    assert not bridge.find_log("^warning")


def test_congestion_that_the_kernel_refuses(fake: FakeServer,
                                            wispsocks: Callable[..., Bridge]) -> None:
    """A warning, once, and on with the system's."""
    bridge = wispsocks(fake.url, "--congestion", "nosuch")
    for _ in range(2):
        before = bridge.mark()
        server = fake.accept_open()
        bridge.wait_connected(since=before)
        server.close()
        bridge.wait_log("^disconnected", since=before)
    assert len([line for line in bridge.lines if line.startswith("warning: --congestion")]) == 1
    assert bridge.find_log("^warning: --congestion nosuch: .*the kernel does not have it")


def test_congestion_that_is_wrong() -> None:
    assert "--congestion" in check_usage_error("wispsocks", "--congestion", 16 * "x", URL)


# wispcheck


def test_wispcheck(wispd: Wispd) -> None:
    result = wispcheck.check(f"ws://wisp.test:{wispd.port}/", "--only", "handshake", "--resolve",
                             f"wisp.test:{wispd.port}:127.0.0.1", "--congestion", "reno")
    assert result.code == wispcheck.PASSED, result
    assert result.errors == ""
