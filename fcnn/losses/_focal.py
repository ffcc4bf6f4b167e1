"""Focal losses: cross-entropy in which examples that are nearly right count less."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fcnn import _check
from fcnn._ops import memory, stable
from fcnn._ops.values import called, decide
from fcnn._typing import Array
from fcnn.errors import ArgumentError, LabelError, ShapeError
from fcnn.losses._classes import classes_of, rows_of, true_places
from fcnn.losses._loss import Pair, loss, pair, same_shape


@loss
def sigmoid_focal(gamma: float = 2.0, alpha: float | None = 0.25) -> Pair:
    """Average ``-α_t (1 - p_t)^γ log p_t`` over all elements, from the logits z.

    p_t is ``sigmoid(z)`` where the target is 1 and ``1 - sigmoid(z)`` where it is 0; α_t is
    alpha and ``1 - alpha``. With s of 1 and -1, ``q = 1 - p_t`` and ``l = -log p_t``,
    ``dz = -s α_t q^γ (γ p_t l + q) / size``. The article divides by the number of ones instead,
    which the size of a batch's parts does not tell: scale by ``size / ones`` of the data.

    Shapes: prediction and target the same; targets 0 and 1.

    Args:
        gamma: from 0; 0 is `sigmoid_cross_entropy` times α_t.
        alpha: the weight of ones, from 0 to 1; None gives both the weight 1.

    Raises:
        ArgumentError: if an argument is out of its range.
        ShapeError: on a call, if the shapes differ or the batch is empty.
        LabelError: on a call, if a target is neither 0 nor 1.

    Source: T.-Y. Lin et al., "Focal loss for dense object detection", 2017,
    https://arxiv.org/abs/1708.02002, equation 5.

    >>> import numpy as np
    >>> from fcnn.losses import sigmoid_focal
    >>> round(sigmoid_focal(alpha=None)(np.zeros((1, 1)), np.ones((1, 1))), 4)
    0.1733
    """
    power = _check.number(gamma, "gamma", 0.0, open_high=True)
    share = None if alpha is None else _check.number(alpha, "alpha", 0.0, 1.0)

    def prepare(z: Array, target: Any) -> Array:
        given = same_shape(z, target)
        if not decide(((given == 0) | (given == 1)).all()):
            raise LabelError("expected targets of 0 and 1, got others among them")
        return given

    def formula(z: Array, t: Array) -> tuple[Array, float, Callable[[], Array]]:
        s = 2 * t - 1
        right = s * z
        p, q = stable.sigmoid(right), stable.sigmoid(-right)
        cost = np.log1p(np.exp(-np.abs(z))) - np.minimum(right, 0)
        weight = q**power
        if share is not None:
            weight *= (1 - share) + (2 * share - 1) * t
        return weight * cost, z.size, lambda: -s * weight * (power * p * cost + q) / z.size

    return pair(prepare, formula)


@loss
def softmax_focal(gamma: float = 2.0, *, class_weights: Sequence[float] | None = None) -> Pair:
    """Average ``-α_y (1 - p_y)^γ log p_y`` with ``p = softmax(z)`` over examples or pixels.

    ``dz = α_y (1 - p_y)^γ (1 - γ p_y log p_y / (1 - p_y)) (p - [c = y]) / n``. The mean is over
    the number of labels, whatever their weights, as in the article.

    Shapes: prediction ``(n, ..., classes)``; target ``(n, ...)`` whole numbers.

    Args:
        gamma: from 0; 0 is `softmax_cross_entropy`.
        class_weights: α, a number from 0 for each class; all 1 if None.

    Raises:
        ArgumentError: if an argument is out of its range.
        ShapeError: on a call, if the shapes do not fit or the batch is empty.
        LabelError: on a call, if a label is not a whole number from 0 to classes - 1.

    Source: T.-Y. Lin et al., "Focal loss for dense object detection", 2017,
    https://arxiv.org/abs/1708.02002, equation 5.

    >>> import numpy as np
    >>> from fcnn.losses import softmax_focal
    >>> round(softmax_focal()(np.zeros((1, 2)), np.array([1])), 4)
    0.1733
    """
    power = _check.number(gamma, "gamma", 0.0, open_high=True)
    weights = by_class(class_weights)

    def prepare(z: Array, target: Any) -> Array:
        labels = classes_of(z, target)
        if labels.dtype.kind == "f":
            raise LabelError("expected labels (n,) of whole numbers, got one-hot or soft labels")
        if weights is not None and len(weights) != z.shape[-1]:
            raise ShapeError(
                f"expected a prediction of {len(weights)} classes, one a class weight, "
                f"got {z.shape}"
            )
        return labels.reshape(-1)

    def formula(z: Array, t: Array) -> tuple[Array, float, Callable[[], Array]]:
        log_p = stable.log_softmax(rows_of(z))
        n, true = len(log_p), true_places(log_p, t)
        p = np.exp(log_p, order="C")
        cost, right = -log_p.take(true), p.take(true)
        p.reshape(-1)[true] = 0
        wrong = p.sum(axis=1)  # 1 - p_y loses its digits where p_y is near 1
        weight = wrong**power
        if weights is not None:
            weight *= called(np.take, weights, t).astype(z.dtype)

        def slope() -> Array:
            ratio = np.divide(cost, wrong, out=memory.ones_like(cost), where=wrong != 0)
            dz = p.copy()
            dz.reshape(-1)[true] = -wrong
            dz *= (weight * (1 + power * right * ratio) / n)[:, None]
            return dz.reshape(z.shape)

        return weight * cost, n, slope

    return pair(prepare, formula)


def by_class(given: Any) -> Array | None:
    """Return a weight for each class in float64, or None.

    Raises:
        ArgumentError: if a weight is negative or not finite.
    """
    if given is None:
        return None
    try:
        weights = memory.array(given, np.float64)
    except (TypeError, ValueError):
        weights = memory.array(np.nan)
    if weights.ndim != 1 or not weights.size or not (np.isfinite(weights) & (weights >= 0)).all():
        raise ArgumentError(
            f"expected a finite number from 0 for each class as class_weights, got {given!r}"
        )
    return weights
