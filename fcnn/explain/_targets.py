"""Which output is explained, and its gradient."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from fcnn import _doors
from fcnn._layer import Layer
from fcnn._typing import Array, IntArray, Tree
from fcnn.errors import ArgumentError, ShapeError

Target: TypeAlias = int | tuple[Any, ...] | IntArray | None
"""A class, an index into an example's output, a class for each example, or the highest score."""


def check(model: Layer, params: Tree, x: Tree) -> None:
    """Refuse what is no model, params or batch."""
    _doors.check_model(model)
    _doors.check_bare(params)
    _doors.check_inputs(x)


def resolved(target: Target, y: Array) -> Target:
    """Return a target that does not depend on the scores: their highest, if it is None.

    Raises:
        ArgumentError: if it is no target of these scores.
    """
    if not isinstance(y, np.ndarray):
        raise ArgumentError(f"expected a model of one output array, got {type(y).__name__}")
    if isinstance(target, tuple):
        return target
    if y.ndim != 2:
        raise ShapeError(
            f"expected scores (n, classes) for a target that is a class, got {y.shape}; "
            f"pass an index into an example's output, such as (..., 3)"
        )
    n, classes = y.shape
    if target is None:
        highest: IntArray = y.argmax(axis=1)
        return highest
    labels = np.asarray(target)
    if labels.dtype.kind not in "iu" or labels.shape not in ((), (n,)):
        raise ArgumentError(f"expected a class or one class for each of {n} examples as target")
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        raise ArgumentError(f"expected classes from 0 to {classes - 1}, got {target!r}")
    return np.broadcast_to(labels, (n,))


def places(y: Array, target: Target) -> Any:
    """Return the index of the explained elements of an output; ``target`` is resolved."""
    if isinstance(target, tuple):
        return (slice(None), *target)
    return np.arange(len(y)), target


def scores(y: Array, target: Target) -> Array:
    """Return the explained number of each example, ``(n,)``."""
    total: Array = y[places(y, target)].reshape(len(y), -1).sum(axis=1)
    return total


def unit(y: Array, target: Target) -> Array:
    """Return the gradient of the explained numbers' sum in the output."""
    dy = np.zeros(y.shape, y.dtype)
    dy[places(y, target)] = 1
    return dy


def gradient(model: Layer, params: Tree, x: Any, target: Target) -> tuple[Any, Target]:
    """Return the gradient of each example's explained number, and the target as resolved."""
    y, pullback = model.vjp(params, x)
    target = resolved(target, y)
    return pullback(unit(y, target))[1], target
