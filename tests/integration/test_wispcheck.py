"""wispcheck: what it says of servers that are right, real, wrong and hostile."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

import hostileservers
import packets
import wispcheck
import wrongservers
from certs import Authority, Certificate
from conftest import Start
from credentials import make_key, write_secret
from hostileservers import HTTP_MISDEEDS, MISDEEDS, Misdeed
from origin import Service
from procs import Process
from rightserver import RightServer
from wispcheck import FAILED, NO_CONNECTION, PASSED, SHORT
from wispservers import TlsWispd, Wispd, start_server
from wrongservers import FAULTS

pytestmark = pytest.mark.filterwarnings("error")

# Hostile servers


def hurt(start: Start, misdeed: Misdeed) -> wispcheck.Run:
    server = start(Service(misdeed))
    before = time.monotonic()
    run = wispcheck.check(f"ws://127.0.0.1:{server.port}/", "--timeout", str(SHORT / 2),
                          "--only", "errors/short-packet")
    assert time.monotonic() - before < 30
    assert "\x1b" not in run.errors + "".join(run.came.values())
    return run


@pytest.mark.parametrize("misdeed", HTTP_MISDEEDS.values(), ids=HTTP_MISDEEDS.keys())
def test_hostile_instead_of_http(start: Start, misdeed: Misdeed) -> None:
    run = hurt(start, hostileservers.instead_of_http(misdeed))
    assert run.code == NO_CONNECTION and run.outcomes == {}


@pytest.mark.parametrize("stage", [
    pytest.param(hostileservers.after_upgrade, id="after the upgrade"),
    pytest.param(hostileservers.after_handshake, id="after the handshake"),
    pytest.param(hostileservers.after_connect, id="after CONNECT"),
])
@pytest.mark.parametrize("misdeed", MISDEEDS.values(), ids=MISDEEDS.keys())
def test_hostile_websocket(start: Start, misdeed: Misdeed, stage: object) -> None:
    run = hurt(start, stage(misdeed))
    assert run.code in (FAILED, NO_CONNECTION, PASSED)


# Right servers


def complaints(run: wispcheck.Run) -> dict[str, str]:
    return run.having("fail", "warn")


@pytest.mark.parametrize("options", [
    pytest.param((), id="v2"),
    pytest.param(("--wisp", "1"), id="v1"),
])
def test_wispd(start: Start, options: tuple[str, ...]) -> None:
    run = wispcheck.check(f"ws://127.0.0.1:{start(Wispd(*options)).port}/", "--timeout", "2")
    assert complaints(run) == {} and run.code == PASSED


def test_wispd_over_tls(start: Start, authority: Authority, certificate: Certificate) -> None:
    run = wispcheck.check(start(TlsWispd(certificate)).url, "--timeout", "2",
                          "--cacert", authority.cacert)
    assert complaints(run) == {} and run.code == PASSED


PASSWORD_OPTIONS = ("--user", "tester")
PASSWORD_ENVIRONMENT = {"WISPSOCKS_PASSWORD": "right"}


@pytest.mark.parametrize("options", [
    pytest.param({"version": 1}, id="v1"),
    pytest.param({"version": 2}, id="v2"),
    pytest.param({"confirms": False}, id="without confirmation"),
    pytest.param({"buffer": 8}, id="small buffer"),
])
def test_right_server(start: Start, options: dict[str, int]) -> None:
    run = wispcheck.check(start(RightServer(**options)).url, "--timeout", "2")
    assert complaints(run) == {} and run.code == PASSED
