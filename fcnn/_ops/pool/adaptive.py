"""Maxima over windows of different sizes, and their adjoint.

A window is reduced along its last axis first. The gradient goes back the same way: along each axis
to the first place that equals the maximum, or to the last one that is NaN, as in
`fcnn._ops.pool.max`. Of the places that equal it the first is found as a maximum, too: that of
numbers which decrease along the axis, 0 elsewhere, for NumPy's argmax copies and takes twenty times
as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from fcnn._ops.spatial import axis_of, contiguous, outermost
from fcnn._typing import Array, IntArray

Cuts: TypeAlias = Sequence[tuple[int, int]]
"""Start and stop of each window along an axis."""


def max_of_windows(x: Array, cuts: Sequence[Cuts]) -> list[Array]:
    """Return ``x (n, ..., c)`` and its maxima over windows along one axis after the other.

    ``cuts`` has the windows along each spatial axis. The results are in the order of
    `fcnn._ops.spatial`; the last one is the maximum over whole windows.
    """
    stages = [contiguous(x)]
    for axis, cut in _last_axis_first(cuts):
        values = stages[-1]
        most = np.empty((*values.shape[:axis], len(cut), *values.shape[axis + 1 :]), x.dtype)
        for o, (start, stop) in enumerate(cut):
            block = values[_along(axis, slice(start, stop))]
            np.maximum.reduce(block, axis=axis, out=most[_along(axis, o)])
        stages.append(most)
    return stages


def max_of_windows_adjoint(stages: list[Array], dy: Array, cuts: Sequence[Cuts]) -> Array:
    """Return ``dx (n, ..., c)``: each dy at one element of its window, 0 elsewhere."""
    gradient = contiguous(dy)
    reversed_stages = zip(stages[-2::-1], stages[:0:-1], strict=True)
    ways = zip(reversed(list(_last_axis_first(cuts))), reversed_stages, strict=True)
    for (axis, cut), (values, most) in ways:
        below = np.zeros(values.shape, dy.dtype)
        for o, (start, stop) in enumerate(cut):
            one, window = _along(axis, o), _along(axis, slice(start, stop))
            _give(values[window], most[one], gradient[one], below[window], axis)
        gradient = below
    return outermost(gradient)


def _last_axis_first(cuts: Sequence[Cuts]) -> list[tuple[int, Cuts]]:
    """Return each spatial axis in the order of memory, and its windows."""
    return [(axis_of(i), cuts[i]) for i in reversed(range(len(cuts)))]


def _along(axis: int, place: int | slice) -> Any:
    """Return an index that takes this place along an axis."""
    return (slice(None),) * axis + (place,)


def _give(values: Array, most: Array, dmost: Array, dvalues: Array, axis: int) -> None:
    """Add ``dmost`` to the elements of ``dvalues`` where values, along an axis, are ``most``."""
    index = np.expand_dims(_place(values, most, axis), axis)
    given = np.take_along_axis(dvalues, index, axis) + np.expand_dims(dmost, axis)
    np.put_along_axis(dvalues, index, given, axis)


def _place(values: Array, most: Array, axis: int) -> IntArray:
    """Return the index along an axis of the first element that is ``most``, or the last NaN."""
    size, spread = values.shape[axis], [1] * values.ndim
    spread[axis] = size
    kind = np.uint16 if size < 1 << 16 else np.uint32
    from_end = np.arange(size, 0, -1, dtype=kind).reshape(spread)
    found = np.equal(values, np.expand_dims(most, axis)).astype(kind)
    found *= from_end
    place: IntArray = size - np.maximum.reduce(found, axis=axis).astype(np.intp)
    unknown = np.isnan(most)
    if unknown.any():
        last = np.maximum.reduce(np.isnan(values) * (size + 1 - from_end), axis=axis)
        place = np.where(unknown, last.astype(np.intp) - 1, place)
    return place
