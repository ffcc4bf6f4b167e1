"""The correlation of few images by Winograd's algorithm, and its adjoints."""

from __future__ import annotations

import numpy as np

from fcnn._ops import memory
from fcnn._ops.blocks import Block
from fcnn._ops.direct import DirectForward
from fcnn._ops.finite import all_finite
from fcnn._ops.gemm import product
from fcnn._ops.packed import multiply
from fcnn._ops.values import decide
from fcnn._ops.window import Pair, Window
from fcnn._ops.winograd.adjoint import WinogradAdjoint
from fcnn._ops.winograd.few_transforms import (
    input_adjoint,
    input_tiles,
    products_adjoint,
    write_output,
)
from fcnn._ops.winograd.forward import clear_blank
from fcnn._ops.winograd.matrices import TILE
from fcnn._ops.winograd.tiling import tile_blocks, tiles
from fcnn._ops.winograd.transforms import transform_filters
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


class PlainForward(DirectForward):
    """A `fcnn._ops.algorithm.Forward` of one image, or of few channels, by the definition.

    The transforms cost as much as they save, but for the adjoint, which saves more. That one cuts
    tiles of its own, so no columns are handed on.
    """

    def compute(self, block: Block, out: Array, bias: Array | None) -> None:
        """Write a block of the output without its bias into ``out``."""
        super().compute(block, out, bias)


class FewAdjoint(WinogradAdjoint):
    """A `fcnn._ops.algorithm.Adjoint` for ``weight (3, 3, c, o)``, on tiles of few images."""

    _nothing = None

    def transformed(self, weight: Array) -> Array:
        """Return the filters as the products read them, ``(36, o, c)``."""
        return transform_filters(weight.swapaxes(2, 3))

    def accumulate(self, block: Block, dz: Array) -> None:
        """Add the block's part of both gradients."""
        dproducts = products_adjoint(dz)
        pixels = self._tiles
        if pixels is None:
            pixels = input_tiles(self._x, self._window, block)
        part = multiply(pixels.swapaxes(1, 2), dproducts)
        self._dfilters = part if self._dfilters is None else self._dfilters + part
        if self._filters is not None:
            down_across = tiles(block.size[0]), tiles(block.size[1])
            dtiles = _products(dproducts, self._filters)
            self._add_dx(block, input_adjoint(dtiles, down_across, len(self._x)))

    def dweight(self) -> Array:
        """Return the gradient of the weight, ``(3, 3, c, o)``."""
        if self._dfilters is None:
            return memory.zeros(self._shape, self._x.dtype)
        return super().dweight()


def _products(pixels: Array, filters: Array) -> Array:
    """Return ``(36, tiles, c) @ (36, c, o)``."""
    shape = (*pixels.shape[:2], filters.shape[2])
    return product(pixels, filters, memory.empty(shape, pixels.dtype))
