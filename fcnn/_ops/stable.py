"""Exponentials that neither overflow nor lose small values."""

from __future__ import annotations

import numpy as np

from fcnn._typing import Array


def sigmoid(x: Array) -> Array:
    """Return ``1 / (1 + exp(-x))``; where the exponential overflows to inf, the quotient is 0."""
    y: Array = np.negative(x)
    with np.errstate(over="ignore"):
        np.exp(y, out=y)
    y += 1
    return np.divide(1, y, out=y)


def softmax(x: Array, axis: int = -1) -> Array:
    """Return ``exp(x) / sum of exp(x)`` over an axis."""
    e: Array = np.exp(_shifted(x, axis))
    e /= np.add.reduce(e, axis=axis, keepdims=True)
    return e


def log_softmax(x: Array, axis: int = -1) -> Array:
    """Return ``x - log of the sum of exp(x)`` over an axis; -inf for -inf."""
    shifted = _shifted(x, axis)
    shifted -= np.log(np.add.reduce(np.exp(shifted), axis=axis, keepdims=True))
    return shifted


def _shifted(x: Array, axis: int) -> Array:
    """``x`` minus its maximum over an axis, which changes nothing but the range.

    Finite numbers may be so far apart that their difference overflows to -inf.
    """
    with np.errstate(over="ignore"):
        shifted: Array = x - np.maximum.reduce(x, axis=axis, keepdims=True)
    return shifted
