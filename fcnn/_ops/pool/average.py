"""Sums and means of windows, and their adjoints."""

from __future__ import annotations

import math

import numpy as np

from fcnn._ops import memory
from fcnn._ops.blocks import ELEMENTWISE, bands
from fcnn._ops.layout import hcwn, nhwc
from fcnn._ops.pool.geometry import counts
from fcnn._ops.pool.windows import (
    add_to,
    padded_bands,
    reduce_by,
    together,
    window_columns,
    window_rows,
)
from fcnn._ops.window import Window
from fcnn._typing import Array


def avg_pool(x: Array, window: Window, *, count_include_pad: bool = False) -> Array:
    """Return ``y[n, y, x, c]``, the mean of the window's pixels inside the image.

    Or, with ``count_include_pad``, of all its pixels, those of the padding being 0.
    ``x (n, h, w, c)``, ``y (n, oh, ow, c)``.
    """
    return _pool(x, window, _weights(window, x.dtype, count_include_pad))


def avg_pool_adjoint(dy: Array, window: Window, *, count_include_pad: bool = False) -> Array:
    """Return ``dx (n, h, w, c)``: each pixel of a window gets an equal share of its dy."""
    return _pool_adjoint(dy, window, _weights(window, dy.dtype, count_include_pad))


def sum_pool(x: Array, window: Window) -> Array:
    """Return ``y[n, y, x, c]``, the sum of the window's pixels inside the image."""
    return _pool(x, window, None)


def sum_pool_adjoint(dy: Array, window: Window) -> Array:
    """Return ``dx (n, h, w, c)``: each pixel of a window gets its dy."""
    return _pool_adjoint(dy, window, None)


def _pool(x: Array, window: Window, weights: Array | None) -> Array:
    (kh, kw), (oh, ow) = window.kernel, window.out
    y = memory.empty((oh, x.shape[3], ow, len(x)), x.dtype)
    for band, image in padded_bands(x, window, 0.0):
        columns = [together(window_columns(image, window, j)) for j in range(kw)]
        lines = reduce_by(np.add, columns)
        reduce_by(np.add, [window_rows(lines, window, i) for i in range(kh)], y[band])
        if weights is not None:
            np.multiply(y[band], weights[band], out=y[band])
    return nhwc(y)


def _pool_adjoint(dy: Array, window: Window, weights: Array | None) -> Array:
    (h, w), ((top, bottom), (left, right)) = window.image, window.pads
    (oh, _), sh, rows = window.out, window.stride[0], hcwn(dy)
    reach = window.dilation[0] * (window.kernel[0] - 1) + 1
    dx = memory.zeros((h + top + bottom, dy.shape[3], w + left + right, len(dy)), dy.dtype)
    for band in bands(oh, dx.nbytes // len(dx) * sh, ELEMENTWISE):
        share = rows[band] if weights is None else rows[band] * weights[band]
        lines = memory.zeros(((len(share) - 1) * sh + reach, *share.shape[1:]), dy.dtype)
        for i in range(window.kernel[0]):
            target = window_rows(lines, window, i)
            np.add(target, share, out=target)
        for j in range(window.kernel[1]):
            add_to(window_columns(dx[band.start * sh :][: len(lines)], window, j), lines)
    return nhwc(dx[top : top + h, :, left : left + w])


def _weights(window: Window, dtype: np.dtype, count_include_pad: bool) -> Array:
    """One over the number of pixels that count, for each output pixel: ``(oh, 1, ow, 1)``."""
    if count_include_pad:
        return memory.full(
            (window.out[0], 1, window.out[1], 1), 1 / math.prod(window.kernel), dtype
        )
    inside_both = np.multiply.outer(counts(window, 0), counts(window, 1))[:, None, :, None]
    weights: Array = (1 / np.maximum(inside_both, 1)).astype(dtype)
    return weights
