"""What the example scripts share: their command line, their recipes and their last lines."""

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
    """How to train what: everything but the data and the seed.

    Attributes:
        model: the network.
        loss: what training makes small.
        optimizer: made for the number of steps of the whole run, so that a schedule can
            end with it.
        epochs: how often training goes through the data.
        batch_size: how many examples a step sees; one at a time is the articles' way.
        quick: how many epochs the option ``--quick`` makes of it.
    """

    model: fcnn.Layer
    loss: Loss
    optimizer: Callable[[int], Optimizer]
    epochs: int
    batch_size: int = 1
    quick: int = 1


def options(doc: str, recipes: tuple[str, ...] = ("article", "tuned")) -> argparse.ArgumentParser:
    """The command line that all scripts have; ``doc`` is the script's own docstring."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    if recipes:
        add("--recipe", choices=recipes, default="tuned", help="tuned if not said")
    add("--epochs", type=int, metavar="N", help="the recipe's if not said")
    add("--seed", type=int, default=0, metavar="N", help="0 if not said")
    add("--quick", action="store_true", help="a few seconds, to see that it runs")
    return parser


def one_cycle(peak: float, steps: int) -> Schedule:
    """A rate that goes up to ``peak`` in a sixth of the run, and down to zero in the rest."""
    return warmup(max(1, steps // 6), cosine(peak, steps - steps // 6))


def learn(recipe: Recipe, train: Dataset, args: argparse.Namespace, **settings: Any) -> Run:
    """Train as the recipe says, unless ``args`` say otherwise; prints a line an epoch."""
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
    """The class that the network finds the likeliest, for each image."""
    return fcnn.predict(recipe.model, run.params, data.inputs).argmax(axis=1)


def score(recipe: Recipe, run: Run, data: Dataset) -> Evaluation:
    """The loss and the accuracy on ``data``; prints as ``0.9712 (9712/10000)``."""
    return fcnn.evaluate(recipe.model, recipe.loss, run.params, data)


def print_pairs(recipe: Recipe, run: Run, data: Dataset) -> None:
    """What the network says of each image and what it is, as articles 000 and 001 print it."""
    for guess, label in zip(guesses(recipe, run, data), data.targets, strict=True):
        print(f"pred: {guess}, true: {label.argmax() if label.ndim else label}")


def report(recipe: Recipe, run: Run, article: Dataset, test: Dataset) -> None:
    """The accuracy on the article's own test slice, and on the largest test set at hand."""
    print(f"accuracy on the article's {len(article)} test images: {score(recipe, run, article)}")
    print(f"test accuracy: {score(recipe, run, test)}")
