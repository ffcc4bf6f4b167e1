"""What a model's predictions are worth: the caller's metrics, and accuracy where it has a meaning.

Accuracy is reported only where targets are classes: whole-number labels ``(n,)``, or rows of
probabilities ``(n, classes)`` of a data set that names its classes. Regression and multi-label
targets have none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from fcnn import tree
from fcnn._batch import targets_of
from fcnn._typing import Array, Tree
from fcnn.errors import ArgumentError, NonFiniteError

Metric: TypeAlias = Callable[[Tree, Tree], Any]
"""``(prediction, target) -> number``, both of any number of examples."""

_SOME = 256
"""How many examples tell what targets are where they are not in memory."""


def has_classes(data: Any) -> bool:
    """Return whether the targets of a data set are classes."""
    targets = targets_of(data, _SOME)
    if not isinstance(targets, np.ndarray):
        return False
    if targets.dtype.kind in "iu":
        return targets.ndim == 1
    if not data.classes or targets.ndim != 2 or targets.size == 0:
        return False
    sums = targets.sum(axis=1)
    return bool(targets.min() >= 0 and np.abs(sums - 1).max() < 1e-3)  # not several labels a row


def count_correct(prediction: Tree, target: Any) -> int | None:
    """Return how many rows have their largest score at the target's class.

    None if the prediction is not ``(n, classes)`` with two classes or more.

    Raises:
        NonFiniteError: if a score is NaN.
    """
    if not isinstance(prediction, np.ndarray) or prediction.ndim != 2 or prediction.shape[1] < 2:
        return None
    refuse_nan(prediction)
    true = target.argmax(axis=1) if target.ndim == 2 else target
    return int(np.count_nonzero(prediction.argmax(axis=1) == true))


def measure(metrics: Mapping[str, Metric], prediction: Tree, target: Tree) -> dict[str, float]:
    """Return each metric of the predictions.

    Raises:
        NonFiniteError: if a prediction or a metric is NaN.
        ArgumentError: if a metric returns something else than a number.
    """
    if metrics:
        for leaf in tree.leaves(prediction):
            refuse_nan(leaf)
    return {name: _number(name, each(prediction, target)) for name, each in metrics.items()}


def refuse_nan(prediction: Array) -> None:
    """Refuse NaN, which has no place in an order.

    Raises:
        NonFiniteError: with the first example that has one.
    """
    if math.isnan(np.vdot(prediction, prediction)):  # a sum of squares, a fifth of min's time
        first = int(np.argwhere(np.isnan(prediction))[0][0])
        raise NonFiniteError(
            f"expected predictions that are numbers, got NaN for example {first}; "
            f"check that the params and the inputs are finite"
        )


def _number(name: str, value: Any) -> float:
    if isinstance(value, str) or np.ndim(value) != 0:
        found = f"an array of shape {np.shape(value)}" if np.ndim(value) else repr(value)
        raise ArgumentError(
            f"expected a number from metric {name!r}, got {found}; average it in the function"
        )
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ArgumentError(f"expected a number from metric {name!r}, got {value!r}") from None
    if math.isnan(number):
        raise NonFiniteError(f"expected a number from metric {name!r}, got NaN")
    return number
