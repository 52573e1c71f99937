"""What users are told: each failure names what to change, and only what is final ends a program."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from typing import Callable

import pytest

import frames
import packets
from bridge import Bridge
from certs import Authority, Certificate
from conftest import Start
from fakeserver import FakeServer
from procs import BUILD, GUARD, clean_environment
from test_cli import URL, run
from wispservers import WispPython, Wispd

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
    bridge.wait_log("^error: .*not yet valid; set the clock here, or have the server renew it")


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
