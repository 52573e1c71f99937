"""Wisp servers on the WebSockets of others (tests/interop), and strict fronts before them.

gws, axum and tungstenite are strict about the request for the upgrade, each in its own way.
"""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import pytest

import wispcheck
from bridge import Bridge
from certs import Authority, Certificate
from conftest import Start
from origin import Origin, payload, payload_sha256, sha256, sized
from procs import Process
from socks import recv_exactly
from wispservers import Haproxy, InteropServer, Nginx, Wispd, WispJs, WispPython

SIZE = 64 << 20
SMALL = 100

SERVERS: dict[str, Callable[[], Process]] = {
    "gws": lambda: InteropServer("gws"),
    "axum": lambda: InteropServer("axum"),
    "tungstenite": lambda: InteropServer("tungstenite"),
    "wisp-js": lambda: WispJs(2),
    "wisp-python": WispPython,
    "wispd": Wispd,
}
STRICT = ["gws", "axum", "tungstenite"]


def check_carries(bridge: Bridge, origin: Origin) -> None:
    """64 MB in each direction, and small requests, several at a time."""
    bridge.wait_connected()
    program = bridge.dial("127.0.0.1", origin.digest.port)
    program.sendall(sized(payload(SIZE)))
    assert recv_exactly(program, 64).decode() == payload_sha256(SIZE)
    result = bridge.curl(origin.url(f"bytes/{SIZE}"))
    assert sha256(result.output) == payload_sha256(SIZE), result.errors
    check_small_requests(bridge, origin)


def check_small_requests(bridge: Bridge, origin: Origin) -> None:
    result = bridge.curl("--parallel", "--parallel-max", "10", "--no-keepalive",
                         origin.url(f"bytes/100/[1-{SMALL}]"))
    assert result.code == 0, result.errors
    assert len(result.output) == 100 * SMALL


@pytest.mark.parametrize("name", SERVERS)
def test_server(start: Start, origin: Origin, name: str,
                wispsocks: Callable[..., Bridge]) -> None:
    server = start(SERVERS[name]())
    check_carries(wispsocks(f"ws://127.0.0.1:{server.port}/"), origin)


@pytest.mark.parametrize("name", STRICT)
def test_wispcheck(start: Start, name: str) -> None:
    """It gets in, and finds nothing wrong."""
    server = start(SERVERS[name]())
    run = wispcheck.check(f"ws://127.0.0.1:{server.port}/", "--timeout", "2", "--only", "streams")
    assert run.code == wispcheck.PASSED, run.having("fail")
    assert len(run.having("pass")) > 10


@pytest.mark.parametrize("name", [*STRICT, "wispd"])
def test_nginx_that_passes_the_header_on(start: Start, origin: Origin, tmp_path: Path,
                                         authority: Authority, certificate: Certificate,
                                         name: str, wispsocks: Callable[..., Bridge]) -> None:
    """What we say of the connection is what it says to the server."""
    server = start(SERVERS[name]())
    nginx = start(Nginx(tmp_path, certificate, connection="$http_connection"))
    bridge = wispsocks(nginx.url(server.port), "--cacert", authority.cacert)
    bridge.wait_connected()
    check_small_requests(bridge, origin)


@pytest.mark.parametrize("name", [*STRICT, "wispd"])
def test_haproxy(start: Start, origin: Origin, tmp_path: Path, authority: Authority,
                 certificate: Certificate, name: str, wispsocks: Callable[..., Bridge]) -> None:
    server = start(SERVERS[name]())
    front = start(Haproxy(tmp_path, certificate, server.port))
    bridge = wispsocks(front.url, "--cacert", authority.cacert)
    bridge.wait_connected()
    check_small_requests(bridge, origin)
