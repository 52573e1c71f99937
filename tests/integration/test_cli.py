"""The command lines of wispsocks and wispd: help, versions, wrong usage, listeners, exit codes."""

from __future__ import annotations

import os
import re
import socket
import stat
import subprocess
from pathlib import Path
from typing import Callable

import pytest

import socks
from bridge import Bridge
from certs import Certificate
from conftest import Start
from origin import Origin
from procs import BUILD, GUARD, Program, clean_environment, wait_until
from wispclient import open_client
from wispservers import Wispd

URL = "ws://127.0.0.1:1/"
#: Each program, and what it needs besides its options.
each_program = pytest.mark.parametrize("program, more", [("wispsocks", [URL]), ("wispd", [])],
                                       ids=["wispsocks", "wispd"])


def run(program: str, *args: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program that is expected to end by itself."""
    return subprocess.run([BUILD / "cmd" / program / program, *args], capture_output=True,
                          text=True, timeout=GUARD, stdin=subprocess.DEVNULL,
                          env=clean_environment())


def check_usage_error(program: str, *args: str) -> str:
    """One line on standard error, and exit code 2; the line."""
    result = run(program, *args)
    assert result.returncode == 2, result
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1, result.stderr
    return result.stderr


def check_failure(named: str, program: str, *args: str | Path) -> str:
    """One error line that names what it is about, and exit code 1; the line."""
    result = run(program, *args)
    assert result.returncode == 1, result
    assert result.stdout == ""
    (error,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert named in error
    return error


@pytest.mark.parametrize("program", ["wispsocks", "wispd", "wispcheck"])
def test_help(program: str) -> None:
    """What is in it is test_manual's."""
    result = run(program, "--help")
    assert result.returncode == 0
    assert result.stderr == ""
    assert result.stdout.startswith(f"Usage: {program} ")
    assert max(map(len, result.stdout.splitlines())) <= 100


@pytest.mark.parametrize("option", [["--help"], ["--version"], ["--completion", "bash"]],
                         ids=" ".join)
def test_output_that_cannot_be_written(option: list[str]) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        result = subprocess.run([BUILD / "cmd/wispd/wispd", *option], stdout=full,
                                stderr=subprocess.PIPE, timeout=GUARD, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith(b"error: ")


@pytest.mark.parametrize("program, libraries", [("wispsocks", ["libevent", "libwebsockets", "c-ares"]),
                                                ("wispd", ["libevent", "libwebsockets", "c-ares"]),
                                                ("wispcheck", ["libevent", "libwebsockets", "c-ares"])])
def test_version(program: str, libraries: list[str]) -> None:
    """The program's version, and those of the libraries it runs on."""
    result = run(program, "--version")
    assert result.returncode == 0
    assert result.stderr == ""
    for name in [program, *libraries]:
        assert re.search(rf"(?i){name}\W+v?\d+\.\d+", result.stdout), name


@pytest.mark.parametrize("args", [
    ["--no-such-option", URL],
    ["-Z", URL],
    ["--listen"],
    ["--ping-interval", "soon", URL],
    ["--ping-interval", "-1", URL],
    ["--connect-timeout", "", URL],
    ["--max-clients", "many", URL],
    ["--buffer-limit", "64Q", URL],
    ["--buffer-limit", "-1", URL],
    ["--wisp", "3", URL],
    ["--log-format", "xml", URL],
    ["--completion", "csh"],
    ["--insecure=maybe", URL],
    ["--help=yes"],
    ["--no-such-option", "--help"],
    ["--listen", "127.0.0.1:70000", URL],
    ["--listen", "127.0.0.1:http!", URL],
    ["--listen", "unix:", URL],
    ["--proxy", "socks4://127.0.0.1:1080", URL],
    ["--proxy", "socks://127.0.0.1:1080", URL],
    ["--proxy", "socks4a://user:password@127.0.0.1", URL],
    ["--proxy", "socks5h://:password@127.0.0.1", URL],
    ["--proxy", "socks5h://" + 256 * "u" + ":p@127.0.0.1", URL],
    ["--proxy", "socks5://user:" + 256 * "p" + "@127.0.0.1", URL],
    ["--proxy", "https://127.0.0.1:1080", URL],
    ["--proxy", "127.0.0.1:3128", URL],
    ["--proxy", "http://", URL],
    ["--proxy", "http://127.0.0.1:0", URL],
    ["--proxy", "http://127.0.0.1:70000", URL],
    ["--proxy", "http://127.0.0.1/path", URL],
    ["--proxy", "http://us%3Aer:password@127.0.0.1", URL],
    ["--proxy", "http://user:%zz@127.0.0.1", URL],
    ["--proxy", "http://user:%00@127.0.0.1", URL],
    ["--proxy", "http://user:" + 513 * "p" + "@127.0.0.1", URL],
    ["--cert-key", "key.pem", URL],
    ["--header", "no colon", URL],
    ["--header", "bad name: value", URL],
    ["--header", ": value", URL],
    ["--header", "Name: one\r\nOther: two", URL],
    ["--header", "Upgrade: h2c", URL],
    ["--header", "connection: close", URL],
    ["--header", "sec-websocket-KEY: dGhlIHNhbXBsZSBub25jZQ==", URL],
    ["--header", "Content-Length: 1", URL],
    ["--header", "Host: a", "-H", "host: b", URL],
    ["--header", "Host: two words", URL],
    ["--header", "Host:", URL],
    ["--header", "Host: " + 200 * "h", URL],
    ["--header", "X: " + 7000 * "x", URL],
    17 * ["--header", "X: x"] + [URL],
    [URL, URL],
    [],
], ids=lambda args: " ".join(args)[:40].encode("unicode-escape").decode())
def test_wrong_usage_of_wispsocks(args: list[str]) -> None:
    said = check_usage_error("wispsocks", *args)
    if args and args[0] != URL:
        assert args[0].lstrip("-").partition("=")[0] in said


@pytest.mark.parametrize("args", [
    ["--no-such-option"],
    ["--wisp", "3"],
    ["--buffer", "0"],
    ["--buffer", "many"],
    ["--path", "no-slash"],
    ["--path", "/a?b"],
    ["--path", "/a#b"],
    ["--path", "/a b/"],
    ["--path", "/\u00fc/"],
    ["--path", "/a\tb/"],
    ["--path", "/100%"],
    ["--path", "/%2x/"],
    ["--path", "/a/../b/"],
    ["--path", "/."],
    ["--path", ""],
    ["--listen", "127.0.0.1:70000"],
    ["--listen"],
    ["stray"],
], ids=" ".join)
def test_wrong_usage_of_wispd(args: list[str]) -> None:
    assert args[0].lstrip("-") in check_usage_error("wispd", *args)


@pytest.mark.parametrize("url", [
    "http://127.0.0.1/", "https://127.0.0.1/", "127.0.0.1:80", "/path/", "",
    "ws:127.0.0.1", "ws://", "ws:///path/", "ws://:80/",
    "ws://user@127.0.0.1/", "ws://user:password@127.0.0.1/",
    "ws://127.0.0.1:0/", "ws://127.0.0.1:70000/", "ws://127.0.0.1:80x/", "ws://127.0.0.1:-1/",
    "ws://[::1/", "ws://[::1]80/", "ws://host name/", "ws://127.0.0.1/\r\nX: y/",
], ids=repr)
def test_wrong_url(url: str) -> None:
    check_usage_error("wispsocks", "--listen", "127.0.0.1:0", url)


# Listeners


@pytest.mark.parametrize("listen, logged", [
    ("0", r"^listening on 127\.0\.0\.1:[1-9]\d*$"),
    ("127.0.0.1:0", r"^listening on 127\.0\.0\.1:[1-9]\d*$"),
    ("localhost:0", r"^listening on (127\.0\.0\.1|\[::1\]):[1-9]\d*$"),
    ("[::1]:0", r"^listening on \[::1\]:[1-9]\d*$"),
])
@each_program
def test_free_port_is_named(start: Start, program: str, more: list[str], listen: str,
                            logged: str) -> None:
    process = start(Program(program, "--listen", listen, *more))
    process.wait_log(logged)
    host, _, port = process.addresses()[0].rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), GUARD).close()


