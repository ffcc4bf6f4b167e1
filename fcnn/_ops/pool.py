"""Max and average pooling of channels-last images, and their adjoints.

A window's maximum is taken over the columns of each window row, then over its
rows: every step is one element-wise pass over views, a few images at a time,
so that all passes but the first find their operands in cache. Nothing is saved
between forward and backward but the layer's own input and output.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from fcnn._ops.window import Window, padded
from fcnn._typing import Array

BUDGET = 1 << 20  # bytes of input in a block


def max_pool(x: Array, window: Window) -> Array:
    """The largest of each window; padding never wins.

    ``y[n, y, x, c] = max over i, j of x[n, y*sh + i*dh - top, x*sw + j*dw - left, c]``

    ``x (n, h, w, c)``, ``y (n, oh, ow, c)``. A NaN in a window is its maximum.
    """
    out = np.empty((len(x), *window.out, x.shape[3]), x.dtype)
    for images in _blocks(x):
        seen, y = padded(x[images], window, -math.inf), out[images]
        rows = [_every(seen, window, 0, i) for i in range(window.kernel[0])]
        best = np.maximum(rows[0], rows[1]) if len(rows) > 1 else rows[0]
        for row in rows[2:]:
            np.maximum(best, row, out=best)
        columns = [_every(best, window, 1, j) for j in range(window.kernel[1])]
        if len(columns) == 1:
            y[...] = columns[0]
            continue
        np.maximum(columns[0], columns[1], out=y)
        for column in columns[2:]:
            np.maximum(y, column, out=y)
    return out


def max_pool_adjoint(x: Array, y: Array, dy: Array, window: Window) -> Array:
    """``dx``: each dy goes to the first place, row by row, that holds its window's maximum."""
    dx = np.empty(x.shape, x.dtype)
    tiled = window.kernel == window.stride and window.dilation == (1, 1) and not window.is_padded
    for images in _blocks(x):
        adjoint = _side_by_side if tiled else _first_place
        adjoint(x[images], y[images], dy[images], dx[images], window)
    return dx


def _side_by_side(x: Array, y: Array, dy: Array, dx: Array, window: Window) -> None:
    """Windows that do not overlap: place by place, each takes what is its and leaves the rest.

    The last place takes what is left, so it needs no comparison. A mask is made a float
    once (a product of floats with bytes casts them in slow small pieces).
    """
    (kh, kw), (oh, ow) = window.kernel, window.out
    dx[:, kh * oh :] = 0
    dx[:, :, kw * ow :] = 0
    here = np.empty(dy.shape, dx.dtype)
    rest = dy
    for i in range(kh):
        for j in range(kw):
            place = slice(i, kh * oh, kh), slice(j, kw * ow, kw)
            if (i, j) == (kh - 1, kw - 1):
                dx[:, *place] = rest
                return
            np.copyto(here, (x[:, *place] == y).view(np.uint8))
            np.multiply(rest, here, out=here)
            dx[:, *place] = here
            rest = np.subtract(rest, here, out=None if rest is dy else rest)


def _first_place(x: Array, y: Array, dy: Array, dx: Array, window: Window) -> None:
    """Any window: place by place, each takes the gradients that none before it took."""
    seen = padded(x, window, -math.inf)
    total = np.zeros(seen.shape, dx.dtype)
    free = np.ones(y.shape, bool)
    share = np.empty(y.shape, dx.dtype)
    for i in range(window.kernel[0]):
        for j in range(window.kernel[1]):
            hit = _every(_every(seen, window, 0, i), window, 1, j) == y
            np.logical_and(hit, free, out=hit)
            np.logical_xor(free, hit, out=free)
            np.multiply(dy, hit, out=share)
            place = _every(_every(total, window, 0, i), window, 1, j)
            np.add(place, share, out=place)
    _unpad(total, window, dx)


def avg_pool(x: Array, window: Window) -> Array:
    """``y[n, y, x, c]`` = the mean of the window's pixels inside the image."""
    out = np.empty((len(x), *window.out, x.shape[3]), x.dtype)
    weight = _weights(window, x.dtype)
    for images in _blocks(x):
        seen, y = padded(x[images], window, 0.0), out[images]
        rows = [_every(seen, window, 0, i) for i in range(window.kernel[0])]
        total = np.add(rows[0], rows[1]) if len(rows) > 1 else rows[0]
        for row in rows[2:]:
            np.add(total, row, out=total)
        columns = [_every(total, window, 1, j) for j in range(window.kernel[1])]
        y[...] = columns[0]
        for column in columns[1:]:
            np.add(y, column, out=y)
        np.multiply(y, weight, out=y)
    return out


def avg_pool_adjoint(dy: Array, window: Window) -> Array:
    """``dx (n, h, w, c)``: every pixel inside a window gets an equal share of its ``dy``."""
    dx = np.empty((len(dy), *window.image, dy.shape[3]), dy.dtype)
    weight = _weights(window, dy.dtype)
    for images in _blocks(dx):
        share, block = dy[images] * weight, dx[images]
        (top, bottom), (left, right) = window.pads
        h, w = window.image
        total = np.zeros((len(block), h + top + bottom, w + left + right, dy.shape[3]), dy.dtype)
        for i in range(window.kernel[0]):
            for j in range(window.kernel[1]):
                place = _every(_every(total, window, 0, i), window, 1, j)
                np.add(place, share, out=place)
        _unpad(total, window, block)
    return dx


def _weights(window: Window, dtype: np.dtype) -> Array:
    """One over the number of pixels inside the image, for each output pixel: ``(oh, ow, 1)``."""
    counts = []
    for axis in (0, 1):
        first = np.arange(window.out[axis]) * window.stride[axis] - window.pads[axis][0]
        places = first[:, None] + np.arange(window.kernel[axis]) * window.dilation[axis]
        counts.append(((places >= 0) & (places < window.image[axis])).sum(axis=1))
    inside_both = np.multiply.outer(counts[0], counts[1])[:, :, None]
    weights: Array = (1 / np.maximum(inside_both, 1)).astype(dtype)
    return weights


def _every(x: Array, window: Window, axis: int, tap: int) -> Array:
    """What a tap of the window meets along one axis: a strided view."""
    start, stride = tap * window.dilation[axis], window.stride[axis]
    taken = slice(start, start + (window.out[axis] - 1) * stride + 1, stride)
    return x[:, taken] if axis == 0 else x[:, :, taken]


def _blocks(x: Array) -> Iterator[slice]:
    size = max(1, BUDGET // max(1, x[:1].nbytes))
    for start in range(0, len(x), size):
        yield slice(start, start + size)


def _unpad(total: Array, window: Window, dx: Array) -> None:
    (h, w), ((top, _), (left, _)) = window.image, window.pads
    dx[...] = total[:, top : top + h, left : left + w]
