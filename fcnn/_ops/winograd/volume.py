"""Winograd's algorithm along the rows and columns of volumes.

The planes of a volume are transformed as channels of one image, ``(h, planes * c, w, n)``. What a
filter of kd planes meets for one plane of output are then kd * c neighbouring rows of a matrix of
transformed tiles; the matrices of neighbouring planes of output overlap in all but c rows::

    products[o] (f, run) = filters (f, kd*c) @ tiles[o*c : (o + kd)*c] (kd*c, run)

So a plane is transformed once, and there is no copy for the filter's planes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fcnn._ops import blocks, memory
from fcnn._ops.blocks import Block, cut
from fcnn._ops.finite import all_finite
from fcnn._ops.gemm import product
from fcnn._ops.layout import hcwn, nhwc
from fcnn._ops.strided import strided
from fcnn._ops.values import decide, unless
from fcnn._ops.window import Window, inside
from fcnn._ops.winograd.forward import clear_zeros
from fcnn._ops.winograd.matrices import ALPHA, FILTER, TILE
from fcnn._ops.winograd.tiling import WASTE, tiles
from fcnn._ops.winograd.transforms import transform_filters, transform_input, transform_output
from fcnn._typing import Array

CHANNELS = 8  # at least, of output, and of the input that a filter's planes meet
IMAGES = 4  # at least: shorter runs are transformed slowly
PIXELS = 1024  # at least, of output in all planes and images
TOGETHER = 4  # tiles that a block holds at least


def suits(x: Array, weight: Array, window: Window, groups: int) -> bool:
    """Whether this algorithm is possible and faster for these shapes."""
    (kd, kh, kw, c, o), (depth, high, wide) = weight.shape, window.out
    return (
        kh == kw == FILTER
        and set(window.stride + window.dilation) == {1}
        and groups == 1
        and len(x) >= IMAGES
        and min(kd * c, o) >= CHANNELS
        and len(x) * depth * high * wide >= PIXELS
        and tiles(high) * tiles(wide) * ALPHA**2 <= WASTE * FILTER**2 * high * wide
        and TOGETHER * unit_size(x, weight, 1) <= blocks.within(blocks.PLANES)
    )


def unit_size(x: Array, weight: Array, planes: int) -> int:
    """Bytes of the transformed tiles of input and output for one tile of these planes."""
    kd, _, _, c, o = weight.shape
    channels = (planes + kd - 1) * c + planes * o
    return int(ALPHA**2 * channels * len(x) * x.itemsize)


def parts(x: Array, weight: Array, window: Window) -> Iterator[slice]:
    """Cut the planes of output so that a block of `TOGETHER` tiles is within the budget."""
    depth = window.out[0]
    fixed, each = unit_size(x, weight, 0), unit_size(x, weight, 1) - unit_size(x, weight, 0)
    most = max(1, (blocks.within(blocks.PLANES) // TOGETHER - fixed) // each)
    planes = -(-depth // -(-depth // most))
    for first in range(0, depth, planes):
        yield slice(first, min(first + planes, depth))


def tile_blocks(x: Array, weight: Array, window: Window, planes: slice) -> list[Block]:
    """Cut the rows and columns of output into blocks of whole tiles."""
    size = unit_size(x, weight, planes.stop - planes.start)
    out = window.out[1], window.out[2]
    return cut(out, size, blocks.PLANES, unit=(TILE, TILE))


def planes_at(window: Window, planes: slice) -> tuple[slice, slice]:
    """Return where the planes that are seen by these of output lie in the volume.

    As a slice of the planes seen, padding left out, and as a slice of the volume's planes.
    """
    count = planes.stop - planes.start + window.kernel[0] - 1
    return inside(planes.start - window.pads[0][0], 1, count, window.image[0])


def planes_met(x: Array, window: Window, planes: slice) -> Array:
    """Return the planes of input that these of output meet, as channels: ``(n, h, w, p * c)``."""
    n, _, h, w, c = x.shape
    count = planes.stop - planes.start + window.kernel[0] - 1
    to, at = planes_at(window, planes)
    source = x.transpose(2, 1, 4, 3, 0)
    if to == slice(0, count) and source.flags.c_contiguous:
        return nhwc(source[:, at].reshape(h, count * c, w, n))
    met = memory.empty((h, count, c, w, n), x.dtype)
    met[:, : to.start] = 0
    met[:, to] = source[:, at]
    met[:, to.stop :] = 0
    return nhwc(met.reshape(h, count * c, w, n))


def overlapping(matrices: Array, planes: int, rows: int, step: int) -> Array:
    """View ``(..., channels, run)`` as ``(..., planes, rows, run)``, a plane every step rows."""
    *lead, _, run = matrices.shape
    *strides, line, v = matrices.strides
    return strided(matrices, (*lead, planes, rows, run), (*strides, step * line, line, v))


class VolumeForward:
    """A correlation of some planes: of volumes with filters of 3 rows and 3 columns."""

    def __init__(self, x: Array, weight: Array, window: Window) -> None:
        kd, _, _, c, o = weight.shape
        filters = weight.transpose(1, 2, 4, 0, 3).reshape(FILTER, FILTER, o, kd * c)
        self._filters = transform_filters(filters)[:, None]  # (36, 1, o, kd*c)
        self._x, self._shape, self._window = x, weight.shape, window
        self._is_finite = all_finite(weight)

    def compute(self, planes: slice, met: Array, block: Block, out: Array, clear: bool) -> bool:
        """Write a block ``(rows, planes * o, cols, n)`` of output, for `planes_met`.

        Return whether it is finite. With ``clear``, an output whose window holds zeros alone is
        made exactly 0, as by `fcnn._ops.winograd.WinogradForward`.
        """
        kd, _, _, c, o = self._shape
        count, images = planes.stop - planes.start, self._window.without_first()
        transformed = transform_input(met, images, block)
        down, _, _, run = transformed.shape
        columns = overlapping(transformed, count, kd * c, c)
        products = memory.empty((down, ALPHA**2, count, o, run), met.dtype)
        product(self._filters, columns, products)
        transform_output(products.reshape(down, ALPHA**2, count * o, run), out)
        if clear:
            _clear_blank(met, c, images, block, out.reshape(len(out), count, o, *out.shape[2:]))
        # A pixel that is not finite spoils its whole tile, in all channels of output.
        return self._is_finite and decide(np.isfinite(out[::TILE, ::o, ::TILE]).all())


def _clear_blank(met: Array, c: int, window: Window, block: Block, out: Array) -> None:
    """Set to 0 those of ``out (rows, planes, o, cols, n)`` whose window holds zeros alone."""
    (top, _), (left, _) = window.pads
    (height, width), (n, h, w, channels) = block.size, met.shape
    to_rows, from_rows = inside(block.rows.start - top, 1, height + FILTER - 1, h)
    to_cols, from_cols = inside(block.cols.start - left, 1, width + FILTER - 1, w)
    part = hcwn(met).reshape(h, channels // c, c, w, n)[from_rows, :, :, from_cols]
    unless(False, clear_zeros, out, part, to_rows, to_cols)
