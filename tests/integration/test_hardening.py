"""What the compiler and the linker have put into the programs against attacks."""

from __future__ import annotations

import functools
import platform
import re
import subprocess

import pytest

from procs import BUILD, GUARD, is_sanitized

each_program = pytest.mark.parametrize("program", ["wispsocks", "wispd", "wispcheck"])


@functools.cache
def readelf(option: str, program: str, file: str = "") -> str:
    path = BUILD / "cmd" / program / (file or program)
    return subprocess.run(["readelf", "--wide", option, path], capture_output=True, text=True,
                          timeout=GUARD, check=True).stdout


@each_program
def test_position_independent(program: str) -> None:
    assert re.search(r"Type: +DYN", readelf("--file-header", program))


@each_program
def test_relocations_are_read_only(program: str) -> None:
    """All of them, which takes binding at the start."""
    assert "GNU_RELRO" in readelf("--program-headers", program)
    assert re.search(r"FLAGS\).*BIND_NOW", readelf("--dynamic", program))


@each_program
def test_stack_is_not_executable(program: str) -> None:
    (flags,) = re.findall(r"GNU_STACK(?: +0x\w+){5} ([RWE ]+?) +0x", readelf("--program-headers",
                                                                       program))
    assert flags == "RW"


@each_program
def test_nothing_is_writable_and_executable(program: str) -> None:
    flags = re.findall(r"LOAD(?: +0x\w+){5} ([RWE ]+?) +0x", readelf("--program-headers", program))
    assert flags and not any("W" in flag and "E" in flag for flag in flags)


@each_program
def test_stack_protector(program: str) -> None:
    assert "__stack_chk_fail" in readelf("--symbols", program)


@each_program
def test_checked_copies(program: str) -> None:
    """The sanitizers have checks of their own instead."""
    checked = re.search(r"UND __\w+_chk@", readelf("--symbols", program).replace(
        "__stack_chk", ""))
    assert bool(checked) != is_sanitized(program)


@each_program
def test_control_flow(program: str) -> None:
    """Of our own objects: those of the system's libraries need not have it."""
    expected = {"x86_64": "x86 feature: IBT, SHSTK", "aarch64": "AArch64 feature: BTI, PAC"}
    notes = readelf("--notes", program, f"{program}-main.o")
    assert expected.get(platform.machine(), "") in notes
