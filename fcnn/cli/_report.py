"""``fcnn report``: the page of a run."""

from __future__ import annotations

import argparse

from fcnn.cli import _folders, _settings
from fcnn.cli._parser import Parser
from fcnn.cli._text import say

EXAMPLES = "  fcnn report runs/mnist\n"


def add(parser: Parser) -> None:
    """Add the arguments."""
    parser.add_argument("run", metavar="RUN", help="the folder of a run")


def run(given: argparse.Namespace) -> int:
    """Write report.html and print where it is."""
    from fcnn._report import report

    made = _folders.trained(given.run)
    data = _settings.data_of(made.settings).held
    say(str(report(made.path, data, model=made.model, params=made.params)))
    return 0
