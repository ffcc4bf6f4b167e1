"""The adjoints of Winograd's algorithm along the rows and columns of volumes."""

from __future__ import annotations

from typing import Any

import numpy as np

from fcnn._ops import memory
from fcnn._ops.blocks import Block
from fcnn._ops.gemm import product, product_of_rows
from fcnn._ops.window import Window, inside
from fcnn._ops.winograd.adjoint import SHARED, transform_input_adjoint
from fcnn._ops.winograd.matrices import ALPHA, FILTER
from fcnn._ops.winograd.transforms import (
    transform_filters,
    transform_filters_adjoint,
    transform_input,
    transform_output_adjoint,
)
from fcnn._ops.winograd.volume import overlapping
from fcnn._typing import Array


class VolumeAdjoint:
    """The gradients of a correlation of some planes, summed over blocks and planes.

    A plane of input meets kd planes of dz: their matrices overlap as those of the forward pass
    do, with kd - 1 planes of zeros (the *halo*) before and behind dz. NaN or infinity in x or dz
    spoils whole tiles, and always shows in dweight.
    """

    def __init__(self, x: Array, weight: Array, window: Window, input_grad: bool) -> None:
        kd, _, _, c, o = self._shape = weight.shape
        self._x, self._window, self._dfilters = x, window, memory.zeros((), x.dtype)
        self._filters: Array | None = None
        self.halo = 0
        if input_grad:
            turned = weight[::-1].transpose(1, 2, 3, 0, 4).reshape(FILTER, FILTER, c, kd * o)
            self._filters = transform_filters(turned)[:, None]  # (36, 1, c, kd*o)
            self.halo = kd - 1

    def buffer(self, planes: slice, block: Block) -> tuple[Array, Array]:
        """Return an array ``(rows, planes, o, cols, n)`` for dz with its halo, and without."""
        (height, width), halo, count = block.size, self.halo, planes.stop - planes.start
        shape = (height, count + 2 * halo, self._shape[4], width, len(self._x))
        dz = memory.empty(shape, self._x.dtype)
        dz[:, :halo] = dz[:, halo + count :] = 0
        return dz, dz[:, halo : halo + count]

    def accumulate(self, met: Array, block: Block, dz: Array, dmet: Array | None) -> None:
        """Add the block's part of both gradients, for `planes_met` and dz with its halo.

        ``dmet (h, planes * c, w, n)`` is the gradient of ``met``.
        """
        kd, _, _, c, o = self._shape
        height, lines, _, width, n = dz.shape
        halo, images = self.halo, self._window.without_first()
        count = lines - 2 * halo
        dproducts = transform_output_adjoint(dz.reshape(height, lines * o, width, n))
        down, _, _, run = dproducts.shape
        own = dproducts.reshape(down, ALPHA**2, lines, o, run)[:, :, halo : halo + count]
        for matrices, part in zip(transform_input(met, images, block), own, strict=True):
            columns = overlapping(matrices, count, kd * c, c)
            self._dfilters = self._dfilters + product_of_rows(columns, part)
        if self._filters is None or dmet is None:
            return
        dtiles = memory.empty((down, ALPHA**2, count + halo, c, run), dz.dtype)
        product(self._filters, overlapping(dproducts, count + halo, kd * o, o), dtiles)
        dtiles = dtiles.reshape(down, ALPHA**2, -1, run)
        of_input = transform_input_adjoint(dtiles, n)
        (h, _, w, _), ((top, _), (left, _)) = dmet.shape, images.pads
        from_rows, to_rows = inside(block.rows.start - top, 1, height + SHARED, h)
        from_cols, to_cols = inside(block.cols.start - left, 1, width + SHARED, w)
        target = dmet[to_rows, :, to_cols]
        np.add(target, of_input[from_rows, :, from_cols], out=target)

    def dweight(self) -> Array:
        """Return the gradient of the weight, ``(kd, 3, 3, c, o)``."""
        kd, _, _, c, o = self._shape
        by_plane: Any = transform_filters_adjoint(self._dfilters).reshape(3, 3, kd, c, o)
        return memory.ascontiguousarray(by_plane.transpose(2, 0, 1, 3, 4))
