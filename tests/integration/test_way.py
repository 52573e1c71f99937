"""The way to the server: what the request says, TLS, proxies, redirects, addresses, servers."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Callable

import pytest

from bridge import Bridge
from certs import Authority, Certificate
from conftest import Start
from fakeserver import FakeServer
from test_cli import URL, check_failure, check_usage_error
from wispservers import Nginx, Wispd

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
    """By an alert, which in TLS 1.3 comes after the handshake."""
    context = certificate.context()
    context.minimum_version = context.maximum_version = version
    context.load_verify_locations(authority.cacert)
    context.verify_mode = ssl.CERT_REQUIRED
    fake = start(FakeServer(context))
    stranger = authority.self_signed()
    options = ["--cert", stranger.cert, "--cert-key", stranger.key] if shown else []
    bridge = wispsocks(fake.url_at("localhost"), "--cacert", authority.cacert, *options)
    fake.accept_refused_handshake()
    bridge.wait_log(r"--cert\b")
    if shown or version == ssl.TLSVersion.TLSv1_3:  # in TLS 1.2 it is a general alert
        assert bridge.wait_exit() == 1


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
