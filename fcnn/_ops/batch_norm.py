"""Normalisation over the batch, a channel at a time, and its adjoint.

With ``s = sqrt(var + eps)`` and ``u = (x - mean) / s`` over m pixels of a channel:

    y = scale*u + bias
    dbias = sum dy    dscale = sum dy*u    dx = scale/s * (dy - dbias/m - u*dscale/m)

The passes go through bands of rows that stay in the cache.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from fcnn._ops import memory
from fcnn._ops.channels import channel_lines, channel_rows, repeated, row_bands, sums_and_dots
from fcnn._ops.epilogue import Epilogue, check_output
from fcnn._ops.layout import nhwc
from fcnn._ops.passes import passes_over
from fcnn._ops.values import decide
from fcnn._typing import Array

NEAR = 16  # of a squared mean to its variance, below which x need not be centred first


class Seen(NamedTuple):
    """What `normalise` saw of a batch, in float64, each ``(c,)``."""

    mean: Array
    var: Array
    """Biased."""
    inverse: Array
    """``1 / sqrt(var + eps)``."""
    shift: Array | None
    """What was subtracted from x first, in its precision; None if every mean is near zero."""
    rest: Array
    """The mean of what was left."""

    @property
    def is_near(self) -> bool:
        """Whether every mean is near zero, so that sums of x do for those of x - mean."""
        return self.shift is None


def normalise(
    x: Array, scale: Array, bias: Array, eps: float, epilogue: Epilogue | None = None
) -> tuple[Array, Seen]:
    """Return y and what was seen: ``y = (x - mean) / sqrt(var + eps) * scale + bias``, epilogue.

    ``x (..., c)``; mean and variance over all axes but c.

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
    mean, shift, source = rest, None, rows
    if not is_near:
        shift, source = guess.astype(x.dtype), y
        centre = repeated(shift, rows)
        rest, var = _moments(
            np.subtract(channel_lines(rows[band]), centre, out=channel_lines(y[band]))
            for band in parts
        )
        mean = shift + rest
    seen = Seen(mean, var, 1 / np.sqrt(var + eps), shift, rest)
    _rescale(source, *_affine(scale, bias, seen), epilogue, y)
    return nhwc(y).reshape(x.shape), seen


def normalise_again(
    x: Array, scale: Array, bias: Array, seen: Seen, epilogue: Epilogue | None = None
) -> Array:
    """Return the y of `normalise` anew, with the same bits, from what was seen."""
    rows = channel_rows(x)
    source, y = rows, memory.empty(rows.shape, x.dtype)
    if seen.shift is not None:
        source, centre = y, repeated(seen.shift, rows)
        for band in row_bands(rows):
            np.subtract(channel_lines(rows[band]), centre, out=channel_lines(y[band]))
    _rescale(source, *_affine(scale, bias, seen), epilogue, y)
    return nhwc(y).reshape(x.shape)


def normalise_adjoint(
    x: Array,
    scale: Array,
    dy: Array,
    seen: Seen,
    y: Array | None = None,
    epilogue: Epilogue | None = None,
) -> tuple[Array, Array, Array]:
    """Return ``(dscale, dbias, dx)`` of `normalise`; an epilogue needs its output y."""
    check_output(epilogue, y)
    mean, inverse, is_near = seen.mean, seen.inverse, seen.is_near
    rows, drows = channel_rows(x), channel_rows(dy)
    yrows = None if y is None else channel_rows(y)
    c, pixels = x.shape[-1], x.size // x.shape[-1]
    centre = None if is_near else repeated(mean, rows)
    parts, dx = row_bands(rows), memory.empty(rows.shape, x.dtype)
    zrows = memory.ascontiguousarray(drows, x.dtype) if epilogue is None else dx
    buffer = memory.empty((parts[0].stop, c, rows.shape[2] * rows.shape[3]), x.dtype)
    both = []
    for band in parts:
        if epilogue is not None and yrows is not None:
            epilogue.adjoint(yrows[band], drows[band], zrows[band])
        source = channel_lines(rows[band])
        if centre is not None:
            source = np.subtract(source, centre, out=buffer[: len(source)])
        both.append(sums_and_dots(channel_lines(zrows[band]), source))
    total = functools.reduce(operator.add, both)
    dbias, dots = total[0], total[1]
    dscale = (dots - mean * dbias if is_near else dots) * inverse
    # dx = dz * factors + x * slopes + levels, the formula above with its terms in x together
    factor = scale * inverse
    share = factor / -pixels
    slope = share * inverse * dscale
    slopes, factors = repeated(slope, rows), repeated(factor, rows)
    levels = repeated(share * dbias - slope * mean, rows)
    with passes_over(factors.size, warns=True):
        for band in parts:
            dz, out = channel_lines(zrows[band]), channel_lines(dx[band])
            line = np.multiply(channel_lines(rows[band]), slopes, out=buffer[: len(out)])
            np.add(line, levels, out=line)
            np.multiply(dz, factors, out=out)
            np.add(out, line, out=out)
    return dscale.astype(x.dtype), dbias.astype(x.dtype), nhwc(dx).reshape(x.shape)


def rescale(x: Array, factor: Array, offset: Array, epilogue: Epilogue | None = None) -> Array:
    """Return ``x * factor + offset``, a channel at a time, through the epilogue."""
    rows = channel_rows(x)
    y = memory.empty(rows.shape, x.dtype)
    _rescale(rows, factor, offset, epilogue, y)
    return nhwc(y).reshape(x.shape)


def _affine(scale: Array, bias: Array, seen: Seen) -> tuple[Array, Array]:
    """Return what takes x, or x - shift, to y: a factor and an offset."""
    factor = scale * seen.inverse
    return factor, bias - seen.rest * factor


def _rescale(
    rows: Array, factor: Array, offset: Array, epilogue: Epilogue | None, y: Array
) -> None:
    factors, offsets = repeated(factor, rows), repeated(offset, rows)
    with passes_over(factors.size, warns=True):
        for band in row_bands(rows):
            out = np.multiply(channel_lines(rows[band]), factors, out=channel_lines(y[band]))
            np.add(out, offsets, out=out)
            if epilogue is not None:
                epilogue.apply(out, out)


def _moments(parts: Iterable[Array]) -> tuple[Array, Array]:
    """Mean and variance of each channel of bands ``(h, c, w*n)``, in one pass."""
    both, pixels = [], 0
    for lines in parts:
        both.append(sums_and_dots(lines, lines))
        pixels += len(lines) * lines.shape[2]
    means = functools.reduce(operator.add, both) / pixels
    mean, squares = means[0], means[1]
    return mean, np.maximum(squares - mean * mean, 0)


def _is_near_zero(mean: Array, var: Array) -> bool:
    """Whether sums of x do for those of x - mean, with up to 1 + NEAR times their rounding.

    Where squares overflow they do not: x - mean may be small enough.
    """
    return decide(((mean * mean <= NEAR * var) & np.isfinite(var)).all())
