"""Augmentations that move pixels: flips, shifts, affine maps and smooth fields."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from fcnn._check import number, whole
from fcnn._typing import Array
from fcnn.data._warp import bend, warp
from fcnn.data.augment._augmentation import Draws, by_example, fill_value
from fcnn.data.augment._crop import cropped

ByExample: TypeAlias = Callable[[Draws, Array], Array]


@by_example
def flip(probability: float = 0.5) -> ByExample:
    """Exchange left and right, with the given probability.

    >>> import fcnn, numpy as np
    >>> from fcnn.data import augment
    >>> image = np.arange(3, dtype=np.float32).reshape(1, 1, 3, 1)
    >>> augment.flip(1.0)(fcnn.key(0), image).ravel()
    array([2., 1., 0.], dtype=float32)
    """
    p = number(probability, "probability", 0.0, 1.0)

    def move(draws: Draws, images: Array) -> Array:
        flipped = draws.uniform(1)[:, :, None, None] < p
        return np.where(flipped, images[:, :, ::-1], images)

    return move


@by_example
def shift(pixels: int, *, fill: float = 0.0) -> ByExample:
    """Shift by a whole number of pixels, from ``-pixels`` to ``pixels``, along each axis.

    >>> import fcnn, numpy as np
    >>> from fcnn.data import augment
    >>> image = np.zeros((1, 5, 5, 1), np.float32)
    >>> image[0, 2, 2] = 1
    >>> float(augment.shift(2)(fcnn.key(0), image).sum())
    1.0
    """
    p, outside = whole(pixels, "pixels", 0), fill_value(fill)

    return lambda draws, images: cropped(draws, images, images.shape[1:3], p, outside)


@by_example
def rotate(degrees: float, *, fill: float = 0.0) -> ByExample:
    """Rotate about the centre by an angle from ``-degrees`` to ``degrees``.

    >>> import fcnn, numpy as np
    >>> from fcnn.data import augment
    >>> augment.rotate(10.0)(fcnn.key(0), np.ones((2, 8, 8, 1), np.float32)).shape
    (2, 8, 8, 1)
    """
    angle = number(degrees, "degrees", 0.0, open_high=True)
    return _affine(0.0, angle, 0.0, 0.0, fill_value(fill))


@by_example
def affine(
    *,
    shift: float = 2.0,
    rotate: float = 10.0,
    scale: float = 0.1,
    shear: float = 0.0,
    fill: float = 0.0,
) -> ByExample:
    """Shift, rotate, scale and shear about the centre, with bilinear interpolation.

    Args:
        shift: the largest shift along each axis, in pixels.
        rotate: the largest angle, in degrees.
        scale: the size is from ``1 - scale`` to ``1 + scale`` times the old one.
        shear: the largest shift of a row against the next, in pixels.
        fill: the value of pixels from outside the image.

    The amounts are drawn uniformly and independently for each image.

    >>> import fcnn, numpy as np
    >>> from fcnn.data import augment
    >>> images = np.ones((2, 28, 28, 1), np.float32)
    >>> still = augment.affine(shift=0.0, rotate=0.0, scale=0.0)
    >>> np.array_equal(still(fcnn.key(0), images), images)
    True
    """
    return _affine(
        number(shift, "shift", 0.0, open_high=True),
        number(rotate, "rotate", 0.0, open_high=True),
        number(scale, "scale", 0.0, 1.0, open_high=True),
        number(shear, "shear", 0.0, open_high=True),
        fill_value(fill),
    )


def _affine(shift: float, rotate: float, scale: float, shear: float, fill: float) -> ByExample:
    def move(draws: Draws, images: Array) -> Array:
        drawn = draws.between(5, -1.0, 1.0)
        angle, size = np.radians(rotate * drawn[:, 0]), 1 + scale * drawn[:, 1]
        slope, offsets = shear * drawn[:, 2], shift * drawn[:, 3:]
        # From the new image's coordinates (y, x) to the old one's: undo the rotation, then
        # the shear, then the scaling. Offsets are in the new image's pixels.
        cos, sin = np.cos(angle), np.sin(angle)
        back = np.empty((len(images), 2, 2))
        back[:, 0] = np.stack([cos, -sin], 1)
        back[:, 1] = np.stack([sin - slope * cos, cos + slope * sin], 1)
        back /= size[:, None, None]
        return warp(images, back, offsets, fill)

    return move


@by_example
def elastic(pixels: float = 1.0, *, smoothness: float = 4.0, fill: float = 0.0) -> ByExample:
    """Move each pixel by a smooth random displacement field (Simard et al., 2003).

    The field is uniform white noise smoothed by a Gaussian whose standard deviation is
    ``smoothness`` pixels; along each axis it has mean zero and standard deviation
    ``pixels``. Source: P. Y. Simard, D. Steinkraus and J. C. Platt, "Best practices
    for convolutional neural networks applied to visual document analysis", 2003,
    https://doi.org/10.1109/ICDAR.2003.1227801. Their σ = 4 and α = 34, for digits,
    are about ``elastic(1.4)``.

    >>> import fcnn, numpy as np
    >>> from fcnn.data import augment
    >>> augment.elastic()(fcnn.key(0), np.ones((2, 28, 28, 1), np.float32)).shape
    (2, 28, 28, 1)
    """
    strength = number(pixels, "pixels", 0.0, open_high=True)
    sigma = number(smoothness, "smoothness", 1.0, open_high=True)
    outside = fill_value(fill)

    def move(draws: Draws, images: Array) -> Array:
        n, h, w, _ = images.shape
        down, along = _smoothing(h, sigma), _smoothing(w, sigma)
        shape = 2, down.shape[1], along.shape[1]
        most = strength * math.sqrt(3)  # uniform numbers of standard deviation `strength`
        noise = draws.between(math.prod(shape), -most, most).astype(np.float32)
        return bend(images, down @ (noise.reshape(n, *shape) @ along.T), outside)

    return move


def _smoothing(size: int, sigma: float) -> Array:
    """Return the matrix from noise at points ``sigma`` apart to ``size`` pixels.

    The points go three beyond each end. The Gaussian's weights for a pixel have a sum
    of squares of 1, so the result has the variance of the noise.
    """
    points = np.arange(-3, int((size - 1) / sigma) + 5) * sigma
    weights = np.exp(-(((np.arange(size)[:, None] - points) / sigma) ** 2) / 2)
    weights /= np.sqrt((weights**2).sum(axis=1, keepdims=True))
    return weights.astype(np.float32)
