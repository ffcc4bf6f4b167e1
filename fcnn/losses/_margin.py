"""Hinge losses: zero where a score is right by a margin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fcnn import _check
from fcnn._ops.values import holds
from fcnn._typing import Array
from fcnn.errors import ArgumentError, LabelError
from fcnn.losses._classes import classes_of, rows_of, true_places
from fcnn.losses._loss import Pair, loss, pair, same_shape


def _signs(prediction: Array, target: Any) -> Array:
    """Return the target as -1 and 1."""
    given = same_shape(prediction, target)
    if not holds(_are_signs, given):
        raise LabelError("expected targets of -1 and 1, or of 0 and 1, got others among them")
    return np.where(given > 0, given, -1).astype(prediction.dtype)


def _are_signs(given: Array) -> bool:
    return bool(np.isin(given, (-1, 0, 1)).all()) and not (given.min() < 0 and (given == 0).any())


def _power(given: Any) -> int:
    if type(given) is int and given in (1, 2):
        return given
    raise ArgumentError(f"expected 1 or 2 for power, got {given!r}")


@loss
def hinge(*, margin: float = 1.0, power: int = 1) -> Pair:
    """Average ``max(0, margin - s z) ** power`` over all elements, for targets s of -1 and 1.

    ``dz = -s / size`` where ``s z < margin`` for power 1; ``-2 s (margin - s z) / size`` for 2.
    Targets of 0 and 1 are taken as -1 and 1. With power 1 this is scikit-learn's ``hinge_loss``
    of two classes; ``squared_hinge`` of Keras has power 2.

    Shapes: prediction and target the same.

    Args:
        margin: how far on its side of 0 a score has to be.
        power: 1 or 2.

    Raises:
        ArgumentError: if an argument is out of its range.
        ShapeError: on a call, if the shapes differ or the batch is empty.
        LabelError: on a call, if a target is something else.

    Source: C. Cortes and V. Vapnik, "Support-vector networks", 1995,
    https://doi.org/10.1007/BF00994018.

    >>> import numpy as np
    >>> from fcnn.losses import hinge
    >>> hinge()(np.array([[2.0], [-0.5]]), np.array([[1], [-1]]))
    0.25
    """
    wide, squared = _check.number(margin, "margin", 0.0, open_high=True), _power(power) == 2

    def formula(z: Array, s: Array) -> tuple[Array, float, Callable[[], Array]]:
        short = np.maximum(wide - np.multiply(s, z, dtype=np.float64), 0)

        def slope() -> Array:
            dz: Array = 2 * short if squared else np.where(np.isnan(short), short, short > 0)
            dz = -s * dz / z.size
            return dz.astype(z.dtype)

        return short * short if squared else short, z.size, slope

    return pair(_signs, formula)


@loss
def multiclass_hinge(*, margin: float = 1.0, power: int = 1) -> Pair:
    """Average ``Σ_{c≠y} max(0, margin - z_y + z_c) ** power / classes`` over examples or pixels.

    This is PyTorch's ``multi_margin_loss``, but that a NaN among the scores gives NaN.

    Shapes: prediction ``(n, ..., classes)``; target ``(n, ...)`` whole numbers.

    Args:
        margin: how far above the others the true class's score has to be.
        power: 1 or 2.

    Raises:
        ArgumentError: if an argument is out of its range.
        ShapeError: on a call, if the shapes do not fit or the batch is empty.
        LabelError: on a call, if a label is not a whole number from 0 to classes - 1.

    Source: J. Weston and C. Watkins, "Support vector machines for multi-class pattern
    recognition", 1999, https://www.esann.org/sites/default/files/proceedings/legacy/es1999-461.pdf.

    >>> import numpy as np
    >>> from fcnn.losses import multiclass_hinge
    >>> multiclass_hinge()(np.array([[2.0, 1.5, 0.0, 0.0]]), np.array([0]))
    0.125
    """
    wide, squared = _check.number(margin, "margin", 0.0, open_high=True), _power(power) == 2

    def prepare(z: Array, target: Any) -> Array:
        labels = classes_of(z, target)
        if labels.dtype.kind == "f":
            raise LabelError("expected labels (n,) of whole numbers, got one-hot or soft labels")
        return labels

    def formula(z: Array, t: Array) -> tuple[Array, float, Callable[[], Array]]:
        rows = rows_of(z).astype(np.float64, order="C")
        n, classes = rows.shape
        true = true_places(rows, t)
        short = np.maximum(wide - rows.take(true)[:, None] + rows, 0)
        short.reshape(-1)[true] = 0

        def slope() -> Array:
            dz: Array = 2 * short if squared else np.where(np.isnan(short), short, short > 0)
            dz.reshape(-1)[true] = -dz.sum(axis=1)
            dz /= n * classes
            return dz.astype(z.dtype).reshape(z.shape)

        return (short * short if squared else short) / classes, n, slope

    return pair(prepare, formula)
