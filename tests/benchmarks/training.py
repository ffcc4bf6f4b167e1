"""fcnn against its peers: ratios, each measured in this run.

    python tests/benchmarks/training.py                   everything
    python tests/benchmarks/training.py --quick           few and short rounds: a try
    python tests/benchmarks/training.py --only training --only LeNet-5

Each contestant has a process of its own, and one of them works at a time. Run it with
nothing else running: PyTorch with two threads suffers most from a third process.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from _contestants import Effort, Field
from _networks import WORKLOADS
from _report import header
from _sections import SECTIONS, Bench


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="3 short rounds")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        choices=(*SECTIONS, *WORKLOADS),
        metavar="NAME",
        help=f"section or workload, repeatable: {', '.join((*SECTIONS, *WORKLOADS))}",
    )
    parser.add_argument("--peers", default="fcnn,torch,jax,articles", help="which take part")
    parser.add_argument("--json", metavar="FILE", help="write all times there, round by round")
    args = parser.parse_args()
    effort = Effort(3, 0.05) if args.quick else Effort(args.rounds, 0.2)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the children are ended
    above = header(effort)
    print("\n".join(above))
    with Field() as field:
        bench = Bench(field, effort, args.peers.split(","), args.only)
        try:
            for section in [s for s in SECTIONS if s in args.only] or SECTIONS:
                getattr(bench, section)()
        finally:  # what was measured is worth keeping, however the run ends
            if missing := field.missing():
                print("\nLeft out:", *missing, sep="\n- ")
            if args.json:
                found = json.dumps({"above": above, **bench.raw}, indent=1)
                Path(args.json).write_text(found + "\n")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("stopped")
