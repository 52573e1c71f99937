"""The formats of the log."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from conftest import Start
from fakeserver import FakeServer
from procs import BUILD, GUARD, Program, clean_environment, refusing_port

URL = "ws://127.0.0.1:1/"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def read_json(line: str | bytes) -> tuple[str, str]:
    """The level and the message of a line."""
    entry = json.loads(line)
    assert list(entry) == ["time", "level", "message"]
    assert TIME.fullmatch(entry["time"])
    return entry["level"], entry["message"]


def test_json(start: Start) -> None:
    """Every line, with the text that it would be otherwise."""
    with refusing_port() as port:
        bridge = start(Program("wispsocks", "--log-format", "json", "-vv", "--insecure",
                               "-l", "127.0.0.1:0", f"ws://127.0.0.1:{port}/"))
        bridge.wait_log("cannot connect")
        assert bridge.terminate() == 0
    entries = [read_json(line) for line in bridge.lines]
    assert {level for level, _ in entries} >= {"warning", "info", "trace"}
    assert any(level == "info" and re.fullmatch(r"listening on 127\.0\.0\.1:\d+", message)
               for level, message in entries)
    assert any(level == "warning" and message.startswith("--insecure: ")
               for level, message in entries)


def errors_of(*args: str | bytes | Path) -> bytes:
    result = subprocess.run([BUILD / "cmd/wispd/wispd", *args], capture_output=True,
                            timeout=GUARD, stdin=subprocess.DEVNULL, env=clean_environment())
    assert result.returncode != 0
    return result.stderr


@pytest.mark.parametrize("text, shown", [
    (b'quote " backslash \\ slash /', 'quote " backslash \\ slash /'),
    (b"tab \t line \n return \r", "tab \t line \n return \r"),
    (b"bell \x07 escape \x1b delete \x7f", "bell \x07 escape \x1b delete \x7f"),
    ("é € 𝄞 \u2028 \u0085".encode(), "é € 𝄞 \u2028 \u0085"),
    (b"latin \xe9.", "latin \ufffd."),
    (b"overlong \xc0\xaf \xe0\x80\xaf", "overlong " + "\ufffd" * 2 + " " + "\ufffd" * 3),
    (b"surrogate \xed\xa0\x80", "surrogate " + "\ufffd" * 3),
    (b"too large \xf4\x90\x80\x80", "too large " + "\ufffd" * 4),
    (b"cut off \xf0\x9f\x98", "cut off " + "\ufffd" * 3),
    (b"wrong start \x80 \xff \xfe", "wrong start \ufffd \ufffd \ufffd"),
], ids=repr)
def test_json_is_escaped_and_utf8(text: bytes, shown: str) -> None:
    (line,) = errors_of("--log-format", "json", "--listen", text).splitlines()
    level, message = read_json(line.decode("utf-8"))
    assert level == "error"
    assert f"'{shown}'" in message


def test_long_json() -> None:
    """It stays one object when the text is longer than a line may be, of the costliest kind."""
    path = b"/\x01" * 2000
    (line,) = errors_of("--log-format", "json", "--cert", path, "--cert-key", path).splitlines()
    level, message = read_json(line.decode("utf-8"))
    assert level == "error" and message.startswith("--cert /\x01/\x01")
    assert 1000 < len(message) < 4000


def test_json_of_what_a_server_says(fake: FakeServer, start: Start) -> None:
    bridge = start(Program("wispsocks", "--log-format", "json", "-l", "127.0.0.1:0", fake.url))
    peer = fake.accept()
    peer.send_raw(b'HTTP/1.1 302 Found\r\nLocation: http://a/"\\\xff\r\nContent-Length: 0\r\n\r\n')
    assert bridge.wait_exit() == 1
    level, message = read_json(bridge.lines[-1])
    assert level == "error"
    assert "redirects to 'http://a/\"\\" in message


@pytest.mark.parametrize("args", [
    ["--log-format", "json", "--no-such-option"],
    ["--no-such-option", "--log-format", "json"],
    ["--log-format", "json", "stray"],
    ["--log-format", "json", "--config", "/nonexistent"],
    ["--log-format", "json", "--listen", "unix:/nonexistent/socket"],
    ["--log-format=json", "--cert", "/nonexistent", "--cert-key", "/nonexistent"],
], ids=" ".join)
def test_json_of_errors_at_the_start(args: list[str]) -> None:
    """They are written as asked, wherever that stands on the command line."""
    (line,) = errors_of(*args).splitlines()
    assert read_json(line)[0] == "error"


def test_json_from_a_file(start: Start, tmp_path: Path) -> None:
    config = tmp_path / "test.conf"
    config.write_text("log-format = json\nlisten = 127.0.0.1:0\n")
    server = start(Program("wispd", "-c", config))
    server.wait_log("listening on")
    read_json(server.lines[0])
    config.write_text("log-format = json\nlisten = 70000\n")
    (line,) = errors_of("-c", config).splitlines()
    assert f"{config}:2: " in read_json(line)[1]


def test_text_is_the_default(start: Start) -> None:
    start(Program("wispd", "--log-format", "text", "-l", "0")).addresses()
    assert errors_of("--listen", "unix:/nonexistent/s").startswith(b"error: cannot listen on unix:")


@pytest.mark.parametrize("text, shown", [
    (b"a\x1b[31m\x7f\n", b"a?[31m??"),
    (b"C1 \xc2\x9b31m \x9b \xc2\x80\xc2\x9f.", b"C1 ??31m ? ????."),
    ("é € 𝄞 \u00a0".encode(), "é € 𝄞 \u00a0".encode()),
    (b"latin \xe9 \xc2", b"latin ? ?"),
], ids=repr)
def test_text_has_no_control_characters(text: bytes, shown: bytes) -> None:
    """Nor what is not UTF-8, of which terminals may make one."""
    (line,) = errors_of("--listen", text).splitlines()
    assert b"'" + shown + b"'" in line


def test_json_has_no_control_characters() -> None:
    (line,) = errors_of("--log-format", "json", "--listen", b"\xc2\x9b31m").splitlines()
    assert b"\\u009b31m" in line
