"""Augmentations that cut: a part of the image, or a part out of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from fcnn._check import number, pair, whole
from fcnn._typing import Array, Size
from fcnn.data._warp import warp
from fcnn.data.augment._augmentation import Draws, by_example, fill_value
from fcnn.errors import ArgumentError, ShapeError

ByExample: TypeAlias = Callable[[Draws, Array], Array]


def cropped(draws: Draws, images: Array, size: tuple[int, ...], padding: int, fill: float) -> Array:
    """Cut a window out of each image after padding it; every place is as likely."""
    n, h, w, _ = images.shape
    p = padding
    room = np.array([h + 2 * p - size[0] + 1, w + 2 * p - size[1] + 1])
    dy, dx = np.floor(draws.uniform(2) * room).astype(np.intp).T
    padded = np.pad(images, ((0, 0), (p, p), (p, p), (0, 0)), constant_values=fill)
    windows = np.lib.stride_tricks.sliding_window_view(padded, size, (1, 2))
    return np.ascontiguousarray(np.moveaxis(windows[np.arange(n), dy, dx], 1, 3))


@by_example
def random_crop(size: Size, *, padding: int = 0, fill: float = 0.0) -> ByExample:
    """Cut a window of ``size`` at a random place, after padding the image on all sides.

    For images of 32 × 32, ``random_crop(32, padding=4)`` is what is usual for CIFAR-10 (and
    ``shift(4)``). Where the window is smaller than the image, the model is to be made for its
    size, and images of validation cut by hand.

    Args:
        size: the height and width of the window, or one number for both.
        padding: the pixels to pad each side by.
        fill: the value of these pixels.

    Raises:
        ArgumentError: if an argument is out of its range.
        ShapeError: on a call, if the padded image is smaller than the window.

    Source: K. He et al., "Deep residual learning for image recognition", 2015,
    https://arxiv.org/abs/1512.03385, section 4.2.

    >>> import fcnn, numpy as np
    >>> from fcnn.data import augment
    >>> images = np.ones((2, 8, 8, 3), np.float32)
    >>> augment.random_crop(6, padding=1)(fcnn.key(0), images).shape
    (2, 6, 6, 3)
    """
    window, p = pair(size, "size"), whole(padding, "padding", 0)
    outside = fill_value(fill)

    def move(draws: Draws, images: Array) -> Array:
        _, h, w, _ = images.shape
        if window[0] > h + 2 * p or window[1] > w + 2 * p:
            raise ShapeError(
                f"expected images of {window} or more with a padding of {p}, got {(h, w)}"
            )
        return cropped(draws, images, window, p, outside)

    return move


@by_example
def resized_crop(
    *,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (0.75, 4 / 3),
) -> ByExample:
    """Cut out a part of random area and shape, and enlarge it to the image's size.

    The area is uniform in ``scale`` times the image's, the width over the height log-uniform in
    ``ratio``; a side that would be longer than the image's is as long as it. Pixels are
    interpolated between pixels of the part alone, the corners on its corners.

    Args:
        scale: the least and the largest share of the area.
        ratio: the least and the largest width over height, for a square image.

    Raises:
        ArgumentError: unless the ends are in order, shares in (0, 1], ratios greater than 0.

    Source: C. Szegedy et al., "Going deeper with convolutions", 2014,
    https://arxiv.org/abs/1409.4842, section 6.

    >>> import fcnn, numpy as np
    >>> from fcnn.data import augment
    >>> augment.resized_crop()(fcnn.key(0), np.ones((2, 8, 8, 3), np.float32)).shape
    (2, 8, 8, 3)
    """
    least, most = _ends(scale, "scale", 1.0)
    flat, long = (math.log(end) for end in _ends(ratio, "ratio", math.inf))

    def move(draws: Draws, images: Array) -> Array:
        _, h, w, _ = images.shape
        u = draws.uniform(4)
        area = least + (most - least) * u[:, 0]
        shape = np.exp(flat + (long - flat) * u[:, 1])
        sides = np.minimum(np.sqrt(np.stack([area / shape, area * shape], 1)), 1.0)
        back = np.zeros((len(images), 2, 2))
        back[:, 0, 0], back[:, 1, 1] = sides.T
        # From the centre of the image to that of the part, in the image's pixels; `warp` takes
        # it in pixels of the part.
        centres = (u[:, 2:] - 0.5) * (1 - sides) * np.array([h - 1, w - 1])
        return warp(images, back, -centres / sides)

    return move


def _ends(given: Any, what: str, largest: float) -> tuple[float, float]:
    """Return two numbers greater than 0, in order."""
    if isinstance(given, tuple | list) and len(given) == 2:
        low, high = (number(end, what, 0.0, largest) for end in given)
        if 0 < low <= high:
            return low, high
    raise ArgumentError(f"expected two numbers greater than 0, in order, for {what}, got {given!r}")


@by_example
def cutout(size: Size, *, probability: float = 1.0, fill: float = 0.0) -> ByExample:
    """Fill a rectangle about a random pixel; what of it is outside the image is lost.

    Args:
        size: the height and width of the rectangle, or one number for both.
        probability: how likely an image is changed.
        fill: the value of the rectangle's pixels.

    Raises:
        ArgumentError: if an argument is out of its range.

    Source: T. DeVries and G. W. Taylor, "Improved regularization of convolutional neural networks
    with cutout", 2017, https://arxiv.org/abs/1708.04552.

    >>> import fcnn, numpy as np
    >>> from fcnn.data import augment
    >>> image = augment.cutout(3)(fcnn.key(0), np.ones((1, 8, 8, 1), np.float32))
    >>> 4 <= int((image == 0).sum()) <= 9
    True
    """
    window, p = pair(size, "size"), number(probability, "probability", 0.0, 1.0)
    outside = fill_value(fill)

    def move(draws: Draws, images: Array) -> Array:
        u = draws.uniform(3)
        inside = boxes(u[:, :2], images.shape, np.array([window]))
        inside &= (u[:, 2] < p)[:, None, None, None]
        return np.where(inside, images.dtype.type(outside), images)

    return move


def boxes(places: Array, shape: tuple[int, ...], sizes: Array) -> Array:
    """Return masks (n, h, w, 1) of rectangles of whole sizes (n or 1, 2) about random pixels."""
    _, h, w, _ = shape
    centres = np.floor(places * (h, w)).astype(np.intp)
    first = centres - sizes // 2
    last = first + sizes
    y, x = np.arange(h), np.arange(w)
    rows = (y >= first[:, :1]) & (y < last[:, :1])
    columns = (x >= first[:, 1:]) & (x < last[:, 1:])
    mask: Array = rows[:, :, None, None] & columns[:, None, :, None]
    return mask
