"""Depthwise correlation, one input channel a group: whole rows, a tap at a time."""

from __future__ import annotations

import numpy as np

from fcnn._ops.window import Window, padded
from fcnn._typing import Array

BUDGET = 1 << 18


def images_at_once(window: Window, channels: int, itemsize: int) -> int:
    """How many images keep a few arrays of the image's size in cache."""
    size = max(window.image[0] * window.image[1], window.out[0] * window.out[1])
    return max(1, BUDGET // (3 * size * channels * itemsize))


def _taps_met(seen: Array, window: Window, i: int, j: int) -> Array:
    """What tap ``(i, j)`` meets in padded ``seen (n, h, w, c)``: ``(n, oh, ow, c)``."""
    (sh, sw), (dh, dw), (oh, ow) = window.stride, window.dilation, window.out
    y, x = i * dh, j * dw
    return seen[:, y : y + (oh - 1) * sh + 1 : sh, x : x + (ow - 1) * sw + 1 : sw]


def forward(
    x: Array, taps: Array, window: Window, out: Array, bias: Array | None = None, relu: bool = False
) -> None:
    """Each channel by itself, then bias and relu.

    ``out[n, y, x, k] = sum over i, j of padded[n, y*sh + i*dh, x*sw + j*dw, k] * taps[i, j, k]``

    ``taps (kh, kw, c)``, ``out (n, oh, ow, c)`` of any strides.
    """
    (kh, kw), (oh, ow), c = window.kernel, window.out, x.shape[3]
    seen = padded(x, window)
    total, product = np.empty((2, len(x), oh, ow, c), out.dtype)
    total[...] = 0 if bias is None else bias
    row = np.empty((ow, c), out.dtype)  # as long as a row: longer runs for the inner loop
    for i in range(kh):
        for j in range(kw):
            row[...] = taps[i, j]
            np.multiply(_taps_met(seen, window, i, j), row, out=product)
            np.add(total, product, out=total)
    if relu:
        np.maximum(total, np.zeros((ow, c), out.dtype), out=total)
    out[...] = total


def weight_adjoint(x: Array, dz: Array, window: Window, dtaps: Array) -> None:
    """The adjoint of `forward` in its taps.

    ``dtaps[i, j, k] +=
    sum over n, y, x of padded[n, y*sh + i*dh, x*sw + j*dw, k] * dz[n, y, x, k]``
    """
    (kh, kw), c = window.kernel, dz.shape[3]
    seen, product = padded(x, window), np.empty(dz.shape, dz.dtype)
    ones = np.ones(dz.size // c, dz.dtype)
    for i in range(kh):
        for j in range(kw):
            np.multiply(_taps_met(seen, window, i, j), dz, out=product)
            dtaps[i, j] += ones @ product.reshape(-1, c)


def input_adjoint(dz: Array, taps: Array, window: Window) -> Array:
    """``dx[n, y*sh + i*dh - top, x*sw + j*dw - left, k] += dz[n, y, x, k] * taps[i, j, k]``."""
    (kh, kw), c = window.kernel, dz.shape[3]
    ((top, bottom), (left, right)), (h, w) = window.pads, window.image
    total = np.zeros((len(dz), h + top + bottom, w + left + right, c), dz.dtype)
    product, row = np.empty(dz.shape, dz.dtype), np.empty(dz.shape[2:], dz.dtype)
    for i in range(kh):
        for j in range(kw):
            row[...] = taps[i, j]
            np.multiply(dz, row, out=product)
            place = _taps_met(total, window, i, j)
            np.add(place, product, out=place)
    return total[:, top : top + h, left : left + w]
