"""What the integration tests share.

They run the built programs (WISP_BUILD, default build/) against real Wisp servers (WISP_TOOLS,
default build/tools/) and against a server whose every byte a test decides, all on loopback:

    build/tools/venv/bin/python -m pytest tests/integration

A program that is missing fails the tests that need it. When a test fails, the logs of the programs
that were running are part of its report.
"""

from __future__ import annotations

import signal
import sys
from contextlib import ExitStack
from typing import Callable, Iterator, TypeVar

import pytest

from bridge import Bridge
from certs import Authority, Certificate
from fakeserver import FakeServer
from origin import Origin
from procs import Process
from wispservers import Nginx, Wispd

LOG_LINES_SHOWN = 100

T = TypeVar("T")
#: Enters a context manager (a process, a server) that is left when the test, or module, is over.
Start = Callable[[T], T]


def pytest_configure() -> None:
    """Let TERM end the run like an interrupt does, with every process stopped."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Iterator[None]:
    report = yield
    if report.failed:
        for process in Process.running:
            tail = "\n".join(process.lines[-LOG_LINES_SHOWN:])
            report.sections.append((f"log of {process.name} ({process.pid})", tail))
    return report


def _start() -> Iterator[Start]:
    with ExitStack() as stack:
        yield stack.enter_context


@pytest.fixture
def start() -> Iterator[Start]:
    yield from _start()


@pytest.fixture(scope="module")
def module_start() -> Iterator[Start]:
    yield from _start()


@pytest.fixture(scope="session")
def session_start() -> Iterator[Start]:
    yield from _start()


@pytest.fixture(scope="session")
def origin(session_start: Start) -> Origin:
    return session_start(Origin())


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def certificate(authority: Authority) -> Certificate:
    """A certificate for localhost, 127.0.0.1 and ::1."""
    return authority.issue("good")


@pytest.fixture(scope="session")
def nginx(session_start: Start, tmp_path_factory: pytest.TempPathFactory,
          certificate: Certificate) -> Nginx:
    return session_start(Nginx(tmp_path_factory.mktemp("nginx"), certificate))


@pytest.fixture(scope="session")
def wispd(session_start: Start) -> Wispd:
    """A server that is there for tests which do nothing unusual to it."""
    return session_start(Wispd())


@pytest.fixture(scope="session")
def public_only(session_start: Start) -> Wispd:
    """A server that may reach no address of this machine."""
    return session_start(Wispd(allow=()))


@pytest.fixture
def fake(start: Start) -> FakeServer:
    return start(FakeServer())


@pytest.fixture
def wispsocks(start: Start) -> Callable[..., Bridge]:
    """Starts wispsocks: `wispsocks(url, *options)`, and more as `Bridge` has it."""
    return lambda url, *options, **more: start(Bridge(url, *options, **more))
