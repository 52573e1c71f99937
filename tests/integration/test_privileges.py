"""What the programs give up when they have started, and what they can do afterwards."""

from __future__ import annotations

import base64
import grp
import os
import pwd
import re
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Iterator

import pytest

import socks
from bridge import Bridge
from certs import Authority, Certificate
from conftest import Start
from credentials import openssl, write_secret
from origin import Origin
from procs import BUILD, Program, has_landlock, is_sanitized
from test_cli import check_failure
from wispservers import TlsWispd

URL = "ws://127.0.0.1:1/"
#: Each program, and what it needs besides its options.
each_program = pytest.mark.parametrize("program, more", [("wispsocks", [URL]), ("wispd", [])],
                                       ids=["wispsocks", "wispd"])
USER = pwd.getpwnam("nobody")
HERE = "127.0.0.1"
WARNING = "^warning: --user-name nobody: this user cannot read "
#: Nobody listens at URL, and that is said.
UNEXPECTED = "^error|^warning: (?!cannot connect)"

#: Becomes the program, from a descriptor: the user that it runs as need not reach its file.
EXECUTE = "import os, sys; os.execve(int(sys.argv[1]), sys.argv[2:], os.environ)"


def status(process: Program) -> dict[str, list[str]]:
    """What the kernel says of a process."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return {line.partition(":")[0]: line.partition(":")[2].split() for line in lines}


def capabilities(process: Program) -> dict[str, int]:
    return {name: int(value[0], 16) for name, value in status(process).items()
            if name.startswith("Cap")}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that USER owns."""
    path = Path(tempfile.mkdtemp())
    os.chown(path, USER.pw_uid, USER.pw_gid)
    yield path
    shutil.rmtree(path)


def own(path: Path) -> Path:
    os.chown(path, USER.pw_uid, USER.pw_gid)
    return path


# From the start


@each_program
def test_no_new_privileges_and_no_dumps(start: Start, program: str, more: list[str]) -> None:
    process = start(Program(program, "-l", f"{HERE}:0", *more))
    process.addresses()
    assert status(process)["NoNewPrivs"] == ["1"]
    limits = Path(f"/proc/{process.pid}/limits").read_text()
    assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE)


# Another user


@each_program
def test_user_name(start: Start, folder: Path, program: str, more: list[str]) -> None:
    """All of root's rights are gone; the program works, and removes its socket at the end."""
    process = start(Program(program, "-l", f"unix:{folder}/socket", "-l", f"{HERE}:0",
                            "--user-name", USER.pw_name, *more))
    process.addresses(2)
    socks.open_socket(str(folder / "socket")).close()
    process.signal(signal.SIGHUP)
    process.wait_log("^reading credentials")
    now = status(process)
    assert now["Uid"] == [str(USER.pw_uid)] * 4
    assert now["Gid"] == [str(USER.pw_gid)] * 4
    assert set(map(int, now["Groups"])) == set(os.getgrouplist(USER.pw_name, USER.pw_gid))
    assert set(capabilities(process).values()) == {0}
    if not is_sanitized(program):
        owner = os.stat(f"/proc/{process.pid}/environ").st_uid
        assert owner == 0, "the user's other programs can look into it"
    assert process.terminate() == 0
    assert not (folder / "socket").exists()
    assert not process.find_log(f"{UNEXPECTED}|running as root")


def test_transfer_as_another_user(start: Start, origin: Origin, certificate: Certificate,
                                  authority: Authority) -> None:
    server = start(TlsWispd(certificate, "--user-name", USER.pw_name))
    bridge = start(Bridge(server.url, "--cacert", authority.cacert, "--user-name", USER.pw_name))
    bridge.wait_connected()
    program = bridge.dial(HERE, origin.echo.port, b"data")
    assert socks.recv_exactly(program, 4) == b"data"


