"""Normalisation over the batch, a channel at a time, and its adjoint.

Channel sums are products with a vector of ones, block by block: BLAS reads as
fast as memory gives, where ``sum(axis=0)`` of rows of 16 to 64 channels takes
four times as long. Blocks bound the rounding: float32 within a block, float64
from block to block. The other passes run over whole image rows, with the
channels' factors tiled to a row's length, and over blocks that stay in cache.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fcnn._ops.relu import relu_adjoint
from fcnn._typing import Array

BUDGET = 1 << 20  # bytes of one operand's block


def normalise(
    x: Array, scale: Array, shift: Array, epsilon: float, relu: bool = False
) -> tuple[Array, Array, Array]:
    """``(y, mean, variance)``: ``y = (x - mean) / sqrt(variance + epsilon) * scale + shift``.

    ``x (..., c)``; mean and (biased) variance ``(c,)`` over all other axes, in
    float64. The variance is the mean square of ``x - mean``: two passes, since
    ``E[x²] - E[x]²`` cancels. With ``relu``, ``max(y, 0)``.
    """
    lines = _lines(x)
    c, pixels = x.shape[-1], x.size // x.shape[-1]
    mean = np.zeros(c)
    for part in _blocks(lines):
        mean += _channel_sums(lines[part], c)
    mean /= pixels
    variance, centre, buffer = np.zeros(c), _tiled(mean, lines), _buffer(lines)
    for part in _blocks(lines):
        block = lines[part]
        away = np.subtract(block, centre, out=buffer[: len(block)])
        np.multiply(away, away, out=away)
        variance += _channel_sums(away, c)
    variance /= pixels
    y = np.empty(lines.shape, x.dtype)
    factor, offset = _tiled(scale / np.sqrt(variance + epsilon), lines), _tiled(shift, lines)
    zero = np.zeros_like(offset)
    for part in _blocks(lines):
        out = np.subtract(lines[part], centre, out=y[part])
        np.multiply(out, factor, out=out)
        np.add(out, offset, out=out)
        if relu:
            np.maximum(out, zero, out=out)
    return y.reshape(x.shape), mean, variance


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
    lines, dlines = _lines(x), _lines(dy)
    live = None if y is None else _lines(y)
    c, pixels = x.shape[-1], x.size // x.shape[-1]
    centre, buffer, masked = _tiled(mean, lines), _buffer(lines), _buffer(lines)
    dshift, dscale = np.zeros(c), np.zeros(c)
    for part in _blocks(lines):
        dz, block = _masked(dlines, live, part, masked), lines[part]
        dshift += _channel_sums(dz, c)
        away = np.subtract(block, centre, out=buffer[: len(block)])
        np.multiply(away, dz, out=away)
        dscale += _channel_sums(away, c)
    inverse = 1 / np.sqrt(variance + epsilon)
    dscale *= inverse
    factor = _tiled(scale * inverse, lines)
    slope = _tiled(-scale * inverse * inverse * dscale / pixels, lines)
    level = _tiled(-scale * inverse * dshift / pixels, lines)
    dx = np.empty(lines.shape, x.dtype)
    for part in _blocks(lines):
        dz, block = _masked(dlines, live, part, masked), lines[part]
        away = np.subtract(block, centre, out=buffer[: len(block)])
        np.multiply(away, slope, out=away)
        np.add(away, level, out=away)
        out = np.multiply(dz, factor, out=dx[part])
        np.add(out, away, out=out)
    return dscale.astype(x.dtype), dshift.astype(x.dtype), dx.reshape(x.shape)


def rescale(x: Array, mean: Array, factor: Array, shift: Array, relu: bool = False) -> Array:
    """``(x - mean) * factor + shift``, a channel at a time; with ``relu``, at least 0."""
    lines = _lines(x)
    factors, offsets = _tiled(factor, lines), _tiled(shift - mean * factor, lines)
    zero = np.zeros_like(offsets)
    y = np.empty(lines.shape, x.dtype)
    for part in _blocks(lines):
        out = np.multiply(lines[part], factors, out=y[part])
        np.add(out, offsets, out=out)
        if relu:
            np.maximum(out, zero, out=out)
    return y.reshape(x.shape)


def _lines(x: Array) -> Array:
    """Image rows ``(n*h, w*c)``; a matrix stays what it is."""
    rows = x.shape[-2] if x.ndim > 2 else 1
    return np.ascontiguousarray(x).reshape(-1, rows * x.shape[-1])


def _channel_sums(lines: Array, c: int) -> Array:
    pixels = lines.reshape(-1, c)
    return np.asarray(np.ones(len(pixels), lines.dtype) @ pixels)


def _tiled(channels: Array, lines: Array) -> Array:
    return np.tile(channels.astype(lines.dtype), lines.shape[1] // len(channels))


def _buffer(lines: Array) -> Array:
    return np.empty((min(len(lines), _size(lines)), lines.shape[1]), lines.dtype)


def _size(lines: Array) -> int:
    return max(1, BUDGET // int(lines.shape[1] * lines.itemsize))


def _blocks(lines: Array) -> Iterator[slice]:
    for start in range(0, len(lines), _size(lines)):
        yield slice(start, start + _size(lines))


def _masked(dlines: Array, live: Array | None, part: slice, out: Array) -> Array:
    """The block of dy, without what relu stopped."""
    block = dlines[part]
    return block if live is None else relu_adjoint(live[part], block, out[: len(block)])
