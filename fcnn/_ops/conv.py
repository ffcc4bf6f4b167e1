"""Cross-correlation and its two adjoints, one GEMM a group.

For one output place o and kernel element k, with S the stride and D the dilation::

    y[n, o, f]  = sum over k, c of  x[n, S·o + D·k, c] · w[k, c, f]
    dw[k, c, f] = sum over n, o of  x[n, S·o + D·k, c] · dy[n, o, f]
    dx[n, i, c] = sum over k, o with S·o + D·k = i, f of  w[k, c, f] · dy[n, o, f]

`_patches` lays the x that one place sees into one row, so that the first two are
one matrix product each; the third is the product ``dy @ w.T``, whose rows `_fold`
adds back to the places that they came from.
"""

from __future__ import annotations

import numpy as np

from fcnn._ops.window import Window
from fcnn._typing import Array


def _patches(x: Array, window: Window) -> Array:
    """What each place sees: (n, h, w, c) to (n·oh·ow, kh·kw·c)."""
    n, _, _, c = x.shape
    (kh, kw), (oh, ow) = window.kernel, window.out
    padded = window.pad(x)
    out = np.empty((n, oh, ow, kh, kw, c), x.dtype)
    for i in range(kh):
        for j in range(kw):
            rows, columns = window.places(i, j)
            out[:, :, :, i, j] = padded[:, rows, columns]
    return out.reshape(n * oh * ow, kh * kw * c)


def _fold(patches: Array, window: Window, n: int, c: int) -> Array:
    """The adjoint of `_patches`: every patch added to the places it came from."""
    (kh, kw), (oh, ow) = window.kernel, window.out
    blocks = patches.reshape(n, oh, ow, kh, kw, c)
    padded = np.zeros((n, *window.padded, c), patches.dtype)
    for i in range(kh):
        for j in range(kw):
            rows, columns = window.places(i, j)
            padded[:, rows, columns] += blocks[:, :, :, i, j]
    return window.crop(padded)


def _channels(g: int, width: int) -> slice:
    return slice(g * width, (g + 1) * width)


def correlate(x: Array, weight: Array, window: Window, groups: int = 1) -> Array:
    """Cross-correlation: x (n, h, w, c), weight (kh, kw, c / groups, f) to (n, oh, ow, f)."""
    c, f = weight.shape[2], weight.shape[3] // groups
    y = np.empty((x.shape[0], *window.out, weight.shape[3]), x.dtype)
    for g in range(groups):
        kernel = weight[..., _channels(g, f)].reshape(-1, f)
        product = _patches(x[..., _channels(g, c)], window) @ kernel
        y[..., _channels(g, f)] = product.reshape(*y.shape[:3], f)
    return y


def correlate_weight_adjoint(x: Array, dy: Array, window: Window, groups: int = 1) -> Array:
    """The gradient of the weight: shape (kh, kw, c / groups, f)."""
    c, f = x.shape[3] // groups, dy.shape[3] // groups
    dweight = np.empty((*window.kernel, c, dy.shape[3]), x.dtype)
    for g in range(groups):
        rows = np.ascontiguousarray(dy[..., _channels(g, f)]).reshape(-1, f)
        product = _patches(x[..., _channels(g, c)], window).T @ rows
        dweight[..., _channels(g, f)] = product.reshape(*window.kernel, c, f)
    return dweight


def correlate_input_adjoint(dy: Array, weight: Array, window: Window, groups: int = 1) -> Array:
    """The gradient of the input: shape (n, h, w, c)."""
    c, f = weight.shape[2], weight.shape[3] // groups
    dx = np.empty((dy.shape[0], *window.image, c * groups), dy.dtype)
    for g in range(groups):
        rows = np.ascontiguousarray(dy[..., _channels(g, f)]).reshape(-1, f)
        kernel = weight[..., _channels(g, f)].reshape(-1, f)
        dx[..., _channels(g, c)] = _fold(rows @ kernel.T, window, dy.shape[0], c)
    return dx
