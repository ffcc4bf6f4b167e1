"""The adjoints of Winograd's algorithm, derived in `fcnn._ops.winograd.matrices`."""

from __future__ import annotations

from typing import Any

import numpy as np

from fcnn._ops import memory
from fcnn._ops.blocks import Block
from fcnn._ops.gemm import product, product_of_rows, spaced, transform
from fcnn._ops.layout import nhwc
from fcnn._ops.window import Pair, Window, inside
from fcnn._ops.winograd.matrices import ALPHA, INPUT_TRANSFORM, TILE
from fcnn._ops.winograd.tiling import tile_blocks
from fcnn._ops.winograd.transforms import (
    transform_filters,
    transform_filters_adjoint,
    transform_input,
    transform_output_adjoint,
    untile,
)
from fcnn._typing import Array

SHARED = ALPHA - TILE  # rows and columns of input that neighbouring tiles share


class WinogradAdjoint:
    """A `fcnn._ops.algorithm.Adjoint` for ``weight (3, 3, c, o)``.

    NaN or infinity in x or dz spoils whole tiles, and always shows in dweight.
    """

    halo = 0
    _nothing: Any = 0  # the gradient of the filters before the first block

    def __init__(
        self,
        x: Array,
        weight: Array,
        window: Window,
        groups: int,
        input_grad: bool,
        columns: Array | None = None,
    ) -> None:
        n, h, w, c = x.shape
        self._x, self._window, self._tiles, self._shape = x, window, columns, weight.shape
        self._dfilters = self._nothing  # (36, c, o)
        self._filters = self.transformed(weight) if input_grad else None
        self._dx = memory.zeros((h, c, w, n) if input_grad else 0, x.dtype)

    def transformed(self, weight: Array) -> Array:
        """Return the filters as the products read them, ``(36, c, o)``."""
        return transform_filters(weight)

    def blocks(self, pool: Pair = (1, 1)) -> list[Block]:
        """Cut the output into blocks of whole tiles and whole pools."""
        return tile_blocks(self._window, self._x, self._shape[3], pool)

    def buffer(self, block: Block) -> Array:
        """Return an array ``(rows, o, cols, n)`` for this block's dz."""
        height, width = block.size
        return memory.empty((height, self._shape[3], width, len(self._x)), self._x.dtype)

    def accumulate(self, block: Block, dz: Array) -> None:
        """Add the block's part of both gradients."""
        dproducts = transform_output_adjoint(dz)
        tiles = self._tiles
        if tiles is None:
            tiles = transform_input(self._x, self._window, block)
        self._dfilters += product_of_rows(tiles.swapaxes(0, 1), dproducts.swapaxes(0, 1))
        del tiles
        if self._filters is not None:
            n = len(self._x)
            self._add_dx(block, transform_input_adjoint(_products(self._filters, dproducts), n))

    def _add_dx(self, block: Block, part: Array) -> None:
        """Add to dx the gradient of a block's input, ``(4*down + 2, c, 4*across + 2, n)``."""
        (h, _, w, _), (height, width) = self._dx.shape, block.size
        (top, _), (left, _) = self._window.pads
        from_rows, to_rows = inside(block.rows.start - top, 1, height + SHARED, h)
        from_cols, to_cols = inside(block.cols.start - left, 1, width + SHARED, w)
        target = self._dx[to_rows, :, to_cols]
        np.add(target, part[from_rows, :, from_cols], out=target)

    def dweight(self) -> Array:
        """Return the gradient of the weight, ``(3, 3, c, o)``."""
        return transform_filters_adjoint(self._dfilters)

    def dx(self) -> Array | None:
        """Return the gradient of the input, ``(n, h, w, c)``; None if it was not asked for."""
        return None if self._filters is None else nhwc(self._dx)


def _products(filters: Array, dproducts: Array) -> Array:
    """Return the gradient of the transformed input tiles, ``(down, 36, c, run)``."""
    down, _, _, run = dproducts.shape
    return product(
        filters, dproducts, memory.empty((down, *filters.shape[:2], run), dproducts.dtype)
    )


def transform_input_adjoint(dtiles: Array, n: int) -> Array:
    """Return the gradient ``(4*down + 2, c, 4*across + 2, n)`` of the input of tiles.

    ``dtiles (down, 36, c, across * n)``. What neighbouring tiles have for the rows and columns
    that they share is added. Pass the only reference to dtiles: their memory is used again.
    """
    (down, _, c, length), dtype = dtiles.shape, dtiles.dtype
    across, run = length // n, c * length
    matrix = INPUT_TRANSFORM.T.astype(dtype, order="C")
    by_rows, last = spaced((down, ALPHA, ALPHA, run), dtype), down * TILE
    transform(matrix, dtiles.reshape(by_rows.shape).swapaxes(1, 2), by_rows.swapaxes(1, 2))
    del dtiles
    by_rows[1:, :SHARED] += by_rows[:-1, TILE:]
    lines = memory.empty((down * TILE + SHARED, ALPHA, run), dtype)
    transform(matrix, by_rows[:, :TILE], lines[:last].reshape(down, TILE, ALPHA, run))
    transform(matrix, by_rows[-1, TILE:], lines[last:])
    del by_rows
    lines = lines.reshape(-1, ALPHA, c, across, n)
    lines[:, :SHARED, :, 1:] += lines[:, TILE:, :, :-1]
    part = memory.empty((len(lines), c, across * TILE + SHARED, n), dtype)
    untile(lines[:, :TILE], part[:, :, : across * TILE])
    np.copyto(part[:, :, across * TILE :], lines[:, TILE:, :, -1].swapaxes(1, 2))
    return part
