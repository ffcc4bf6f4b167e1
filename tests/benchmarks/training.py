"""Measure fcnn against its peers, and against another checkout of itself.

    python tests/benchmarks/training.py --write tests/benchmarks/RESULTS.md
    python tests/benchmarks/training.py --against ../before --peers none
    python tests/benchmarks/training.py --quick --sections training --networks LeNet-5

Each contestant has a process of its own, and one of them works at a time. Run it with nothing
else running: PyTorch with two threads becomes ten times slower beside a third process.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import sys
from pathlib import Path

from _bench import Bench
from _layer_cells import NAMES, layers
from _measure import Effort
from _networks import WORKLOADS
from _process import LIBRARIES, Field
from _report import Report, header
from _resources import imports, memory
from _scaling import growth, overhead, shards, workers
from _timing import inference, jit, training

import fcnn

SECTIONS = {
    each.__name__: each
    for each in (
        *(training, inference, memory, imports, layers, jit),
        *(workers, shards, overhead, growth),
    )
}
WORKERS = [n for n in (1, 2, 4, 8, 16) if n <= max(2, os.cpu_count() or 1)]
USUAL = ("training", "inference", "memory", "imports", "layers")
INTRODUCTION = [
    "# Benchmark",
    "",
    "Written by `tests/benchmarks/training.py`, whose first lines say how to run it. A ratio",
    "below 1 means that fcnn takes less time or memory.",
    "",
]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])

    def names(known: tuple[str, ...]) -> object:
        def parse(text: str) -> list[str]:
            chosen = [] if text == "none" else text.split(",")
            for each in chosen:
                if each not in known:
                    raise argparse.ArgumentTypeError(f"expected {', '.join(known)}, got {each}")
            return chosen

        return parse

    add = parser.add_argument
    add("--sections", type=names((*SECTIONS,)), default=list(USUAL), help=", ".join(SECTIONS))
    add("--networks", type=names((*WORKLOADS,)), default=list(WORKLOADS), help="comma-separated")
    add("--cells", type=names((*NAMES,)), default=NAMES, help="of the section layers")
    add("--batches", type=counts, help="such as 1,64")
    add("--workers", type=counts, default=WORKERS, help="such as 1,2,4; of some sections")
    add("--peers", type=names((*LIBRARIES,)), default=list(LIBRARIES), help="or none")
    add("--against", type=checkout, metavar="FOLDER", help="another checkout of fcnn")
    add("--rounds", type=int, default=11, help="11 by default")
    add("--seconds", type=float, default=0.15, help="of a contestant in a round")
    add("--processes", type=int, default=1, help="of each contestant; they share the rounds")
    add("--quick", action="store_true", help="3 short rounds")
    add("--write", type=Path, metavar="FILE", help="write the tables there")
    add("--json", type=Path, metavar="FILE", help="write all times there, round by round")
    return parser.parse_args()


def counts(text: str) -> list[int]:
    return [int(n) for n in text.split(",")]


def checkout(text: str) -> Path:
    folder = Path(text).resolve()
    if not (folder / "fcnn" / "__init__.py").exists():
        raise argparse.ArgumentTypeError(f"expected a folder with fcnn/__init__.py, got {text}")
    return folder


def command() -> str:
    """Return the command line, with the last parts alone of absolute paths."""
    words = [Path(word).name if Path(word).is_absolute() else word for word in sys.argv[1:]]
    return shlex.join(["python", "tests/benchmarks/training.py", *words])


def main() -> None:
    args = arguments()
    effort = Effort(3, 0.05) if args.quick else Effort(args.rounds, args.seconds, args.processes)
    own, report = Path(fcnn.__file__).resolve().parents[1], Report()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the children are ended
    report.say(*INTRODUCTION, *header(effort, own, args.against, command()))
    with Field() as field:
        chosen = args.networks, args.batches, args.cells, args.workers
        settings = args.against, args.peers, *chosen
        bench = Bench(field, report, effort, own, *settings)
        try:
            for section in args.sections:
                SECTIONS[section](bench)
        finally:  # keep what was measured, however the run ends
            if missing := field.missing():
                report.say("", "Left out:", "", *(f"- {each}" for each in missing))
            if args.write:
                report.write(args.write)
            if args.json:
                args.json.write_text(json.dumps(bench.raw, indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("stopped")
