"""Means over all spatial axes, and their adjoint."""

from __future__ import annotations

import math

import numpy as np

from fcnn._ops import memory
from fcnn._ops.spatial import innermost, outermost
from fcnn._typing import Array

PIECE = 1 << 6
"""Rows that are added in the precision of the data, a row at a time; the rest is in float64."""


def spatial_mean(x: Array) -> Array:
    """Return the mean of ``x (n, ..., c)`` over all axes but the first and the last: ``(n, c)``."""
    n, size, *others = x.shape
    whole = size - size % PIECE
    pieces = x[:, :whole].reshape(n, whole // PIECE, PIECE, *others)
    with np.errstate(over="ignore", invalid="ignore"):  # inf - inf is NaN
        total = _sum(np.add.reduce(pieces, axis=2)) + _sum(
            np.add.reduce(x[:, whole:], axis=1)[:, None]
        )
    mean: Array = (total / math.prod(x.shape[1:-1])).astype(x.dtype)
    return mean


def spatial_mean_adjoint(dy: Array, spatial: tuple[int, ...]) -> Array:
    """Return ``dx (n, *spatial, c)``: an equal share of ``dy (n, c)`` for each element."""
    n, c = dy.shape
    share = (dy / dy.dtype.type(math.prod(spatial))).reshape(n, *(1 for _ in spatial), c)
    rows = memory.empty((spatial[0], c, *spatial[1:], n), dy.dtype)
    rows[...] = innermost(share)
    return outermost(rows)


def _sum(parts: Array) -> Array:
    """Sum ``(n, ..., c)`` in float64."""
    total: Array = np.add.reduce(parts, axis=tuple(range(1, parts.ndim - 1)), dtype=np.float64)
    return total
