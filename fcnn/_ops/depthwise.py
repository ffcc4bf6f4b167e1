"""Depthwise correlation: every channel by itself, and its adjoints.

With images innermost, one channel of an image is a matrix of rows ``(h, w*n)``. Along h the
correlation is a product with a banded matrix for each column of the filter, ``(rows of y, rows of
x) @ (rows of x, w*n)``; along w it is a sum of these products, shifted. Banded matrices of two
rows of y waste little: with a 3x3 filter, 4 products an element and column instead of 3, all by
BLAS, where passes of products and sums would be 18. The adjoint with respect to x has the
transposed matrices and the opposite shifts; that with respect to the weight is the products of rows
of x and of dy.

Zeros of a banded matrix times infinity are NaN, in the first row of y as in the others of the
block, so that a look at one row tells whether to compute directly.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from fcnn._ops import memory
from fcnn._ops.blocks import within
from fcnn._ops.channels import channel_lines
from fcnn._ops.finite import all_finite
from fcnn._ops.layout import nhwc, rows_of
from fcnn._ops.passes import passes_over
from fcnn._ops.vector import row_sums
from fcnn._ops.window import Window, inside
from fcnn._typing import Array, Shape

CHANNELS = 8  # at least; with fewer, and below the next two, groups one by one are faster
SIZE = 1 << 17  # elements of x at least
TERMS = 72  # images times elements of a filter at least
SHARE = 1 / 2  # of the budget, for the products of a band
TILE = 2  # rows of a band


class Band(NamedTuple):
    """Some rows of a result, and the rows of the source that they are computed from.

    ``places[i, j]`` is the row of the filter that connects the i-th of one with the j-th of the
    other, -1 if none does.
    """

    target: slice
    source: slice
    places: Array


def is_depthwise(x: Array, weight: Array, groups: int) -> bool:
    """Whether each filter sees one channel, and there is enough to do for this way to be faster.

    With few images, channels or elements the products of each group by itself take less time.
    """
    n, channels = len(x), x.shape[-1]
    if groups != channels or channels < CHANNELS or x.size < SIZE:
        return False
    return bool(n * weight.shape[0] * weight.shape[1] >= TERMS)


def depthwise(x: Array, weight: Array, window: Window, bias: Array | None = None) -> Array:
    """Return ``y[n, o, f] = bias[f] + sum over k of x[n, S·o + D·k, f // m] · weight[k, 0, f]``.

    ``x (n, h, w, c)``, ``weight (kh, kw, 1, c*m)``, ``bias (c*m,)``, ``y (n, oh, ow, c*m)``.
    """
    rows, kernel = rows_of(x), weight[:, :, 0]
    (oh, ow), filters = window.out, weight.shape[3]
    y = memory.empty((oh, filters, ow, len(x)), x.dtype)
    offset = memory.zeros(filters, x.dtype) if bias is None else bias
    with passes_over(ow * len(x)):
        _banded(rows, kernel, _bands(window), _columns(window), offset, y)
        if not all(all_finite(row) for row in y[::TILE]):
            _direct(rows, kernel, window, offset, y)
    return nhwc(y)


def depthwise_adjoints(
    x: Array, weight: Array, dy: Array, window: Window, input_grad: bool = True
) -> tuple[Array, Array, Array | None]:
    """Return ``(dweight, dbias, dx)``; dx is None if it is not asked for."""
    rows, drows = rows_of(x), rows_of(dy)
    kernel = weight[:, :, 0]
    with passes_over(window.image[1] * len(x)):
        dweight, dbias = _weight_adjoint(rows, drows, window)
        dweight, dbias = dweight.astype(x.dtype)[:, :, None], dbias.astype(x.dtype)
        if not input_grad:
            return dweight, dbias, None
        dx = memory.empty(rows.shape, x.dtype)
        bands, zero = _bands(window, of_image=True), memory.zeros(x.shape[3], x.dtype)
        columns = [(theirs, mine) for mine, theirs in _columns(window)]
        _banded(drows, kernel, bands, columns, zero, dx)
        if not all(all_finite(row) for row in dx[::TILE]):
            _direct_adjoint(drows, kernel, window, dx)
    return dweight, dbias, nhwc(dx)


def _filter_rows(window: Window) -> Array:
    """Return which row of the filter, or -1, connects row o of y and row i of x: ``(oh, h)``."""
    places = np.full((window.out[0], window.image[0]), -1)
    for k in range(window.kernel[0]):
        first = k * window.dilation[0] - window.pads[0][0]
        o, i = inside(first, window.stride[0], window.out[0], window.image[0])
        places[np.arange(o.start, o.stop), np.arange(i.start, i.stop, i.step)] = k
    return places


def _columns(window: Window) -> list[tuple[slice, slice]]:
    """Return for each column of the filter which columns of y see which columns of x."""
    return [
        inside(
            k * window.dilation[1] - window.pads[1][0],
            window.stride[1],
            window.out[1],
            window.image[1],
        )
        for k in range(window.kernel[1])
    ]


@functools.lru_cache(maxsize=256)
def _bands(window: Window, of_image: bool = False) -> tuple[Band, ...]:
    """Return the rows of y, or of the image, in bands."""
    places, bands = _filter_rows(window), []
    places = places.T if of_image else places
    for low in range(0, len(places), TILE):
        target = slice(low, min(low + TILE, len(places)))
        seen = np.flatnonzero((places[target] >= 0).any(axis=0))
        source = slice(seen[0], seen[-1] + 1) if len(seen) else slice(0, 1)
        bands.append(Band(target, source, places[target, source]))
    return tuple(bands)


def _banded(
    source: Array,
    kernel: Array,
    bands: tuple[Band, ...],
    columns: list[tuple[slice, slice]],
    offset: Array,
    out: Array,
) -> None:
    """Write ``offset`` plus the correlation of the source into out.

    ``source (h, c, w, n)``, ``kernel (kh, kw, filters)``, ``out (oh, filters, ow, n)``, or for the
    adjoint the channels of both exchanged. Where there are more filters than channels, those of one
    channel are computed one after the other.
    """
    h, channels, w, n = source.shape
    targets, kw, filters = out.shape[1], kernel.shape[1], kernel.shape[2]
    base = min(channels, targets)
    # a column of the filter that sees all columns of the target sets what others are added to
    order = sorted(range(kw), key=lambda k: columns[k][0] != slice(0, out.shape[2], 1))
    columns, kernel = [columns[k] for k in order], kernel[:, order]
    # (filters, kw, kh + 1): the last row of the filter, with number -1, is 0
    padded = memory.zeros((filters, kw, len(kernel) + 1), kernel.dtype)
    padded[:, :, :-1] = kernel.transpose(2, 1, 0)
    lines = source.reshape(h, channels, w * n).swapaxes(0, 1)
    width = max(1, within(SHARE) // (kw * TILE * w * n * source.itemsize))
    width = -(-base // -(-base // width))
    buffer = memory.empty(kw * TILE * width * w * n, source.dtype)
    for j in range(filters // base):
        own = slice(j, None, filters // base)
        sources = own if channels == filters else slice(None)
        outs = own if targets == filters else slice(None)
        is_first = targets == filters or j == 0
        for target, rows, at in bands:
            matrices = padded[own][:, :, at].reshape(base, -1, at.shape[1])
            for first in range(0, base, width):
                part = slice(first, min(first + width, base))
                shape = kw, len(at), part.stop - part.start, w, n
                made = buffer[: math.prod(shape)].reshape(shape)
                flat = made.reshape(kw * len(at), -1, w * n).swapaxes(0, 1)
                np.matmul(matrices[part], lines[sources][part, rows], out=flat)
                into = out[target, outs][:, part]
                _sum_shifted(made, columns, offset[outs][part] if is_first else None, into)


def _sum_shifted(
    made: Array, columns: list[tuple[slice, slice]], offset: Array | None, into: Array
) -> None:
    """Write the offset plus the sum of ``made (kw, rows, c, w, n)``, each shifted along w.

    Without an offset, add the sum to what is there.
    """
    for k, (mine, theirs) in enumerate(columns):
        products, part = made[k, :, :, theirs], into[:, :, mine]
        if k == 0 and offset is not None:
            level = offset[:, None, None]
            if part.shape == into.shape:
                np.add(products, level, out=part)
                continue
            into[...] = level
        np.add(part, products, out=part)


def _taps(window: Window) -> Iterator[tuple[int, int, slice, slice, slice, slice]]:
    """Yield each element of the filter: rows of y and x that meet there, columns of y and x."""
    for i in range(window.kernel[0]):
        first = i * window.dilation[0] - window.pads[0][0]
        rows = inside(first, window.stride[0], window.out[0], window.image[0])
        for j, columns in enumerate(_columns(window)):
            yield i, j, *rows, *columns


def _direct(rows: Array, kernel: Array, window: Window, offset: Array, y: Array) -> None:
    """Write the correlation into y element by element of the filter, where no others meet."""
    each = y.shape[1] // rows.shape[1]
    y[...] = offset[:, None, None]
    for i, j, o, h, p, w in _taps(window):
        for k in range(each):
            y[o, k::each, p] += rows[h, :, w] * kernel[i, j, k::each, None, None]


def _direct_adjoint(drows: Array, kernel: Array, window: Window, dx: Array) -> None:
    """Write the adjoint of `_direct` with respect to x into dx."""
    each = drows.shape[1] // dx.shape[1]
    dx[...] = 0
    for i, j, o, h, p, w in _taps(window):
        for k in range(each):
            dx[h, :, w] += drows[o, k::each, p] * kernel[i, j, k::each, None, None]


def _weight_adjoint(rows: Array, drows: Array, window: Window) -> tuple[Array, Array]:
    """Return dweight ``(kh, kw, filters)`` and dbias, in float64.

    A band of rows of dy is multiplied by all rows of x that it sees; of these products, added up
    for all such bands, those are taken that belong to an element of the filter.
    """
    (kh, kw), filters = window.kernel, drows.shape[1]
    total, each = memory.zeros((kh, kw, filters)), filters // rows.shape[1]
    dbias = memory.zeros(filters)
    columns = [
        (_merged(drows[:, :, mine]), _merged(rows[:, :, theirs]).swapaxes(1, 2))
        for mine, theirs in _columns(window)
    ]
    alike: dict[tuple[bytes, Shape], tuple[Array, Array]] = {}
    for target, source, at in _bands(window):
        dbias += row_sums(channel_lines(drows[target])).sum(axis=0, dtype=np.float64)
        start = at, memory.zeros((kw, filters, *at.shape))
        products = alike.setdefault((at.tobytes(), at.shape), start)[1]
        for k, (dys, xs) in enumerate(columns):
            for j in range(each):
                products[k, j::each] += np.matmul(dys[j::each, target], xs[:, :, source])
    for at, products in alike.values():
        for i in range(kh):
            total[i] += products[:, :, at == i].sum(axis=2)
    return total, dbias


def _merged(part: Array) -> Array:
    """Return ``(h, c, w, n)`` as ``(c, h, w*n)``, a view if its columns follow one another."""
    h, c, w, n = part.shape
    return part.reshape(h, c, w * n).swapaxes(0, 1)
