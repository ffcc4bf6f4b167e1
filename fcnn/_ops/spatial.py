"""The order of `fcnn._ops.layout` for any number of spatial axes.

In memory the last spatial axis stands between the channels and the images: ``(h, c, w, n)`` for
images, ``(c, length, n)`` for sequences, ``(d, h, c, w, n)`` for volumes.
"""

from __future__ import annotations

import numpy as np

from fcnn._typing import Array


def innermost(x: Array) -> Array:
    """Return ``x (n, ..., w, c)`` as a view ``(..., c, w, n)``."""
    axes = range(1, x.ndim - 2)
    return x.transpose(*axes, x.ndim - 1, x.ndim - 2, 0)


def outermost(rows: Array) -> Array:
    """Return ``rows (..., c, w, n)`` as a view ``(n, ..., w, c)``: the inverse of `innermost`."""
    axes = range(rows.ndim - 3)
    return rows.transpose(rows.ndim - 1, *axes, rows.ndim - 2, rows.ndim - 3)


def contiguous(x: Array) -> Array:
    """Return `innermost` of x, contiguous: a view if x has that order in memory, else a copy."""
    return np.ascontiguousarray(innermost(x))


def axis_of(i: int, rank: int) -> int:
    """Return which axis of `innermost` is the i-th of ``rank`` spatial axes."""
    return i if i < rank - 1 else rank
