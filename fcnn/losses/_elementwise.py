"""Losses of each element by itself: prediction and target have one shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fcnn._ops import stable
from fcnn._ops.values import decide
from fcnn._typing import Array
from fcnn._value import as_value
from fcnn.errors import LabelError
from fcnn.losses._loss import Pair, loss, pair, same_shape, total


def _fractions(prediction: Array, target: Any) -> Array:
    fractions = same_shape(prediction, target)
    if not decide((fractions.min() >= 0) & (fractions.max() <= 1)):
        raise LabelError(f"expected targets in [0, 1], got {fractions.min()} to {fractions.max()}")
    return fractions


@as_value
@loss
def binary_cross_entropy() -> Pair:
    """Average ``-(t log p + (1 - t) log(1 - p))`` of probabilities p over all elements.

    ``dp = (p - t) / (p (1 - p)) / size``. p and 1 - p are kept from below by the smallest
    normal number of the dtype: the value stays finite, and no gradient is damped before the
    probability itself has underflowed. From logits, use `sigmoid_cross_entropy`, which is
    exact everywhere.

    Shapes: prediction and target the same; targets in [0, 1].

    Raises:
        ShapeError: if the shapes differ or the batch is empty.
        LabelError: if a target is outside [0, 1].

    >>> import numpy as np
    >>> from fcnn.losses import binary_cross_entropy
    >>> round(binary_cross_entropy(np.array([[0.5, 0.5]]), np.array([[0.0, 1.0]])), 4)
    0.6931
    """

    def formula(p: Array, t: Array) -> tuple[Array, float, Callable[[], Array]]:
        tiny = np.finfo(p.dtype).tiny
        yes, no = np.maximum(p, tiny), np.maximum(1 - p, tiny)
        terms = -(t * np.log(yes) + (1 - t) * np.log(no))
        return terms, p.size, lambda: ((1 - t) / no - t / yes) / p.size

    return pair(_fractions, formula)


@as_value
@loss
def sigmoid_cross_entropy() -> Pair:
    """Average `binary_cross_entropy` of ``p = sigmoid(z)`` over all elements, from the logits z.

    ``max(z, 0) - t z + log(1 + exp(-|z|))``; ``dz = (sigmoid(z) - t) / size``. An infinite
    logit gives what PyTorch gives.

    Shapes: prediction and target the same; targets in [0, 1].

    Raises:
        ShapeError: if the shapes differ or the batch is empty.
        LabelError: if a target is outside [0, 1].

    >>> import numpy as np
    >>> from fcnn.losses import sigmoid_cross_entropy
    >>> sigmoid_cross_entropy(np.array([[1000.0, -1000.0]]), np.array([[0.0, 0.0]]))
    500.0
    """

    def formula(z: Array, t: Array) -> tuple[Array, float, Callable[[], Array]]:
        tail = np.log1p(np.exp(-np.abs(z)))
        terms = np.maximum(z, 0) - t * z + tail
        # With inf - inf above, PyTorch's order of the same terms.
        if not decide(np.isfinite(total(terms))):
            terms = (1 - t) * z - (np.minimum(z, 0) - tail)
        return terms, z.size, lambda: (stable.sigmoid(z) - t) / z.size

    return pair(_fractions, formula)


@as_value
@loss
def mean_squared_error() -> Pair:
    """Average ``(p - t)²`` over all elements; ``dp = 2 (p - t) / size``.

    The difference is taken in float64, where the square of any float32 is finite, and dp of
    finite arguments is kept within the dtype's range.

    Shapes: prediction and target the same.

    Raises:
        ShapeError: if the shapes differ or the batch is empty.

    >>> import numpy as np
    >>> from fcnn.losses import mean_squared_error
    >>> mean_squared_error(np.array([[0.0, 1.0]]), np.array([[0.0, 3.0]]))
    2.0
    """

    def formula(p: Array, t: Array) -> tuple[Array, float, Callable[[], Array]]:
        gap = np.subtract(p, t, dtype=np.float64)
        terms = np.square(gap)
        most = np.finfo(p.dtype).max

        def slope() -> Array:
            dp = gap * (2 / p.size)
            kept = np.clip(dp, -most, most)
            # An infinite difference has an infinite gradient.
            if not decide(np.isfinite(total(terms))):
                np.copyto(kept, dp, where=np.isinf(gap))
            return kept.astype(p.dtype)

        return terms, p.size, slope

    return pair(same_shape, formula)
