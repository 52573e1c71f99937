"""The table of results, for people and for programs."""

import dataclasses
import json
import os
import pathlib
import platform
import time

from rig import Result


def machine() -> str:
    model = ""
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return f"{model or platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}"


def verdict(result: Result) -> str:
    if result.bound is None:
        return ""
    return "reached" if result.reached else "NOT REACHED"


def show_heads() -> None:
    print(f" #  {'figure':34} {'value':>9} {'':10} {'to reach':9}")


def show(result: Result) -> None:
    bound = "" if result.bound is None else f"{'≥' if result.at_least else '≤'} {result.bound:g}"
    value = f"{result.value:,.0f}" if abs(result.value) >= 100 else f"{result.value:.3g}"
    print(f"{result.figure:2}  {result.name:34} {value:>9} {result.unit:10} {bound:9} {verdict(result):12} "
          f"{result.shown}", flush=True)


def finish(results: list[Result], path: pathlib.Path | None, **more: object) -> int:
    """Say what falls short, and write everything to a file for programs; returns how many fall short."""
    short = [result for result in results if not result.reached]
    print(f"\n{len(short)} fall short" + "".join(f"\n  {r.figure}  {r.name}" for r in short), flush=True)
    if path:
        path.write_text(json.dumps(
            {"machine": machine(), "date": time.strftime("%Y-%m-%d")} | more |
            {"results": [dataclasses.asdict(r) | {"reached": r.reached} for r in results]}, indent=1) + "\n")
    return len(short)
