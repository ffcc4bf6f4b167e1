"""Max and average pooling, and their adjoints.

A window's maximum is taken over its columns, then over its rows: each step is one
element-wise pass over runs of whole image rows or of the images of a batch (see
`fcnn._ops.layout`), a few rows of the image at a time, so that all passes but the first
find their operands in cache. Nothing is saved between forward and backward but the layer's
own input and output.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from fcnn._ops.layout import hcwn, images_innermost, nhwc
from fcnn._ops.relu import where
from fcnn._ops.window import Window, taken
from fcnn._typing import Array

BUDGET = 1 << 19  # bytes of input in a block


def max_pool(x: Array, window: Window) -> Array:
    """The largest of each window; padding never wins.

    ``y[n, y, x, c] = max over i, j of x[n, y*sh + i*dh - top, x*sw + j*dw - left, c]``

    ``x (n, h, w, c)``, ``y (n, oh, ow, c)``. A NaN in a window is its maximum.
    """
    y = np.empty((window.out[0], x.shape[3], window.out[1], len(x)), x.dtype)
    for out, seen in _blocks(x, window, -math.inf):
        lines = reduce_by(np.maximum, [_columns(seen, window, j) for j in range(window.kernel[1])])
        reduce_by(np.maximum, [_rows(lines, window, i) for i in range(window.kernel[0])], y[out])
    return nhwc(y)


def max_pool_adjoint(x: Array, y: Array, dy: Array, window: Window) -> Array:
    """``dx``: each dy goes to the first place, row by row, that holds its window's maximum.

    The same two steps backwards: to the first row that holds it, and in that row to the
    first column. A place takes what is its and leaves the rest, so that the last one of
    windows that cover their input needs no comparison.
    """
    (kh, kw), (h, w) = window.kernel, window.image
    y, dy = hcwn(y), hcwn(dy)
    (top, bottom), (left, right) = window.pads
    alone = window.kernel == window.stride and window.dilation == (1, 1) and not window.is_padded
    make = np.empty if alone else np.zeros
    dx = make((h + top + bottom, x.shape[3], w + left + right, len(x)), dy.dtype)
    if alone:
        dx[kh * window.out[0] :] = 0
        dx[:, :, kw * window.out[1] :] = 0
    for out, seen in _blocks(x, window, -math.inf):
        lines = reduce_by(np.maximum, [_columns(seen, window, j) for j in range(kw)])
        dblock = dx[out.start * window.stride[0] :][: len(seen)]
        dlines = make(lines.shape, dy.dtype)
        tops = [(_rows(lines, window, i), _rows(dlines, window, i)) for i in range(kh)]
        give(tops, y[out], dy[out], alone)
        places = [(_columns(seen, window, j), _columns(dblock, window, j)) for j in range(kw)]
        give(places, lines, dlines, alone)
    return nhwc(dx[top : top + h, :, left : left + w])


def give(places: list[tuple[Array, Array]], most: Array, rest: Array, alone: bool = True) -> None:
    """Hand ``rest`` out: to the first of the places that equals ``most``.

    ``places`` are pairs of a value and the gradient that it gets: set where it is ``alone``
    there, added elsewhere.
    """
    *first, (_, last) = places
    for value, gradient in first:
        here = where(np.equal(value, most), rest)
        if not alone:
            np.add(gradient, here, out=gradient)
        else:
            np.copyto(gradient, here)
            if len(places) == 2:
                np.subtract(rest, here, out=last)
                return
        rest = rest - here
    if alone:
        np.copyto(last, rest)
    else:
        np.add(last, rest, out=last)


def avg_pool(x: Array, window: Window) -> Array:
    """``y[n, y, x, c]`` = the mean of the window's pixels inside the image."""
    y = np.empty((window.out[0], x.shape[3], window.out[1], len(x)), x.dtype)
    weight = _weights(window, x.dtype)
    for out, seen in _blocks(x, window, 0.0):
        lines = reduce_by(np.add, [_columns(seen, window, j) for j in range(window.kernel[1])])
        reduce_by(np.add, [_rows(lines, window, i) for i in range(window.kernel[0])], y[out])
        np.multiply(y[out], weight[out], out=y[out])
    return nhwc(y)


