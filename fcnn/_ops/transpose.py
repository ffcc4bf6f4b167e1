"""A copy of an image batch with the images innermost, faster than NumPy makes it.

Reading a column of a matrix whose rows are a power of two apart keeps evicting the cache lines that
the next column needs, because they share one set of the cache. So an image row of all examples is
copied into a buffer whose rows are a little longer, transposed from there, and its channels are put
in order by whole runs of images: 1.1 ns an element instead of 3.2 for (64, 32, 32, 64).
"""

from __future__ import annotations

import numpy as np

from fcnn._ops.layout import hcwn, runs
from fcnn._typing import Array

PADDING = 16  # elements: a cache line of float32
FEW = 8  # images or channels, below which NumPy's copy is as fast


def rows_of(x: Array) -> Array:
    """Return ``x (n, h, w, c)`` as a contiguous array ``(h, c, w, n)``: a view of it, or a copy."""
    rows = hcwn(x)
    n, h, w, c = x.shape
    if rows.flags.c_contiguous or not x.flags.c_contiguous or min(n, c) < FEW or not x.size:
        return np.ascontiguousarray(rows)
    out = np.empty(rows.shape, x.dtype)
    padded = np.empty((n, w * c + PADDING), x.dtype)[:, : w * c]
    turned = np.empty((w, c, n), x.dtype)
    for image_row, target in zip(x.reshape(n, h, w * c).swapaxes(0, 1), out, strict=True):
        np.copyto(padded, image_row)
        np.copyto(turned.reshape(w * c, n), padded.T)
        np.copyto(runs(target), runs(turned).T)
    return out
