"""Normalisation over the batch, a channel at a time, and its adjoint.

In the order ``(h, c, w, n)`` of `fcnn._ops.layout`, one channel of an image row is one run of
memory: its sum is a product with a vector of ones and the sum of products a dot product, both by
BLAS, which reads as fast as memory gives. The passes work through blocks of rows that stay in
cache, and the channels' factors are repeated to a row's length, which makes an inner loop of a
whole row. Sums are float32 along a row or a piece of it, float64 from there on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from fcnn._ops.epilogue import Epilogue
from fcnn._ops.gemm import divisor
from fcnn._ops.layout import hcwn, nhwc
from fcnn._typing import Array

BUDGET = 1 << 19  # bytes of one operand's block
PIECE = 1 << 10  # elements that are summed in float32 at most, if their number has a divisor
NEAR = 16  # of a squared mean to its variance, below which x need not be centred first


def normalise(
    x: Array, scale: Array, bias: Array, eps: float, epilogue: Epilogue | None = None
) -> tuple[Array, Array, Array]:
    """``(y, mean, var)``: ``y = (x - mean) / sqrt(var + eps) * scale + bias``, and its epilogue.

    ``x (..., c)``; mean and (biased) variance ``(c,)`` over all other axes, in float64.

    One pass has both sums, of x and of its square. ``E[x²] - E[x]²`` cancels where a mean is far
    from zero; there x - k takes the place of x, where k is the mean of the first of ``b`` blocks: a
    block is a part of the data, so ``E[x - k]²`` is at most b times the variance.
    """
    rows = _rows(x)
    first, y = next(_blocks(rows)), np.empty(rows.shape, x.dtype)
    with np.errstate(over="ignore", invalid="ignore"):  # where squares overflow it is centred
        rest, variance = guess, _ = _moments(iter([_lines(rows[first])]))
        is_near = _is_near_zero(rest, variance)
        if is_near and first.stop < len(rows):
            rest, variance = _moments(_lines(rows[block]) for block in _blocks(rows))
            is_near = _is_near_zero(rest, variance)
    near, seen = np.zeros_like(guess), rows
    if not is_near:
        near, seen = guess.astype(x.dtype), y
        centre = _repeated(near, rows)
        rest, variance = _moments(
            np.subtract(_lines(rows[block]), centre, out=_lines(y[block]))
            for block in _blocks(rows)
        )
    factor = scale / np.sqrt(variance + eps)
    _rescale(seen, factor, bias - rest * factor, epilogue, y)
    return nhwc(y).reshape(x.shape), near + rest, variance


def normalise_adjoint(
    x: Array,
    scale: Array,
    dy: Array,
    mean: Array,
    var: Array,
    eps: float,
    y: Array | None = None,
    epilogue: Epilogue | None = None,
) -> tuple[Array, Array, Array]:
    """``(dscale, dbias, dx)``; with an epilogue pass the output ``y`` too.

    With ``u = (x - mean) / s`` and ``s = sqrt(var + eps)``:
    ``dbias = sum dy``, ``dscale = sum dy*u``,
    ``dx = scale/s * (dy - dbias/m - u*dscale/m)``, m pixels to a channel.
    """
    rows, drows, yrows = _rows(x), _rows(dy), None if y is None else _rows(y)
    c, pixels = x.shape[-1], x.size // x.shape[-1]
    centre = None if _is_near_zero(mean, var) else _repeated(mean, rows)
    buffer, dx = _buffer(rows), np.empty(rows.shape, x.dtype)
    dbias, dscale = np.zeros(c), np.zeros(c)
    for block in _blocks(rows):
        if epilogue is None or yrows is None:
            np.copyto(dx[block], drows[block])
        else:
            epilogue.adjoint(yrows[block], drows[block], dx[block])
        dz, seen = _lines(dx[block]), _lines(rows[block])
        dbias += _sums(dz)
        if centre is not None:
            seen = np.subtract(seen, centre, out=buffer[: len(seen)])
        dscale += _dots(seen, dz)
    if centre is None:
        dscale -= mean * dbias
    inverse = 1 / np.sqrt(var + eps)
    dscale *= inverse
    slope = -scale * inverse * inverse * dscale / pixels
    slopes, factors = _repeated(slope, rows), _repeated(scale * inverse, rows)
    levels = _repeated(-scale * inverse * dbias / pixels - slope * mean, rows)
    for block in _blocks(rows):
        dz, seen = _lines(dx[block]), _lines(rows[block])
        line = np.multiply(seen, slopes, out=buffer[: len(seen)])
        np.add(line, levels, out=line)
        np.multiply(dz, factors, out=dz)
        np.add(dz, line, out=dz)
    return dscale.astype(x.dtype), dbias.astype(x.dtype), nhwc(dx).reshape(x.shape)


def rescale(x: Array, factor: Array, offset: Array, epilogue: Epilogue | None = None) -> Array:
    """``x * factor + offset``, a channel at a time, and its epilogue."""
    rows = _rows(x)
    y = np.empty(rows.shape, x.dtype)
    _rescale(rows, factor, offset, epilogue, y)
    return nhwc(y).reshape(x.shape)


def _rescale(
    rows: Array, factor: Array, offset: Array, epilogue: Epilogue | None, y: Array
) -> None:
    factors, offsets = _repeated(factor, rows), _repeated(offset, rows)
    for block in _blocks(rows):
        out = np.multiply(_lines(rows[block]), factors, out=_lines(y[block]))
        np.add(out, offsets, out=out)
        if epilogue is not None:
            epilogue.apply(out, out)


def _moments(blocks: Iterator[Array]) -> tuple[Array, Array]:
    """Mean and variance of each channel of blocks ``(h, c, w*n)``, in one pass."""
    total: Any = 0
    squares: Any = 0
    pixels = 0
    for lines in blocks:
        total += _sums(lines)
        squares += _dots(lines, lines)
        pixels += len(lines) * lines.shape[2]
    mean = np.asarray(total / pixels)
    return mean, np.maximum(squares / pixels - mean * mean, 0)


def _is_near_zero(mean: Array, variance: Array) -> bool:
    """Whether sums of x do for those of x - mean, with up to 1 + NEAR times their rounding.

    Where squares overflow they do not: x - mean may be small enough.
    """
    return bool(((mean * mean <= NEAR * variance) & np.isfinite(variance)).all())


def _rows(x: Array) -> Array:
    """``(n, h, w, c)`` as ``(h, c, w, n)``; whatever else stands before c is taken for columns."""
    return hcwn(x if x.ndim == 4 else x.reshape(len(x), 1, math.prod(x.shape[1:-1]), x.shape[-1]))


def _lines(rows: Array) -> Array:
    """A block ``(h, c, w*n)``, a view where the images are innermost."""
    h, c, w, n = rows.shape
    return np.ascontiguousarray(rows).reshape(h, c, w * n)


def _sums(lines: Array) -> Array:
    """The sum of each channel, in float64 from piece to piece."""
    parts = _pieces(lines)
    ones = np.ones(parts.shape[3], lines.dtype)
    total: Array = (parts @ ones).sum(axis=(0, 2), dtype=np.float64)
    return total


def _dots(a: Array, b: Array) -> Array:
    """The sum of products of each channel, likewise."""
    products = np.vecdot(_pieces(a), _pieces(b))
    total: Array = products.sum(axis=(0, 2), dtype=np.float64)
    return total


def _pieces(lines: Array) -> Array:
    """``(h, c, w*n)`` in pieces whose sums in float32 are good, ``(h, c, pieces, size)``."""
    h, c, run = lines.shape
    size = divisor(run, PIECE)
    return lines.reshape(h, c, -1, size if size >= PIECE // 16 else run)


def _repeated(channels: Array, rows: Array) -> Array:
    """One number a channel as ``(c, w*n)``, to meet `_lines`."""
    _, c, w, n = rows.shape
    out = np.empty((c, w * n), rows.dtype)
    out[...] = channels[:, None]
    return out


def _buffer(rows: Array) -> Array:
    h, c, w, n = rows.shape
    return np.empty((min(h, _size(rows)), c, w * n), rows.dtype)


def _size(rows: Array) -> int:
    return max(1, BUDGET // max(1, int(rows[0].nbytes)))


def _blocks(rows: Array) -> Iterator[slice]:
    for start in range(0, len(rows), _size(rows)):
        yield slice(start, start + _size(rows))
