"""Normalisation over the batch, a channel at a time, and its adjoint.

With ``s = sqrt(var + eps)`` and ``u = (x - mean) / s`` over m pixels of a channel:

    y = scale*u + bias
    dbias = sum dy    dscale = sum dy*u    dx = scale/s * (dy - dbias/m - u*dscale/m)

The passes go through bands of rows that stay in the cache.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from fcnn._ops import memory
from fcnn._ops.channels import channel_lines, channel_rows, dots, repeated, row_bands, sums
from fcnn._ops.epilogue import Epilogue, check_output
from fcnn._ops.layout import nhwc
from fcnn._ops.values import decide
from fcnn._typing import Array

NEAR = 16  # of a squared mean to its variance, below which x need not be centred first


def normalise(
    x: Array, scale: Array, bias: Array, eps: float, epilogue: Epilogue | None = None
) -> tuple[Array, Array, Array]:
    """Return ``(y, mean, var)``: ``y = (x - mean) / sqrt(var + eps) * scale + bias``, epilogue.

    ``x (..., c)``; mean and (biased) variance ``(c,)`` over all other axes, in float64.

    One pass has both sums, of x and of its square. ``E[x²] - E[x]²`` cancels where a mean is far
    from zero; there x - k takes the place of x, where k is the mean of the first of ``b`` bands: a
    band is a part of the data, so ``E[x - k]²`` is at most b times the variance.
    """
    rows = channel_rows(x)
    parts, y = row_bands(rows), memory.empty(rows.shape, x.dtype)
    with np.errstate(over="ignore", invalid="ignore"):  # where squares overflow it is centred
        rest, var = guess, _ = _moments([channel_lines(rows[parts[0]])])
        is_near = _is_near_zero(rest, var)
        if is_near and len(parts) > 1:
            rest, var = _moments(channel_lines(rows[band]) for band in parts)
            is_near = _is_near_zero(rest, var)
    shift, source = memory.zeros_like(guess), rows
    if not is_near:
        shift, source = guess.astype(x.dtype), y
        centre = repeated(shift, rows)
        rest, var = _moments(
            np.subtract(channel_lines(rows[band]), centre, out=channel_lines(y[band]))
            for band in parts
        )
    factor = scale / np.sqrt(var + eps)
    _rescale(source, factor, bias - rest * factor, epilogue, y)
    return nhwc(y).reshape(x.shape), shift + rest, var


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
    """Return ``(dscale, dbias, dx)`` of `normalise`; an epilogue needs its output y."""
    check_output(epilogue, y)
    rows, drows = channel_rows(x), channel_rows(dy)
    yrows = None if y is None else channel_rows(y)
    c, pixels = x.shape[-1], x.size // x.shape[-1]
    centre = None if _is_near_zero(mean, var) else repeated(mean, rows)
    parts, dx = row_bands(rows), memory.empty(rows.shape, x.dtype)
    buffer = memory.empty((parts[0].stop, c, rows.shape[2] * rows.shape[3]), x.dtype)
    dbias, dscale = memory.zeros(c), memory.zeros(c)
    for band in parts:
        if epilogue is None or yrows is None:
            np.copyto(dx[band], drows[band])
        else:
            epilogue.adjoint(yrows[band], drows[band], dx[band])
        dz, source = channel_lines(dx[band]), channel_lines(rows[band])
        dbias += sums(dz)
        if centre is not None:
            source = np.subtract(source, centre, out=buffer[: len(source)])
        dscale += dots(source, dz)
    if centre is None:
        dscale -= mean * dbias
    # dx = dz * factors + x * slopes + levels, the formula above with its terms in x together
    inverse = 1 / np.sqrt(var + eps)
    dscale *= inverse
    slope = -scale * inverse * inverse * dscale / pixels
    slopes, factors = repeated(slope, rows), repeated(scale * inverse, rows)
    levels = repeated(-scale * inverse * dbias / pixels - slope * mean, rows)
    for band in parts:
        dz, source = channel_lines(dx[band]), channel_lines(rows[band])
        line = np.multiply(source, slopes, out=buffer[: len(source)])
        np.add(line, levels, out=line)
        np.multiply(dz, factors, out=dz)
        np.add(dz, line, out=dz)
    return dscale.astype(x.dtype), dbias.astype(x.dtype), nhwc(dx).reshape(x.shape)


def rescale(x: Array, factor: Array, offset: Array, epilogue: Epilogue | None = None) -> Array:
    """Return ``x * factor + offset``, a channel at a time, through the epilogue."""
    rows = channel_rows(x)
    y = memory.empty(rows.shape, x.dtype)
    _rescale(rows, factor, offset, epilogue, y)
    return nhwc(y).reshape(x.shape)


def _rescale(
    rows: Array, factor: Array, offset: Array, epilogue: Epilogue | None, y: Array
) -> None:
    factors, offsets = repeated(factor, rows), repeated(offset, rows)
    for band in row_bands(rows):
        out = np.multiply(channel_lines(rows[band]), factors, out=channel_lines(y[band]))
        np.add(out, offsets, out=out)
        if epilogue is not None:
            epilogue.apply(out, out)


def _moments(parts: Iterable[Array]) -> tuple[Array, Array]:
    """Mean and variance of each channel of bands ``(h, c, w*n)``, in one pass."""
    total: Any = 0
    squares: Any = 0
    pixels = 0
    for lines in parts:
        total += sums(lines)
        squares += dots(lines, lines)
        pixels += len(lines) * lines.shape[2]
    mean = memory.asarray(total / pixels)
    return mean, np.maximum(squares / pixels - mean * mean, 0)


def _is_near_zero(mean: Array, var: Array) -> bool:
    """Whether sums of x do for those of x - mean, with up to 1 + NEAR times their rounding.

    Where squares overflow they do not: x - mean may be small enough.
    """
    return decide(((mean * mean <= NEAR * var) & np.isfinite(var)).all())
