"""Bilinear resampling of images, a block of images at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fcnn._typing import Array

_BLOCK = 64 * 28 * 28  # pixels: the block's six temporaries of 200 kB fit the level-2 cache


def warp(images: Array, back: Array, offsets: Array, fill: float = 0.0) -> Array:
    """Move each image by its own affine map about its centre.

    Output pixel ``q``, measured from the centre, is the input at ``back @ (q - offset)``,
    or ``fill`` where that is outside the input.

    Shapes: images (n, h, w, c), back (n, 2, 2), offsets (n, 2), in the order (y, x).
    """
    _, h, w, _ = images.shape
    middle = np.array([h - 1, w - 1]) / 2
    start = middle - np.einsum("nij,nj->ni", back, middle + offsets)
    down = start[:, :, None] + back[:, :, :1] * np.arange(h)
    along = back[:, :, 1:] * np.arange(w)

    def places(block: slice, dtype: Any) -> Array:
        rows, columns = down[block].astype(dtype), along[block].astype(dtype)
        sums: Array = rows[..., None] + columns[:, :, None]
        return sums

    return _resample(images, places, fill)


def bend(images: Array, field: Array, fill: float = 0.0) -> Array:
    """Take each pixel from its own place plus its displacement, or ``fill`` outside.

    Shapes: images (n, h, w, c), field (n, 2, h, w), in the order (y, x).
    """
    _, h, w, _ = images.shape
    grid = np.stack(np.meshgrid(np.arange(h), np.arange(w), indexing="ij")).astype(np.float32)

    def places(block: slice, dtype: Any) -> Array:
        return np.add(field[block], grid, dtype=dtype)

    return _resample(images, places, fill)


def _resample(images: Array, places: Callable[[slice, Any], Array], fill: float) -> Array:
    """Set ``out[i, y, x]`` to image i at ``places[i, :, y, x]``, block by block."""
    n, h, w, _ = images.shape
    out = np.empty_like(images, order="C")
    step = max(1, _BLOCK // max(1, h * w))
    # float32 holds whole numbers up to 2**24, the pixels of an image of 4000 x 4000.
    dtype = np.float32 if (h + 3) * (w + 3) < 2**24 else np.float64
    for first in range(0, n, step):
        block = slice(first, first + step)
        _sample(images[block], places(block, dtype), out[block], fill)
    return out


def _sample(images: Array, places: Array, out: Array, fill: float) -> None:
    """Resample one block into ``out``, overwriting ``places``.

    The coordinates are clipped to a border of ``fill`` around each image, one pixel
    before it and two after, so that no index needs a mask.
    """
    n, h, w, c = images.shape
    rows, columns = h + 3, w + 3
    padded = np.full((n, rows, columns, c), fill, images.dtype)
    padded[:, 1 : h + 1, 1 : w + 1] = images
    pixels = padded.reshape(-1, c)

    places += 1
    ys = np.clip(places[:, 0], 0, h + 1, out=places[:, 0])
    xs = np.clip(places[:, 1], 0, w + 1, out=places[:, 1])
    top, left = np.floor(ys), np.floor(xs)
    ys -= top
    xs -= left
    top *= columns
    top += left
    corner = top.astype(np.intp)
    corner += (np.arange(n) * (rows * columns))[:, None, None]

    upper = _blend(pixels, corner, xs[..., None])
    corner += columns
    lower = _blend(pixels, corner, xs[..., None])
    lower -= upper
    lower *= ys[..., None]
    np.add(upper, lower, out=out)


def _blend(pixels: Array, corner: Array, right: Array) -> Array:
    """Interpolate between the pixels at ``corner`` and their right neighbours."""
    here = pixels.take(corner, axis=0, mode="clip")
    there = pixels[1:].take(corner, axis=0, mode="clip")
    there -= here
    there *= right
    here += there
    return here
