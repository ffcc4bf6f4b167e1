"""``fcnn compare``: a table of runs, seeds of one setting in a row."""

from __future__ import annotations

import argparse

from fcnn.cli import _folders
from fcnn.cli._parser import Parser, one_of
from fcnn.cli._tables import fitted
from fcnn.cli._text import say

EXAMPLES = """\
  fcnn compare runs/mnist runs/mnist-2
  fcnn compare runs/sweep
"""


def add(parser: Parser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "runs", metavar="RUN", nargs="+", help="folders of runs, or a folder that holds several"
    )
    parser.add_argument(
        "--metric", metavar="NAME", action="append", help="such as val_loss; may be repeated"
    )
    parser.add_argument(
        "--at",
        type=one_of(("last", "best")),
        default="last",
        help="the last epoch, or the best: that of the least validation loss",
    )


def run(given: argparse.Namespace) -> int:
    """Print mean ± spread over the seeds of each setting, and p of a paired t-test."""
    from pathlib import Path

    from fcnn.runs import compare

    for each in given.runs:
        if not any(Path(each).expanduser().glob("*/config.json")):
            _folders.opened(each)  # or the error says which may be meant
    say(*fitted(compare(given.runs, metrics=given.metric, at=given.at)))
    return 0
