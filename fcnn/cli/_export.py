"""``fcnn export``: a trained model as ONNX, or as C."""

from __future__ import annotations

import argparse
from pathlib import Path

from fcnn.cli import _folders
from fcnn.cli._parser import Parser, whole
from fcnn.cli._text import say
from fcnn.errors import ArgumentError

EXAMPLES = "  fcnn export runs/mnist digits.onnx\n  fcnn export runs/mnist digits.h\n"


def add(parser: Parser) -> None:
    """Add the arguments."""
    parser.add_argument("run", metavar="RUN", help="the folder of a run")
    parser.add_argument("file", metavar="FILE", help="the file to write: .onnx, or .h for C99")
    parser.add_argument(
        "--opset", type=whole(1), default=17, metavar="N", help="of ONNX; 17 by default"
    )
    parser.add_argument("--channels-first", action="store_true", help="take images as (n, c, h, w)")


def run(given: argparse.Namespace) -> int:
    """Write the file and print its size."""
    from fcnn.export import c, onnx

    path = Path(given.file).expanduser()
    if path.suffix not in (".onnx", ".h"):
        raise ArgumentError(f"expected a file that ends in .onnx or .h, got {given.file!r}")
    made = _folders.trained(given.run)
    model = made.model, made.params, tuple(made.settings["shape"]), path
    options = {
        "class_names": made.settings["classes"] or None,
        "channels_first": given.channels_first,
    }
    if path.suffix == ".h":
        c(*model, **options)
    else:
        onnx(*model, opset=given.opset, **options)
    say(f"{path}: {path.stat().st_size:,} bytes")
    return 0
