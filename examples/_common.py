"""What the example scripts share: command line, recipes, training and the last lines."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import attrs
import numpy as np

import fcnn
from fcnn.data import Dataset
from fcnn.losses import Loss
from fcnn.optim import Optimizer, Schedule, cosine, warmup
from fcnn.train import Evaluation, Run


@attrs.frozen
class Recipe:
    """A model and how to train it: everything but the data and the seed.

    Attributes:
        model: the network.
        loss: what training minimises.
        optimizer: called with the number of steps of the whole run, for schedules.
        epochs: the number of passes over the data.
        batch_size: the number of examples in a batch; the articles use one.
        quick: the number of epochs with the option ``--quick``.
    """

    model: fcnn.Layer
    loss: Loss
    optimizer: Callable[[int], Optimizer]
    epochs: int
    batch_size: int = 1
    quick: int = 1


def options(doc: str, recipes: tuple[str, ...] = ("article", "tuned")) -> argparse.ArgumentParser:
    """Return the command line that all scripts have; ``doc`` is the script's docstring."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    if recipes:
        add("--recipe", choices=recipes, default="tuned", help="tuned by default")
    add("--epochs", type=int, metavar="N", help="the recipe's by default")
    add("--seed", type=int, default=0, metavar="N", help="0 by default")
    add("--quick", action="store_true", help="a few seconds, to see that it runs")
    return parser


def one_cycle(peak: float, steps: int) -> Schedule:
    """Return a schedule that rises to ``peak`` in a sixth of the run and falls to zero after it."""
    return warmup(max(1, steps // 6), cosine(peak, steps - steps // 6))


def learn(recipe: Recipe, train: Dataset, args: argparse.Namespace, **settings: Any) -> Run:
    """Train by a recipe, with the epochs and seed of ``args``; print a line an epoch."""
    if args.quick:
        train = train[:1000]
    epochs = args.epochs or (recipe.quick if args.quick else recipe.epochs)
    steps = epochs * -(-len(train) // recipe.batch_size)
    return fcnn.fit(
        recipe.model,
        recipe.loss,
        recipe.optimizer(steps),
        train,
        key=fcnn.key(args.seed),
        epochs=epochs,
        batch_size=recipe.batch_size,
        **settings,
    )


def guesses(recipe: Recipe, run: Run, data: Dataset) -> np.ndarray:
    """Return the most likely class of each image."""
    return fcnn.predict(recipe.model, run.params, data.inputs).argmax(axis=1)


def score(recipe: Recipe, run: Run, data: Dataset) -> Evaluation:
    """Return the loss and the accuracy on ``data``; prints as ``0.9712 (9712/10000)``."""
    return fcnn.evaluate(recipe.model, recipe.loss, run.params, data)


def print_pairs(recipe: Recipe, run: Run, data: Dataset) -> None:
    """Print each image's predicted and true class, as articles 000 and 001 do."""
    for guess, label in zip(guesses(recipe, run, data), data.targets, strict=True):
        print(f"pred: {guess}, true: {label.argmax() if label.ndim else label}")


def report(recipe: Recipe, run: Run, article: Dataset, test: Dataset) -> None:
    """Print the accuracy on the article's own test slice and on the largest test set at hand."""
    print(f"accuracy on the article's {len(article)} test images: {score(recipe, run, article)}")
    print(f"test accuracy: {score(recipe, run, test)}")
