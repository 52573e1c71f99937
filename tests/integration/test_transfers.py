"""Whole transfers through the bridge and every server: curl at one end, an origin at the other.

Each test runs with each server, plain and with TLS. Other people's servers and wispd stand behind
nginx for TLS; wispd also serves it by itself.
"""

from __future__ import annotations

import http.client
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Callable, Iterator

import pytest

from bridge import Bridge
from certs import Authority, Certificate
from origin import Origin, payload, payload_sha256, sha256, sized
from procs import refusing_port, rest
from socks import recv_to_end
from wispservers import VERSIONS, Nginx, Wispd, start_server

LARGE = 100_000_000
SIZES = [0, 1, LARGE]
PARALLEL = 200

ROUTES = [(server, transport) for server in VERSIONS for transport in ("ws", "nginx-wss")]
ROUTES.append(("wispd-v2", "wss"))


class Route(Bridge):
    """A bridge to the server that the test's parameter names."""

    def __init__(self, url: str, version: int, cacert: Path) -> None:
        self.url = url
        self.version = version
        self.options = ["--cacert", str(cacert)]
        super().__init__(url, *self.options)


@pytest.fixture(scope="module", params=ROUTES, ids="-".join)
def route(request: pytest.FixtureRequest, authority: Authority, certificate: Certificate,
          nginx: Nginx) -> Iterator[Route]:
    kind, transport = request.param
    with ExitStack() as stack:
        if transport == "wss":
            server = stack.enter_context(
                Wispd("--cert", certificate.cert, "--cert-key", certificate.key))
            url = f"wss://localhost:{server.port}/"
        else:
            server = stack.enter_context(start_server(kind))
            url = f"ws://127.0.0.1:{server.port}/" if transport == "ws" else nginx.url(server.port)
        yield stack.enter_context(Route(url, VERSIONS[kind], authority.cacert))


@pytest.fixture(scope="session")
def payload_file(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """`payload_file(size)` is a file of that many bytes."""
    folder = tmp_path_factory.mktemp("payload")

    def make(size: int) -> Path:
        path = folder / str(size)
        if not path.exists():
            path.write_bytes(payload(size))
        return path

    return make


def test_log_names_the_version(route: Route) -> None:
    assert route.wait_connected().startswith(f"wisp v{route.version}")


@pytest.mark.parametrize("size", SIZES)
def test_download(route: Route, origin: Origin, size: int) -> None:
    result = route.curl(origin.url(f"bytes/{size}/0"))
    assert result.code == 0, result.errors
    assert len(result.output) == size
    assert sha256(result.output) == payload_sha256(size)


@pytest.mark.parametrize("size", SIZES)
def test_upload(route: Route, origin: Origin, payload_file: Callable[[int], Path],
                size: int) -> None:
    result = route.curl("--upload-file", payload_file(size), origin.url("upload"))
    assert result.code == 0, result.errors
    assert result.output.decode() == payload_sha256(size)


def test_200_at_once(route: Route, origin: Origin, payload_file: Callable[[int], Path],
                     tmp_path: Path) -> None:
    """As many downloads as uploads, each of another size."""
    sections, expected = [], {}
    for number in range(PARALLEL):
        size, answer = 1 + 1000 * number, tmp_path / str(number)
        if number % 2:
            url, extra = origin.url(f"bytes/{size}/{number}"), ""
            expected[answer] = payload_sha256(size, number)
        else:
            url, extra = origin.url(f"upload/{number}"), f'upload-file = "{payload_file(size)}"\n'
            expected[answer] = sha256(payload_sha256(size).encode())
        sections.append(f'url = "{url}"\noutput = "{answer}"\nfail\n{extra}'
                        f'socks5-hostname = "127.0.0.1:{route.port}"\n')
    config = tmp_path / "curl.config"
    config.write_text("next\n".join(sections))
    result = route.curl("--parallel", "--parallel-immediate", "--parallel-max", str(PARALLEL),
                        "--config", config)
    assert result.code == 0, result.errors
    wrong = [answer.name for answer, digest in expected.items()
             if sha256(answer.read_bytes()) != digest]
    assert not wrong


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_name_and_addresses(route: Route, origin: Origin, host: str) -> None:
    """The request carries a name, an IPv4 and an IPv6 address; the origin listens on both."""
    data = payload(10_000)
    program = route.dial(host, origin.digest.port, sized(data))
    assert recv_to_end(program) == (sha256(data).encode(), False)


def test_half_closing_program(route: Route, origin: Origin) -> None:
    """A program that shuts down its sending side behind its request still gets the answer."""
    data = payload(300_000)
    program = route.dial("127.0.0.1", origin.digest.port, sized(data))
    program.shutdown(socket.SHUT_WR)
    assert recv_to_end(program) == (sha256(data).encode(), False)


def test_refused_port(route: Route) -> None:
    """The program that was told "succeeded" sees a reset, not the end of an empty answer."""
    with refusing_port() as port:
        assert route.curl(f"http://127.0.0.1:{port}/").code != 0
        assert recv_to_end(route.dial("127.0.0.1", port)) == (b"", True)


def test_keep_alive_after_a_rest(route: Route, origin: Origin,
                                 wispsocks: Callable[..., Bridge]) -> None:
    """The tunnel and a connection in it outlast several ping intervals without any data."""
    interval = 0.5
    bridge = wispsocks(route.url, *route.options, "--ping-interval", str(interval))
    connection = http.client.HTTPConnection("127.0.0.1", origin.http.port)
    connection.sock = bridge.dial("127.0.0.1", origin.http.port)

    def fetch() -> bytes:
        connection.request("GET", "/bytes/1000/0")
        return connection.getresponse().read()

    assert fetch() == payload(1000)
    dialled = connection.sock
    rest(3 * interval)
    assert fetch() == payload(1000)
    assert connection.sock is dialled
    assert not bridge.find_log("disconnected")
    connection.close()