def test_supplementary_groups(start: Start) -> None:
    """Those of the one who starts it are not kept."""
    others = [entry.gr_gid for entry in grp.getgrall()][:5]
    process = start(Program("wispd", "-l", f"{HERE}:0", "--user-name", USER.pw_name, prefix=(
        "/usr/bin/setpriv", "--groups", ",".join(map(str, others)))))
    process.addresses()
    process.signal(signal.SIGHUP)
    process.wait_log("^reading credentials")
    assert set(map(int, status(process)["Groups"])) == set(
        os.getgrouplist(USER.pw_name, USER.pw_gid))


@each_program
def test_files_that_the_user_cannot_read(start: Start, folder: Path, program: str,
                                         more: list[str]) -> None:
    """It is warned of them at once; later on, what has been read stays."""
    readable = own(write_secret(folder / "readable", "me:secret\n"))
    secret = write_secret(folder / "secret", "me:secret\n")
    option = "--auth" if program == "wispsocks" else "--user-file"
    process = start(Program(program, "-l", f"{HERE}:0", option, secret, "--user-name",
                            USER.pw_name, *more))
    process.wait_log(rf"{WARNING}{secret}: ")
    process.signal(signal.SIGHUP)
    process.wait_log(rf"^error: {option}: cannot use {secret}: ")
    process = start(Program(program, "-l", f"{HERE}:0", option, readable, "--user-name",
                            USER.pw_name, *more))
    process.addresses()
    process.signal(signal.SIGHUP)
    process.wait_log("^reading credentials")
    assert process.terminate() == 0
    assert not process.find_log(UNEXPECTED)


def test_socket_that_the_user_cannot_remove(start: Start, folder: Path) -> None:
    """It is said, and the next start replaces it."""
    os.chown(folder, 0, 0)
    folder.chmod(0o755)
    options = ("-l", f"unix:{folder}/socket", "--user-name", USER.pw_name)
    for _ in range(2):
        process = start(Program("wispd", *options))
        process.addresses()
        assert process.terminate() == 0
        process.wait_log(rf"^warning: cannot remove {folder}/socket: ")


@each_program
@pytest.mark.parametrize("name, said", [("no-such-user", "no such user"), ("root", "root")],
                         ids=["unknown", "root"])
def test_user_that_cannot_be(program: str, more: list[str], name: str, said: str) -> None:
    assert said in check_failure("--user-name", program, "-l", f"{HERE}:0", "--user-name", name,
                                 *more)


def as_user(start: Start, program: str, *args: str, setpriv: tuple[str, ...] = ()) -> Program:
    """A program that USER starts."""
    with open(BUILD / "cmd" / program / program, "rb") as file:
        return start(Program(
            program, *args, pass_fds=(file.fileno(),),
            prefix=("/usr/bin/setpriv", "--reuid", str(USER.pw_uid), "--regid", str(USER.pw_gid),
                    "--clear-groups", *setpriv, sys.executable, "-c", EXECUTE,
                    str(file.fileno()))))


@each_program
def test_not_root(start: Start, program: str, more: list[str]) -> None:
    process = as_user(start, program, "-l", f"{HERE}:0", "--user-name", USER.pw_name, *more)
    assert process.wait_exit() == 1
    (line,) = process.lines
    assert line.startswith(f"error: --user-name {USER.pw_name}: only root ")


@each_program
def test_capabilities_without_root(start: Start, program: str, more: list[str]) -> None:
    """As a service has them for its port: they are gone when it listens."""
    process = as_user(start, program, "-l", f"{HERE}:0", *more, setpriv=(
        "--inh-caps", "+net_bind_service,+chown", "--ambient-caps", "+net_bind_service,+chown"))
    process.addresses()
    process.signal(signal.SIGHUP)
    process.wait_log("^reading credentials")
    left = capabilities(process)
    left.pop("CapBnd")
    assert set(left.values()) == {0}


@each_program
def test_root(start: Start, program: str, more: list[str]) -> None:
    """It is said how not to be."""
    process = start(Program(program, "-l", f"{HERE}:0", *more))
    process.wait_log("^running as root; --user-name")
    assert status(process)["Uid"] == ["0"] * 4


# Files


