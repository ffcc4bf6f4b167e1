"""Exponentials that neither overflow nor lose the small ones."""

from __future__ import annotations

import numpy as np

from fcnn._typing import Array


def sigmoid(x: Array) -> Array:
    """``1 / (1 + exp(-x))``; where the exponential overflows to inf, the quotient is 0."""
    y: Array = np.negative(x)
    with np.errstate(over="ignore"):
        np.exp(y, out=y)
    y += 1
    return np.divide(1, y, out=y)


def _shifted(x: Array) -> Array:
    """``x - max of x`` over the last axis; -inf where the difference has no number."""
    with np.errstate(over="ignore"):
        shifted: Array = x - np.maximum.reduce(x, axis=-1, keepdims=True)
    return shifted


def softmax(x: Array) -> Array:
    """``exp(x) / sum of exp(x)`` over the last axis; a shift changes nothing but the range."""
    e: Array = np.exp(_shifted(x))
    e /= np.add.reduce(e, axis=-1, keepdims=True)
    return e


def log_softmax(x: Array) -> Array:
    """``x - log of the sum of exp(x)`` over the last axis, at least the lowest finite number."""
    shifted: Array = np.maximum(_shifted(x), np.finfo(x.dtype).min)
    shifted -= np.log(np.add.reduce(np.exp(shifted), axis=-1, keepdims=True))
    return shifted
