"""Clients of other make on wispd, whose extensions of its own they pass over."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import packets
from conftest import Start
from origin import Origin, payload, payload_sha256, sized
from procs import GUARD, TOOLS
from wispclient import WispClient
from wispservers import Wispd, wisp_mux_client

SIZE = 3_000_000
CLIENTS = Path(__file__).parent / "clients"


def node_client(name: str, url: str, port: int, data: bytes) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["node", CLIENTS / f"{name}.mjs", TOOLS / "node_modules", url, "127.0.0.1",
                           str(port)], input=data, capture_output=True, timeout=GUARD, check=False)


def mux_client(name: str, url: str, port: int, data: bytes) -> subprocess.CompletedProcess[bytes]:
    return wisp_mux_client(url, "127.0.0.1", str(port), data=data)


RUN = {"wisp_js": node_client, "wisp-mux": mux_client}


@pytest.fixture
def server(start: Start) -> Wispd:
    """It offers the extensions."""
    server = start(Wispd("-v"))
    with WispClient(server.port, version=2) as client:
        assert packets.END_OF_DATA in packets.extensions(client.recv_type(packets.INFO, 0))
    return server


@pytest.mark.parametrize("name", RUN)
def test_upload(server: Wispd, origin: Origin, name: str) -> None:
    """With version 2, some megabytes get through, and the destination's end is the stream's."""
    since = server.mark()
    done = RUN[name](name, f"ws://127.0.0.1:{server.port}/", origin.digest.port, sized(payload(SIZE)))
    server.wait_log("connected \\(wisp v2\\)", since)
    assert (done.returncode, done.stdout.decode()) == (0, payload_sha256(SIZE)), done.stderr
    server.wait_log("the destination has ended its data", since)


@pytest.mark.parametrize("name", RUN)
def test_download(server: Wispd, origin: Origin, name: str) -> None:
    done = RUN[name](name, f"ws://127.0.0.1:{server.port}/", origin.bytes.port,
                     sized(str(SIZE).encode()))
    assert (done.returncode, done.stdout) == (0, payload(SIZE)), done.stderr


def test_epoxy(server: Wispd, origin: Origin) -> None:
    """It drops what it has not read when a stream is closed: here, nothing closes it."""
    since = server.mark()
    done = node_client("epoxy", f"ws://127.0.0.1:{server.port}/", origin.echo.port, bytes(payload(SIZE)))
    server.wait_log("connected \\(wisp v2\\)", since)
    assert (done.returncode, done.stdout) == (0, payload(SIZE)), done.stderr
