"""Correlation by patches, all of them at once: for work so small that calls are what it costs.

The form and the numbers are those of `conv_patches`, without blocks, bands and buffers:
a dozen NumPy calls forward and as many back.
"""

from __future__ import annotations

import numpy as np

from fcnn._ops.conv_patches import Fold, turned
from fcnn._ops.relu import relu_adjoint
from fcnn._ops.window import Window, padded, strided
from fcnn._typing import Array

LIMIT = 1 << 18
"""Elements of all patches together."""


def pays(window: Window, images: int, c_in: int) -> bool:
    """Whether all patches together are few."""
    (kh, kw), (oh, ow) = window.kernel, window.out
    return images * oh * ow * kh * kw * c_in <= LIMIT


def _is_planar(window: Window, c: int) -> bool:
    return window.kernel[1] * c < window.out[1]


def _patches(x: Array, window: Window) -> Array:
    """``(n*oh*ow, kh*kw*c)``; planar ones are stored by taps and have a last column of ones."""
    (kh, kw), (sh, sw), (dh, dw) = window.kernel, window.stride, window.dilation
    seen, (oh, ow) = padded(x, window), window.out
    n, _, _, c = seen.shape
    t, s, u, v = seen.strides
    if not _is_planar(window, c):
        places = strided(seen, (n, oh, ow, kh, kw, c), (t, sh * s, sw * u, dh * s, dw * u, v))
        return places.reshape(n * oh * ow, kh * kw * c)
    places = strided(seen, (kh, kw, c, n, oh, ow), (dh * s, dw * u, v, t, sh * s, sw * u))
    low = np.empty((kh * kw * c + 1, n * oh * ow), x.dtype)
    np.copyto(low[:-1].reshape(kh, kw, c, n, oh, ow), places)
    low[-1] = 1
    return low.T


def forward(x: Array, taps: Array, window: Window, bias: Array | None, relu: bool) -> Array:
    """``y (n, oh, ow, c_out)`` from x (n, h, w, c) and taps (kh, kw, c, c_out)."""
    c, c_out = taps.shape[2:]
    low, flat = _patches(x, window), taps.reshape(-1, c_out)
    if not _is_planar(window, c):
        y = low @ flat
        if bias is not None:
            y += bias
    else:
        last = np.zeros((1, c_out), x.dtype) if bias is None else bias.reshape(1, c_out)
        y = low @ np.concatenate([flat, last])
    y = y.reshape(len(x), *window.out, c_out)
    return np.maximum(y, np.zeros(y.shape[1:], y.dtype), out=y) if relu else y


def adjoints(
    x: Array, taps: Array, dy: Array, window: Window, y: Array | None, bias: bool, input_grad: bool
) -> tuple[Array, Array | None, Array | None]:
    """``(dtaps, dbias, dx)``; where y is given and 0, dy counts as 0."""
    c_out = taps.shape[3]
    dz = np.ascontiguousarray(dy, x.dtype) if y is None else relu_adjoint(y, dy)
    pixels = np.ascontiguousarray(dz).reshape(-1, c_out)
    both = _patches(x, window).T @ pixels
    dbias = None
    if _is_planar(window, taps.shape[2]):
        both, dbias = both[:-1], both[-1]
    elif bias:
        dbias = np.ones(len(pixels), pixels.dtype) @ pixels
    dx = _input_adjoint(x, taps, pixels.reshape(dz.shape), window) if input_grad else None
    return both.reshape(taps.shape), dbias if bias else None, dx


def _input_adjoint(x: Array, taps: Array, dz: Array, window: Window) -> Array:
    if window.stride == (1, 1):
        return forward(dz, *turned(taps, window), None, False)
    dx = np.empty(x.shape, x.dtype)
    Fold(dz, taps, window, dx)(0)
    return dx
