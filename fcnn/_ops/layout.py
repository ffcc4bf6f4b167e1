"""The order of an image batch in memory: rows, channels, columns, and innermost the images.

Whatever a kernel makes has the shape ``(n, h, w, c)`` and lies in memory as ``(h, c, w, n)``:
``hcwn`` of it is a view and contiguous. What that buys is told at the top of `fcnn._ops.conv`;
in short, one image row is a matrix, and every copy and every element-wise pass meets runs of
``n`` elements at least, whatever the stride and however few the channels. An array in any
other order is as good an argument: it costs a copy.
"""

from __future__ import annotations

import math

import numpy as np

from fcnn._typing import Array

BUDGET = 1 << 21
"""Bytes up to which a batch is brought into this order as a whole."""

PIECE = 1 << 12


def hcwn(x: Array) -> Array:
    """``x (n, h, w, c)`` as a view ``(h, c, w, n)``."""
    return x.transpose(1, 3, 2, 0)


def nhwc(rows: Array) -> Array:
    """``rows (h, c, w, n)`` as a view ``(n, h, w, c)``: the inverse of `hcwn`."""
    return rows.transpose(3, 0, 2, 1)


def images_innermost(x: Array) -> Array:
    """``x (n, h, w, c)`` in the order of this module, if it is or if the copy is small."""
    rows = hcwn(x)
    if rows.flags.c_contiguous or x.nbytes > BUDGET:
        return x
    return nhwc(np.ascontiguousarray(rows))


def pieces(x: Array) -> Array | None:
    """All elements of x as a view ``(pieces, size)`` in the order of memory.

    None if they are scattered, or if all are no more than a piece.
    """
    if x.size <= PIECE:
        return None
    if not x.flags.c_contiguous:
        x = x.transpose(sorted(range(x.ndim), key=lambda axis: -x.strides[axis]))
        if not x.flags.c_contiguous:
            return None
    return x.reshape(-1, math.gcd(x.size, PIECE))


def runs(x: Array) -> Array:
    """``x (..., n)``, whose n lie side by side, as an array ``(...)`` of runs to be copied.

    NumPy copies these faster than rows of n elements: where every fourth run of 32 float32 is
    meant, in two thirds of the time. Without elements it stays as it is.
    """
    if x.size == 0:
        return x
    return x.view(f"V{x.shape[-1] * x.itemsize}")[..., 0]


def reshaped(x: Array, shape: tuple[int, ...]) -> Array:
    """Each example in another shape; the examples of a batch stay innermost where they were."""
    if x.flags.c_contiguous:
        return x.reshape(len(x), *shape)
    y = x.transpose(*range(1, x.ndim), 0).reshape(*shape, len(x))
    return y.transpose(len(shape), *range(len(shape)))
