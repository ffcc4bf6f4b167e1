"""Augmentation: ``(key, images) -> images``, each image moved in its own way.

Images are ``(n, h, w, c)`` float32 or float64, and what comes out has the same
shape and type. Where a moved image reaches beyond its old frame, it is zero.
Training draws a new key for each step, ``fold_in(run_key, step)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeAlias

import attrs
import numpy as np

from fcnn import prng
from fcnn._check import number, whole
from fcnn._typing import Array
from fcnn._value import Spec, Value, remember
from fcnn.errors import DTypeError, ShapeError
from fcnn.prng import Key

__all__ = ["Augmentation", "affine", "augmentation", "chain", "flip", "rotate", "shift"]

P = ParamSpec("P")
Move: TypeAlias = Callable[[Key, Array], Array]

_BLOCK_PIXELS = 32 * 28 * 28  # what a block's dozen temporaries may have and stay in the cache


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
        """The images, moved."""
        images = np.asarray(images)
        if images.ndim != 4:
            raise ShapeError(f"images are (n, h, w, c), and {images.shape} came")
        if images.dtype not in (np.float32, np.float64):
            raise DTypeError(f"images must be float32 or float64, and {images.dtype} came")
        return self.move(key, images)


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
    """One after the other, each with a key of its own.

    >>> from fcnn.data import augment
    >>> augment.chain(augment.flip(), augment.shift(2))
    chain(flip(), shift(2))
    """

    def move(key: Key, images: Array) -> Array:
        for part_key, part in zip(prng.split(key, len(augmentations)), augmentations, strict=True):
            images = part(part_key, images)
        return images

    return move


@augmentation
def flip(probability: float = 0.5) -> Move:
    """Left and right exchanged, with the given probability.

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
def shift(pixels: int) -> Move:
    """Moved by a whole number of pixels, from ``-pixels`` to ``pixels``, along each axis.

    >>> import fcnn, numpy as np
    >>> from fcnn.data import augment
    >>> image = np.zeros((1, 5, 5, 1), np.float32)
    >>> image[0, 2, 2] = 1
    >>> float(augment.shift(2)(fcnn.key(0), image).sum())
    1.0
    """
    p = whole(pixels, "pixels", 0)

    def move(key: Key, images: Array) -> Array:
        n, h, w, _ = images.shape
        dy, dx = key.generator().integers(0, 2 * p + 1, (n, 2)).T
        padded = np.pad(images, ((0, 0), (p, p), (p, p), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (h, w), (1, 2))
        return np.ascontiguousarray(np.moveaxis(windows[np.arange(n), dy, dx], 1, 3))

    return move


@augmentation
def rotate(degrees: float) -> Move:
    """Turned about the middle by an angle from ``-degrees`` to ``degrees``.

    >>> import fcnn, numpy as np
    >>> from fcnn.data import augment
    >>> augment.rotate(10.0)(fcnn.key(0), np.ones((2, 8, 8, 1), np.float32)).shape
    (2, 8, 8, 1)
    """
    return _affine(0.0, number(degrees, "degrees", 0.0), 0.0, 0.0)


@augmentation
def affine(
    *, shift: float = 2.0, rotate: float = 10.0, scale: float = 0.1, shear: float = 0.0
) -> Move:
    """Shifted, turned, scaled and sheared about the middle, bilinearly interpolated.

    For each image, uniformly and independently: a shift of up to ``shift`` pixels
    along each axis, an angle of up to ``rotate`` degrees, a size from ``1 - scale``
    to ``1 + scale`` times the old one, and a slope of up to ``shear``, each row
    moving along by that much against the next.

    >>> import fcnn, numpy as np
    >>> from fcnn.data import augment
    >>> images = np.ones((2, 28, 28, 1), np.float32)
    >>> still = augment.affine(shift=0.0, rotate=0.0, scale=0.0)
    >>> np.array_equal(still(fcnn.key(0), images), images)
    True
    """
    return _affine(
        number(shift, "shift", 0.0),
        number(rotate, "rotate", 0.0),
        number(scale, "scale", 0.0, 1.0, open_high=True),
        number(shear, "shear", 0.0),
    )


def _affine(shift: float, rotate: float, scale: float, shear: float) -> Move:
    def move(key: Key, images: Array) -> Array:
        draws = prng.uniform(key, (len(images), 5), -1.0, 1.0, dtype=np.float64)
        angle, size = np.radians(rotate * draws[:, 0]), 1 + scale * draws[:, 1]
        slope, offsets = shear * draws[:, 2], shift * draws[:, 3:]
        # From the moved image's coordinates (y, x) back to the old one's: turned back,
        # then sheared back, then scaled back. Offsets are in the moved image's pixels.
        cos, sin = np.cos(angle), np.sin(angle)
        back = np.empty((len(images), 2, 2))
        back[:, 0] = np.stack([cos, -sin], 1)
        back[:, 1] = np.stack([sin - slope * cos, cos + slope * sin], 1)
        back /= size[:, None, None]
        return warp(images, back, offsets)

    return move


def warp(images: Array, back: Array, offsets: Array) -> Array:
    """Each image moved by its own affine map about its middle, zero outside, bilinear.

    Output pixel ``q``, measured from the middle, is the input at ``back @ (q - offset)``.

    Shapes: images (n, h, w, c), back (n, 2, 2), offsets (n, 2), in the order (y, x).
    """
    n, h, w, _ = images.shape
    moved = np.empty_like(images, order="C")
    middle = np.array([h - 1, w - 1]) / 2
    start = middle - np.einsum("nij,nj->ni", back, middle + offsets)
    step = max(1, _BLOCK_PIXELS // max(1, h * w))
    for first in range(0, n, step):
        block = slice(first, first + step)
        _sample(images[block], back[block], start[block], moved[block])
    return moved


def _sample(images: Array, back: Array, start: Array, out: Array) -> None:
    """``out[y, x] = images at back @ (y, x) + start``, between pixels by bilinear weights.

    The coordinates are clipped to the frame of zeros about each image, one pixel
    before it and two after, so that no index needs a mask.
    """
    n, h, w, c = images.shape
    rows, columns = h + 3, w + 3
    padded = np.zeros((n, rows, columns, c), images.dtype)
    padded[:, 1 : h + 1, 1 : w + 1] = images
    pixels = padded.reshape(-1, c)
    # float32 counts to 2**24, which is enough for the pixels of one image of 4000 x 4000.
    real = np.float32 if rows * columns < 2**24 else np.float64
    ys, xs = [
        _coordinates(back[:, axis], start[:, axis] + 1, (h, w), real, size + 1)
        for axis, size in ((0, h), (1, w))
    ]
    top, left = np.floor(ys), np.floor(xs)
    ys -= top
    xs -= left
    top *= columns
    top += left
    corner = top.astype(np.intp)
    corner += (np.arange(n) * (rows * columns))[:, None, None]
    down, right = ys[..., None], xs[..., None]

    upper = _blend(pixels, corner, right)
    corner += columns
    lower = _blend(pixels, corner, right)
    lower -= upper
    lower *= down
    np.add(upper, lower, out=out)


def _coordinates(back: Array, start: Array, shape: tuple[int, int], dtype: Any, last: int) -> Array:
    h, w = shape
    down: Array = (start[:, None] + back[:, :1] * np.arange(h)).astype(dtype)
    along: Array = (back[:, 1:] * np.arange(w)).astype(dtype)
    sums: Array = down[:, :, None] + along[:, None, :]
    return np.clip(sums, 0, last, out=sums)


def _blend(pixels: Array, corner: Array, right: Array) -> Array:
    """Between the pixels at ``corner`` and their right neighbours."""
    here = pixels.take(corner, axis=0, mode="clip")
    there = pixels[1:].take(corner, axis=0, mode="clip")
    there -= here
    there *= right
    here += there
    return here