def test_several_listeners(start: Start, wispd: Wispd, origin: Origin, tmp_path: Path) -> None:
    path = str(tmp_path / "socks")
    bridge = start(Program("wispsocks", "-l", "127.0.0.1:0", "-l", "127.0.0.1:0",
                           "-l", f"unix:{path}", f"ws://127.0.0.1:{wispd.port}/"))
    first, second, third = bridge.addresses(3)
    assert first != second
    assert third == f"unix:{path}"
    for where in (int(first.split(":")[1]), int(second.split(":")[1]), path):
        with socks.dial(where, "127.0.0.1", origin.echo.port, b"data") as program:
            assert socks.recv_exactly(program, 4) == b"data"


@each_program
def test_unix_socket_is_removed(start: Start, tmp_path: Path, program: str,
                                more: list[str]) -> None:
    path = tmp_path / "socket"
    process = start(Program(program, "--listen", f"unix:{path}", *more))
    assert process.addresses() == [f"unix:{path}"]
    assert stat.S_ISSOCK(os.stat(path).st_mode)
    assert process.terminate() == 0
    assert not path.exists()


@pytest.mark.parametrize("suffix, mode", [
    ("", 0o600), (",mode=0660", 0o660), (",mode=666", 0o666), (",mode=0777", 0o777),
    (",mode=0", 0),
])
@each_program
def test_mode_of_a_unix_socket(start: Start, tmp_path: Path, program: str, more: list[str],
                               suffix: str, mode: int) -> None:
    path = tmp_path / "socket, for all"
    process = start(Program(program, "--listen", f"unix:{path}{suffix}", *more))
    process.wait_log(f"^listening on unix:{path}$")
    assert stat.S_IMODE(os.stat(path).st_mode) == mode


