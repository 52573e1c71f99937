"""wispcheck, run to its end, and what it found."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import NamedTuple

from procs import BUILD, GUARD, SANITIZER_REPORT, clean_environment

PROGRAM = BUILD / "cmd/wispcheck/wispcheck"

PASSED, FAILED, WRONG_USAGE, NO_CONNECTION = 0, 1, 2, 3
#: Seconds of each of its waits, where a test does not want to wait for long.
SHORT = 0.5


class Run(NamedTuple):
    code: int
    outcomes: dict[str, str]  #: "pass", "fail", "warn" or "skip", by the names of the checks
    came: dict[str, str]  #: what came instead
    errors: str

    def having(self, *outcomes: str) -> dict[str, str]:
        """The checks with these outcomes, and what came."""
        return {name: self.came[name] for name, outcome in self.outcomes.items()
                if outcome in outcomes}


def run_program(*args: str | Path, env: dict[str, str] | None = None,
                timeout: float = GUARD) -> subprocess.CompletedProcess[str]:
    assert PROGRAM.exists(), f"{PROGRAM} is missing: build it, or set WISP_BUILD"
    done = subprocess.run([PROGRAM, *args], capture_output=True, text=True, errors="replace",
                          timeout=timeout, env=clean_environment() | (env or {}), check=False,
                          stdin=subprocess.DEVNULL)
    assert done.returncode >= 0, f"died of signal {-done.returncode}:\n{done.stderr}"
    assert not SANITIZER_REPORT.search(done.stderr), done.stderr
    return done


def check(url: str, *options: str | Path, env: dict[str, str] | None = None,
          timeout: float = GUARD) -> Run:
    """Check the server at URL."""
    done = run_program("--json", *options, url, env=env, timeout=timeout)
    outcomes, came = {}, {}
    if done.stdout:
        (server,) = json.loads(done.stdout)["servers"]
        for each in server["checks"]:
            outcomes[each["name"]] = each["outcome"]
            came[each["name"]] = each["came"] or ""
    return Run(done.returncode, outcomes, came, done.stderr)


def names() -> list[str]:
    """Every check's."""
    return [word for line in run_program("--list").stdout.splitlines()
            for word in line.split()[:1] if "/" in word]
