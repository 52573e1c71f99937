"""Under systemd: its notifications, the sockets it passes, the journal, and the units."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Iterator

import pytest

import socks
from conftest import Start
from origin import Origin
from procs import BUILD, GUARD, REPOSITORY, free_port, refusing_port
from service import Manager, Service
from wispclient import open_client
from wispservers import Wispd

URL = "ws://127.0.0.1:1/"
#: Each program, and what it needs besides its options.
each_program = pytest.mark.parametrize("program, more", [("wispsocks", [URL]), ("wispd", [])],
                                       ids=["wispsocks", "wispd"])
EXPOSURE_MAX = 1.5


@pytest.fixture
def manager(start: Start, tmp_path: Path) -> Manager:
    return start(Manager(tmp_path / "notify"))


def listening_socket(host: str = "127.0.0.1") -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, 0), family=family)


def address_of(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def wait_failed(process: Service, code: int, named: str) -> None:
    assert process.wait_exit() == code, process.log
    assert named in process.log
    assert len(process.lines) == 1, process.log


# What the service manager is told


@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract"])
@each_program
def test_ready_and_stopping(start: Start, tmp_path: Path, program: str, more: list[str],
                            abstract: bool) -> None:
    path = f"@wispsocks-test-{os.getpid()}-{free_port()}" if abstract else tmp_path / "notify"
    manager = start(Manager(path))
    process = start(Service(program, "-l", "127.0.0.1:0", *more, manager=manager))
    manager.wait(READY="1")
    socket.create_connection(("127.0.0.1", process.port), GUARD).close()
    assert not any("STOPPING" in message for message in manager.received)
    process.signal(signal.SIGTERM)
    manager.wait(STOPPING="1")
    assert process.wait_exit() == 0


def test_not_ready_without_its_address(start: Start, manager: Manager) -> None:
    with listening_socket() as taken:
        process = start(Service("wispsocks", "-l", address_of(taken), URL, manager=manager))
        assert process.wait_exit() == 1
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"END=1", manager.path)
    manager.wait(END="1")
    assert not any("READY" in message for message in manager.received)


def test_status(start: Start, manager: Manager) -> None:
    """It says to whom it is connected, or why not, and nothing of the path of the URL."""
    with refusing_port() as port:
        start(Service("wispsocks", "-l", "127.0.0.1:0", f"ws://127.0.0.1:{port}/secret/",
                      manager=manager))
        manager.wait(STATUS=f"connecting to 127.0.0.1:{port}")
        status = manager.wait_status("not connected to")
    assert status.startswith(f"not connected to 127.0.0.1:{port}: Connection refused")
    start(Wispd("--path", "/secret/", port=port))
    manager.wait(STATUS=f"connected to 127.0.0.1:{port}")
    assert "secret" not in str(manager.received)


@each_program
def test_reloading(start: Start, manager: Manager, program: str, more: list[str]) -> None:
    process = start(Service(program, "-l", "127.0.0.1:0", *more, manager=manager))
    manager.wait(READY="1")
    before = time.monotonic_ns() // 1000
    process.signal(signal.SIGHUP)
    message = manager.wait(RELOADING="1")
    assert before <= int(message["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
    manager.wait(READY="1")
    socket.create_connection(("127.0.0.1", process.port), GUARD).close()


@pytest.mark.parametrize("path", ["/nonexistent/notify", "relative", "@", "", "/" + "x" * 200])
def test_no_service_manager(start: Start, path: str) -> None:
    start(Service("wispd", "-l", "127.0.0.1:0", manager=path)).addresses()


# Sockets that were passed


def test_passed_sockets(start: Start, wispd: Wispd, origin: Origin, tmp_path: Path,
                        manager: Manager) -> None:
    """They are used instead of the usual address, and their files are left alone."""
    path = tmp_path / "socks"
    with socket.socket(socket.AF_UNIX) as unix, listening_socket() as inet, \
            listening_socket("::1") as inet6:
        unix.bind(str(path))
        unix.listen()
        bridge = start(Service("wispsocks", f"ws://127.0.0.1:{wispd.port}/", manager=manager,
                               sockets=(unix, inet, inet6)))
        manager.wait(READY="1")
        expected = [f"unix:{path}", address_of(inet), address_of(inet6)]
        assert bridge.addresses(3) == expected
        assert bridge.log.count("listening on") == 3
        for where in (str(path), inet.getsockname()[1]):
            with socks.dial(where, "127.0.0.1", origin.echo.port, b"data") as program:
                assert socks.recv_exactly(program, 4) == b"data"
        assert bridge.terminate() == 0
    assert path.exists()


def test_passed_socket_of_wispd(start: Start) -> None:
    with listening_socket() as passed:
        server = start(Service("wispd", sockets=(passed,)))
        assert server.addresses() == [address_of(passed)]
        open_client(passed.getsockname()[1]).close()
        assert server.terminate() == 0
    assert server.log.count("listening on") == 1


def test_abstract_passed_socket(start: Start) -> None:
    name = f"wispsocks-test-{os.getpid()}-{free_port()}"
    with socket.socket(socket.AF_UNIX) as passed:
        passed.bind(f"\0{name}")
        passed.listen()
        assert start(Service("wispd", sockets=(passed,))).addresses() == [f"unix:@{name}"]


@each_program
def test_listen_besides_passed_sockets(start: Start, program: str, more: list[str]) -> None:
    with listening_socket() as passed:
        process = start(Service(program, "-l", "127.0.0.1:0", *more, sockets=(passed,)))
        first, second = process.addresses(2)
        assert first == address_of(passed)
    assert second.startswith("127.0.0.1:")
    for address in (first, second):
        socket.create_connection(("127.0.0.1", int(address.split(":")[1])), GUARD).close()


def test_sockets_for_another_process(start: Start) -> None:
    with listening_socket() as passed:
        process = start(Service("wispd", "-l", "127.0.0.1:0", sockets=(passed,), pid_offset=1))
        assert process.addresses() != [address_of(passed)]
        assert process.terminate() == 0
    assert process.log.count("listening on") == 1


@pytest.mark.parametrize("kind", ["datagram", "connected", "not listening", "of packets"])
def test_passed_socket_of_a_wrong_kind(start: Start, tmp_path: Path, kind: str) -> None:
    family, what = {"datagram": (socket.AF_INET, socket.SOCK_DGRAM),
                    "of packets": (socket.AF_UNIX, socket.SOCK_SEQPACKET)}.get(
                        kind, (socket.AF_INET, socket.SOCK_STREAM))
    with listening_socket() as good, socket.socket(family, what) as bad:
        if kind == "connected":
            bad.connect(good.getsockname())
        elif kind == "of packets":
            bad.bind(str(tmp_path / "socket"))
            bad.listen()
        wait_failed(start(Service("wispd", sockets=(good, bad))), 1, "descriptor 4")


@pytest.mark.parametrize("number", ["-1", "17", "two", "", "99999999999999999999"])
def test_wrong_number_of_passed_sockets(start: Start, number: str) -> None:
    wait_failed(start(Service("wispd", number=number)), 1, "LISTEN_FDS")


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_passed_socket_that_is_open_to_all(start: Start, host: str) -> None:
    with listening_socket(host) as passed:
        refused = start(Service("wispsocks", URL, sockets=(passed,)))
        wait_failed(refused, 2, "--open-to-all")
        assert address_of(passed) in refused.log
        allowed = start(Service("wispsocks", "--open-to-all", URL, sockets=(passed,)))
        assert allowed.addresses() == [address_of(passed)]


# The journal


def test_priorities_in_the_journal(start: Start) -> None:
    with refusing_port() as port:
        bridge = start(Service("wispsocks", "-vv", "--insecure", "-l", "127.0.0.1:0",
                               f"ws://127.0.0.1:{port}/", journal=True))
        bridge.wait_log(r"^<4>--insecure: ")
        bridge.wait_log(r"^<6>listening on 127\.0\.0\.1:\d+$")
        bridge.wait_log(r"^<4>cannot connect to ")
        bridge.wait_log(r"^<7>libwebsockets: ")
    wait_failed(start(Service("wispd", "-l", "unix:/nonexistent/socket", journal=True)), 1,
                "<3>cannot listen on unix:/nonexistent/socket")
    wait_failed(start(Service("wispd", "--foo", journal=True)), 2, "<3>wispd: unknown option")


def test_inherited_journal_variable(start: Start) -> None:
    """JOURNAL_STREAM says nothing when standard error goes elsewhere."""
    start(Service("wispd", "-l", "127.0.0.1:0", journal=True, inode_offset=1)).addresses()


def test_json_in_the_journal(start: Start) -> None:
    start(Service("wispd", "--log-format", "json", "-l", "127.0.0.1:0", journal=True)).wait_log(
        r'^\{.*"message":"listening on ')


# Units


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The units as they are installed, for programs that are there."""
    folder = tmp_path_factory.mktemp("units")
    shutil.copytree(REPOSITORY / "systemd", folder, dirs_exist_ok=True)
    for template in folder.glob("*/*.in"):
        text = re.sub(r"@s?bindir@/(\w+)", lambda match: str(BUILD / "cmd" / match[1] / match[1]),
                      template.read_text())
        assert "@" not in re.sub(r"SystemCallFilter=.*", "", text)
        template.with_suffix("").write_text(text)
    yield folder


def analyze(tmp_path: Path, *args: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", "--no-pager", *args], capture_output=True,
                          text=True, timeout=GUARD, env=os.environ | {
                              "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)})


@pytest.mark.parametrize("scope", ["system", "user"])
def test_units_are_valid(units: Path, tmp_path: Path, scope: str) -> None:
    found = sorted(path for path in (units / scope).iterdir()
                   if path.suffix in (".service", ".socket"))
    assert found
    result = analyze(tmp_path, "verify", f"--{scope}", "--man=no", *found)
    complaints = [line for line in result.stderr.splitlines() if str(units) in line]
    assert complaints == []
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("unit", ["wispsocks.service", "wispd.service"])
def test_exposure(units: Path, tmp_path: Path, unit: str) -> None:
    result = analyze(tmp_path, "security", "--offline=true", units / "system" / unit)
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", result.stdout)
    assert exposure, result
    assert float(exposure[1]) < EXPOSURE_MAX
