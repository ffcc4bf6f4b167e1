"""Absolute and Huber errors, which outliers dominate less than squares, and cosine distance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fcnn import _check
from fcnn._typing import Array
from fcnn._value import as_value
from fcnn.errors import ArgumentError, ShapeError
from fcnn.losses._loss import Pair, loss, pair, same_shape


@as_value
@loss
def mean_absolute_error() -> Pair:
    """Average ``|p - t|`` over all elements; ``dp = sign(p - t) / size``, 0 where they are equal.

    Shapes: prediction and target the same.

    Raises:
        ShapeError: if the shapes differ or the batch is empty.

    >>> import numpy as np
    >>> from fcnn.losses import mean_absolute_error
    >>> mean_absolute_error(np.array([[0.0, 1.0]]), np.array([[0.0, 3.0]]))
    1.0
    """

    def formula(p: Array, t: Array) -> tuple[Array, float, Callable[[], Array]]:
        gap = np.subtract(p, t, dtype=np.float64)
        return np.abs(gap), p.size, lambda: _signs(gap, p.dtype) / p.size

    return pair(same_shape, formula)


def _signs(gap: Array, dtype: Any) -> Array:
    """Return 1, -1, and 0 for 0 and NaN, where PyTorch has it."""
    signs: Array = np.subtract(gap > 0, gap < 0, dtype=dtype)
    return signs


@loss
def huber(delta: float = 1.0) -> Pair:
    """Average ``d² / 2`` where ``|d| <= delta`` and ``delta (|d| - delta / 2)`` elsewhere.

    d is ``p - t``, and the mean is over all elements; ``dp = clip(d, -delta, delta) / size``.
    PyTorch's ``smooth_l1_loss(beta)`` is ``scaled(huber(beta), 1 / beta)``.

    Shapes: prediction and target the same.

    Args:
        delta: where the square goes over into a straight line.

    Raises:
        ArgumentError: if ``delta`` is not greater than 0.
        ShapeError: on a call, if the shapes differ or the batch is empty.

    Source: P. J. Huber, "Robust estimation of a location parameter", 1964,
    https://doi.org/10.1214/aoms/1177703732.

    >>> import numpy as np
    >>> from fcnn.losses import huber
    >>> huber(1.0)(np.array([[0.5, 3.0]]), np.array([[0.0, 0.0]]))
    1.3125
    """
    most = _check.number(delta, "delta", 0.0, open_high=True)
    if most == 0:
        raise ArgumentError(f"expected a number greater than 0 for delta, got {delta!r}")

    def formula(p: Array, t: Array) -> tuple[Array, float, Callable[[], Array]]:
        gap = np.subtract(p, t, dtype=np.float64)
        size = np.abs(gap)
        kept = np.minimum(size, most)
        # kept² / 2 + delta (size - kept) would be inf - inf for an infinite error.
        terms = np.where(size <= most, kept * kept / 2, most * (size - most / 2))
        return terms, p.size, lambda: (np.clip(gap, -most, most) / p.size).astype(p.dtype)

    return pair(same_shape, formula)


@loss
def cosine_distance(*, eps: float = 1e-8) -> Pair:
    """Average ``1 - p · t / (‖p‖ ‖t‖)`` over the vectors on the last axis.

    With ``u = p / ‖p‖`` and ``v = t / ‖t‖`` the gradient is ``dp = (u (u · v) - v) / ‖p‖ / count``.
    Norms are kept from below by ``eps``: a vector of zeros is at distance 1 from all.

    Shapes: prediction and target the same, ``(n, ..., features)``.

    Raises:
        ArgumentError: if ``eps`` is not greater than 0.
        ShapeError: on a call, if the shapes differ, have one axis, or the batch is empty.

    >>> import numpy as np
    >>> from fcnn.losses import cosine_distance
    >>> cosine_distance()(np.array([[3.0, 0.0], [1.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 5.0]]))
    0.5
    """
    least = _check.number(eps, "eps", 0.0, open_high=True)
    if least == 0:
        raise ArgumentError(f"expected a number greater than 0 for eps, got {eps!r}")

    def formula(p: Array, t: Array) -> tuple[Array, float, Callable[[], Array]]:
        if p.ndim < 2:
            raise ShapeError(f"expected a prediction (n, ..., features), got {p.shape}")
        long, count = _norm(p), p.size // p.shape[-1]
        norm = np.maximum(long, least)
        u = p / norm
        v = t / np.maximum(_norm(t), least)
        cosine = np.add.reduce(u * v, axis=-1, keepdims=True)

        def slope() -> Array:
            # Below eps the norm is a constant, and the projection falls away.
            dp: Array = (np.where(long < least, 0.0, u * cosine) - v) / norm / count
            return dp.astype(p.dtype)

        return 1 - cosine, count, slope

    return pair(same_shape, formula)


def _norm(x: Array) -> Array:
    """Return the norms over the last axis, in float64: a square of a float32 may overflow."""
    norm: Array = np.sqrt(np.add.reduce(np.square(x, dtype=np.float64), axis=-1, keepdims=True))
    return norm
