"""The correlation of few images by Winograd's algorithm, and its adjoints."""

from __future__ import annotations

import numpy as np

from fcnn._ops import memory
from fcnn._ops.blocks import Block
from fcnn._ops.direct import DirectForward
from fcnn._ops.finite import all_finite
from fcnn._ops.gemm import product
from fcnn._ops.layout import nhwc
from fcnn._ops.packed import multiply
from fcnn._ops.values import decide
from fcnn._ops.window import Pair, Window, inside
from fcnn._ops.winograd.few_transforms import (
    input_adjoint,
    input_tiles,
    products_adjoint,
    write_output,
)
from fcnn._ops.winograd.forward import clear_blank
from fcnn._ops.winograd.matrices import ALPHA, TILE
from fcnn._ops.winograd.tiling import tile_blocks, tiles
from fcnn._ops.winograd.transforms import transform_filters, transform_filters_adjoint
from fcnn._typing import Array


class FewForward:
    """A `fcnn._ops.algorithm.Forward` for ``weight (3, 3, c, o)``."""

    def __init__(self, x: Array, weight: Array, window: Window, groups: int) -> None:
        self._filters = transform_filters(weight)  # (36, c, o)
        self._x, self._weight, self._window = x, weight, window
        self._is_finite = all_finite(weight)

    def blocks(self, pool: Pair = (1, 1)) -> list[Block]:
        """Cut the output into blocks of whole tiles and whole pools."""
        return tile_blocks(self._window, self._x, self._weight.shape[3], pool)

    def compute(self, block: Block, out: Array, bias: Array | None) -> Array:
        """Write a block of the output without its bias into ``out``; return its input tiles.

        Zeros, NaN and infinity are as in `fcnn._ops.winograd.forward`.
        """
        pixels = input_tiles(self._x, self._window, block)
        write_output(_products(pixels, self._filters), out)
        if not (self._is_finite and decide(np.isfinite(out[::TILE, 0, ::TILE]).all())):
            DirectForward(self._x, self._weight, self._window, 1).compute(block, out, bias)
        elif bias is None or not decide(bias.all()):
            clear_blank(self._x, self._window, block, out)
        return pixels


class OneForward(DirectForward):
    """A `fcnn._ops.algorithm.Forward` of one image by the definition.

    To transform the filters costs as much as it saves, but for the adjoint, which saves more.
    """

    def compute(self, block: Block, out: Array, bias: Array | None) -> None:
        """Write a block of the output without its bias into ``out``."""
        super().compute(block, out, bias)


class FewAdjoint:
    """A `fcnn._ops.algorithm.Adjoint` for ``weight (3, 3, c, o)``.

    NaN or infinity in x or dz spoils whole tiles, and always shows in dweight.
    """

    halo = 0

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
        self._dfilters: Array | None = None  # (36, c, o)
        self._filters = transform_filters(weight.swapaxes(2, 3)) if input_grad else None
        self._dx = memory.zeros((h, c, w, n) if input_grad else 0, x.dtype)

    def blocks(self, pool: Pair = (1, 1)) -> list[Block]:
        """Cut the output into blocks of whole tiles and whole pools."""
        return tile_blocks(self._window, self._x, self._shape[3], pool)

    def buffer(self, block: Block) -> Array:
        """Return an array ``(rows, o, cols, n)`` for this block's dz."""
        height, width = block.size
        return memory.empty((height, self._shape[3], width, len(self._x)), self._x.dtype)

    def accumulate(self, block: Block, dz: Array) -> None:
        """Add the block's part of both gradients."""
        dproducts = products_adjoint(dz)
        pixels = self._tiles
        if pixels is None:
            pixels = input_tiles(self._x, self._window, block)
        part = multiply(pixels.swapaxes(1, 2), dproducts)
        self._dfilters = part if self._dfilters is None else self._dfilters + part
        if self._filters is not None:
            self._add_dx(block, _products(dproducts, self._filters))

    def _add_dx(self, block: Block, dtiles: Array) -> None:
        """Add to dx what the block's input tiles have for it."""
        (h, _, w, n), (height, width) = self._dx.shape, block.size
        (top, _), (left, _) = self._window.pads
        part = input_adjoint(dtiles, (tiles(height), tiles(width)), n)
        from_rows, to_rows = inside(block.rows.start - top, 1, height + ALPHA - TILE, h)
        from_cols, to_cols = inside(block.cols.start - left, 1, width + ALPHA - TILE, w)
        target = self._dx[to_rows, :, to_cols]
        np.add(target, part[from_rows, :, from_cols], out=target)

    def dweight(self) -> Array:
        """Return the gradient of the weight, ``(3, 3, c, o)``."""
        if self._dfilters is None:
            return memory.zeros(self._shape, self._x.dtype)
        return transform_filters_adjoint(self._dfilters)

    def dx(self) -> Array | None:
        """Return the gradient of the input, ``(n, h, w, c)``; None if it was not asked for."""
        return None if self._filters is None else nhwc(self._dx)


def _products(pixels: Array, filters: Array) -> Array:
    """Return ``(36, tiles, c) @ (36, c, o)``."""
    shape = (*pixels.shape[:2], filters.shape[2])
    return product(pixels, filters, memory.empty(shape, pixels.dtype))
