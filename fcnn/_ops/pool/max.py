"""Max pooling and its adjoint.

The gradient of a window goes to one element: the first in row-major order that is the maximum, or
the last that is NaN, as in PyTorch. It is found by the same two steps as the maximum, backwards:
the first row that holds it, and in that row the first column. Each takes its part of the gradient
and leaves the rest to the next ones; parts and rests are computed on the bits (`fcnn._ops.relu`),
so that inf and NaN move like any other gradient. Nothing is saved between forward and backward
but the layer's own input and output.
"""

from __future__ import annotations

import math

import numpy as np

from fcnn._ops import memory
from fcnn._ops.finite import all_finite
from fcnn._ops.layout import hcwn, nhwc
from fcnn._ops.pool.windows import (
    add_to,
    is_short,
    padded_bands,
    reduce_by,
    together,
    window_columns,
    window_rows,
    write_to,
)
from fcnn._ops.relu import as_bits, select, select_bits
from fcnn._ops.window import Pair, Window, slide
from fcnn._typing import Array


def max_pool(x: Array, window: Window) -> Array:
    """Return the maximum of each window, NaN if it holds one; padding is never the maximum.

    ``y[n, y, x, c] = max over i, j of x[n, y*sh + i*dh - top, x*sw + j*dw - left, c]``;
    ``x (n, h, w, c)``, ``y (n, oh, ow, c)``.
    """
    (kh, kw), (oh, ow) = window.kernel, window.out
    y = memory.empty((oh, x.shape[3], ow, len(x)), x.dtype)
    for band, image in padded_bands(x, window, -math.inf):
        lines = reduce_by(np.maximum, [window_rows(image, window, i) for i in range(kh)])
        columns = [together(window_columns(lines, window, j)) for j in range(kw)]
        reduce_by(np.maximum, columns, y[band])
    return nhwc(y)


def max_pool_adjoint(x: Array, y: Array, dy: Array, window: Window) -> Array:
    """Return ``dx (n, h, w, c)``: each dy at one element of its window, 0 elsewhere."""
    if not all_finite(y):
        return nhwc(_adjoint_by_index(hcwn(x), hcwn(dy), window))
    (kh, kw), (h, w) = window.kernel, window.image
    y, dybits = hcwn(y), hcwn(as_bits(dy))
    (top, bottom), (left, right) = window.pads
    apart = window.kernel == window.stride and window.dilation == (1, 1) and not window.is_padded
    # Windows that lie side by side write each element once, as bits; others add.
    make = memory.empty if apart else memory.zeros
    padded = make((h + top + bottom, x.shape[3], w + left + right, len(x)), dy.dtype)
    dx = as_bits(padded) if apart else padded
    if apart:
        dx[kh * window.out[0] :] = 0
        dx[:, :, kw * window.out[1] :] = 0
    for band, image in padded_bands(x, window, -math.inf):
        columns = [together(window_columns(image, window, j)) for j in range(kw)]
        lines = reduce_by(np.maximum, columns)
        dimage = dx[band.start * window.stride[0] :][: len(image)]
        dlines = make(lines.shape, dx.dtype)
        rows = [(window_rows(lines, window, i), window_rows(dlines, window, i)) for i in range(kh)]
        _distribute(rows, y[band], dybits[band], apart)
        cols = [(each, window_columns(dimage, window, j)) for j, each in enumerate(columns)]
        _distribute(cols, lines, as_bits(dlines), apart)
    return nhwc(padded[top : top + h, :, left : left + w])


def pool_tiles(image: Array, pool: Pair, out: Array) -> Array:
    """Write the maximum of each ``pool`` of ``image (h, c, w, n)``, without rest, to out."""
    ph, pw = pool
    lines = reduce_by(np.maximum, [image[i::ph] for i in range(ph)])
    return reduce_by(np.maximum, [together(lines[:, :, j::pw]) for j in range(pw)], out)


def pool_tiles_adjoint(image: Array, dmost: Array, pool: Pair, out: Array, finite: bool) -> None:
    """Write the gradient of the image of `pool_tiles`, which may be ``finite``, to ``out``."""
    ph, pw = pool
    if not finite:
        window = slide((len(image), image.shape[2]), pool, pool, (1, 1), "valid")
        np.copyto(out, _adjoint_by_index(image, dmost, window))
        return
    columns = [together(image[:, :, j::pw]) for j in range(pw)]
    lines = reduce_by(np.maximum, columns)
    most = reduce_by(np.maximum, [lines[i::ph] for i in range(ph)])
    dmost, dimage = as_bits(dmost.astype(out.dtype, copy=False)), as_bits(out)
    dlines = memory.empty(lines.shape, dimage.dtype)
    _distribute([(lines[i::ph], dlines[i::ph]) for i in range(ph)], most, dmost)
    cols = [(each, dimage[:, :, j::pw]) for j, each in enumerate(columns)]
    _distribute(cols, lines, dlines)


def _distribute(
    places: list[tuple[Array, Array]], most: Array, rest: Array, apart: bool = True
) -> None:
    """Give each element of ``rest``, as bits, to the first of the places that equals ``most``.

    ``places`` are pairs of values and the gradients that they get: bits that are set where windows
    are ``apart``, floats that are added to elsewhere. The last place takes what is left.
    """
    *first, (_, last) = places
    for value, gradient in first:
        part = select_bits(np.equal(value, most), rest)
        if not apart:
            add_to(gradient, part.view(gradient.dtype))
        else:
            write_to(gradient, part)
            if len(places) == 2 and not is_short(last):
                np.subtract(rest, part, out=last)
                return
        rest = rest - part
    if apart:
        write_to(last, rest)
    else:
        add_to(last, rest.view(last.dtype))


def _adjoint_by_index(image: Array, dy: Array, window: Window) -> Array:
    """Return the gradient of ``image (h, c, w, n)`` by each window's index of the maximum.

    It is slower, and right also for windows that hold NaN, or -inf alone beside padding.
    """
    (h, c, w, n), (kh, kw), (sh, sw) = image.shape, window.kernel, window.stride
    (top, bottom), (left, right) = window.pads
    padded = memory.full((h + top + bottom, c, w + left + right, n), -math.inf, image.dtype)
    padded[top : top + h, :, left : left + w] = image
    dpadded = memory.zeros(padded.shape, dy.dtype)
    # To begin with, the first element of each window that is no padding.
    first_row = np.maximum(0, -((np.arange(window.out[0]) * sh - top) // window.dilation[0]))
    first_col = np.maximum(0, -((np.arange(window.out[1]) * sw - left) // window.dilation[1]))
    index = memory.empty(dy.shape, np.intp)
    index[...] = first_row[:, None, None, None] * kw + first_col[:, None]
    most = memory.full(dy.shape, -math.inf, image.dtype)
    elements = [(i, j) for i in range(kh) for j in range(kw)]
    for number, (i, j) in enumerate(elements):
        value = window_columns(window_rows(padded, window, i), window, j)
        better = (value > most) | np.isnan(value)
        np.copyto(most, value, where=better)
        np.copyto(index, number, where=better)
    for number, (i, j) in enumerate(elements):
        target = window_columns(window_rows(dpadded, window, i), window, j)
        np.add(target, select(index == number, dy), out=target)
    return dpadded[top : top + h, :, left : left + w]