@pytest.mark.parametrize("mode", ["", "rw", "8", "1777", "00660", "-1", "0660,mode=0600", " 0660"])
def test_wrong_mode_of_a_unix_socket(tmp_path: Path, mode: str) -> None:
    assert "mode" in check_usage_error("wispd", "--listen", f"unix:{tmp_path}/socket,mode={mode}")


@each_program
def test_stale_unix_socket(start: Start, tmp_path: Path, program: str, more: list[str]) -> None:
    """A program that was killed leaves its socket behind: the next one takes its place."""
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    assert path.exists()
    start(Program(program, "--listen", f"unix:{path}", *more)).addresses()
    with socket.socket(socket.AF_UNIX) as probe:
        probe.connect(str(path))


@each_program
def test_file_in_the_place_of_a_unix_socket(tmp_path: Path, program: str,
                                            more: list[str]) -> None:
    path = tmp_path / "file"
    path.write_text("precious")
    check_failure(str(path), program, "--listen", f"unix:{path}", *more)
    assert path.read_text() == "precious"


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "[::ffff:0.0.0.0]:0"])
def test_listening_for_other_machines(start: Start, listen: str) -> None:
    """wispsocks does it only when told so; wispd is there for it."""
    said = check_usage_error("wispsocks", "-l", "127.0.0.1:0", "-l", listen, URL)
    assert "--open-to-all" in said
    if "ffff" not in listen:
        start(Program("wispsocks", "-l", listen, "--open-to-all", URL)).addresses()
        start(Program("wispd", "-l", listen)).addresses()


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0"])
def test_wispd_warns_when_it_is_open_to_all(start: Start, tmp_path: Path, listen: str) -> None:
    """Once, and not when it asks for credentials, or only this machine reaches it."""
    anybody = r"^warning: anybody who reaches \S+ may use this server; restrict it with --user-file or"
    users = tmp_path / "users"
    users.write_text("user:password\n")
    users.chmod(0o600)
    process = start(Program("wispd", "-l", "127.0.0.1:0", "-l", listen, "-l", listen))
    process.addresses(3)
    assert len(re.findall(anybody, process.log, re.MULTILINE)) == 1
    for options in (["-l", listen, "--user-file", users],
                    ["-l", "127.0.0.1:0", "-l", "[::1]:0", "-l", f"unix:{tmp_path}/socket"]):
        process = start(Program("wispd", *options))
        process.addresses()
        assert not process.find_log("anybody")


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "127.1.2.3:0", "[::1]:0", "localhost:0"])
def test_loopback_is_not_open_to_all(start: Start, listen: str) -> None:
    start(Program("wispsocks", "-l", listen, URL)).addresses()


