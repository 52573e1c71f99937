"""How much of lib/ the unit tests run, by gcov: `make coverage`.

    coverage.py BUILD LINES BRANCHES

BUILD was compiled with --coverage, and its tests have run. Prints a line for each file, and ends
with 1 when the total is below LINES or BRANCHES percent.

A line counts when it has code. Each way that a branch can go counts for itself, as gcov sees them
at -O0: both ways of each comparison of a condition, each case of a switch, loops' ends. Nothing is
left out: neither cases that no value has, nor what macros make that nobody calls. What a header
brings into several objects has run when it has run in one of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

LIB = Path(__file__).resolve().parents[1] / "lib"


@dataclass
class File:
    """What of a source file has run."""

    #: By line: how often.
    lines: dict[int, int] = field(default_factory=dict)
    #: By line, and function, of which a macro may make several in one line: how often each way on
    #: from there was gone.
    branches: dict[tuple[int, str], list[int]] = field(default_factory=dict)

    def add(self, line: dict) -> None:
        number, ways = line["line_number"], [branch["count"] for branch in line["branches"]]
        self.lines[number] = self.lines.get(number, 0) + line["count"]
        known = self.branches.setdefault((number, line.get("function_name", "")), [0] * len(ways))
        known[:] = [a + b for a, b in zip(known, ways, strict=True)]

    def line_counts(self) -> list[int]:
        return list(self.lines.values())

    def branch_counts(self) -> list[int]:
        return [count for ways in self.branches.values() for count in ways]

    def missed(self) -> str:
        """The lines that never ran, and, with a question mark, those that never went each way."""
        partly = {number for (number, _), ways in self.branches.items() if 0 in ways}
        return " ".join(str(number) if count == 0 else f"{number}?"
                        for number, count in sorted(self.lines.items())
                        if count == 0 or number in partly)


def read(build: Path) -> dict[str, File]:
    """All files of lib/ with code, by their names."""
    files: dict[str, File] = {}
    for path in (build / "lib").glob("**/*.gcda"):
        report = subprocess.run(["gcov", "--json-format", "--stdout", "--branch-probabilities",
                                 path.resolve()], cwd=build, check=True, capture_output=True)
        for source in json.loads(report.stdout)["files"]:
            # The names are those that the compiler was given, in the build directory.
            name = (build / source["file"]).resolve()
            for line in source["lines"] if name.is_relative_to(LIB) else []:
                files.setdefault(f"lib/{name.relative_to(LIB)}", File()).add(line)
    if not files:
        sys.exit(f"no tests of lib/ have run in {build}")
    return files


def percent(counts: list[int]) -> float:
    return 100 * sum(count > 0 for count in counts) / len(counts) if counts else 100.0


def main(build: str, least_lines: str, least_branches: str) -> int:
    files = read(Path(build).resolve())
    print(f"{'':18} {'lines':>7} {'branches':>9}  never run, or not each way (?)")
    for name, file in sorted(files.items()):
        print(f"{name:18} {percent(file.line_counts()):5.1f} %"
              f" {percent(file.branch_counts()):7.1f} %  {file.missed()}")
    lines = percent([count for file in files.values() for count in file.line_counts()])
    branches = percent([count for file in files.values() for count in file.branch_counts()])
    print(f"{'lib/':18} {lines:5.1f} % {branches:7.1f} %")
    if lines >= float(least_lines) and branches >= float(least_branches):
        return 0
    print(f"{least_lines} % of the lines and {least_branches} % of the branches have to run")
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
