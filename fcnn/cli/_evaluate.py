"""``fcnn evaluate``: how good a trained model is, and on which classes."""

from __future__ import annotations

import argparse

import numpy as np

from fcnn.cli import _folders, _settings
from fcnn.cli._parser import Parser
from fcnn.cli._text import paint, say, tabulated
from fcnn.errors import DataError

EXAMPLES = """\
  fcnn evaluate runs/mnist
  fcnn evaluate runs/pets --data other-pets
"""
SHOWN = 20


def add(parser: Parser) -> None:
    """Add the arguments."""
    parser.add_argument("run", metavar="RUN", help="the folder of a run")
    parser.add_argument(
        "--data",
        metavar="NAME|FOLDER|FILE",
        help="other data than the run's; their test or validation part is used",
    )


def run(given: argparse.Namespace) -> int:
    """Print loss, accuracy, and precision and recall of each class."""
    from fcnn import metrics
    from fcnn._evaluate import evaluate, predict
    from fcnn.losses import mean_squared_error, softmax_cross_entropy

    made = _folders.trained(given.run)
    sets = _settings.data_of(made.settings, given.data)
    if list(sets.shape) != made.settings["shape"]:
        raise DataError(f"expected examples of {tuple(made.settings['shape'])}, got {sets.shape}")
    loss = softmax_cross_entropy if sets.is_classes else mean_squared_error
    found = evaluate(made.model, loss, made.params, sets.held)
    say(f"{sets.about}, {sets.held_name}: {paint(str(found), 'bold')}, loss {found.loss:.4f}"
        if sets.is_classes else f"{sets.about}, {sets.held_name}: {found}")  # fmt: skip
    if not sets.is_classes:
        return 0
    guesses = predict(made.model, made.params, sets.held.inputs).argmax(axis=1)
    counts = metrics.confusion_matrix(guesses, sets.held.targets, len(sets.held.classes))
    rows = [("class", "examples", "right", "precision", "recall", "taken for")]
    for i, name in enumerate(sets.held.classes[:SHOWN]):
        right, n, said = counts[i, i], counts[i].sum(), counts[:, i].sum()
        wrong = np.where(np.arange(len(counts)) == i, 0, counts[i])
        other = f"{sets.held.classes[wrong.argmax()]} ({wrong.max()})" if wrong.any() else ""
        rows.append((name, f"{n}", f"{right}", _part(right, said), _part(right, n), other))
    say("", *tabulated(rows).splitlines())
    left = len(sets.held.classes) - SHOWN
    if left > 0:
        say(f"and {left} classes more")
    return 0


def _part(right: int, of: int) -> str:
    return f"{right / of:.4f}" if of else "–"
