"""--check: options and files are read, what is wrong with them is said, and nothing is begun."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from certs import Authority, Certificate
from credentials import Key, make_key, write_secret
from procs import BUILD, GUARD, clean_environment, refusing_port
from test_cli import URL, run

GOOD = "options and files are good\n"


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Key:
    return make_key(tmp_path_factory.mktemp("key"), "key")


@pytest.fixture
def users(tmp_path: Path) -> Path:
    return write_secret(tmp_path / "users", "me:s3cret\n")


def check_good(program: str, *options: str | Path) -> None:
    for more, said in ([], GOOD), (["-q"], ""):
        done = run(program, "--check", *options, *more)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", said)


def check_bad(program: str, count: int, *options: str | Path) -> str:
    """It ends with 1, after as many errors, a line each; the lines."""
    done = run(program, "--check", *options)
    assert (done.returncode, done.stdout) == (1, "")
    assert [line[:7] for line in done.stderr.splitlines()] == count * ["error: "]
    assert "s3cret" not in done.stderr
    return done.stderr


def test_wispsocks(users: Path, key: Key, authority: Authority, certificate: Certificate,
                   tmp_path: Path) -> None:
    own = authority.issue("checked", "DNS:client.test")
    own.key.chmod(0o600)
    check_good("wispsocks", URL)
    check_good("wispsocks", URL, "--socks-auth", users, "--user", "me", "--password-file", users,
               "--key", key.private, "--cacert", authority.cacert, "--cert", own.cert,
               "--cert-key", own.key)
    missing = tmp_path / "missing"
    said = check_bad("wispsocks", 3, URL, "--socks-auth", missing, "--key", users, "--cacert",
                     missing)
    assert all(option in said for option in ("--socks-auth", "--key", "--cacert"))
    said = check_bad("wispsocks", 1, URL, "--cert", own.cert, "--cert-key", certificate.key)
    assert "--cert-key" in said


def test_wispd(users: Path, key: Key, certificate: Certificate, tmp_path: Path) -> None:
    certificate.key.chmod(0o600)
    check_good("wispd")
    check_good("wispd", "--user-file", users, "--authorized-keys", key.public, "--cert",
               certificate.cert, "--cert-key", certificate.key)
    missing = tmp_path / "missing"
    said = check_bad("wispd", 3, "--user-file", missing, "--authorized-keys", users, "--cert",
                     missing, "--cert-key", certificate.key)
    assert all(option in said for option in ("--user-file", "--authorized-keys", "--cert"))


@pytest.mark.parametrize("program, more", [("wispsocks", [URL]), ("wispd", [])],
                         ids=["wispsocks", "wispd"])
def test_usage(program: str, more: list[str], tmp_path: Path) -> None:
    """The configuration file is read too: its errors name the line."""
    config = tmp_path / "config"
    config.write_text("max-clients = 10\nmax-clients = many\n")
    for wrong, said in (["--no-such-option"], "no-such-option"), (["-c", str(config)], "config:2"):
        done = run(program, "--check", *wrong, *more)
        assert done.returncode == 2 and said in done.stderr
    assert run("wispsocks", "--check", "-l", "0.0.0.0:0", URL).returncode == 2
    config.write_text("check\nmax-clients = 10\n")
    done = run(program, "-c", str(config), *more)
    assert (done.returncode, done.stderr) == (0, GOOD)


@pytest.mark.parametrize("program, more", [("wispsocks", [URL]), ("wispd", [])],
                         ids=["wispsocks", "wispd"])
def test_nothing_is_opened(program: str, more: list[str], tmp_path: Path) -> None:
    """An address that is in use is no matter, and a socket's file is not made."""
    path = tmp_path / "socket"
    with refusing_port() as port:
        check_good(program, "-l", f"127.0.0.1:{port}", "-l", f"unix:{path}", *more)
    assert not path.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_files_that_the_user_cannot_read(users: Path) -> None:
    """They are read by root now, and by the user after a HUP."""
    done = subprocess.run([BUILD / "cmd/wispd/wispd", "--check", "--user-name", "nobody",
                           "--user-file", users], capture_output=True, text=True, timeout=GUARD,
                          env=clean_environment(), check=False)
    assert done.returncode == 0
    warning, last = done.stderr.splitlines(keepends=True)
    assert warning.startswith("warning: ") and str(users) in warning and last == GOOD
