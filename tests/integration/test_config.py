"""The configuration file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Callable

import pytest

import packets
import socks
from conftest import Start
from origin import Origin
from procs import Program, refusing_port, wait_until
from test_cli import run
from wispclient import WispClient
from wispservers import Wispd

URL = "ws://127.0.0.1:1/"
LINE_MAX = 4096
SIZE_MAX = 65536
INSECURE = r"^warning: --insecure"

#: Writes a configuration file.
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(*lines: str | bytes, name: str = "test.conf") -> Path:
        path = tmp_path / name
        path.write_bytes(b"".join((line.encode() if isinstance(line, str) else line) + b"\n"
                                  for line in lines))
        return path

    return write


def check_wrong(path: Path, line: int | None, *named: str, program: str = "wispsocks") -> None:
    """One line on standard error that names the file, the line and these; exit code 2."""
    result = run(program, "--config", path)
    assert result.returncode == 2, result
    (said,) = result.stderr.splitlines()
    assert f"{path}:{line}: " in said if line else str(path) in said
    for word in named:
        assert word in said


def test_everything_from_the_file(start: Start, write: Write, wispd: Wispd, origin: Origin,
                                  tmp_path: Path) -> None:
    path = tmp_path / "socks"
    config = write("# A comment", "", f"server = ws://127.0.0.1:{wispd.port}/",
                   "\t listen=127.0.0.1:0 \t", "  # listen = 127.0.0.1:0", f"listen = unix:{path}\r",
                   "connect-timeout = 0.5", "buffer-limit = 1M", "max-clients = 10",
                   "wisp = 1", "verbose", "insecure = no")
    bridge = start(Program("wispsocks", "-c", config))
    first, second = bridge.addresses(2)
    assert second == f"unix:{path}"
    with socks.dial(int(first.split(":")[1]), "127.0.0.1", origin.echo.port, b"data") as program:
        assert socks.recv_exactly(program, 4) == b"data"
    bridge.wait_log(r"^connected to .*wisp v1")
    bridge.wait_log(rf"127\.0\.0\.1:{origin.echo.port}")
    assert not bridge.find_log(INSECURE)


def test_wispd_from_a_file(start: Start, write: Write) -> None:
    config = write("listen = 127.0.0.1:0", "buffer = 7", "path = /here/", "allow-loopback",
                   "motd = #no comment")
    server = start(Program("wispd", "--config", config))
    with WispClient(server.port, path="/here/") as client:
        assert client.open() == 7
    with WispClient(server.port, path="/here/", version=2) as client:
        assert b"#no comment" in client.recv_type(packets.INFO, 0).payload


def test_last_line_without_an_end(start: Start, tmp_path: Path) -> None:
    config = tmp_path / "test.conf"
    config.write_text("listen = 127.0.0.1:0")
    start(Program("wispd", "-c", config)).addresses()


def test_empty_file(start: Start, write: Write) -> None:
    start(Program("wispd", "-c", write(), "-l", "127.0.0.1:0")).addresses()


@pytest.mark.parametrize("line, on", [
    ("insecure", True), ("insecure = yes", True), ("insecure = true", True),
    ("insecure = on", True), ("insecure = ON", True), ("insecure = no", False),
    ("insecure = false", False), ("insecure = off", False),
])
def test_flags(start: Start, write: Write, line: str, on: bool) -> None:
    bridge = start(Program("wispsocks", "-c", write(line), "-l", "127.0.0.1:0", URL))
    bridge.addresses()
    assert bool(bridge.find_log(INSECURE)) == on


@pytest.mark.parametrize("lines, level", [
    (["verbose = 2"], 2), (["verbose"], 1), (["verbose = 0"], 0), (["verbose = 3", "quiet"], 2),
])
def test_verbosity(start: Start, write: Write, lines: list[str], level: int) -> None:
    """libwebsockets has something to say at the second level."""
    with refusing_port() as port:
        bridge = start(Program("wispsocks", "-c", write(*lines), "-l", "127.0.0.1:0",
                               f"ws://127.0.0.1:{port}/"))
        bridge.wait_log("cannot connect")
    assert bool(bridge.find_log(r"^trace: ")) == (level >= 2)


def test_quiet_file(start: Start, write: Write, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    config = write("quiet", "insecure", f"listen = unix:{path}")
    bridge = start(Program("wispsocks", "-c", config, URL))
    wait_until(lambda: socks.is_listening(path), "its socket")
    assert bridge.terminate() == 0
    assert bridge.find_log(INSECURE)
    assert "listening" not in bridge.log


# The command line wins


def test_command_line_replaces_a_list(start: Start, write: Write, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("file", "first", "second")]
    config = write(f"listen = unix:{paths[0]}", f"listen = unix:{paths[0]}-2")
    server = start(Program("wispd", "-l", f"unix:{paths[1]}", "-c", config,
                           "-l", f"unix:{paths[2]}"))
    assert server.addresses(2) == [f"unix:{path}" for path in paths[1:]]
    assert server.terminate() == 0
    assert server.log.count("listening on") == 2


@pytest.mark.parametrize("args", [["{url}"], ["--server", "{url}"]], ids=["operand", "--server"])
def test_command_line_replaces_the_server(start: Start, write: Write, wispd: Wispd,
                                          args: list[str]) -> None:
    url = f"ws://127.0.0.1:{wispd.port}/"
    bridge = start(Program("wispsocks", "-l", "127.0.0.1:0", "-c", write(f"server = {URL}"),
                           *(arg.format(url=url) for arg in args)))
    bridge.wait_log(f"^connected to {url}")


def test_command_line_replaces_a_number(start: Start, write: Write) -> None:
    server = start(Program("wispd", "--buffer", "9", "-c", write("buffer = 7"), "-l", "0"))
    with WispClient(server.port) as client:
        assert client.recv_type(packets.CONTINUE, 0).credit == 9


def test_command_line_takes_back_a_flag(start: Start, write: Write) -> None:
    bridge = start(Program("wispsocks", "--insecure=no", "-c", write("insecure"), "-l", "0", URL))
    bridge.addresses()
    assert not bridge.find_log(INSECURE)


@pytest.mark.parametrize("option", ["-v", "--verbose=1"])
def test_command_line_replaces_quiet(start: Start, write: Write, wispd: Wispd, origin: Origin,
                                     option: str) -> None:
    """It does not add to the file's, but begins anew."""
    bridge = start(Program("wispsocks", "-c", write("quiet = 2", "listen = 0"), option,
                           f"ws://127.0.0.1:{wispd.port}/"))
    with socks.dial(bridge.port, "127.0.0.1", origin.echo.port, b"data") as program:
        assert socks.recv_exactly(program, 4) == b"data"
    bridge.wait_log(rf"127\.0\.0\.1:{origin.echo.port}")
    assert "trace: " not in bridge.log