def avg_pool_adjoint(dy: Array, window: Window) -> Array:
    """``dx (n, h, w, c)``: every pixel inside a window gets an equal share of its ``dy``."""
    (h, w), ((top, bottom), (left, right)) = window.image, window.pads
    (oh, _), sh, rows = window.out, window.stride[0], hcwn(dy)
    reach = window.dilation[0] * (window.kernel[0] - 1) + 1
    weight = _weights(window, dy.dtype)
    dx = np.zeros((h + top + bottom, dy.shape[3], w + left + right, len(dy)), dy.dtype)
    for out in _bands(oh, dx.nbytes // len(dx) * sh):
        share = rows[out] * weight[out]
        lines = np.zeros(((len(share) - 1) * sh + reach, *share.shape[1:]), dy.dtype)
        for i in range(window.kernel[0]):
            place = _rows(lines, window, i)
            np.add(place, share, out=place)
        for j in range(window.kernel[1]):
            place = _columns(dx[out.start * sh :][: len(lines)], window, j)
            np.add(place, lines, out=place)
    return nhwc(dx[top : top + h, :, left : left + w])


def _weights(window: Window, dtype: np.dtype) -> Array:
    """One over the number of pixels inside the image, for each output pixel: ``(oh, 1, ow, 1)``."""
    counts = []
    for axis in (0, 1):
        first = np.arange(window.out[axis]) * window.stride[axis] - window.pads[axis][0]
        places = first[:, None] + np.arange(window.kernel[axis]) * window.dilation[axis]
        counts.append(((places >= 0) & (places < window.image[axis])).sum(axis=1))
    inside_both = np.multiply.outer(counts[0], counts[1])[:, None, :, None]
    weights: Array = (1 / np.maximum(inside_both, 1)).astype(dtype)
    return weights


def reduce_by(ufunc: np.ufunc, parts: list[Array], out: Array | None = None) -> Array:
    """``ufunc`` over the parts, in order."""
    if len(parts) == 1:
        if out is None:
            return parts[0]
        np.copyto(out, parts[0])
        return out
    total: Array = ufunc(parts[0], parts[1], out=out)
    for part in parts[2:]:
        ufunc(total, part, out=total)
    return total


def _rows(lines: Array, window: Window, tap: int) -> Array:
    """What row ``tap`` of the windows meets, of as many windows as fit: a view."""
    start, stride = tap * window.dilation[0], window.stride[0]
    reach = window.dilation[0] * (window.kernel[0] - 1)
    return lines[start : start + len(lines) - reach : stride]


def _columns(seen: Array, window: Window, tap: int) -> Array:
    """What column ``tap`` of the windows meets: a view."""
    start, stride = tap * window.dilation[1], window.stride[1]
    return seen[:, :, start : start + (window.out[1] - 1) * stride + 1 : stride]


def _blocks(x: Array, window: Window, fill: float) -> Iterator[tuple[slice, Array]]:
    """Rows of output, and the padded rows ``(rows, c, w, n)`` of input that they meet."""
    rows = hcwn(images_innermost(x))
    (oh, _), sh = window.out, window.stride[0]
    reach = window.dilation[0] * (window.kernel[0] - 1) + 1
    ((top, _), (left, right)), (h, w) = window.pads, window.image
    for out in _bands(oh, x.nbytes // len(rows) * sh):
        many = (out.stop - out.start - 1) * sh + reach
        to, of = taken(out.start * sh - top, 1, many, h)
        if not window.is_padded:
            yield out, rows[of]
            continue
        seen = np.full((many, rows.shape[1], w + left + right, rows.shape[3]), fill, x.dtype)
        seen[to, :, left : left + w] = rows[of]
        yield out, seen


def _bands(count: int, each: int) -> Iterator[slice]:
    """``0:count`` in slices of as many as a block holds, if each takes that many bytes."""
    size = max(1, BUDGET // max(1, each))
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))
