"""Losses of one class an example: scores ``(n, classes)`` against labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fcnn._ops import stable
from fcnn._typing import Array
from fcnn._value import as_value
from fcnn.errors import LabelError, ShapeError
from fcnn.losses._loss import Pair, kind_of, loss, mean, pair, same_shape

_ONE_SCORE = "; for one score an example use sigmoid_cross_entropy, with targets of its shape"


def _classes(prediction: Array, target: Any) -> Array:
    """Return integer labels (n,) as they are; one-hot or soft labels (n, classes) as floats."""
    if prediction.ndim != 2:
        hint = _ONE_SCORE if prediction.ndim == 1 else "; flatten the model's output"
        raise ShapeError(f"expected a prediction (n, classes), got {prediction.shape}{hint}")
    labels = np.asarray(target)
    n, classes = prediction.shape
    if labels.shape == (n, classes) and labels.dtype.kind in "fiub":
        return same_shape(prediction, labels)
    if labels.dtype.kind not in "fiub":
        raise LabelError(f"expected whole numbers as labels, got {kind_of(labels)}")
    if labels.shape != (n,):
        hint = "; drop the last axis with target[:, 0]" if labels.shape == (n, 1) else ""
        raise ShapeError(
            f"expected {(n,)} labels or {(n, classes)} probabilities for a prediction "
            f"{(n, classes)}, got {labels.shape}{hint}"
        )
    if labels.dtype.kind not in "iu":
        hint = "; convert with labels.astype(np.int64)"
        raise LabelError(f"expected whole numbers as labels, got {labels.dtype}{hint}")
    known = labels.tolist()  # for the few labels of a batch, faster than two reductions
    if min(known) < 0 or max(known) >= classes:
        raise LabelError(
            f"expected labels from 0 to {classes - 1} for a prediction of {classes} classes, "
            f"got {min(known)} to {max(known)}{_ONE_SCORE if classes == 1 else ''}"
        )
    return labels


def _true_places(scores: Array, labels: Array) -> Array:
    """Return the flat indices of the true classes' scores."""
    n, classes = scores.shape
    # In intp: the sum of int64 and uint64 is float64, which is no index.
    places: Array = np.arange(0, n * classes, classes) + labels.astype(np.intp, copy=False)
    return places


@as_value
@loss
def categorical_cross_entropy() -> Pair:
    """Average ``-Σ t log p`` over the classes, of probabilities p, over the examples.

    ``dp = -t / p / n``, with p kept from below by the smallest normal number of the dtype.
    From logits, use `softmax_cross_entropy`, which is exact everywhere.

    Shapes: prediction ``(n, classes)``; target ``(n,)`` whole numbers, or ``(n, classes)``
    one-hot or soft labels.

    Raises:
        ShapeError: if the shapes do not fit or the batch is empty.
        LabelError: if a label is not a whole number from 0 to classes - 1.

    >>> import numpy as np
    >>> from fcnn.losses import categorical_cross_entropy
    >>> p = np.array([[0.5, 0.25, 0.25]])
    >>> round(categorical_cross_entropy(p, np.array([0])), 4)
    0.6931
    """

    def formula(p: Array, t: Array) -> tuple[float, Callable[[], Array]]:
        n = len(p)
        kept = np.maximum(p, np.finfo(p.dtype).tiny)
        if t.ndim == 2:
            return mean(t * np.log(kept), n), lambda: -t / kept / n
        true = _true_places(p, t)
        likely = kept.take(true)

        def slope() -> Array:
            dp = np.zeros(p.shape, p.dtype)
            dp.reshape(-1)[true] = -1 / likely / n
            return dp

        return mean(np.log(likely), n), slope

    return pair(_classes, formula)


@as_value
@loss
def softmax_cross_entropy() -> Pair:
    """Average `categorical_cross_entropy` of ``p = softmax(z)`` over examples, from logits z.

    ``-Σ t · log_softmax(z)`` over the classes; ``dz = (softmax(z) · Σ t - t) / n``.

    Shapes: prediction ``(n, classes)``; target ``(n,)`` whole numbers, or ``(n, classes)``
    one-hot or soft labels.

    Raises:
        ShapeError: if the shapes do not fit or the batch is empty.
        LabelError: if a label is not a whole number from 0 to classes - 1.

    >>> import numpy as np
    >>> from fcnn.losses import softmax_cross_entropy
    >>> softmax_cross_entropy(np.array([[1000.0, 0.0]]), np.array([1]))
    1000.0
    """

    def formula(z: Array, t: Array) -> tuple[float, Callable[[], Array]]:
        n = len(z)
        log_p = stable.log_softmax(z)
        if t.ndim == 2:
            value = mean(t * log_p, n)
            return value, lambda: (np.exp(log_p) * t.sum(axis=1, keepdims=True) - t) / n
        true = _true_places(z, t)

        def slope() -> Array:
            dz = np.exp(log_p, order="C")
            dz.reshape(-1)[true] -= 1
            dz /= n
            return dz

        return mean(log_p.take(true), n), slope

    return pair(_classes, formula)
