#!/usr/bin/env python3
"""Load and soak: whether wispsocks and wispd are at the end as they were at the start. README.md explains it.

    scripts/soak BUILD-DIRECTORY [--minutes M] [--seed N] [--json FILE] [PART ...]
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
import traceback
from pathlib import Path

import new_connections
import report
import streams
import transfers
from options import Options
from rig import Result

#: What is measured, and its share of the time.
PARTS = {
    "streams": (streams.measure, streams.PART, 1),
    "connections": (new_connections.measure, new_connections.PART, 1),
    "transfers": (transfers.measure, transfers.PART, 4),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--minutes", type=float, default=60, help="how long the load lasts, of all parts together")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32), help="of what is chosen at random")
    parser.add_argument("--json", type=Path, help="write the results there, too")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))

    names = args.parts or list(PARTS)
    whole = sum(PARTS[name][2] for name in names)
    print(f"{report.machine()}; {time.strftime('%Y-%m-%d')}; {args.minutes:g} minutes; seed {args.seed}\n")
    report.show_heads()
    results: list[Result] = []
    for name in names:
        measure, part, share = PARTS[name]
        try:
            for result in measure(Options(args.minutes * 60 * share / whole, args.seed)):
                report.show(result)
                results.append(result)
        except Exception:  # the other parts are to be seen all the same
            traceback.print_exc()
            results.append(Result(part, "errors", 1, "", 0))
            report.show(results[-1])
    return 1 if report.finish(results, args.json, minutes=args.minutes, seed=args.seed) else 0


if __name__ == "__main__":
    sys.exit(main())
