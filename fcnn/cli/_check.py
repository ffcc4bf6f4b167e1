"""``fcnn check``: a layer against the laws, as a table."""

from __future__ import annotations

import argparse
import sys

from fcnn.cli._parser import Parser
from fcnn.cli._text import columns

EXAMPLES = """\
  fcnn check mylayers:scale "(28, 28, 1)"
  fcnn check "mylayers:scale(2.0, axis=-1)" "(10,)"
  fcnn check "fcnn:serial(conv2d(8, 3), relu)" "(28, 28, 1)" --skip calls

exit status: 0 if every law holds, 1 if one is broken, 2 for wrong arguments
"""


def add(parser: Parser) -> None:
    """Add the arguments."""
    parser.add_argument("layer", help="module:name of a layer, or module:name(arguments) of one")
    parser.add_argument("shape", help='the shape of one example, such as "(28, 28, 1)"')
    parser.add_argument(
        "--skip",
        metavar="LAW",
        action="append",
        default=[],
        help="leave out a law; may be repeated",
    )


def run(given: argparse.Namespace) -> int:
    """Print the table; return 1 if a law is broken."""
    from fcnn.testing._named import named_layer, read_shape
    from fcnn.testing._table import layer_rows, table

    layer, shape = named_layer(given.layer), read_shape(given.shape)
    rows = layer_rows(layer, shape, skip=given.skip)
    name = given.layer if isinstance(layer, tuple) else repr(layer)
    sys.stdout.write(table(rows, f"{name} on {shape}", columns()) + "\n")
    return int(any(row.problem for row in rows))