@each_program
def test_unix_socket_in_use(start: Start, tmp_path: Path, program: str, more: list[str]) -> None:
    """A second program gives up, and leaves the first one's socket alone."""
    path = tmp_path / "socket"
    start(Program(program, "--listen", f"unix:{path}", *more)).addresses()
    check_failure(str(path), program, "--listen", f"unix:{path}", *more)
    with socket.socket(socket.AF_UNIX) as probe:
        probe.connect(str(path))


@each_program
def test_unix_socket_in_no_directory(tmp_path: Path, program: str, more: list[str]) -> None:
    path = tmp_path / "missing" / "socket"
    check_failure(str(path), program, "--listen", f"unix:{path}", *more)


def test_wispd_on_a_unix_socket(start: Start, tmp_path: Path) -> None:
    path = str(tmp_path / "wisp")
    start(Program("wispd", "--listen", f"unix:{path}")).addresses()
    open_client(path).close()


@each_program
def test_address_in_use(program: str, more: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert "in use" in check_failure(address, program, "--listen", address, *more)


def test_wispd_without_its_certificate(tmp_path: Path, certificate: Certificate) -> None:
    missing = tmp_path / "missing.pem"
    for cert, key in ((missing, certificate.key), (certificate.cert, missing)):
        check_failure(str(missing), "wispd", "--listen", "127.0.0.1:0", "--cert", cert,
                      "--cert-key", key)


# The log


@pytest.mark.parametrize("options", [[], ["-q"]], ids=["default", "-q"])
def test_log_is_on_standard_error(tmp_path: Path, options: list[str]) -> None:
    """Standard output stays free, and -q keeps quiet about what is as it should be."""
    path = tmp_path / "socket"
    process = subprocess.Popen([BUILD / "cmd/wispsocks/wispsocks", *options, "-l", f"unix:{path}",
                                URL], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env=clean_environment())
    try:
        wait_until(lambda: socks.is_listening(path) or process.poll() is not None, "its socket")
        with socks.open_socket(str(path)) as program:
            program.sendall(socks.greeting(socks.NO_AUTHENTICATION))
            socks.recv_method(program)
        process.terminate()
        output, errors = process.communicate(timeout=GUARD)
    finally:
        process.kill()
    assert process.returncode == 0
    assert output == ""
    assert (f"listening on unix:{path}\n" in errors) == (not options)


@pytest.mark.parametrize("verbose", [False, True], ids=["default", "-v"])
def test_destinations_are_logged_only_with_v(wispd: Wispd, origin: Origin, verbose: bool,
                                             wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(f"ws://127.0.0.1:{wispd.port}/", *(["-v"] if verbose else []))
    program = bridge.dial("localhost", origin.echo.port, b"data")
    assert socks.recv_exactly(program, 4) == b"data"
    destination = f"localhost:{origin.echo.port}"
    if verbose:
        bridge.wait_log(re.escape(destination))
    else:
        assert bridge.terminate() == 0
        assert destination not in bridge.log


@each_program
def test_closed_standard_descriptors(tmp_path: Path, program: str, more: list[str]) -> None:
    """The log goes nowhere then, and above all not into a descriptor of the program's own."""
    path = tmp_path / "socket"
    process = subprocess.Popen(["sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-',
                                BUILD / "cmd" / program / program, "-l", f"unix:{path}", *more],
                               env=clean_environment())
    try:
        wait_until(lambda: socks.is_listening(path) or process.poll() is not None, "its socket")
        for number in range(3):
            assert os.readlink(f"/proc/{process.pid}/fd/{number}") == os.devnull
        process.terminate()
        assert process.wait(GUARD) == 0
    finally:
        process.kill()
