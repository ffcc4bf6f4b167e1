"""Sums over each channel of a batch, and numbers of channels repeated to whole rows.

In the order ``(h, c, w, n)`` of `fcnn._ops.layout` one channel of an image row is one run of
memory: its sum is a product with a vector of ones, its sum of products a dot product, both by BLAS
at the speed of memory. Sums are in the data's precision along a row or a piece of it, and in
float64 from there on. Rows of few images are too short for a call each: they are added first.
"""

from __future__ import annotations

import math

import numpy as np

from fcnn._ops import memory
from fcnn._ops.blocks import ELEMENTWISE, bands
from fcnn._ops.gemm import divisor
from fcnn._ops.layout import hcwn
from fcnn._ops.vector import row_sums
from fcnn._typing import Array

PIECE = 1 << 10  # elements that are summed in float32 at most, if their number has a divisor
SHORT = 64  # elements of a row, up to which adding whole rows is faster than a call for each


def channel_rows(x: Array) -> Array:
    """View ``(n, ..., c)`` as ``(h, c, w, n)``; axes other than h and w are taken for columns."""
    return hcwn(x if x.ndim == 4 else x.reshape(len(x), 1, math.prod(x.shape[1:-1]), x.shape[-1]))


def row_bands(rows: Array) -> list[slice]:
    """Cut rows into bands whose element-wise passes stay in the cache."""
    return bands(len(rows), rows[0].nbytes, ELEMENTWISE)


def channel_lines(rows: Array) -> Array:
    """Return a band as ``(h, c, w*n)``, a view where the images are innermost."""
    h, c, w, n = rows.shape
    return memory.ascontiguousarray(rows).reshape(h, c, w * n)


def repeated(channels: Array, rows: Array) -> Array:
    """Repeat one number a channel as ``(c, w*n)``, which makes an inner loop of a whole row."""
    _, c, w, n = rows.shape
    out = memory.empty((c, w * n), rows.dtype)
    out[...] = channels[:, None]
    return out


def sums(lines: Array, out: Array | None = None) -> Array:
    """Return the sum of each channel of ``lines (h, c, w*n)``, in float64."""
    parts = _pieces(lines)
    total: Array = row_sums(parts).sum(axis=(0, 2), dtype=np.float64, out=out)
    return total


def dots(a: Array, b: Array, out: Array | None = None) -> Array:
    """Return the sum of products of each channel, in float64."""
    products = np.vecdot(_pieces(a), _pieces(b))
    total: Array = products.sum(axis=(0, 2), dtype=np.float64, out=out)
    return total


def sums_and_dots(a: Array, b: Array) -> Array:
    """Return the sums of a and those of ``a * b`` for each channel, ``(2, c)``, in float64."""
    h, c, run = a.shape
    if run > SHORT or h > PIECE:
        both = memory.empty((2, c))
        sums(a, out=both[0])
        dots(a, b, out=both[1])
        return both
    columns = memory.empty((2, c, run), a.dtype)
    np.add.reduce(a, axis=0, out=columns[0])
    np.add.reduce(np.multiply(a, b), axis=0, out=columns[1])
    return memory.asarray(np.add.reduce(columns, axis=2, dtype=np.float64))


def _pieces(lines: Array) -> Array:
    """View ``(h, c, w*n)`` as pieces short enough for sums in float32, ``(h, c, pieces, size)``."""
    h, c, run = lines.shape
    size = divisor(run, PIECE)
    return lines.reshape(h, c, -1, size if size >= PIECE // 16 else run)
