"""Maxima over windows of different sizes, and their adjoint.

A window is reduced along its last axis first. The gradient goes back the same way: along each axis
to the first place that equals the maximum, or to the last one that is NaN, as in
`fcnn._ops.pool.max`. Only what was found along one axis is looked at along the next, so that the
backward pass reads a row of an image, not all of it. Of the places that equal the maximum the first
is found as a maximum, too: that of numbers which decrease along the axis, 0 elsewhere, for NumPy's
argmax copies and takes twenty times as long.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from fcnn._ops import memory
from fcnn._ops.spatial import axis_of, contiguous, outermost
from fcnn._ops.values import decide
from fcnn._typing import Array, IntArray, Shape

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
        most = memory.empty((*values.shape[:axis], len(cut), *values.shape[axis + 1 :]), x.dtype)
        for o, (start, stop) in enumerate(cut):
            block = values[_along(axis, slice(start, stop))]
            np.maximum.reduce(block, axis=axis, out=most[_along(axis, o)])
        stages.append(most)
    return stages


def max_of_windows_adjoint(stages: list[Array], dy: Array, cuts: Sequence[Cuts]) -> Array:
    """Return ``dx (n, ..., c)``: each dy at one element of its window, 0 elsewhere."""
    gradient = contiguous(dy)
    dx = memory.zeros(stages[0].shape, dy.dtype)
    flat = dx.reshape(-1)
    for output in itertools.product(*(range(len(cut)) for cut in cuts)):
        windows = [cut[o] for cut, o in zip(cuts, output, strict=True)]
        place = _place_of_most(stages, windows, output).reshape(-1)
        one = gradient[_at(output)].reshape(-1)
        np.put_along_axis(flat, place, np.take(flat, place) + one, 0)
    return outermost(dx)


def _place_of_most(
    stages: list[Array], windows: Sequence[tuple[int, int]], output: tuple[int, ...]
) -> IntArray:
    """Return where in ``stages[0]``, read in its order, each maximum ``(c, n)`` of an output is.

    ``windows`` are the output's along each axis. Along the first axis the maxima of whole rows are
    compared, and along each further one only the elements of the row, or column, found before.
    """
    *others, whole = stages
    most = whole[_at(output)]
    found: list[IntArray] = []
    for axis, (values, (start, stop)) in enumerate(zip(reversed(others), windows, strict=True)):
        behind = output[axis + 1 :]
        along = [np.arange(start, stop)[:, None, None], *behind]
        index = _flat(values.shape, [*found, *along])
        found.append(start + _place(np.take(values.reshape(-1), index), most))
    place: IntArray = _flat(stages[0].shape, found)
    return place


def _flat(shape: Shape, places: Sequence[Any]) -> Any:
    """Return the index, in the order of memory, of these places along the spatial axes.

    ``shape (first, c, ..., n)``; the result has the axes ``(c, n)`` last.
    """
    first, *others = places
    channels, examples = np.arange(shape[1])[:, None], np.arange(shape[-1])
    index = first * shape[1] + channels
    for place, size in zip(others, shape[2:-1], strict=True):
        index = index * size + place
    return index * shape[-1] + examples


def _at(output: tuple[int, ...]) -> Any:
    """Return an index that takes one output, in the order of memory: ``(c, n)``."""
    first, *others = output
    return (first, slice(None), *others)


def _last_axis_first(cuts: Sequence[Cuts]) -> list[tuple[int, Cuts]]:
    """Return each spatial axis in the order of memory, and its windows."""
    return [(axis_of(i), cuts[i]) for i in reversed(range(len(cuts)))]


def _along(axis: int, place: int | slice) -> Any:
    """Return an index that takes this place along an axis."""
    return (slice(None),) * axis + (place,)


def _place(values: Array, most: Array) -> IntArray:
    """Return the index along the first axis of the first that is ``most``, or of the last NaN."""
    size = len(values)
    kind = np.uint16 if size < 1 << 16 else np.uint32
    from_end = np.arange(size, 0, -1, dtype=kind)[:, None, None]
    found: Array = np.equal(values, most).astype(kind)
    found *= from_end
    place: IntArray = size - np.maximum.reduce(found, axis=0).astype(np.intp)
    unknown = np.isnan(most)
    if decide(unknown.any()):
        last = np.maximum.reduce(np.isnan(values) * (size + 1 - from_end), axis=0)
        place = np.where(unknown, last.astype(np.intp) - 1, place)
    return place
