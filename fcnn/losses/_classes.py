"""Losses of one class an example or a pixel: scores ``(n, ..., classes)`` against labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fcnn._ops import memory, stable
from fcnn._ops.values import holds
from fcnn._typing import Array
from fcnn._value import as_value
from fcnn.errors import LabelError, ShapeError
from fcnn.losses._loss import Pair, kind_of, loss, pair, same_shape

_ONE_SCORE = "; for one score an example use sigmoid_cross_entropy, with targets of its shape"


def classes_of(prediction: Array, target: Any) -> Array:
    """Return integer labels (n, ...) as they are; one-hot or soft labels as floats."""
    labels = labels_or_soft(prediction, target)
    return labels if labels.dtype.kind == "f" else in_range(labels, prediction.shape[-1])


def labels_or_soft(prediction: Array, target: Any) -> Array:
    """Return whole numbers (n, ...), of any range, or floats of the prediction's shape."""
    if prediction.ndim < 2:
        hint = _ONE_SCORE if prediction.ndim == 1 else ""
        raise ShapeError(f"expected a prediction (n, classes), got {prediction.shape}{hint}")
    labels = memory.asarray(target)
    places = prediction.shape[:-1]
    if labels.shape == prediction.shape and labels.dtype.kind in "fiub":
        return same_shape(prediction, labels)
    if labels.dtype.kind not in "fiub":
        raise LabelError(f"expected whole numbers as labels, got {kind_of(labels)}")
    if labels.shape != places:
        hint = "; flatten the model's output" if labels.shape == places[:1] else ""
        if labels.shape == (*places, 1):
            hint = f"; drop the last axis with target[{':' if len(places) == 1 else '...'}, 0]"
        raise ShapeError(
            f"expected {places} labels or {prediction.shape} probabilities for a prediction "
            f"{prediction.shape}, got {labels.shape}{hint}"
        )
    if labels.dtype.kind not in "iu":
        hint = "; convert with labels.astype(np.int64)"
        raise LabelError(f"expected whole numbers as labels, got {labels.dtype}{hint}")
    return labels


def in_range(labels: Array, classes: int) -> Array:
    """Return whole numbers that are labels.

    Raises:
        LabelError: if one is not from 0 to classes - 1.
    """
    if not holds(_are_labels, labels, classes):
        least, most = labels.min(), labels.max()
        raise LabelError(
            f"expected labels from 0 to {classes - 1} for a prediction of {classes} classes, "
            f"got {least} to {most}{_ONE_SCORE if classes == 1 else ''}"
        )
    return labels


def _are_labels(labels: Array, classes: int) -> bool:
    if labels.size <= 256:
        known = labels.ravel().tolist()  # for few labels, faster than two reductions
        return bool(min(known) >= 0 and max(known) < classes)
    return bool(labels.min() >= 0 and labels.max() < classes)


def rows_of(scores: Array) -> Array:
    """Return scores ``(n, ..., classes)`` as ``(places, classes)``."""
    return scores if scores.ndim == 2 else scores.reshape(-1, scores.shape[-1])


def true_places(scores: Array, labels: Array) -> Array:
    """Return the flat indices of the true classes' scores, for scores (places, classes)."""
    n, classes = scores.shape
    # In intp: the sum of int64 and uint64 is float64, which is no index.
    first = np.arange(0, n * classes, classes)
    places: Array = first + labels.reshape(-1).astype(np.intp, copy=False)
    return places


@as_value
@loss
def categorical_cross_entropy() -> Pair:
    """Average ``-Σ t log p`` over the classes, of probabilities p, over the examples.

    ``dp = -t / p / n``, with p kept from below by the smallest normal number of the dtype.
    From logits, use `softmax_cross_entropy`, which is exact everywhere.

    Shapes: prediction ``(n, classes)``; target ``(n,)`` whole numbers, or ``(n, classes)``
    one-hot or soft labels. For each pixel: prediction ``(n, h, w, classes)``, target
    ``(n, h, w)`` or ``(n, h, w, classes)``, and the mean is over all pixels; so with any axes
    between the first and the last.

    Raises:
        ShapeError: if the shapes do not fit or the batch is empty.
        LabelError: if a label is not a whole number from 0 to classes - 1.

    >>> import numpy as np
    >>> from fcnn.losses import categorical_cross_entropy
    >>> p = np.array([[0.5, 0.25, 0.25]])
    >>> round(categorical_cross_entropy(p, np.array([0])), 4)
    0.6931
    """

    def formula(p: Array, t: Array) -> tuple[Array, float, Callable[[], Array]]:
        kept = np.maximum(rows_of(p), np.finfo(p.dtype).tiny)
        n = len(kept)
        if t.dtype.kind == "f":
            soft = rows_of(t)
            return -(soft * np.log(kept)), n, lambda: (-soft / kept / n).reshape(p.shape)
        true = true_places(kept, t)
        likely = kept.take(true)

        def slope() -> Array:
            dp = memory.zeros(p.shape, p.dtype)
            dp.reshape(-1)[true] = -1 / likely / n
            return dp

        return -np.log(likely), n, slope

    return pair(classes_of, formula)


@as_value
@loss
def softmax_cross_entropy() -> Pair:
    """Average `categorical_cross_entropy` of ``p = softmax(z)`` over examples, from logits z.

    ``-Σ t · log_softmax(z)`` over the classes; ``dz = (softmax(z) · Σ t - t) / n``.

    Shapes: prediction ``(n, classes)``; target ``(n,)`` whole numbers, or ``(n, classes)``
    one-hot or soft labels. For each pixel: prediction ``(n, h, w, classes)``, target
    ``(n, h, w)`` or ``(n, h, w, classes)``, and the mean is over all pixels; so with any axes
    between the first and the last.

    Raises:
        ShapeError: if the shapes do not fit or the batch is empty.
        LabelError: if a label is not a whole number from 0 to classes - 1.

    >>> import numpy as np
    >>> from fcnn.losses import softmax_cross_entropy
    >>> softmax_cross_entropy(np.array([[1000.0, 0.0]]), np.array([1]))
    1000.0
    """

    def formula(z: Array, t: Array) -> tuple[Array, float, Callable[[], Array]]:
        log_p = stable.log_softmax(rows_of(z))
        n = len(log_p)
        if t.dtype.kind == "f":
            soft = rows_of(t)

            def soft_slope() -> Array:
                dz: Array = (np.exp(log_p) * soft.sum(axis=1, keepdims=True) - soft) / n
                return dz.reshape(z.shape)

            return -(soft * log_p), n, soft_slope
        true = true_places(log_p, t)

        def slope() -> Array:
            dz = np.exp(log_p, order="C")
            dz.reshape(-1)[true] -= 1
            dz /= n
            return dz if z.ndim == 2 else dz.reshape(z.shape)

        return -log_p.take(true), n, slope

    return pair(classes_of, formula)
