"""Augmentation: ``(key, images) -> images``, a random change of each image.

Images are ``(n, h, w, c)`` in float32 or float64; the result has the same shape and
dtype. Pixels that come from outside the image take the value ``fill``, which is 0 by
default: set it to the background's value where the data are normalised.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeAlias

import attrs
import numpy as np

from fcnn import prng
from fcnn._check import number, whole
from fcnn._typing import Array
from fcnn._value import Spec, Value, remember
from fcnn.data._warp import bend, warp
from fcnn.errors import ArgumentError, DTypeError, ShapeError
from fcnn.prng import Key

__all__ = ["Augmentation", "affine", "augmentation", "chain", "elastic", "flip", "rotate", "shift"]

P = ParamSpec("P")
Move: TypeAlias = Callable[[Key, Array], Array]
_LARGEST = float(np.finfo(np.float32).max)


@attrs.frozen(eq=False, repr=False, slots=False)
class Augmentation(Value):
    """A function ``(key, images) -> images`` that prints as the call that made it.

    >>> import fcnn, numpy as np
    >>> from fcnn.data import augment
    >>> turn = augment.affine(rotate=15.0)
    >>> turn, turn(fcnn.key(0), np.ones((4, 28, 28, 1), np.float32)).shape
    (affine(rotate=15.0), (4, 28, 28, 1))
    """

    move: Move
    spec: Spec

    def __call__(self, key: Key, images: Array) -> Array:
        """Change the images."""
        images = np.asarray(images)
        if images.ndim != 4:
            hint = "; add the channel axis with images[..., None]" if images.ndim == 3 else ""
            raise ShapeError(f"expected images (n, h, w, c), got shape {images.shape}{hint}")
        if images.dtype not in (np.float32, np.float64):
            hint = " / 255" if images.dtype == np.uint8 else ""
            raise DTypeError(
                f"expected float32 or float64 images, got {images.dtype}; "
                f"pass images.astype(np.float32){hint}"
            )
        return self.move(prng.checked(key), images)


def augmentation(constructor: Callable[P, Move]) -> Callable[P, Augmentation]:
    """Make a function that returns ``(key, images) -> images`` return an `Augmentation`.

    >>> from fcnn import prng
    >>> from fcnn.data import augment
    >>> @augment.augmentation
    ... def noise(stddev):
    ...     return lambda key, images: images + stddev * prng.normal(key, images.shape)
    >>> noise(0.1)
    noise(0.1)
    """
    return remember(constructor, Augmentation)


@augmentation
def chain(*augmentations: Augmentation) -> Move:
    """Apply augmentations, or functions like them, in turn, each with its own key.

    >>> from fcnn.data import augment
    >>> augment.chain(augment.flip(), augment.shift(2))
    chain(flip(), shift(2))
    """
    for each in augmentations:
        if not callable(each):
            raise ArgumentError(f"expected functions (key, images) -> images, got {each!r}")

    def move(key: Key, images: Array) -> Array:
        for part_key, part in zip(prng.split(key, len(augmentations)), augmentations, strict=True):
            images = part(part_key, images)
        return images

    return move


@augmentation
def flip(probability: float = 0.5) -> Move:
    """Exchange left and right, with the given probability.

    >>> import fcnn, numpy as np
    >>> from fcnn.data import augment
    >>> image = np.arange(3, dtype=np.float32).reshape(1, 1, 3, 1)
    >>> augment.flip(1.0)(fcnn.key(0), image).ravel()
    array([2., 1., 0.], dtype=float32)
    """
    p = number(probability, "probability", 0.0, 1.0)

    def move(key: Key, images: Array) -> Array:
        flipped = prng.bernoulli(key, p, (len(images), 1, 1, 1))
        return np.where(flipped, images[:, :, ::-1], images)

    return move


@augmentation
def shift(pixels: int, *, fill: float = 0.0) -> Move:
    """Shift by a whole number of pixels, from ``-pixels`` to ``pixels``, along each axis.

    >>> import fcnn, numpy as np
    >>> from fcnn.data import augment
    >>> image = np.zeros((1, 5, 5, 1), np.float32)
    >>> image[0, 2, 2] = 1
    >>> float(augment.shift(2)(fcnn.key(0), image).sum())
    1.0
    """
    p, outside = whole(pixels, "pixels", 0), _finite(fill)

    def move(key: Key, images: Array) -> Array:
        n, h, w, _ = images.shape
        dy, dx = key.generator().integers(0, 2 * p + 1, (n, 2)).T
        padded = np.pad(images, ((0, 0), (p, p), (p, p), (0, 0)), constant_values=outside)
        windows = np.lib.stride_tricks.sliding_window_view(padded, (h, w), (1, 2))
        return np.ascontiguousarray(np.moveaxis(windows[np.arange(n), dy, dx], 1, 3))

    return move


@augmentation
def rotate(degrees: float, *, fill: float = 0.0) -> Move:
    """Rotate about the centre by an angle from ``-degrees`` to ``degrees``.

    >>> import fcnn, numpy as np
    >>> from fcnn.data import augment
    >>> augment.rotate(10.0)(fcnn.key(0), np.ones((2, 8, 8, 1), np.float32)).shape
    (2, 8, 8, 1)
    """
    angle = number(degrees, "degrees", 0.0, open_high=True)
    return _affine(0.0, angle, 0.0, 0.0, _finite(fill))


@augmentation
def affine(
    *,
    shift: float = 2.0,
    rotate: float = 10.0,
    scale: float = 0.1,
    shear: float = 0.0,
    fill: float = 0.0,
) -> Move:
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
        _finite(fill),
    )


def _affine(shift: float, rotate: float, scale: float, shear: float, fill: float) -> Move:
    def move(key: Key, images: Array) -> Array:
        draws = prng.uniform(key, (len(images), 5), -1.0, 1.0, dtype=np.float64)
        angle, size = np.radians(rotate * draws[:, 0]), 1 + scale * draws[:, 1]
        slope, offsets = shear * draws[:, 2], shift * draws[:, 3:]
        # From the new image's coordinates (y, x) to the old one's: undo the rotation, then
        # the shear, then the scaling. Offsets are in the new image's pixels.
        cos, sin = np.cos(angle), np.sin(angle)
        back = np.empty((len(images), 2, 2))
        back[:, 0] = np.stack([cos, -sin], 1)
        back[:, 1] = np.stack([sin - slope * cos, cos + slope * sin], 1)
        back /= size[:, None, None]
        return warp(images, back, offsets, fill)

    return move


def _finite(fill: float) -> float:
    return number(fill, "fill", -_LARGEST, _LARGEST)


@augmentation
def elastic(pixels: float = 1.0, *, smoothness: float = 4.0, fill: float = 0.0) -> Move:
    """Move each pixel by a smooth random displacement field (Simard et al., 2003).

    The field is white noise smoothed by a Gaussian whose standard deviation is
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
    outside = _finite(fill)

    def move(key: Key, images: Array) -> Array:
        n, h, w, _ = images.shape
        down, along = _smoothing(h, sigma), _smoothing(w, sigma)
        noise = prng.normal(key, (n, 2, down.shape[1], along.shape[1]))
        noise *= strength
        return bend(images, down @ (noise @ along.T), outside)

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
