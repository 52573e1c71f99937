"""The command line of wispcheck: what it runs, what it prints, how it ends."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Callable, Iterator, NamedTuple

import pytest

import packets
from certs import Authority, Certificate
from checks_manual import groups
from conftest import Start
from credentials import write_secret
from fakeserver import FakeServer
from origin import Service
from packets import Ended
from procs import BUILD, GUARD, Program, clean_environment, in_background, refusing_port
from test_cli import URL, check_failure, check_usage_error, run
from wispservers import TlsWispd, Wispd

NO_CONNECTION = 3
#: Quick ones, of three groups, that wispd passes.
PASSING = "handshake/upgrade,handshake/credit,streams/echo-1"
#: A check that is skipped at a server which asks for no credentials.
SKIPPED = "handshake/wrong-password"


@pytest.fixture(scope="module")
def url(wispd: Wispd) -> str:
    return f"ws://127.0.0.1:{wispd.port}/"


def check(*args: str | Path, code: int = 0) -> str:
    """Run it; what it prints."""
    result = run("wispcheck", *args)
    assert result.returncode == code, result
    assert result.stderr == "", result.stderr
    return result.stdout


def check_json(*args: str | Path, code: int = 0) -> dict:
    """What it says of the server, as JSON."""
    document = json.loads(check("--json", *args, code=code))
    assert document["schema"] == 1
    (server,) = document["servers"]
    return server


def outcomes(server: dict) -> dict[str, str]:
    return {each["name"]: each["outcome"] for each in server["checks"]}


# The command line


@pytest.mark.parametrize("args, named", [
    ([], "URL"),
    ([URL, URL], "--bench"),
    (["http://127.0.0.1/"], "http"),
    (["--no-such-option", URL], "no-such-option"),
    (["--only"], "--only"),
    (["--only", "", URL], "--only"),
    (["--only", "handshake/upgarde", URL], "handshake/upgrade"),
    (["--only", "handshake,stream", URL], "near are streams"),
    (["--skip", "echo1", URL], "streams/echo-1"),
    (["--skip", "handshake,", URL, "--only", "handshake"], "no check is left"),
    (["--only", "xyzzyxyzzy", URL], "--list"),
    (["--only", 300 * "x", URL], "--list"),
    (["--only", "/", URL], "--list"),
    (["--only", "handshake/", URL], "--only"),
    (["--tap", "--json", URL], "--junit"),
    (["--json", "--junit", URL], "--tap"),
    (["--bench", "--tap", URL], "--bench"),
    (["--timeout", "0", URL], "--timeout"),
    (["--timeout", "soon", URL], "--timeout"),
    (["--bench-time", "0", URL], "--bench-time"),
    (["--target", "", URL], "--target"),
    (["--target", "6010", URL], "--target"),
    (["--target", "localhost:0", URL], "--target"),
    (["--target", "localhost:65530", URL], "--target"),
    (["--target", "[::1", URL], "--target"),
    (["--target", "localhost", "--listen", "127.0.0.1", URL], "--target"),
    (["--target", "localhost", "--targets"], "--targets"),
    (["--targets", "--listen", "127.0.0.1:0"], "--listen"),
    (["--listen", "unix:/tmp/socket", URL], "--listen"),
    (["--cert-key", "key.pem", URL], "--cert"),
    (["--header", "no colon", URL], "--header"),
    (["--user", "me", URL], "WISPCHECK_PASSWORD"),
    (["--password-file", "file", URL], "--user"),
    (["--proxy", "socks4://127.0.0.1", URL], "--proxy"),
], ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "")
def test_wrong_usage(args: list[str], named: str) -> None:
    assert named in check_usage_error("wispcheck", *args)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    for options in (["--cacert", missing], ["--key", missing],
                    ["--user", "me", "--password-file", missing]):
        check_failure(str(missing), "wispcheck", *options, URL)


def test_options_from_a_file(url: str, tmp_path: Path) -> None:
    config = tmp_path / "check.conf"
    config.write_text(f"server = {url}\nonly = handshake/upgrade\nonly = handshake/credit\njson\n")
    (server,) = json.loads(check("--config", config))["servers"]
    assert list(outcomes(server)) == ["handshake/upgrade", "handshake/credit"]
    config.write_text(f"server = {url}\nonly = handshake/nothing\n")
    assert f"{config}:2" in check_usage_error("wispcheck", "--config", str(config))


# What is run


def test_list() -> None:
    """Every check belongs to the group that it is named after, and there is no other like it."""
    names = [each.name for group in groups() for each in group.checks]
    assert len(names) == len(set(names)) > 0
    for group in groups():
        assert re.fullmatch(r"[a-z]+", group.name) and group.about
        for each in group.checks:
            assert re.fullmatch(group.name + r"/[a-z0-9-]+", each.name)
            assert each.expected and not each.expected.endswith(".")
            assert each.section
            assert each.expected.isprintable() and each.section.isprintable()


def test_list_of_some() -> None:
    (group,) = groups("--only", "streams", "--skip", "streams/echo-0,streams/echo-1")
    assert group.name == "streams"
    assert not {"streams/echo-0", "streams/echo-1"} & {each.name for each in group.checks}
    (group,) = groups("--only", "streams/echo-0")
    assert [each.name for each in group.checks] == ["streams/echo-0"]


def test_only_and_skip(url: str) -> None:
    run_by = outcomes(check_json("--only", PASSING, url))
    assert run_by == dict.fromkeys(PASSING.split(","), "pass")
    run_by = outcomes(check_json("--only", "handshake/upgrade", "--only", "handshake/credit", url))
    assert list(run_by) == ["handshake/upgrade", "handshake/credit"]
    run_by = outcomes(check_json("--only", PASSING, "--skip", "handshake", url))
    assert list(run_by) == ["streams/echo-1"]


# What is printed


def test_text(url: str) -> None:
    printed = check("--only", PASSING, "--only", SKIPPED, url)
    assert printed.startswith(f"{url}: Wisp v2, credit 128, UDP, confirms streams\n")
    assert re.search(r"^  pass  handshake/upgrade$", printed, re.MULTILINE)
    assert re.search(r"^  skip  handshake/wrong-password: .+$", printed, re.MULTILINE)
    assert re.search(r"^4 checks: 3 passed, 0 failed, 0 warnings, 1 skipped, in ", printed,
                     re.MULTILINE)
    assert printed.isascii() and "\x1b" not in printed
    assert "section" not in printed


def test_verbose_and_quiet(url: str) -> None:
    printed = check("-v", "--only", PASSING, url)
    assert printed.count("        expected  ") == printed.count("        section   ") == 3
    printed = check("-q", "--only", PASSING, url)
    assert "pass  " not in printed and "3 passed" in printed


@pytest.mark.parametrize("env, coloured", [
    ({}, True), ({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False),
], ids=str)
def test_colours(url: str, env: dict[str, str], coloured: bool) -> None:
    """On a terminal; elsewhere, `test_text` has seen none."""
    terminal, end = pty.openpty()
    try:
        clean = {name: value for name, value in clean_environment().items() if name != "NO_COLOR"}
        subprocess.run([BUILD / "cmd/wispcheck/wispcheck", "--only", "handshake/upgrade", url],
                       stdout=end, check=True, timeout=GUARD,
                       env=clean | {"TERM": "xterm"} | env)
        assert (b"\x1b[32mpass\x1b[m" in os.read(terminal, 1 << 16)) == coloured
    finally:
        os.close(terminal)
        os.close(end)


class Tap(NamedTuple):
    plan: int
    tests: dict[str, tuple[bool, str]]  #: whether it is ok, and the directive, by the description
    blocks: int


def parse_tap(text: str) -> Tap:
    """TAP 14, as far as it is used; strict."""
    version, plan, *lines = text.splitlines()
    assert version == "TAP version 14"
    tests, blocks, inside = {}, 0, False
    for line in lines:
        if inside:
            assert line.startswith("  ")
            if line == "  ...":
                inside = False
            else:
                field = re.fullmatch(r'  [a-z]+: (".*")', line)
                assert field and json.loads(field[1]) is not None, line
        elif line == "  ---":
            inside, blocks = True, blocks + 1
        elif not line.startswith("#"):
            test = re.fullmatch(r"(not )?ok (\d+) - ([^#\\]+?)(?: # (SKIP .*))?", line)
            assert test and int(test[2]) == len(tests) + 1, line
            tests[test[3]] = (test[1] is None, test[4] or "")
    assert not inside
    return Tap(int(plan.removeprefix("1..")), tests, blocks)


def test_tap(url: str) -> None:
    tap = parse_tap(check("--tap", "--only", PASSING, "--only", SKIPPED, url))
    assert tap.plan == len(tap.tests) == 4
    assert tap.tests.pop(SKIPPED)[1].startswith("SKIP the server ")
    assert tap.tests == dict.fromkeys(PASSING.split(","), (True, ""))


def test_json(url: str) -> None:
    """Every field that the manual page has."""
    server = check_json("--only", PASSING, "--only", SKIPPED, url)
    assert {name: server[name] for name in server if name not in ("checks", "summary")} == {
        "url": url, "reached": True, "error": None, "version": 2, "credit": 128, "udp": True,
        "confirms": True, "asks_for_credentials": False, "targets": "127.0.0.1",
        "reaches_targets": True, "reaches_udp_targets": True, "note": None, "verdict": "pass"}
    assert server["summary"].pop("seconds") > 0
    assert server["summary"] == {"checks": 4, "passed": 3, "failed": 0, "warned": 0, "skipped": 1}
    for each in server["checks"]:
        assert each["group"] == each["name"].partition("/")[0]
        assert each["expected"] and each["section"] and each["seconds"] >= 0
        assert bool(each["came"]) >= (each["outcome"] == "skip")
        assert set(each) == {"name", "group", "outcome", "expected", "came", "section", "seconds"}


def test_junit(url: str) -> None:
    root = ElementTree.fromstring(check("--junit", "--only", PASSING, "--only", SKIPPED, url))
    assert root.tag == "testsuites"
    (suite,) = root
    for element in (root, suite):
        assert [element.get(name) for name in ("tests", "failures", "errors", "skipped")] == [
            "4", "0", "0", "1"]
    cases = {case.get("name"): case for case in suite.findall("testcase")}
    assert set(cases) == set(PASSING.split(",")) | {SKIPPED}
    assert cases[SKIPPED].find("skipped").get("message")
    assert cases["streams/echo-1"].get("classname") == "wispcheck.streams"


@pytest.mark.parametrize("option", [[], ["--tap"], ["--json"], ["--junit"], ["--list"]],
                         ids=" ".join)
def test_output_that_cannot_be_written(url: str, option: list[str]) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        result = subprocess.run([BUILD / "cmd/wispcheck/wispcheck", *option, url], stdout=full,
                                stderr=subprocess.PIPE, timeout=GUARD, check=False)
    assert result.returncode == 1
    assert b"error: cannot write" in result.stderr


# Servers that are not right


@pytest.fixture
def wrong(fake: FakeServer) -> FakeServer:
    """A server that says nothing at all on its WebSockets."""

    def serve() -> None:
        while True:
            try:
                fake.accept().upgrade()
            except (Ended, OSError):
                return

    in_background(serve)
    return fake


FAILING = ["--timeout", "0.2", "--only", "handshake/v1-first-packet"]


def test_failure(wrong: FakeServer) -> None:
    printed = check(*FAILING, wrong.url, code=1)
    assert re.search(r"^  FAIL  handshake/v1-first-packet\n {8}expected  .+\n {8}came      .+\n"
                     r" {8}section   .+$", printed, re.MULTILINE)
    assert "1 failed" in printed and "failed: handshake/v1-first-packet" in printed


def test_failure_for_programs(wrong: FakeServer) -> None:
    server = check_json(*FAILING, wrong.url, code=1)
    assert (server["verdict"], server["checks"][0]["outcome"]) == ("fail", "fail")
    assert server["note"]
    tap = parse_tap(check("--tap", *FAILING, wrong.url, code=1))
    assert tap.tests == {"handshake/v1-first-packet": (False, "")} and tap.blocks == 1
    root = ElementTree.fromstring(check("--junit", *FAILING, wrong.url, code=1))
    assert root.get("failures") == "1"
    assert "expected: " in root.find(".//failure").text


def test_the_rest_is_skipped_without_a_handshake(wrong: FakeServer) -> None:
    server = check_json("--timeout", "0.2", "--only", "streams", wrong.url, code=1)
    assert set(outcomes(server).values()) == {"skip"}
    assert server["verdict"] == "unknown"


NASTY = b"\x1b[31m\x9b\xff\xef\xbf\xbe]]><&\"\\#\r\n\xc2\x9b2J"


def nasty_server(fake: FakeServer) -> Callable[[], None]:
    def serve() -> None:
        while True:
            try:
                peer = fake.accept()
                if "upgrade" not in peer.headers:
                    peer.answer(NASTY.partition(b"\r")[0].decode("latin-1"))
                    continue
                peer.upgrade()
                peer.send(packets.info(packets.extension(packets.MOTD, NASTY)))
            except (Ended, OSError):
                return

    return serve


@pytest.mark.parametrize("option", ["-v", "--tap", "--json", "--junit"])
def test_nothing_from_the_server_is_printed_as_it_is(fake: FakeServer, option: str) -> None:
    in_background(nasty_server(fake))
    result = subprocess.run([BUILD / "cmd/wispcheck/wispcheck", option, "--only", "handshake",
                             "--timeout", "0.1", fake.url], capture_output=True, timeout=GUARD,
                            check=False, env=clean_environment())
    assert result.returncode == 1
    text = result.stdout.decode()
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\ufffe]", text)
    if option == "--json":
        json.loads(text)
    if option == "--junit":
        ElementTree.fromstring(text)
    if option == "--tap":
        parse_tap(text)


# Servers that ask for something


@pytest.fixture
def guarded(start: Start, tmp_path: Path) -> str:
    users = write_secret(tmp_path / "users", "me:s3cret\n")
    return f"ws://127.0.0.1:{start(Wispd('--user-file', users)).port}/"


def test_credentials_are_missing(guarded: str) -> None:
    server = check_json("--only", PASSING, guarded)
    assert server["asks_for_credentials"] and server["version"] == 2
    assert outcomes(server)["streams/echo-1"] == "skip"
    assert outcomes(server)["handshake/upgrade"] == "pass"
    assert "--user" in server["note"]


def test_credentials_are_not_shown_to_anybody(guarded: str, tmp_path: Path) -> None:
    password = write_secret(tmp_path / "password", "s3cret\n")
    options = ["--only", PASSING, "--user", "me", "--password-file", password]
    assert "--unverified-credentials" in check_json(*options, guarded)["note"]
    server = check_json(*options, "--unverified-credentials", guarded)
    assert set(outcomes(server).values()) == {"pass"}


def test_password_from_the_environment(guarded: str) -> None:
    result = subprocess.run([BUILD / "cmd/wispcheck/wispcheck", "--only", PASSING, "--user", "me",
                             "--unverified-credentials", guarded], capture_output=True, text=True,
                            timeout=GUARD, check=False,
                            env=clean_environment() | {"WISPCHECK_PASSWORD": "s3cret"})
    assert result.returncode == 0 and "3 passed" in result.stdout, result


@pytest.mark.parametrize("options, udp", [((), True), (("--no-udp",), False),
                                          (("--wisp", "1"), True),
                                          (("--wisp", "1", "--no-udp"), False)], ids=str)
def test_what_the_server_is(start: Start, options: tuple[str, ...], udp: bool) -> None:
    port = start(Wispd(*options)).port
    server = check_json("--timeout", "1", "--only", "handshake/upgrade", f"ws://127.0.0.1:{port}/")
    assert (server["version"], server["udp"]) == (1 if "--wisp" in options else 2, udp)
    assert server["reaches_targets"] and server["reaches_udp_targets"] == udp


# The targets


def test_targets_are_not_reached(start: Start) -> None:
    port = start(Wispd(allow=())).port
    server = check_json("--timeout", "1", "--only", PASSING, f"ws://127.0.0.1:{port}/")
    assert outcomes(server) == {"handshake/upgrade": "pass", "handshake/credit": "pass",
                                "streams/echo-1": "skip"}
    assert "--target" in server["note"] and "0x48" in server["note"]


def test_targets_elsewhere(start: Start, url: str) -> None:
    base = 20000 + os.getpid() % 1000 * 9  # below those that the kernel gives to others
    targets = start(Program("wispcheck", "--targets", "--listen", f"127.0.0.1:{base}"))
    assert targets.port == base
    server = check_json("--target", f"127.0.0.1:{base}", "--only", PASSING, url)
    assert set(outcomes(server).values()) == {"pass"}
    assert server["reaches_udp_targets"]
    assert targets.terminate() == 0
    server = check_json("--target", f"127.0.0.1:{base}", "--timeout", "0.5", "--only", PASSING, url)
    assert outcomes(server)["streams/echo-1"] == "skip"


def test_targets_on_another_address(url: str) -> None:
    server = check_json("--listen", "127.0.0.2", "--only", PASSING, url)
    assert server["targets"] == "127.0.0.2"
    assert set(outcomes(server).values()) == {"pass"}


# No connection


@pytest.fixture
def nobody() -> Iterator[str]:
    """Where nobody listens."""
    with refusing_port() as port:
        yield f"ws://127.0.0.1:{port}/"


def check_no_connection(named: str, *args: str | Path) -> None:
    """One error line that says why, and 3."""
    result = run("wispcheck", *args)
    assert result.returncode == NO_CONNECTION, result
    assert result.stdout == ""
    (error,) = result.stderr.splitlines()
    assert error.startswith("error: cannot connect to ") and named in error


def test_nobody_answers(nobody: str) -> None:
    check_no_connection("refused", nobody)


def test_no_connection_for_programs(nobody: str, url: str) -> None:
    result = run("wispcheck", "--json", nobody)
    (server,) = json.loads(result.stdout)["servers"]
    assert result.returncode == NO_CONNECTION and not server["reached"]
    assert server["checks"] == [] and "refused" in server["error"]
    assert set(server) == set(check_json("--only", PASSING, url))
    result = run("wispcheck", "--tap", nobody)
    assert result.returncode == NO_CONNECTION
    assert re.search(r"^Bail out! .*refused", result.stdout, re.MULTILINE)
    result = run("wispcheck", "--junit", nobody)
    assert result.returncode == NO_CONNECTION
    assert "refused" in ElementTree.fromstring(result.stdout).find(".//error").get("message")


def test_silent_server(fake: FakeServer) -> None:
    """It accepts, and says nothing."""
    check_no_connection("", "--timeout", "0.3", fake.url)


def test_no_websocket(wispd: Wispd) -> None:
    check_no_connection("404", f"ws://127.0.0.1:{wispd.port}/elsewhere/")


def test_no_http(start: Start) -> None:
    """Whatever is sent comes back."""
    echo = start(Service(lambda conn: conn.sendall(conn.recv(1 << 16))))
    check_no_connection("does not speak HTTP", f"ws://127.0.0.1:{echo.port}/")


def test_name_that_does_not_resolve() -> None:
    check_no_connection("cannot resolve", "ws://name.invalid/")


def test_certificate(start: Start, authority: Authority, certificate: Certificate) -> None:
    url = start(TlsWispd(certificate)).url
    assert "3 passed" in check("--cacert", authority.cacert, "--only", PASSING, url)
    check_no_connection("certificate", url)
    result = run("wispcheck", "--insecure", "--only", PASSING, url)
    assert result.returncode == 0
    assert result.stderr.startswith("warning: --insecure: ")


def test_wrong_certificate(start: Start, authority: Authority) -> None:
    """It is for another name."""
    url = start(TlsWispd(authority.issue("other", "DNS:other.test"))).url
    check_no_connection("certificate", "--cacert", authority.cacert, url)


# Measurements


def test_bench(url: str, nobody: str) -> None:
    document = json.loads(check("--bench", "--bench-time", "0.02", "--json", url, url))
    assert [each["url"] for each in document["servers"]] == [url, url]
    assert all(each["reached"] and each["figures"] for each in document["servers"])
    assert run("wispcheck", "--bench", "--bench-time", "0.02", nobody).returncode == NO_CONNECTION
