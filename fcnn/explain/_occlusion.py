"""Attribution by hiding parts of the input."""

from __future__ import annotations

import numpy as np

from fcnn._check import pair
from fcnn._layer import Layer
from fcnn._typing import Array, Size, Tree
from fcnn.errors import ShapeError
from fcnn.explain._targets import Target, check, resolved, scores


def occlusion(
    model: Layer,
    params: Tree,
    x: Array,
    *,
    window: Size,
    stride: Size | None = None,
    target: Target = None,
    fill: float = 0.0,
) -> Array:
    """Return how far the target's score falls when a window of the image is covered.

    ``score(x) - score(x with the window at (i, j) filled)``, for every place of the window.

    Args:
        model: a layer.
        params: its parameters.
        x: images ``(n, h, w, c)``.
        window: rows and columns of the window, or one number for both.
        stride: how far the window moves; as far as it is large, if None.
        target: which output; None for the highest score of the whole image.
        fill: what stands in the window.

    Returns:
        ``(n, (h - rows) // stride + 1, (w - columns) // stride + 1)``.

    Raises:
        ArgumentError: if an argument is something else.
        ShapeError: if x is no image, or smaller than the window.

    >>> import numpy as np, fcnn
    >>> model = fcnn.serial(fcnn.flatten, fcnn.dense(1))
    >>> params = ((), fcnn.DenseParams(np.ones((4, 1)), np.zeros(1)))
    >>> x = np.array([[[[1.0], [2.0]], [[3.0], [4.0]]]])
    >>> fcnn.explain.occlusion(model, params, x, window=1)
    array([[[1., 2.],
            [3., 4.]]])

    Source: M. D. Zeiler and R. Fergus, "Visualizing and understanding convolutional networks",
    2013, https://arxiv.org/abs/1311.2901.
    """
    check(model, params, x)
    rows, columns = pair(window, "window")
    down, right = (rows, columns) if stride is None else pair(stride, "stride")
    if x.ndim != 4 or x.shape[1] < rows or x.shape[2] < columns:
        raise ShapeError(
            f"expected images (n, h, w, c) of at least {rows} x {columns} pixels, got {x.shape}"
        )
    y = model.apply(params, x)
    target = resolved(target, y)
    whole = scores(y, target)
    size = (x.shape[1] - rows) // down + 1, (x.shape[2] - columns) // right + 1
    drop = np.empty((len(x), *size), whole.dtype)
    for i, j in np.ndindex(size):
        covered = x.copy()
        covered[:, i * down : i * down + rows, j * right : j * right + columns] = fill
        drop[:, i, j] = whole - scores(model.apply(params, covered), target)
    return drop
