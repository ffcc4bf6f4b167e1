"""The order of `fcnn._ops.layout` for any number of spatial axes.

In memory the first spatial axis comes before the channels, the others after them, and then the
images: ``(h, c, w, n)`` for images, ``(length, c, n)`` for sequences, ``(d, c, h, w, n)`` for
volumes.
"""

from __future__ import annotations

from fcnn._ops import memory
from fcnn._ops.layout import order, rows_of
from fcnn._typing import Array


def innermost(x: Array) -> Array:
    """Return ``x (n, ..., c)`` as a view in the order of memory."""
    return x.transpose(order(x.ndim))


def outermost(rows: Array) -> Array:
    """Return a view ``(n, ..., c)``: the inverse of `innermost`."""
    return rows.transpose(rows.ndim - 1, 0, *range(2, rows.ndim - 1), 1)


def contiguous(x: Array) -> Array:
    """Return `innermost` of x, contiguous: a view if x has that order in memory, else a copy."""
    return rows_of(x) if x.ndim == 4 else memory.ascontiguousarray(innermost(x))


def axis_of(i: int) -> int:
    """Return which axis of `innermost` is the i-th spatial axis."""
    return 0 if i == 0 else i + 1
