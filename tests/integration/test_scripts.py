"""What the scripts share: the packages that are missing, and the package system that is busy."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path
from typing import Iterator, TextIO

import pytest

from procs import REPOSITORY, Process, clean_environment

#: A package that every Debian has, so that asking for it changes nothing.
PACKAGE = "bash"
NEED = f". {REPOSITORY}/scripts/packages.sh; need no-such-command:{PACKAGE}"


@pytest.fixture
def apt(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of an apt-get whose state, with its locks, is a copy of the system's."""
    for folder in ("lists/partial", "cache/archives/partial", "dpkg", "bin", "parts"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy("/var/lib/dpkg/status", tmp_path / "dpkg/status")
    (tmp_path / "sources.list").touch()
    config = tmp_path / "apt.conf"
    config.write_text(f"""
        Dir::State::Lists "{tmp_path}/lists";
        Dir::State::status "{tmp_path}/dpkg/status";
        Dir::State::extended_states "{tmp_path}/dpkg/extended_states";
        Dir::Cache "{tmp_path}/cache";
        Dir::Etc::SourceList "{tmp_path}/sources.list";
        Dir::Etc::SourceParts "{tmp_path}/parts";
        APT::Sandbox::User "";
        """)
    sudo = tmp_path / "bin/sudo"
    sudo.write_text('#!/bin/sh\nexec "$@"\n')
    sudo.chmod(0o755)
    yield clean_environment() | {"APT_CONFIG": str(config),
                                 "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}


def hold(path: Path) -> TextIO:
    """Take a lock as apt takes it; closing the file gives it back."""
    file = path.open("w", encoding="ascii")
    fcntl.lockf(file, fcntl.LOCK_EX)
    return file


@pytest.mark.parametrize("lock", ["lists/lock", "dpkg/lock-frontend", "cache/archives/lock"])
def test_busy_package_system_is_waited_for(apt: dict[str, str], tmp_path: Path,
                                           lock: str) -> None:
    """Whichever of its locks another program holds, as long as that has it."""
    holder = hold(tmp_path / lock)
    with Process(["/bin/bash", "-c", NEED], apt) as script:
        script.wait_log("^another program holds a lock")
        assert script.alive
        holder.close()
        assert script.wait_exit() == 0, script.log
        assert script.log.count("another program") == 1


def test_wait_for_the_package_system_has_an_end(apt: dict[str, str], tmp_path: Path) -> None:
    with hold(tmp_path / "dpkg/lock-frontend"):
        done = subprocess.run(["/bin/bash", "-c", NEED], env=apt | {"APT_WAIT_SECONDS": "1"},
                              capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "is another process using it" in done.stderr


def test_package_that_does_not_exist(apt: dict[str, str]) -> None:
    """It is not waited for, and apt's own words say why."""
    done = subprocess.run(["/bin/bash", "-c", NEED + "-which-is-not-there"], env=apt,
                          capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "Unable to locate package" in done.stderr
