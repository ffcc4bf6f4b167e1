"""The command line: ``python -m fcnn check module:constructor "(28, 28, 1)"``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from fcnn.errors import FcnnError
from fcnn.testing._named import named_layer, read_shape
from fcnn.testing._table import layer_rows, table

EXAMPLES = """\
examples:
  python -m fcnn check mylayers:scale "(28, 28, 1)"
  python -m fcnn check "mylayers:scale(2.0, axis=-1)" "(10,)"
  python -m fcnn check "fcnn:serial(conv2d(8, 3), relu)" "(28, 28, 1)" --skip calls

exit status: 0 if every law holds, 1 if one is broken, 2 for wrong arguments
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m fcnn", description="Tools of fcnn.")
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser(
        "check",
        help="check a layer against the laws of fcnn.testing.check_layer",
        description="Check a layer against the laws of fcnn.testing.check_layer.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    check.add_argument("layer", help="module:name of a layer, or module:name(arguments) of one")
    check.add_argument("shape", help='the shape of one example, such as "(28, 28, 1)"')
    check.add_argument(
        "--skip",
        metavar="LAW",
        action="append",
        default=[],
        help="leave out a law; may be repeated",
    )
    given = parser.parse_args(arguments)
    try:
        layer, shape = named_layer(given.layer), read_shape(given.shape)
        rows = layer_rows(layer, shape, skip=given.skip)
    except FcnnError as error:
        check.error(str(error))
    width = min(80, _columns())
    name = given.layer if isinstance(layer, tuple) else repr(layer)
    sys.stdout.write(table(rows, f"{name} on {shape}", width) + "\n")
    return int(any(row.problem for row in rows))


def _columns() -> int:
    try:
        return max(40, os.get_terminal_size().columns)
    except OSError:
        return 80


if __name__ == "__main__":
    sys.exit(main())
