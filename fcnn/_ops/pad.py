"""Padding of the spatial axes of a batch, and its adjoint.

Axes are padded one after the other, the last one first, so that corners are made of the margins of
the axes before. What a margin copies lies inside the image; the adjoint adds the margin's gradient
there, in the reverse order of axes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np

from fcnn._ops.spatial import axis_of, contiguous, innermost, outermost
from fcnn._ops.window import Pair
from fcnn._typing import Array

Margins: TypeAlias = tuple[Pair, ...]
"""What is added before and after each spatial axis."""

MODES = ("zeros", "reflect", "replicate", "circular")


def pad(x: Array, margins: Margins, mode: str, value: float) -> Array:
    """Return ``y (n, ..., c)``: x with margins, of ``value`` or copied from x."""
    *sizes, last = (size + sum(pads) for size, pads in zip(x.shape[1:-1], margins, strict=True))
    y = np.empty((*sizes, x.shape[-1], last, len(x)), x.dtype)
    _inside(y, margins, x.shape)[...] = innermost(x)
    for side in reversed(list(_sides(y, margins, x.shape))):
        for margin, source in _copies(*side, mode):
            margin[...] = x.dtype.type(value) if source is None else source
    return outermost(y)


def pad_adjoint(dy: Array, margins: Margins, shape: tuple[int, ...], mode: str) -> Array:
    """Return ``dx`` of this shape: dy inside, and that of each margin added where it came from."""
    if mode == "zeros":
        return outermost(np.ascontiguousarray(_inside(contiguous(dy), margins, shape)))
    rows = np.array(innermost(dy), order="C")
    for side in _sides(rows, margins, shape):
        for margin, source in _copies(*side, mode):
            if source is not None:
                added = margin.sum(axis=0, keepdims=True) if mode == "replicate" else margin
                np.add(source, added, out=source)
    return outermost(np.ascontiguousarray(_inside(rows, margins, shape)))


def crop(x: Array, margins: Margins) -> Array:
    """Return x without these margins, in memory of its own."""
    sizes = [size - sum(pads) for size, pads in zip(x.shape[1:-1], margins, strict=True)]
    return outermost(_inside(innermost(x), margins, (len(x), *sizes, x.shape[-1])).copy("C"))


def _inside(rows: Array, margins: Margins, shape: tuple[int, ...]) -> Array:
    """View what is not padding in ``rows (..., c, w, n)``; ``shape`` is that of x."""
    cut = [slice(None)] * rows.ndim
    for i, ((before, _), size) in enumerate(zip(margins, shape[1:-1], strict=True)):
        cut[axis_of(i, len(margins))] = slice(before, before + size)
    return rows[tuple(cut)]


def _sides(
    rows: Array, margins: Margins, shape: tuple[int, ...]
) -> Iterator[tuple[Array, Pair, int]]:
    """Yield for each axis, the first one first, a view with that axis in front.

    It holds the axes before it without their margins, which are made later, from it.
    """
    rank = len(margins)
    for i, (pads, size) in enumerate(zip(margins, shape[1:-1], strict=True)):
        earlier = (*margins[:i], *((0, 0) for _ in margins[i:]))
        whole = outermost(rows).shape
        part = _inside(rows, earlier, (whole[0], *shape[1 : i + 1], *whole[i + 1 :]))
        yield np.moveaxis(part, axis_of(i, rank), 0), pads, size


def _copies(rows: Array, pads: Pair, size: int, mode: str) -> Iterator[tuple[Array, Array | None]]:
    """Yield each margin of the first axis, and the rows that it copies, in the same order."""
    before, after = pads
    stop = before + size
    head, tail = rows[:before], rows[stop:]
    if mode == "zeros":
        yield head, None
        yield tail, None
    elif mode == "reflect":
        yield head, rows[before + 1 : 2 * before + 1][::-1]
        yield tail, rows[stop - 1 - after : stop - 1][::-1]
    elif mode == "replicate":
        yield head, rows[before : before + 1]
        yield tail, rows[stop - 1 : stop]
    else:
        yield head, rows[size : size + before]
        yield tail, rows[before : before + after]
