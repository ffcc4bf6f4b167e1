"""Kullback-Leibler divergence of distributions over the last axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fcnn._ops import memory, stable
from fcnn._ops.values import decide
from fcnn._typing import Array
from fcnn._value import as_value
from fcnn.errors import LabelError, ShapeError
from fcnn.losses._classes import rows_of
from fcnn.losses._loss import Pair, loss, pair, same_shape


def _distributions(prediction: Array, target: Any) -> Array:
    if prediction.ndim < 2:
        raise ShapeError(f"expected a prediction (n, ..., classes), got {prediction.shape}")
    given = same_shape(prediction, target)
    if not decide(given.min() >= 0):
        raise LabelError(f"expected probabilities as targets, got {given.min()} among them")
    return given


def _entropies(t: Array) -> Array:
    """Return ``t log t``, 0 at 0."""
    logs = np.log(t, out=memory.zeros_like(t), where=t > 0)
    logs *= t
    return logs


@as_value
@loss
def kl_divergence() -> Pair:
    """Average ``Σ t log(t / p)`` over the distributions p on the last axis; ``dp = -t / p / n``.

    p is kept from below by the smallest normal number of the dtype. From logits, use
    `softmax_kl_divergence`, which is exact everywhere. PyTorch's ``kl_div`` takes log p, and
    averages as here with ``reduction="batchmean"``, for predictions of two axes.

    Shapes: prediction and target the same, ``(n, ..., classes)``; both probabilities.

    Raises:
        ShapeError: if the shapes differ, have one axis, or the batch is empty.
        LabelError: if a target is negative.

    Source: S. Kullback and R. A. Leibler, "On information and sufficiency", 1951,
    https://doi.org/10.1214/aoms/1177729694.

    >>> import numpy as np
    >>> from fcnn.losses import kl_divergence
    >>> round(kl_divergence(np.array([[0.25, 0.75]]), np.array([[1.0, 0.0]])), 4)
    1.3863
    """

    def formula(p: Array, t: Array) -> tuple[Array, float, Callable[[], Array]]:
        kept = np.maximum(p, np.finfo(p.dtype).tiny)
        n = len(rows_of(p))
        return _entropies(t) - t * np.log(kept), n, lambda: -t / kept / n

    return pair(_distributions, formula)


@as_value
@loss
def softmax_kl_divergence() -> Pair:
    """Average ``Σ t log(t / softmax(z))`` over the last axis's distributions, from the logits z.

    ``dz = (softmax(z) Σ t - t) / n``. For distillation, t is a teacher's softmax.

    Shapes: prediction and target the same, ``(n, ..., classes)``; targets are probabilities.

    Raises:
        ShapeError: if the shapes differ, have one axis, or the batch is empty.
        LabelError: if a target is negative.

    >>> import numpy as np
    >>> from fcnn.losses import softmax_kl_divergence
    >>> round(softmax_kl_divergence(np.array([[0.0, 0.0]]), np.array([[1.0, 0.0]])), 4)
    0.6931
    """

    def formula(z: Array, t: Array) -> tuple[Array, float, Callable[[], Array]]:
        log_p = stable.log_softmax(z)
        n = len(rows_of(z))

        def slope() -> Array:
            dz: Array = (np.exp(log_p) * t.sum(axis=-1, keepdims=True) - t) / n
            return dz

        return _entropies(t) - t * log_p, n, slope

    return pair(_distributions, formula)
