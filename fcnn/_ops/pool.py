"""Pooling and its adjoint.

A pool looks at all elements of a window through strided views of the image, one
view for each element (k in all), so that each pass is over whole images.

In ``y = max over k of x_k`` the gradient goes to the first k, in row-major order,
at which ``x_k == y``: to one place, as a subgradient must when several tie.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fcnn._ops.window import Window
from fcnn._typing import Array


def _views(padded: Array, window: Window) -> Iterator[Array]:
    """One view (n, oh, ow, c) of the padded image for each element of the window."""
    for i in range(window.kernel[0]):
        for j in range(window.kernel[1]):
            rows, columns = window.places(i, j)
            yield padded[:, rows, columns]


def max_pool(x: Array, window: Window) -> Array:
    """The largest of each window: (n, h, w, c) to (n, oh, ow, c). Padding never wins."""
    views = _views(window.pad(x, -np.inf), window)
    y = next(views).copy()
    for view in views:
        np.maximum(y, view, out=y)
    return y


def max_pool_adjoint(x: Array, y: Array, dy: Array, window: Window) -> Array:
    """The gradient of the input: each dy at the first place that reached y."""
    dx = np.zeros((x.shape[0], *window.padded, x.shape[3]), dy.dtype)
    free = np.ones(y.shape, bool)
    for view, dview in zip(_views(window.pad(x, -np.inf), window), _views(dx, window), strict=True):
        here = view == y
        here &= free
        free ^= here
        dview += dy * here
    return window.crop(dx)


def counts(window: Window, dtype: np.dtype) -> Array:
    """How many of the elements of each window lie inside the image: (1, oh, ow, 1)."""
    inside = window.pad(np.ones((1, *window.image, 1), dtype))
    return sum(_views(inside, window))  # type: ignore[return-value]


def avg_pool(x: Array, window: Window) -> Array:
    """The mean of each window's elements that lie inside the image."""
    views = _views(window.pad(x), window)
    y = next(views).copy()
    for view in views:
        y += view
    y /= counts(window, x.dtype)
    return y


def avg_pool_adjoint(dy: Array, window: Window) -> Array:
    """The gradient of the input: each dy shared out evenly."""
    dx = np.zeros((dy.shape[0], *window.padded, dy.shape[3]), dy.dtype)
    share = dy / counts(window, dy.dtype)
    for dview in _views(dx, window):
        dview += share
    return window.crop(dx)
