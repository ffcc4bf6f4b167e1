"""Dice losses: how little two masks overlap."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fcnn import _check
from fcnn._ops import memory, stable
from fcnn._ops.values import decide
from fcnn._typing import Array
from fcnn.errors import LabelError, ShapeError
from fcnn.losses._classes import classes_of
from fcnn.losses._loss import Pair, loss, pair, same_shape

Probabilities = Callable[[Array], tuple[Array, Callable[[Array], Array]]]


@loss
def dice(smooth: float = 1.0) -> Pair:
    """Average ``1 - (2 Σ p t + smooth) / (Σ p + Σ t + smooth)`` over examples and classes.

    The sums are over the pixels of one example, so that a batch's loss is the mean of its
    examples'; with ``D = Σ p + Σ t + smooth`` and the fraction f,
    ``dp = (f - 2 t) / D / (n classes)``. From logits, use `sigmoid_dice` or `softmax_dice`.

    Shapes: prediction probabilities ``(n, ..., classes)``; target the same shape, in [0, 1], or
    ``(n, ...)`` whole numbers as labels of two classes or more.

    Args:
        smooth: from 0; it makes the loss of an absent class that is not predicted 0 (with 0 it
            is 1 there).

    Raises:
        ArgumentError: if ``smooth`` is negative.
        ShapeError: on a call, if the shapes do not fit, have less than three axes, or the batch
            is empty.
        LabelError: on a call, if a target is outside of its range.

    Source: F. Milletari, N. Navab and S.-A. Ahmadi, "V-Net", 2016,
    https://arxiv.org/abs/1606.04797; sums of p and t in the denominator, as in C. H. Sudre et
    al., "Generalised Dice overlap", 2017, https://arxiv.org/abs/1707.03237.

    >>> import numpy as np
    >>> from fcnn.losses import dice
    >>> mask = np.array([[[[1.0], [0.0]]]])
    >>> dice()(mask, mask), dice()(1 - mask, mask)
    (0.0, 0.6666666666666667)
    """
    return _dice(smooth, lambda p: (p, lambda dp: dp))


@loss
def sigmoid_dice(smooth: float = 1.0) -> Pair:
    """Average `dice` of ``p = sigmoid(z)``, from the logits z: ``dz = p (1 - p) dp``.

    Arguments, shapes and errors are those of `dice`.

    >>> import numpy as np
    >>> from fcnn.losses import sigmoid_dice
    >>> sigmoid_dice()(np.array([[[[50.0], [-50.0]]]]), np.array([[[[1.0], [0.0]]]]))
    0.0
    """

    def probabilities(z: Array) -> tuple[Array, Callable[[Array], Array]]:
        p = stable.sigmoid(z)
        return p, lambda dp: dp * p * stable.sigmoid(-z)

    return _dice(smooth, probabilities)


@loss
def softmax_dice(smooth: float = 1.0) -> Pair:
    """Average `dice` of ``p = softmax(z)``, from the logits z: ``dz = p (dp - Σ p dp)``.

    Arguments, shapes and errors are those of `dice`.

    >>> import numpy as np
    >>> from fcnn.losses import softmax_dice
    >>> softmax_dice()(np.array([[[[50.0, 0.0], [0.0, 50.0]]]]), np.array([[[0, 1]]]))
    0.0
    """

    def probabilities(z: Array) -> tuple[Array, Callable[[Array], Array]]:
        p = stable.softmax(z)
        return p, lambda dp: p * (dp - np.add.reduce(p * dp, axis=-1, keepdims=True))

    return _dice(smooth, probabilities)


def _dice(smooth: Any, probabilities: Probabilities) -> Pair:
    extra = _check.number(smooth, "smooth", 0.0, open_high=True)

    def formula(z: Array, t: Array) -> tuple[Array, float, Callable[[], Array]]:
        p, back = probabilities(z)
        pixels = tuple(range(1, z.ndim - 1))

        def summed(values: Array) -> Array:
            sums: Array = np.add.reduce(values, axis=pixels, dtype=np.float64, keepdims=True)
            return sums

        above = 2 * summed(p * t) + extra
        below = summed(p) + summed(t) + extra
        share = np.divide(above, below, out=memory.zeros_like(above), where=below != 0)
        count = share.size

        def slope() -> Array:
            over = np.divide(1.0, below, out=memory.zeros_like(below), where=below != 0) / count
            dp: Array = (share * over).astype(z.dtype) - (2 * over).astype(z.dtype) * t
            return back(dp)

        return 1 - share, count, slope

    return pair(_masks, formula)


def _masks(prediction: Array, target: Any) -> Array:
    """Return a mask for each class, in the prediction's dtype."""
    if prediction.ndim < 3:
        raise ShapeError(f"expected a prediction (n, ..., classes), got {prediction.shape}")
    given = memory.asarray(target)
    if given.shape == prediction.shape:
        masks = same_shape(prediction, given)
        if not decide((masks.min() >= 0) & (masks.max() <= 1)):
            raise LabelError(f"expected targets in [0, 1], got {masks.min()} to {masks.max()}")
        return masks
    labels = classes_of(prediction, given)
    classes = np.arange(prediction.shape[-1])
    one_hot: Array = labels[..., None] == classes
    return one_hot.astype(prediction.dtype)
