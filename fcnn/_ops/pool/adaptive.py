"""Maxima over windows of different sizes, with the place of each.

A window is reduced along its last axis first. The place is the first in row-major order that
equals the maximum, or the last that is NaN, as in `fcnn._ops.pool.max`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from fcnn._ops.spatial import contiguous, outermost
from fcnn._typing import Array, IntArray

Cuts: TypeAlias = Sequence[tuple[int, int]]
"""Start and stop of each window along an axis."""


def max_of_windows(x: Array, cuts: Sequence[Cuts]) -> tuple[Array, IntArray]:
    """Return the maximum of each window of ``x (n, ..., c)``, and its index in the flat axes.

    ``cuts`` has the windows along each spatial axis; both results are ``(n, *numbers, c)``.
    """
    values, index, stride = x, None, 1
    for axis in range(len(cuts), 0, -1):
        at = np.stack([_place(values, axis, cut) for cut in cuts[axis - 1]], axis=axis)
        values = np.take_along_axis(values, at, axis)
        inner = 0 if index is None else np.take_along_axis(index, at, axis)
        index = at * stride + inner
        stride *= x.shape[axis]
    return outermost(contiguous(values)), np.asarray(index)


def max_of_windows_adjoint(dy: Array, index: IntArray, spatial: tuple[int, ...]) -> Array:
    """Return ``dx (n, *spatial, c)``: each dy added at its index."""
    (n, *_, c), w = dy.shape, spatial[-1]
    example = np.arange(n).reshape(n, *(1 for _ in spatial), 1)
    # The place in the order (..., c, w, n) of `fcnn._ops.spatial`.
    place = ((index // w * c + np.arange(c)) * w + index % w) * n + example
    rows = np.zeros((*spatial[:-1], c, w, n), dy.dtype)
    np.add.at(rows.reshape(-1), place.reshape(-1), dy.reshape(-1))
    return outermost(rows)


def _place(values: Array, axis: int, cut: tuple[int, int]) -> IntArray:
    """Return the index along an axis of the maximum of the elements from start to stop."""
    start, stop = cut
    block = values[(slice(None),) * axis + (slice(start, stop),)]
    at: IntArray = block.argmax(axis=axis)  # the first NaN, if there is one
    unknown = np.isnan(np.take_along_axis(block, np.expand_dims(at, axis), axis)).squeeze(axis)
    if unknown.any():
        last = stop - start - 1 - np.isnan(np.flip(block, axis)).argmax(axis=axis)
        at = np.where(unknown, last, at)
    return start + at
