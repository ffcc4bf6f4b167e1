"""The forward pass of Winograd's algorithm."""

from __future__ import annotations

from typing import Any

import numpy as np

from fcnn._ops import memory
from fcnn._ops.blocks import Block
from fcnn._ops.direct import DirectForward
from fcnn._ops.finite import all_finite
from fcnn._ops.gemm import product
from fcnn._ops.layout import hcwn
from fcnn._ops.values import decide, unless
from fcnn._ops.window import Pair, Window, inside
from fcnn._ops.winograd.matrices import ALPHA, FILTER, TILE
from fcnn._ops.winograd.tiling import tile_blocks
from fcnn._ops.winograd.transforms import transform_filters, transform_input, transform_output
from fcnn._typing import Array


class WinogradForward:
    """A `fcnn._ops.algorithm.Forward` for ``weight (3, 3, c, o)``."""

    def __init__(self, x: Array, weight: Array, window: Window, groups: int) -> None:
        self._filters = transform_filters(weight.swapaxes(2, 3))  # (36, o, c)
        self._x, self._weight, self._window = x, weight, window
        self._is_finite = all_finite(weight)

    def blocks(self, pool: Pair = (1, 1)) -> list[Block]:
        """Cut the output into blocks of whole tiles and whole pools."""
        return tile_blocks(self._window, self._x, self._weight.shape[3], pool)

    def compute(self, block: Block, out: Array, bias: Array | None) -> Array:
        """Write a block of the output without its bias into ``out``; return its input tiles.

        An output whose window holds zeros alone is made exactly 0, since a relu behind it passes
        a gradient for any other number; but not where a bias of every channel is added, which is
        larger than the rounding. A block with NaN or infinity is computed again directly.
        """
        tiles = transform_input(self._x, self._window, block)
        transform_output(self._products(tiles), out)
        # A pixel that is not finite spoils its whole tile, in all channels of output.
        if not (self._is_finite and decide(np.isfinite(out[::TILE, 0, ::TILE]).all())):
            DirectForward(self._x, self._weight, self._window, 1).compute(block, out, bias)
        elif bias is None or not decide(bias.all()):
            clear_blank(self._x, self._window, block, out)
        return tiles

    def _products(self, tiles: Array) -> Array:
        """Return the filters times the tiles, ``(tiles down, 36, o, tiles across * n)``."""
        down, _, _, run = tiles.shape
        products = memory.empty((down, ALPHA**2, self._filters.shape[1], run), tiles.dtype)
        return product(self._filters, tiles, products)


def clear_blank(x: Array, window: Window, block: Block, out: Array) -> None:
    """Set to 0 those elements of a block of output whose window holds zeros alone."""
    (top, _), (left, _) = window.pads
    (height, width) = block.size
    to_rows, from_rows = inside(block.rows.start - top, 1, height + FILTER - 1, x.shape[1])
    to_cols, from_cols = inside(block.cols.start - left, 1, width + FILTER - 1, x.shape[2])
    part = hcwn(x)[from_rows, :, from_cols]
    rows, cols = _one_a_window(to_rows, height), _one_a_window(to_cols, width)
    are_live: Any = False
    if rows and cols:
        are_live = np.logical_or.reduce(part[rows, :, cols], axis=1).all()
    unless(are_live, clear_zeros, out[:, None], part[:, None], to_rows, to_cols)


def clear_zeros(out: Array, part: Array, rows: slice, cols: slice) -> None:
    """Set to 0 those of ``out (rows, planes, o, cols, n)`` whose window holds zeros alone.

    ``part (rows, planes, c, cols, n)`` is what windows see, in these rows and columns of what is
    padded. An image has one plane; of a volume's, each of output sees some neighbours.
    """
    height, planes, _, width, n = out.shape
    met = part.shape[1]
    nonzero = memory.zeros((height + FILTER - 1, met, width + FILTER - 1, n), bool)
    for channels in (slice(0, 4), slice(4, None)):  # the first few are mostly enough
        nonzero[rows, :, cols] |= (part[:, :, channels] != 0).any(axis=2)
        across = nonzero[:, :, :-2] | nonzero[:, :, 1:-1] | nonzero[:, :, 2:]
        down = across[:-2] | across[1:-1] | across[2:]
        live = down[:, :planes].copy()
        for k in range(1, met - planes + 1):
            live |= down[:, k : k + planes]
        if live.all():
            return
    np.multiply(out, live[:, :, None].astype(out.dtype), out=out)


def _one_a_window(within: slice, size: int) -> slice | None:
    """Return every third place of an axis, so that each of ``size`` windows has one; None if none.

    ``within``: the part of the padded axis that is no padding.
    """
    length = within.stop - within.start
    if within.start > 1 or size + FILTER - 1 - within.stop > 1:
        return None  # a window may lie in the padding
    return slice(int(length % FILTER == 0), None, FILTER)
