"""curl, as a program that goes through the bridge."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

from procs import GUARD, clean_environment

#: A hang guard. Long, because it covers whole transfers.
MAX_TIME = GUARD * 3
COMMAND = ["curl", "-q", "--silent", "--show-error", "--fail", "--max-time", str(MAX_TIME)]


class Result(NamedTuple):
    code: int
    output: bytes
    errors: str


def start_curl(*args: str | Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*COMMAND, *map(str, args)], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env=clean_environment())


def finish_curl(process: subprocess.Popen[bytes]) -> Result:
    output, errors = process.communicate(timeout=MAX_TIME + GUARD)
    return Result(process.returncode, output, errors.decode(errors="replace"))


def curl(*args: str | Path) -> Result:
    return finish_curl(start_curl(*args))