def test_command_line_replaces_verbose(start: Start, write: Write, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    config = write("verbose = 3", "insecure", f"listen = unix:{path}")
    bridge = start(Program("wispsocks", "-c", config, "-q", URL))
    wait_until(lambda: socks.is_listening(path), "its socket")
    assert bridge.terminate() == 0
    assert bridge.find_log(INSECURE)
    assert all(line.startswith("warning: ") for line in bridge.lines), bridge.log


def test_help_needs_no_file() -> None:
    assert run("wispsocks", "-c", "/nonexistent", "--help").returncode == 0


# What is wrong


@pytest.mark.parametrize("lines, line, named", [
    (["", "# x", "no-such-option = 1"], 3, "no-such-option"),
    (["--listen = 0"], 1, "--listen"),
    (["l = 0"], 1, "'l'"),
    (["list = 0"], 1, "'list'"),
    (["listen"], 1, "listen"),
    (["listen ="], 1, "listen"),
    (["listen 127.0.0.1:0"], 1, "'=' after listen;"),
    (["= 0"], 1, "''"),
    (["listen = 0", "listen = 127.0.0.1:70000"], 2, "127.0.0.1:70000"),
    (["listen = unix:/tmp/x,mode=888"], 1, "mode"),
    (["wisp = 3"], 1, "'3'"),
    (["ping-interval = soon"], 1, "'soon'"),
    (["ping-interval = 0"], 1, "ping-interval"),
    (["max-clients = 1.5"], 1, "'1.5'"),
    (["buffer-limit = 64Q"], 1, "'64Q'"),
    (["insecure = maybe"], 1, "'maybe'"),
    (["insecure ="], 1, "insecure"),
    (["verbose = 10"], 1, "'10'"),
    (["quiet = -1"], 1, "'-1'"),
    (["log-format = xml"], 1, "'xml'"),
    (["server = http://example.test/"], 1, "ws://"),
    (["cacert = a", "cacert = b"], 2, "line 1"),
    (["insecure", "#", "insecure"], 3, "line 1"),
    (["config = other.conf"], 1, "config"),
    (["help"], 1, "help"),
    (["version"], 1, "version"),
    (["completion = bash"], 1, "completion"),
    ([b"cacert = a\0b"], 1, "control"),
    ([b"cacert = a\x1b[31m"], 1, "control"),
    (["listen = unix:/tmp/x"] * 17, 17, "16"),
    (["cacert = " + "x" * LINE_MAX], 1, str(LINE_MAX)),
])
def test_wrong_line(write: Write, lines: list[str | bytes], line: int, named: str) -> None:
    check_wrong(write(*lines), line, named)


def test_wrong_line_of_wispd(write: Write) -> None:
    check_wrong(write("path = /", "buffer = 0"), 2, "buffer", program="wispd")
    check_wrong(write("path = no-slash"), 1, "no-slash", program="wispd")


def test_limits(start: Start, write: Write) -> None:
    """The longest line in the largest file is read; a byte more is too much."""
    longest = "#" * LINE_MAX
    lines = [longest] * (SIZE_MAX // (LINE_MAX + 1))
    rest = SIZE_MAX - len(lines) * (LINE_MAX + 1)
    full = write(*lines, "listen = 0".ljust(rest - 1))
    assert full.stat().st_size == SIZE_MAX
    start(Program("wispd", "-c", full)).addresses()
    check_wrong(write(*lines, "listen = 0".ljust(rest)), None, str(SIZE_MAX), program="wispd")
    check_wrong(write(longest + "#"), 1, str(LINE_MAX), program="wispd")


@pytest.mark.parametrize("path", ["missing.conf", "."])
def test_file_that_cannot_be_read(tmp_path: Path, path: str) -> None:
    result = run("wispd", "--config", tmp_path / path)
    assert result.returncode == 1
    (said,) = result.stderr.splitlines()
    assert re.match(rf"error: cannot read {re.escape(str(tmp_path / path))}: .*--config", said)


def test_endless_file() -> None:
    result = run("wispd", "--config", "/dev/zero")
    assert result.returncode == 2
    assert str(SIZE_MAX) in result.stderr


def test_no_server_at_all(write: Write) -> None:
    result = run("wispsocks", "--config", write("listen = 0"))
    assert result.returncode == 2
    assert "URL" in result.stderr