@pytest.mark.parametrize("user", [[], ["--user-name", USER.pw_name]], ids=["root", "nobody"])
def test_file_in_another_folder(start: Start, folder: Path, user: list[str]) -> None:
    """Where there is Landlock, a link that is turned there later on leads nowhere."""
    files = []
    for name in ("one", "two"):
        (folder / name).mkdir()
        own(folder / name)
        files.append(own(write_secret(folder / name / "users", f"{name}:secret\n")))
    (folder / "links").mkdir()
    link = folder / "links" / "users"
    link.symlink_to(files[0])
    process = start(Program("wispsocks", "-v", "-l", f"{HERE}:0", "--auth", link, *user, URL))
    process.wait_log("^debug: Landlock: " if has_landlock("wispsocks") else "^debug: no Landlock: ")

    def hang_up() -> bool:
        """Whether the file is refused."""
        since = process.mark()
        process.signal(signal.SIGHUP)
        process.wait_log("^reading credentials", since)
        is_taken(process, "nobody")  # which is answered after all that
        return process.find_log(rf"^error: --auth: .*{link}: Permission denied",
                                since) is not None

    assert is_taken(process, "one")
    own(write_secret(folder / "one" / "new", "three:secret\n")).rename(files[0])
    assert not hang_up()
    assert is_taken(process, "three")
    link.unlink()
    link.symlink_to(files[1])
    assert hang_up() == has_landlock("wispsocks")
    assert is_taken(process, "two") != has_landlock("wispsocks")


def is_taken(process: Program, user: str) -> bool:
    with socks.open_socket(process.port) as sock:
        return socks.log_in(sock, user.encode(), b"secret")


def test_trusted_certificates(start: Start, tmp_path: Path, authority: Authority,
                              certificate: Certificate) -> None:
    """OpenSSL looks for the system's when it verifies one."""
    server = start(TlsWispd(certificate))
    name = openssl("x509", "-noout", "-hash", "-in", authority.cacert).decode().strip()
    shutil.copy(authority.cacert, tmp_path / f"{name}.0")
    bridge = start(Bridge(server.url, env={"SSL_CERT_DIR": f"/nonexistent:{tmp_path}"}))
    bridge.wait_connected()


def test_secrets_are_not_logged(start: Start, tmp_path: Path, origin: Origin,
                                authority: Authority, certificate: Certificate) -> None:
    """Not even when everything is, not when they are wrong, and not when they are read again."""
    secrets = {name: f"s3cret-{name}" for name in ("wisp", "socks", "wrong", "token", "later")}
    password = write_secret(tmp_path / "password", f"{secrets['wisp']}\n")
    users = write_secret(tmp_path / "users", f"me:{secrets['wisp']}\nme:{secrets['later']}\n")
    programs = write_secret(tmp_path / "programs", f"program:{secrets['socks']}\n")
    server = start(TlsWispd(certificate, "-vvv", "--user-file", users))
    bridge = start(Bridge(server.url, "-vvv", "--cacert", authority.cacert, "--user", "me",
                          "--password-file", password, "--auth", programs,
                          "--header", f"Authorization: Bearer {secrets['token']}"))
    bridge.wait_connected()
    for secret in (secrets["wrong"], secrets["socks"]):
        program = bridge.connect()
        taken = socks.log_in(program, b"program", secret.encode())
        assert taken == (secret == secrets["socks"])
    program.sendall(socks.request(HERE, origin.echo.port) + b"data")
    assert socks.recv_reply(program).code == socks.SUCCEEDED
    assert socks.recv_exactly(program, 4) == b"data"
    for contents in (secrets["later"], secrets["wrong"]):
        write_secret(password, f"{contents}\n")
        since = bridge.mark()
        bridge.signal(signal.SIGHUP)
        bridge.wait_log("^connected|cannot connect.*password", since)
    assert bridge.log and server.log
    for secret in secrets.values():
        encoded = base64.b64encode(secret.encode()).decode().rstrip("=")
        for shown in (secret, encoded):
            assert shown not in bridge.log + server.log
