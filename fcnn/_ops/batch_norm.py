"""Normalisation over the batch, a channel at a time, and its adjoint.

In the order ``(h, c, w, n)`` of `fcnn._ops.layout`, one channel of an image row is one run of
memory: its sum is a product with a vector of ones and the sum of products a dot product, both by
BLAS, which reads as fast as memory gives. The passes work through blocks of rows that stay in
cache. Sums are float32 along a row, float64 from row to row.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from fcnn._ops.layout import hcwn, nhwc
from fcnn._ops.relu import relu_adjoint
from fcnn._typing import Array

BUDGET = 1 << 19  # bytes of one operand's block


def normalise(
    x: Array, scale: Array, shift: Array, epsilon: float, relu: bool = False
) -> tuple[Array, Array, Array]:
    """``(y, mean, variance)``: ``y = (x - mean) / sqrt(variance + epsilon) * scale + shift``.

    ``x (..., c)``; mean and (biased) variance ``(c,)`` over all other axes, in
    float64. The variance is the mean square of ``x - mean``: two passes, since
    ``E[x²] - E[x]²`` cancels. With ``relu``, ``max(y, 0)``.
    """
    rows, c, pixels = _rows(x), x.shape[-1], x.size // x.shape[-1]
    mean, variance = np.zeros(c), np.zeros(c)
    for block in _blocks(rows):
        mean += _sums(_lines(rows[block]))
    mean /= pixels
    centre, buffer = _column(mean, x), _buffer(rows)
    for block in _blocks(rows):
        away = _away(rows[block], centre, buffer)
        variance += np.vecdot(away, away).sum(axis=0, dtype=np.float64)
    variance /= pixels
    factor, offset = _column(scale / np.sqrt(variance + epsilon), x), _column(shift, x)
    y, zero = np.empty(rows.shape, x.dtype), np.zeros(buffer.shape[2], x.dtype)
    for block in _blocks(rows):
        out = np.subtract(_lines(rows[block]), centre, out=_lines(y[block]))
        np.multiply(out, factor, out=out)
        np.add(out, offset, out=out)
        if relu:
            np.maximum(out, zero, out=out)
    return nhwc(y).reshape(x.shape), mean, variance


def normalise_adjoint(
    x: Array,
    scale: Array,
    dy: Array,
    mean: Array,
    variance: Array,
    epsilon: float,
    y: Array | None = None,
) -> tuple[Array, Array, Array]:
    """``(dscale, dshift, dx)``; pass the output ``y`` if relu was applied to it.

    With ``u = (x - mean) / s`` and ``s = sqrt(variance + epsilon)``:
    ``dshift = sum dy``, ``dscale = sum dy*u``,
    ``dx = scale/s * (dy - dshift/m - u*dscale/m)``, m pixels to a channel.
    """
    rows, drows, live = _rows(x), _rows(dy), None if y is None else _rows(y)
    c, pixels = x.shape[-1], x.size // x.shape[-1]
    centre, buffer, dx = _column(mean, x), _buffer(rows), np.empty(rows.shape, x.dtype)
    dshift, dscale = np.zeros(c), np.zeros(c)
    for block in _blocks(rows):
        if live is None:
            np.copyto(dx[block], drows[block])
        else:
            relu_adjoint(live[block], drows[block], dx[block])
        dz = _lines(dx[block])
        dshift += _sums(dz)
        away = _away(rows[block], centre, buffer)
        dscale += np.vecdot(away, dz).sum(axis=0, dtype=np.float64)
    inverse = 1 / np.sqrt(variance + epsilon)
    dscale *= inverse
    factor = _column(scale * inverse, x)
    slope = _column(-scale * inverse * inverse * dscale / pixels, x)
    level = _column(-scale * inverse * dshift / pixels, x)
    for block in _blocks(rows):
        away = _away(rows[block], centre, buffer)
        np.multiply(away, slope, out=away)
        np.add(away, level, out=away)
        dz = _lines(dx[block])
        out = np.multiply(dz, factor, out=dz)
        np.add(out, away, out=out)
    return dscale.astype(x.dtype), dshift.astype(x.dtype), nhwc(dx).reshape(x.shape)


def rescale(x: Array, mean: Array, factor: Array, shift: Array, relu: bool = False) -> Array:
    """``(x - mean) * factor + shift``, a channel at a time; with ``relu``, at least 0."""
    rows = _rows(x)
    factors, offsets = _column(factor, x), _column(shift - mean * factor, x)
    y, zero = np.empty(rows.shape, x.dtype), np.zeros(rows.shape[2] * len(x), x.dtype)
    for block in _blocks(rows):
        out = np.multiply(_lines(rows[block]), factors, out=_lines(y[block]))
        np.add(out, offsets, out=out)
        if relu:
            np.maximum(out, zero, out=out)
    return nhwc(y).reshape(x.shape)


def _rows(x: Array) -> Array:
    """``(n, h, w, c)`` as ``(h, c, w, n)``; whatever else stands before c is taken for columns."""
    return hcwn(x if x.ndim == 4 else x.reshape(len(x), 1, math.prod(x.shape[1:-1]), x.shape[-1]))


def _lines(rows: Array) -> Array:
    """A block ``(h, c, w*n)``, a view where the images are innermost."""
    h, c, w, n = rows.shape
    return rows.reshape(h, c, w * n)


def _sums(lines: Array) -> Array:
    """The sum of each channel, in float64 from row to row."""
    ones = np.ones(lines.shape[2], lines.dtype)
    total: Array = (lines @ ones).sum(axis=0, dtype=np.float64)
    return total


def _away(rows: Array, centre: Array, buffer: Array) -> Array:
    return np.subtract(_lines(rows), centre, out=buffer[: len(rows)])


def _column(channels: Array, x: Array) -> Array:
    """One number a channel, to meet rows ``(h, c, w*n)``."""
    return channels.astype(x.dtype)[:, None]


def _buffer(rows: Array) -> Array:
    h, c, w, n = rows.shape
    return np.empty((min(h, _size(rows)), c, w * n), rows.dtype)


def _size(rows: Array) -> int:
    return max(1, BUDGET // max(1, int(rows[0].nbytes)))


def _blocks(rows: Array) -> Iterator[slice]:
    for start in range(0, len(rows), _size(rows)):
        yield slice(start, start + _size(rows))
