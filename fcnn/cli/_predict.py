"""``fcnn predict``: the classes that a trained model assigns to image files."""

from __future__ import annotations

import argparse
import sys

import numpy as np

from fcnn.cli import _folders
from fcnn.cli._parser import Parser, whole
from fcnn.cli._text import columns, paint, say, say_error
from fcnn.errors import DataError, FcnnError

EXAMPLES = """\
  fcnn predict runs/pets cat.jpg dog.png
  fcnn predict runs/mnist digit.jpg --invert     (dark ink on light paper)
"""


def add(parser: Parser) -> None:
    """Add the arguments."""
    parser.add_argument("run", metavar="RUN", help="the folder of a run")
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="image files")
    parser.add_argument(
        "--top", type=whole(1), default=3, metavar="N", help="how many classes; 3 by default"
    )
    parser.add_argument("--invert", action="store_true", help="exchange dark and light")


def run(given: argparse.Namespace) -> int:
    """Print a line for each image; files that cannot be read are named at the end."""
    from fcnn.data import read_image

    made = _folders.trained(given.run)
    shape, classes = made.settings["shape"], made.settings["classes"]
    if len(shape) != 3 or not classes:
        raise DataError(f"expected a run that tells classes of images apart, got {made.path}")
    width = min(max(map(len, given.images)), columns() // 2)
    bad = False
    for name in given.images:
        try:
            image = read_image(name, size=tuple(shape[:2]), channels=shape[2])
        except (FcnnError, OSError) as error:
            bad = True
            reason = getattr(error, "strerror", None) or str(error)
            say_error("fcnn predict", reason if name in reason else f"{name}: {reason.lower()}")
            continue
        scores = made.model.apply(made.params, (1 - image if given.invert else image)[None])[0]
        chances = np.exp(scores - scores.max())
        chances /= chances.sum()
        order = np.argsort(-chances, kind="stable")[: given.top]
        said = [f"{classes[i]} {chances[i]:.3f}" for i in order]
        short = name if len(name) <= width else "…" + name[1 - width :]
        say("  ".join([short.ljust(width), paint(said[0], "bold"), *said[1:]]))
    sys.stdout.flush()
    return 2 if bad else 0
