"""``fcnn summary``: a model's table."""

from __future__ import annotations

import argparse

from fcnn.cli._parser import Parser, whole
from fcnn.cli._text import say

EXAMPLES = """\
  fcnn summary lenet5
  fcnn summary resnet20 "(32, 32, 3)"
  fcnn summary "fcnn:serial(conv2d(8, 3), relu)" "(28, 28, 1)"
"""


def add(parser: Parser) -> None:
    """Add the arguments."""
    from fcnn.cli._models import NAMES

    parser.add_argument("model", help=f"{', '.join(NAMES)}, or module:name")
    parser.add_argument(
        "shape", nargs="?", default="(28, 28, 1)", help='of one example; "(28, 28, 1)" by default'
    )
    parser.add_argument(
        "--classes", type=whole(1), default=10, metavar="N", help="how many; 10 by default"
    )


def run(given: argparse.Namespace) -> int:
    """Print the table."""
    from fcnn._summary import summary
    from fcnn.cli._models import model_of
    from fcnn.testing._named import read_shape

    shape = read_shape(given.shape)
    table = str(summary(model_of(given.model, shape, given.classes), shape))
    say(*narrowed(table))
    return 0


def narrowed(table: str) -> list[str]:
    """Return the table's lines, the names of layers cut where it is wider than the terminal."""
    from fcnn.cli._text import columns

    lines = table.splitlines()
    excess = max(map(len, lines)) - columns()
    if excess <= 0:
        return lines
    first = lines[0].index("output")
    keep = max(12, first - excess - 1)
    cut = []
    for line in lines:
        name = line[:first].rstrip()
        short = name if len(name) < keep else name[: keep - 2] + "…"
        cut.append(f"{short:<{keep}}{line[first:]}")
    return cut
