"""Bands of an image and the elements of its windows as views, for both kinds of pooling.

A window is reduced over its columns, then over its rows: each step is one element-wise pass over
runs of whole image rows or of the images of a batch (`fcnn._ops.layout`), for a few rows of the
image at a time, so that all passes but the first have their operands in the cache.

Under a stride the elements of a column are runs of the images of a batch. Short runs are copied as
raw bytes, and computed with where they lie together: NumPy takes some 20 ns for each run that it
computes with, and less than 1 for a copy.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fcnn._ops import memory
from fcnn._ops.blocks import ELEMENTWISE, bands
from fcnn._ops.layout import copy_runs, hcwn, images_innermost
from fcnn._ops.window import Window, inside
from fcnn._typing import Array

FEW = 24
"""Images, from which runs are long enough to be computed with where they are."""


def padded_bands(x: Array, window: Window, fill: float) -> Iterator[tuple[slice, Array]]:
    """Yield rows of output and the padded rows ``(rows, c, w, n)`` of input that they cover."""
    rows = hcwn(images_innermost(x))
    reach = window.dilation[0] * (window.kernel[0] - 1) + 1
    ((top, _), (left, right)), (h, w), sh = window.pads, window.image, window.stride[0]
    for band in bands(window.out[0], x.nbytes // len(rows) * sh, ELEMENTWISE):
        many = (band.stop - band.start - 1) * sh + reach
        to, of = inside(band.start * sh - top, 1, many, h)
        if not window.is_padded:
            yield band, rows[of]
            continue
        image = memory.full((many, rows.shape[1], w + left + right, rows.shape[3]), fill, x.dtype)
        image[to, :, left : left + w] = rows[of]
        yield band, image


def window_rows(lines: Array, window: Window, i: int) -> Array:
    """View row i of the windows, for as many windows as fit into ``lines (rows, ...)``."""
    start, reach = i * window.dilation[0], window.dilation[0] * (window.kernel[0] - 1)
    return lines[start : start + len(lines) - reach : window.stride[0]]


def window_columns(image: Array, window: Window, j: int) -> Array:
    """View column j of the windows in ``image (rows, c, w, n)``."""
    start, stride = j * window.dilation[1], window.stride[1]
    return image[:, :, start : start + (window.out[1] - 1) * stride + 1 : stride]


def is_short(column: Array) -> bool:
    """Whether a column ``(rows, c, cols, n)`` is of short runs that do not lie together."""
    n, v = column.shape[3], column.itemsize
    return 1 < n < FEW and column.strides[3] == v and column.strides[2] != n * v


def together(column: Array) -> Array:
    """Return a column whose runs lie together: itself, or a copy if its runs are short."""
    if not is_short(column):
        return column
    copy = memory.empty(column.shape, column.dtype)
    copy_runs(column, copy)
    return copy


def write_to(column: Array, values: Array) -> None:
    """Write values to a column."""
    if is_short(column):
        copy_runs(values, column)
    else:
        np.copyto(column, values)


def add_to(column: Array, values: Array) -> None:
    """Add values to a column."""
    own = together(column)
    np.add(own, values, out=own)
    if own is not column:
        write_to(column, own)


def reduce_by(ufunc: np.ufunc, parts: list[Array], out: Array | None = None) -> Array:
    """Return ``ufunc`` over the parts, in order; one part without ``out`` is returned itself."""
    if len(parts) == 1:
        if out is None:
            return parts[0]
        np.copyto(out, parts[0])
        return out
    total: Array = ufunc(parts[0], parts[1], out=out)
    for part in parts[2:]:
        ufunc(total, part, out=total)
    return total
