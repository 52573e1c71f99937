"""The completion scripts, in the shells that they are for."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Callable

import pytest

from procs import GUARD
from shells import complete_bash, complete_fish, complete_zsh, script

Complete = Callable[[str, str, Path], list[str]]
each_shell = pytest.mark.parametrize("complete", [complete_bash, complete_fish],
                                     ids=["bash", "fish"])
PROGRAMS = ["wispsocks", "wispd", "wispcheck"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with nothing in it but what a file option may be completed with."""
    files = tmp_path / "files"
    files.mkdir()
    (files / "settings one.conf").touch()
    (files / "certificates").mkdir()
    return files


@pytest.mark.parametrize("shell, check", [("bash", ["bash", "-n"]), ("zsh", ["zsh", "-n"]),
                                          ("fish", ["fish", "--no-config", "-n"])])
@pytest.mark.parametrize("program", PROGRAMS)
def test_syntax(program: str, shell: str, check: list[str], tmp_path: Path) -> None:
    path = tmp_path / "script"
    path.write_text(script(program, shell))
    result = subprocess.run([*check, path], capture_output=True, text=True, timeout=GUARD,
                            check=False)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("program", PROGRAMS)
def test_shellcheck(program: str, tmp_path: Path) -> None:
    path = tmp_path / "script"
    path.write_text(script(program, "bash"))
    result = subprocess.run(["shellcheck", "-s", "bash", path], capture_output=True, text=True,
                            timeout=GUARD, check=False)
    assert (result.returncode, result.stdout) == (0, "")


@each_shell
@pytest.mark.parametrize("line, offered", [
    ("wispsocks --li", ["--listen"]),
    ("wispsocks --log-format json --con", ["--config", "--congestion", "--connect-timeout"]),
    ("wispd --allow-", ["--allow-loopback", "--allow-private"]),
    ("wispsocks --log-format ", ["json", "text"]),
    ("wispsocks --log-format j", ["json"]),
    ("wispsocks --wisp ", ["1", "2", "auto"]),
    ("wispd --wisp ", ["1", "2"]),
    ("wispd --completion ", ["bash", "fish", "zsh"]),
    ("wispsocks --listen ", []),
    ("wispsocks -l ", []),
    ("wispsocks --max-clients ", []),
    ("wispsocks ", []),
    ("wispsocks --insecure c", []),
])
def test_options_and_choices(complete: Complete, folder: Path, line: str,
                             offered: list[str]) -> None:
    found = complete(line.split()[0], line, folder)
    assert sorted(word for word in found if word not in ("completion/",)) == offered


@pytest.mark.parametrize("line, offered", [
    ("wispsocks --log-format=", ["json", "text"]),
    ("wispsocks --log-format=j", ["json"]),
    ("wispsocks --cacert=cert", ["certificates"]),
])
def test_value_behind_equals_in_bash(folder: Path, line: str, offered: list[str]) -> None:
    assert sorted(complete_bash("wispsocks", line, folder)) == offered


@pytest.mark.parametrize("line, offered", [
    ("wispsocks --log-format=", ["--log-format=json", "--log-format=text"]),
    ("wispsocks --log-format=j", ["--log-format=json"]),
])
def test_value_behind_equals_in_fish(folder: Path, line: str, offered: list[str]) -> None:
    assert sorted(complete_fish("wispsocks", line, folder)) == offered


@pytest.mark.parametrize("option", ["-c", "--config", "--cacert"])
def test_files_in_bash(folder: Path, option: str) -> None:
    for begun, offered in (("set", ["settings one.conf"]), ("cert", ["certificates"])):
        assert complete_bash("wispsocks", f"wispsocks {option} {begun}", folder) == offered


@pytest.mark.parametrize("option", ["-c", "--config", "--cacert"])
def test_files_in_fish(folder: Path, option: str) -> None:
    for begun, offered in (("set", ["settings one.conf"]), ("cert", ["certificates/"])):
        found = complete_fish("wispsocks", f"wispsocks {option} {begun}", folder)
        assert [word.replace("\\", "") for word in found] == offered


@pytest.mark.parametrize("line, completed", [
    ("wispsocks --li", "wispsocks --listen="),
    ("wispsocks --no-such", "wispsocks --no-such"),
    ("wispsocks --log-format=j", "wispsocks --log-format=json "),
    ("wispsocks --log-format j", "wispsocks --log-format json "),
    ("wispsocks --wisp a", "wispsocks --wisp auto "),
    ("wispsocks -c set", "wispsocks -c settings\\ one.conf "),
    ("wispsocks --cacert=cert", "wispsocks --cacert=certificates/"),
    ("wispsocks --listen cert", "wispsocks --listen cert"),
    ("wispsocks cert", "wispsocks cert"),
    ("wispsocks -l 1 -l 2 --li", "wispsocks -l 1 -l 2 --listen="),
    ("wispsocks -c x --conf", "wispsocks -c x --conf"),
    ("wispd --allow-l", "wispd --allow-loopback "),
    ("wispd --completion z", "wispd --completion zsh "),
])
def test_zsh(folder: Path, line: str, completed: str) -> None:
    assert complete_zsh(line.split()[0], line, folder) == completed
