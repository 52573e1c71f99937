"""wispcheck: what it says of servers that are right, real, wrong and hostile."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

import hostileservers
import packets
import rightserver
import wispcheck
import wrongservers
from certs import Authority, Certificate
from conftest import Start
from credentials import make_key, write_secret
from hostileservers import HTTP_MISDEEDS, MISDEEDS, Misdeed
from origin import Service
from rightserver import RightServer
from wispcheck import FAILED, NO_CONNECTION, PASSED, SHORT
from wispservers import TlsWispd, Wispd, start_server
from wrongservers import FAULTS

PASSWORD_OPTIONS = ("--user", "tester")
PASSWORD_ENVIRONMENT = {"WISPCHECK_PASSWORD": "right"}

#: Some of each group that take no time. A wrong server has to pass those of other groups.
QUICK = ["handshake/upgrade", "handshake/v1-first-packet", "handshake/v2-first-packet",
         "handshake/credit", "streams/echo-0", "streams/echo-1", "streams/far-end-closes",
         "streams/close-reaches-far-end", "credit/comes-in-time", "credit/within-announced",
         "errors/refused", "errors/port-zero", "errors/short-packet", "errors/unknown-stream",
         "errors/text", "errors/fragments", "udp/offered", "udp/echo", "udp/two-streams"]


# Hostile servers


def hurt(start: Start, misdeed: Misdeed) -> wispcheck.Run:
    server = start(Service(misdeed))
    before = time.monotonic()
    run = wispcheck.check(f"ws://127.0.0.1:{server.port}/", "--timeout", "0.1",
                          "--only", "errors/short-packet,handshake/credit")
    assert time.monotonic() - before < 30
    assert "\x1b" not in run.errors + "".join(run.came.values())
    return run


@pytest.mark.parametrize("misdeed", HTTP_MISDEEDS.values(), ids=HTTP_MISDEEDS.keys())
def test_hostile_instead_of_http(start: Start, misdeed: Misdeed) -> None:
    run = hurt(start, hostileservers.instead_of_http(misdeed))
    assert run.code == NO_CONNECTION and run.outcomes == {}


@pytest.mark.parametrize("stage", [
    pytest.param(hostileservers.after_upgrade, id="after the upgrade"),
    pytest.param(hostileservers.after_connect, id="after CONNECT"),
])
@pytest.mark.parametrize("misdeed", MISDEEDS.values(), ids=MISDEEDS.keys())
def test_hostile_websocket(start: Start, misdeed: Misdeed, stage: object) -> None:
    run = hurt(start, stage(misdeed))
    assert run.code in (FAILED, NO_CONNECTION)


class Turning(rightserver.Connection):
    """A server that is right until a second client has its handshake behind it."""

    endless = b""

    async def greet(self) -> None:
        await super().greet()
        self.server.greeted = getattr(self.server, "greeted", 0) + 1
        while self.server.greeted > 1 and not self.writer.is_closing():
            self.write(self.endless)
            await self.drain()


@pytest.mark.parametrize("packet", [
    pytest.param(packets.data(1, bytes(1000)), id="data"),
    pytest.param(packets.credit(1, 128), id="credit"),
    pytest.param(packets.close(1, packets.VOLUNTARY), id="closes"),
])
def test_hostile_in_every_group(start: Start, packet: packets.Packet) -> None:
    """Whatever a check waits for, the packets of a stream that it uses do not keep it."""
    endless = hostileservers.binary(packet) * 50
    server = start(RightServer(type("Endless", (Turning,), {"endless": endless})))
    run = wispcheck.check(server.url, "--timeout", "0.1", "--only", ",".join(QUICK))
    assert run.code == FAILED


# Right servers


def complaints(run: wispcheck.Run) -> dict[str, str]:
    return run.having("fail", "warn")


#: What does not differ between the versions, and takes its time.
SLOW = ("--skip", "credit,streams/far-end-closes-slow-reader,streams/id-after-close,"
        "streams/id-after-end")


@pytest.mark.parametrize("options, more", [
    pytest.param((), (), id="v2"),
    pytest.param(("--wisp", "1"), SLOW, id="v1"),
])
def test_wispd(start: Start, options: tuple[str, ...], more: tuple[str, ...]) -> None:
    run = wispcheck.check(f"ws://127.0.0.1:{start(Wispd(*options)).port}/", "--timeout", "1",
                          *more)
    assert complaints(run) == {} and run.code == PASSED


def test_wispd_gives_up_in_time(start: Start) -> None:
    """A destination that does not answer, for which the other tests do not wait."""
    run = wispcheck.check(f"ws://127.0.0.1:{start(Wispd()).port}/", "--timeout", "4",
                          "--only", "errors/timed-out")
    assert run.outcomes == {"errors/timed-out": "pass"}, run.came


def test_wispd_over_tls(start: Start, authority: Authority, certificate: Certificate,
                        tmp_path: Path) -> None:
    """One that asks for a password, of which every check of the handshake can make something."""
    users = write_secret(tmp_path / "users", f"{wrongservers.PASSWORD}\n")
    server = start(TlsWispd(certificate, "--user-file", users, "--motd", "Hello"))
    run = wispcheck.check(server.url, "--timeout", "1", "--cacert", authority.cacert,
                          *PASSWORD_OPTIONS, env=PASSWORD_ENVIRONMENT)
    assert complaints(run) == {} and run.code == PASSED
    assert run.outcomes["handshake/credentials-accepted"] == "pass"
    assert run.outcomes["handshake/wrong-password"] == "pass"


def test_wispd_with_keys(start: Start, tmp_path: Path) -> None:
    key = make_key(tmp_path, "key")
    server = start(Wispd("--authorized-keys", write_secret(tmp_path / "keys", key.ssh)))
    run = wispcheck.check(f"ws://127.0.0.1:{server.port}/", "--timeout", "1", "--key", key.private,
                          "--unverified-credentials", "--only", "handshake")
    assert complaints(run) == {} and run.code == PASSED
    assert run.outcomes["handshake/wrong-key"] == "pass"


@pytest.mark.parametrize("options, more", [
    pytest.param({"version": 1}, SLOW, id="v1"),
    pytest.param({"version": 2, "password": wrongservers.PASSWORD}, (), id="v2 and a password"),
    pytest.param({"confirms": False, "buffer": 8}, ("--only", "streams,credit", *SLOW[:1],
                                                    "streams/far-end-closes-slow-reader"),
                 id="small buffer"),
])
def test_right_server(start: Start, options: dict[str, Any], more: tuple[str, ...]) -> None:
    run = wispcheck.check(start(RightServer(**options)).url, "--timeout", "1", *PASSWORD_OPTIONS,
                          "--unverified-credentials", *more, env=PASSWORD_ENVIRONMENT)
    assert complaints(run) == {} and run.code == PASSED


class Redirects(rightserver.Connection):
    """Sends people who come with a browser elsewhere."""

    def refusal(self, request: rightserver.Request) -> str | None:
        if "upgrade" in request.headers or request.path != "/":
            return super().refusal(request)
        return f"302 Found\r\nLocation: {self.server.url}elsewhere/"


def test_redirect_of_plain_requests(start: Start) -> None:
    """It is an answer, and is not followed."""
    run = wispcheck.check(start(RightServer(Redirects)).url, "--only", "handshake/plain-request")
    assert run.outcomes == {"handshake/plain-request": "pass"}
    assert "HTTP 302" in run.came["handshake/plain-request"]


# Servers of something else


class Mute(rightserver.Connection):
    """A WebSocket on which nothing is said."""

    async def greet(self) -> None:
        await self.recv_frame()


def test_no_wisp(start: Start) -> None:
    """What follows from that is not held against it."""
    run = wispcheck.check(start(RightServer(Mute)).url, "--timeout", "0.2")
    assert complaints(run).keys() == {"handshake/v1-first-packet", "handshake/v2-first-packet",
                                      "handshake/credit"}, complaints(run)
    assert run.code == FAILED


# Real servers


#: What is known of them. A change here is news for their authors, or for those who use them.
WISP_JS = {
    "streams/id-twice": "warn",
    # Its queue is emptied when the far end closes, and no CLOSE follows.
    "streams/far-end-closes-slow-reader": "fail",
    # It ends its own direction only, and passes on what still comes.
    "streams/close-stops-far-end": "fail",
    "credit/none-for-udp": "fail",
    "errors/refused": "warn",
    "errors/unresolvable": "warn",
    "errors/empty-host": "fail",  # it takes it for localhost
    "errors/stream-type": "fail",  # it takes all but TCP for UDP
    "udp/no-continue": "fail",
    "udp/unresolvable": "warn",
}
FINDINGS = {
    "wisp-js-v1": WISP_JS,
    "wisp-js-v2": WISP_JS | {
        "handshake/bad-info": "warn",
        "udp/not-agreed": "warn",
    },
    "wisp-python": {
        "handshake/subprotocol": "warn",
        "streams/id-twice": "warn",
        "credit/overdrawn": "warn",  # it reads nothing more while a stream's queue is full
        "credit/none-for-udp": "fail",
        "errors/refused": "warn",
        "errors/host-not-utf8": "fail",
        "udp/empty": "warn",
        "udp/no-continue": "fail",
    },
}
#: What comes and goes with the timing.
SOMETIMES = {
    "wisp-js-v1": {"streams/id-zero"},
    "wisp-js-v2": {"streams/id-zero"},
    "wisp-python": {"credit/stalled-beside", "streams/id-zero"},
}
#: What ends the process of wisp-js: its WebSockets' errors are not handled.
DEADLY = {
    "wisp-js-v1": ["errors/unmasked-frame", "errors/reserved-bits", "errors/unknown-opcode",
                   "errors/long-control-frame"],
    "wisp-python": [],
}
DEADLY["wisp-js-v2"] = DEADLY["wisp-js-v1"]


@pytest.mark.parametrize("kind", FINDINGS)
def test_real_server(start: Start, kind: str) -> None:
    server = start(start_server(kind))
    run = wispcheck.check(f"ws://127.0.0.1:{server.port}/", "--timeout", "2",
                          *(option for name in DEADLY[kind] for option in ("--skip", name)))
    found = {name: outcome for name, outcome in run.outcomes.items()
             if outcome in ("fail", "warn") and name not in SOMETIMES[kind]}
    assert found == FINDINGS[kind], complaints(run)
    assert run.code == FAILED and server.alive


@pytest.mark.parametrize("name", DEADLY["wisp-js-v2"])
def test_what_kills_wisp_js(start: Start, name: str) -> None:
    server = start(start_server("wisp-js-v2"))
    run = wispcheck.check(f"ws://127.0.0.1:{server.port}/", "--timeout", "1", "--only", name)
    assert run.outcomes == {name: "fail"}
    server.wait_exit()


# Wrong servers


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_wrong_server(start: Start, fault: wrongservers.Fault) -> None:
    """The check that a fault is for finds it, and none of a group that it does not concern."""
    selected = set(fault.checks) if fault.deadly else {*fault.checks, *QUICK}
    run = wispcheck.check(start(fault.server()).url, "--timeout", str(SHORT),
                          "--only", ",".join(sorted(selected)), *PASSWORD_OPTIONS,
                          "--unverified-credentials", env=PASSWORD_ENVIRONMENT)
    if fault.refused:
        assert run.code == NO_CONNECTION and fault.refused in run.errors
        return
    found = complaints(run)
    assert set(fault.checks) <= set(found), run.outcomes
    assert {name.partition("/")[0] for name in found} <= fault.groups, found
    assert run.code == (FAILED if run.having("fail") else PASSED)


#: Checks that no server on this machine can fail, and why.
WITHOUT_FAULT = {
    "errors/blocked": "it only looks at a server that does not reach the targets",
}


def test_every_check_has_a_fault() -> None:
    caught = {check for fault in FAULTS.values() for check in fault.checks}
    assert set(wispcheck.names()) == caught | WITHOUT_FAULT.keys()
    assert not caught & WITHOUT_FAULT.keys()
