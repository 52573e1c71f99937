"""Passwords that a person or a server wrote where something is wrong: no error and no log line repeats them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Callable

import pytest

from bridge import Bridge
from fakeserver import FakeServer
from procs import BUILD, GUARD, clean_environment
from test_cli import URL, check_usage_error

SECRET = "s3cret"

#: URLs with a password, each of them wrong for every option that takes one.
MISTYPED = [
    "wss://user:s3cret@host/",
    "wss://s3cret@host/",
    "wss://user:s3cret",
    "wss://user:s3cret/",
    "WSS://user:pass@s3cret@host/",
    "wss://user:pa/s3cret@host/",
    "wss://user:s3cret@host:99999/",
    "wss://user:s3cret@",
    "wss:/user:s3cret@host/",
    "wss//user:s3cret@host/",
    "//user:s3cret@host",
    "user:s3cret@host",
    "https://user:s3cret@host/",
    "socks5h://user:s3cret@[::1/",
    "http://user:%s3cret@host",
    "http://user:s3cret%00@host",
    "http://user:s3cret@host/path",
    "http://user:s3cret@" + 300 * "h",
]
every_url = pytest.mark.parametrize("url", MISTYPED, ids=lambda url: url[:30])


@every_url
@pytest.mark.parametrize("program", ["wispsocks", "wispcheck"])
@pytest.mark.parametrize("options", [[], ["--server"], ["--proxy"]], ids=str)
def test_url_on_the_command_line(program: str, options: list[str], url: str) -> None:
    assert SECRET not in check_usage_error(program, *options, url, *([URL] if options else []))


@every_url
@pytest.mark.parametrize("line", ["server = {}", "proxy = {}", "idle-timeout = {}", "insecure = {}",
                                  "wisp = {}", "verbose = {}", "proxy {}", "proxy: {}", "{}",
                                  "proxi = {}", "listen = {}"])
def test_url_in_a_file(tmp_path: Path, line: str, url: str) -> None:
    """The error names the line."""
    file = tmp_path / "way.conf"
    file.write_text("\n" + line.format(url) + "\n")
    error = check_usage_error("wispsocks", "--config", str(file), URL)
    assert f"{file}:2: " in error
    assert SECRET not in error


@pytest.mark.parametrize("args", [
    ["--proxi=http://user:s3cret@host", URL],
    ["--c=http://user:s3cret@host", URL],
    ["--insecure=s3cret@x", URL],
    [URL, "http://user:s3cret@host"],
    [URL, "Authorization: s3cret"],
    ["Authorization: s3cret"],
    ["--header", "Upgrade: s3cret", URL],
    ["--header", "Authorization s3cret", URL],
    ["--header", "s3cret", URL],
    ["--listen", "user:s3cret@127.0.0.1:1080", URL],
    ["--log-format", "http://user:s3cret@host", URL],
], ids=" ".join)
def test_other_arguments(args: list[str]) -> None:
    assert SECRET not in check_usage_error("wispsocks", *args)


@pytest.mark.parametrize("location", [
    "http://user:s3cret@127.0.0.1/", "http://s3cret@127.0.0.1/", "//user:s3cret@127.0.0.1/",
    "https://user:s3cret@127.0.0.1/", "http://user:s3cret@[::1/", "http://user:s3cret@127.0.0.1:0/",
])
def test_redirect(fake: FakeServer, location: str, wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(fake.url, "-v", "-v")
    fake.accept().answer("302 Found", f"Location: {location}")
    assert bridge.wait_exit() == 1
    bridge.wait_log(r"^error: .*@.*302")
    assert SECRET not in bridge.log


@pytest.mark.parametrize("options, env", [
    (["--proxy", "http://user:s3cret@127.0.0.1:1"], {}),
    (["-H", "Authorization: s3cret"], {}),
    ([], {"all_proxy": "https://user:s3cret@127.0.0.1:1"}),
    ([], {"all_proxy": "socks5h://user:s3cret@127.0.0.1:1080"}),
], ids=str)
def test_check(options: list[str], env: dict[str, str]) -> None:
    done = subprocess.run([BUILD / "cmd/wispsocks/wispsocks", "--check", *options, URL],
                          env=clean_environment() | env, capture_output=True, text=True,
                          timeout=GUARD, check=False)
    assert done.returncode == 0, done
    assert SECRET not in done.stdout + done.stderr


def test_what_is_wrong_is_said() -> None:
    """All but the secret, so that the place can be found."""
    assert "'wss://***@host/'" in check_usage_error("wispsocks", "wss://user:s3cret@host/")
    assert "'wss://user:***'" in check_usage_error("wispsocks", "wss://user:s3cret")
    assert "'--proxi'" in check_usage_error("wispsocks", "--proxi=x", URL)


# An empty value


@pytest.mark.parametrize("program, option", [
    ("wispsocks", "listen"), ("wispsocks", "user"), ("wispsocks", "cacert"),
    ("wispsocks", "header"), ("wispsocks", "server"), ("wispsocks", "idle-timeout"),
    ("wispsocks", "wisp"), ("wispsocks", "insecure"), ("wispsocks", "user-name"),
    ("wispd", "path"), ("wispd", "user-file"), ("wispd", "cert"), ("wispcheck", "target"),
])
def test_empty_value(tmp_path: Path, program: str, option: str) -> None:
    """Where it has no meaning it is an error, on the command line as in a file."""
    file = tmp_path / "empty.conf"
    file.write_text(f"{option} =\n")
    more = [] if program == "wispd" else [URL]
    assert f"{file}:1: {option}: the value is empty" in check_usage_error(
        program, "--config", str(file), *more)
    if option != "insecure":
        assert f"--{option}: the value is empty" in check_usage_error(
            program, f"--{option}", "", *more)


def test_empty_proxy_in_a_file(fake: FakeServer, tmp_path: Path,
                               wispsocks: Callable[..., Bridge]) -> None:
    """It is for no proxy, whatever the environment says; and the command line wins over it."""
    file = tmp_path / "direct.conf"
    file.write_text("proxy =\n")
    bridge = wispsocks(fake.url, "--config", file, env={"http_proxy": "http://127.0.0.1:1"})
    fake.accept_open()
    bridge.wait_connected()

    file.write_text("proxy = http://127.0.0.1:1\n")
    bridge = wispsocks(fake.url, "--config", file, "--proxy", "")
    fake.accept_open()
    bridge.wait_connected()
