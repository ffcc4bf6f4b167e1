"""The order of an image batch in memory: rows, channels, columns, and innermost the images.

A kernel returns shape ``(n, h, w, c)`` but memory order ``(h, c, w, n)``: ``hcwn`` of it is a
contiguous view. So one image row is a matrix, and every copy and every element-wise pass has runs
of at least ``n`` elements, whatever the stride and however few the channels. An argument in any
other order costs a copy.

NumPy's copy is slow where images are a multiple of 1 KiB apart: reading one element of each image
evicts the cache lines that the next elements need, because they share a few sets of the cache. Then
an image row of all examples is copied into a buffer whose rows are a little longer, transposed from
there, and its channels are put in order by whole runs of images.
"""

from __future__ import annotations

import math

import numpy as np

from fcnn._ops import blocks, memory
from fcnn._typing import Array

PIECE = 1 << 13
"""Elements of a row: those of NumPy's buffer, to which it would copy rows that are shorter."""
APART = 1 << 10
"""Bytes; images a multiple of it apart share sets of the cache."""
MANY, ROW, PADDING = 24, 32, 16
"""Images, and elements of an image row, from which the copy by way of a buffer is the faster one;
elements by which the rows of the buffer are longer: a cache line of float32."""


def hcwn(x: Array) -> Array:
    """Return ``x (n, h, w, c)`` as a view ``(h, c, w, n)``."""
    return x.transpose(1, 3, 2, 0)


def nhwc(rows: Array) -> Array:
    """Return ``rows (h, c, w, n)`` as a view ``(n, h, w, c)``: the inverse of `hcwn`."""
    return rows.transpose(3, 0, 2, 1)


def order(axes: int) -> tuple[int, ...]:
    """Return the order in memory of an array ``(n, ..., c)`` with that many axes."""
    return (1, axes - 1, *range(2, axes - 1), 0)


def images_innermost(x: Array) -> Array:
    """Return ``x (n, h, w, c)`` in the order of this module, if the copy is small; else ``x``."""
    if hcwn(x).flags.c_contiguous or x.nbytes > blocks.within(blocks.INNERMOST):
        return x
    return nhwc(rows_of(x))


def rows_of(x: Array) -> Array:
    """Return ``x (n, h, w, c)`` as a contiguous array ``(h, c, w, n)``: a view of it, or a copy."""
    rows = hcwn(x)
    n, h, w, c = x.shape
    is_slow = x.flags.c_contiguous and n >= MANY and x.size and x.strides[0] % APART == 0
    if rows.flags.c_contiguous or not is_slow or w * c < ROW:
        return memory.ascontiguousarray(rows)
    out = memory.empty(rows.shape, x.dtype)
    padded = memory.empty((n, w * c + PADDING), x.dtype)[:, : w * c]
    turned = memory.empty((w, c, n), x.dtype)
    for image_row, target in zip(x.reshape(n, h, w * c).swapaxes(0, 1), out, strict=True):
        np.copyto(padded, image_row)
        np.copyto(turned.reshape(w * c, n), padded.T)
        np.copyto(runs(target), runs(turned).T)
    return out


def in_memory_order(x: Array) -> Array | None:
    """View x with its axes in the order of memory, as pieces ``(k, size)`` if its rows are short.

    None if x is not contiguous in any order of its axes.
    """
    if not x.flags.c_contiguous:
        x = x.transpose(sorted(range(x.ndim), key=lambda axis: -x.strides[axis]))
        if not x.flags.c_contiguous:
            return None
    size = math.gcd(x.size, PIECE)
    if x.size >= PIECE * len(x) or size < PIECE // 16:
        return x
    return x.reshape(-1, size)


def runs(x: Array) -> Array:
    """View ``x (..., n)``, whose last axis is contiguous, as an array ``(...)`` of runs to copy.

    An element of the view is n elements of x, as raw bytes: NumPy copies these faster than rows
    of n elements. An empty array is returned as it is.
    """
    if x.size == 0:
        return x
    return x.view(f"V{x.shape[-1] * x.itemsize}")[..., 0]


def copy_runs(source: Array, target: Array) -> None:
    """Copy by `runs`, or element by element where those of the source do not lie together."""
    if source.strides[-1] == source.itemsize:
        np.copyto(runs(target), runs(source))
    else:
        np.copyto(target, source)


def reshaped(x: Array, shape: tuple[int, ...]) -> Array:
    """Return a view with each example in another shape; images stay innermost where they were."""
    if x.flags.c_contiguous:
        return x.reshape(len(x), *shape)
    y = x.transpose(*range(1, x.ndim), 0).reshape(*shape, len(x))
    return y.transpose(len(shape), *range(len(shape)))
