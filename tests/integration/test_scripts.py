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


def in_shell(commands: str, **environment: str) -> str:
    """What the functions of scripts/packages.sh say, after COMMANDS that put others in place of what they call."""
    done = subprocess.run(["/bin/bash", "-c", f". {REPOSITORY}/scripts/packages.sh\n{commands}"],
                          env=clean_environment() | environment, capture_output=True, text=True,
                          check=True)
    return done.stdout


def test_program_is_not_taken_for_its_library(tmp_path: Path) -> None:
    """OpenSSL's library names itself like its program, which then is missing all the same."""
    (tmp_path / "no-such.pc").write_text("Name: no-such\nDescription: none\nVersion: 1\n")
    said = in_shell("apt_get() { :; }\nneed no-such:program no-such.pc:library other.pc:other",
                    PKG_CONFIG_PATH=str(tmp_path))
    assert said == "installing: program other\n"


def test_programs_of_the_system_are_found_without_their_path() -> None:
    """Users of Debian have no /usr/sbin in theirs."""
    assert in_shell("apt_get() { :; }\nneed nginx:nginx dnsmasq:dnsmasq", PATH="/usr/bin:/bin") == ""


def test_build_of_other_options_is_configured_again(tmp_path: Path) -> None:
    """The demo's build becomes the one of the checks, which the demo then takes as it is."""
    (tmp_path / "configure.ac").touch()
    configure = tmp_path / "configure"
    configure.write_text("""#!/bin/sh
        shift
        printf 'all:\\n\\t@echo built\\nclean:\\n\\t@echo cleaned >&2\\n' >Makefile
        { echo "cat <<'END'"; printf "'%s' " "$@"; echo; echo END; } >config.status
        chmod +x config.status
        echo warning >&2
        """)
    configure.chmod(0o755)
    demo, check = "build tree 2>&1", "build tree --enable-werror 'CC=ccache gcc' 2>&1"
    said = in_shell(f"cd {tmp_path}; {demo}; {demo}; {check}; {check}; {demo}")
    assert said.split() == ["built", "built", "cleaned", "built", "built", "built"]
