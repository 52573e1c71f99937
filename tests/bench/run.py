#!/usr/bin/env python3
"""What it costs: each figure beside its reference, in one run. README.md explains them.

    tests/bench/run.py [--build DIR] [--rounds N] [--quick] [--record] [--json FILE] [FIGURE ...]
"""

import argparse
import dataclasses
import pathlib
import sys
import time

import beside_bulk
import bulk
import connections
import fat_line
import instructions
import memory
import packets
import report
import round_trips
import wispmark
from rig import ROOT, Result

FIGURES = {
    1: ("price of a byte", bulk.price),
    2: ("throughput", bulk.price),
    3: ("plain ws", bulk.plain),
    4: ("small packets", packets.measure),
    5: ("new connections", connections.measure),
    6: ("round trips", round_trips.measure),
    7: ("keystroke beside bulk", beside_bulk.measure),
    8: ("page beside bulk", beside_bulk.measure),
    9: ("long fat line", fat_line.measure),
    10: ("memory", memory.measure),
    11: ("WispMark's load", wispmark.measure),
    12: ("instructions", instructions.measure),
}


@dataclasses.dataclass
class Options:
    build: pathlib.Path
    rounds: int  # pairs, of which the median counts
    quick: bool  # little of everything: to see that it runs, not what it costs
    record: bool = False  # write anew what figure 12 is compared with


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("figures", type=int, nargs="*", choices=[[], *FIGURES], metavar="FIGURE",
                        help=", ".join(f"{n}: {name}" for n, (name, _) in FIGURES.items()))
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build", help="where the programs were built")
    parser.add_argument("--rounds", type=int, default=5, help="how many pairs the medians are of")
    parser.add_argument("--quick", action="store_true", help="little of everything: whether it runs, not what it costs")
    parser.add_argument("--record", action="store_true", help="keep the instructions of figure 12 in the tree")
    parser.add_argument("--json", type=pathlib.Path, help="write the results there, too")
    args = parser.parse_args()
    options = Options(args.build.resolve(), 1 if args.quick else args.rounds, args.quick, args.record)

    print(f"{report.machine()}; {time.strftime('%Y-%m-%d')}; medians of {options.rounds} rounds\n")
    report.show_heads()
    results: list[Result] = []
    # Some figures come from one measurement.
    for measure in dict.fromkeys(FIGURES[n][1] for n in args.figures or FIGURES):
        for result in measure(options):
            report.show(result)
            results.append(result)
    short = report.finish(results, args.json, rounds=options.rounds)
    return 1 if short and not args.quick else 0


if __name__ == "__main__":
    sys.exit(main())
