"""The adjoints of a correlation by its definition.

The weight's gradient is the sum over output rows r of ``columns[r] @ dz[r].T``.

The input's gradient. Input row ``r`` is multiplied by kernel row ``i`` for output row ``o`` where
``r + top = o*sh + i*dh``. So the input rows that the kernel rows ``i, i + sh, ...`` reach (one
*phase* of the stride) come from one product: the filters' matrix times neighbouring rows of dz,
which are a matrix as they lie; rows of zeros above and below dz (the *halo*) serve the border.
Nothing is multiplied by the zeros that a transposed convolution would insert. The result for each
kernel column is added to the columns of dx that it reaches. Under a stride the columns may be
treated as the rows are: neighbouring columns of dz are copied side by side, and the results for
several kernel columns come from one product and are added at once. Columns of few images are too
short to be added one by one: then dx keeps those of each phase side by side until it is complete.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fcnn._ops import blocks, memory
from fcnn._ops.blocks import Block
from fcnn._ops.direct import as_matrices
from fcnn._ops.gemm import product, product_of_rows
from fcnn._ops.im2col import im2col, im2col_blocks
from fcnn._ops.layout import nhwc, runs
from fcnn._ops.strided import strided
from fcnn._ops.window import Pair, Window, inside
from fcnn._typing import Array

FEW = range(2, 16)  # images whose columns are short; one image has whole rows instead


class _Filters(NamedTuple):
    """Filters of the kernel columns whose shares of dx come from one product.

    Either each column by itself, ``together == 1`` and ``at`` the offsets of all of them; or
    ``together`` columns that reach the same columns of dx, ``at`` the offset of the first.
    """

    at: range
    together: int
    matrices: list[Array]  # one for each phase of the rows, (g, 1, columns*c, rows*together*o)


class DirectAdjoint:
    """A `fcnn._ops.algorithm.Adjoint` by im2col."""

    _dz: Array  # the last `buffer`, with its halo

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
        self._x, self._window, self._groups, self._columns = x, window, groups, columns
        self._shape = weight.shape
        self._dfilters: Array | None = None  # (g, kh*kw*c, o)
        self._phases: list[tuple[int, int]] = []  # the first kernel row of each, and how many
        self._filters: list[_Filters] = []
        self.halo = 0
        if input_grad:
            self._prepare(weight.reshape(*weight.shape[:2], c // groups, groups, -1)[::-1], n)
            apart = window.stride[1] if n in FEW and window.kernel[1] > 1 else 1
            self._dx = memory.zeros((apart, h, c, -(-w // apart), n), x.dtype)  # by phases

    def _prepare(self, weight: Array, n: int) -> None:
        """Arrange the filters for dx: ``weight (kh, kw, c, g, o)``, kernel rows last to first."""
        kh, kw, c, groups, o = weight.shape
        (sh, sw), (dh, dw) = self._window.stride, self._window.dilation
        step = sh if dh == 1 else kh
        self._phases = [(i, -(-(kh - i) // step)) for i in range(min(step, kh))]
        self.halo = max(count for _, count in self._phases) - 1
        copied, saved = kw * groups * o, (kw - sw) * groups * c  # elements, for a column of dz
        if sw == 1 or dw > 1 or n == 1 or copied > 4 * saved:
            self._filters.append(self._matrices(weight[:, :, None], range(0, kw * dw, dw), step))
            return
        for j in range(sw):
            together = weight[:, j::sw][:, None, ::-1]
            self._filters.append(self._matrices(together, range(j, j + 1), step))

    def _matrices(self, weight: Array, at: range, step: int) -> _Filters:
        """Arrange ``weight (kh, at, together, c, g, o)``, kernel rows last to first, by phases."""
        kh, _, together, c, groups, _ = weight.shape
        turned = weight.transpose(4, 1, 3, 0, 2, 5)
        matrices = [
            turned[:, :, :, (kh - 1 - i) % step :: step].reshape(groups, 1, len(at) * c, -1)
            for i, _ in self._phases
        ]
        return _Filters(at, together, matrices)

    def blocks(self, pool: Pair = (1, 1)) -> list[Block]:
        """Cut the output into blocks of whole pools."""
        if self._columns is None:
            return im2col_blocks(self._window, self._x, blocks.ADJOINT, pool)
        (oh, ow), (ph, pw) = self._window.out, pool  # columns are only kept of a single block
        return [Block(slice(0, oh // ph * ph), slice(0, ow // pw * pw))]

    def buffer(self, block: Block) -> Array:
        """Return an array ``(rows, c_out, cols, n)`` for this block's dz, between rows of zeros."""
        halo, (rows, cols) = self.halo, block.size
        shape = (rows + 2 * halo, self._shape[3], cols, len(self._x))
        self._dz = memory.empty(shape, self._x.dtype)
        if halo:
            self._dz[:halo] = 0
            self._dz[halo + rows :] = 0
        return self._dz[halo : halo + rows]

    def accumulate(self, block: Block, dz: Array) -> None:
        """Add the block's part of both gradients; dz is its `buffer`, if there is a halo."""
        part = self._dfilters_of(block, dz)
        self._dfilters = part if self._dfilters is None else self._dfilters + part
        if self._filters:
            self.accumulate_dx(block, dz)

    def _dfilters_of(self, block: Block, dz: Array) -> Array:
        """Return the block's part of the gradient of the filters, ``(g, kh*kw*c, o)``."""
        groups, columns = self._groups, self._columns
        if columns is None:
            columns = im2col(self._x, self._window, groups, block)
        return product_of_rows(columns, as_matrices(dz, groups))

    def accumulate_dx(self, block: Block, dz: Array) -> None:
        """Add the block's part of the gradient of the input alone."""
        groups = self._groups
        padded = self._dz if self.halo else dz
        if groups > 1:
            padded = np.stack(np.split(padded, groups, axis=1))
        counts = {filters.together for filters in self._filters}
        copies = {count: _side_by_side(padded, count) for count in counts}
        for filters in self._filters:
            self._add_dx(block, copies[filters.together], filters)

    def _add_dx(self, block: Block, dz: Array, filters: _Filters) -> None:
        """Add to dx the part of these filters, for ``dz ([g,] rows, o, cols, n)`` with its halo."""
        groups, window, halo = self._groups, self._window, self.halo
        *_, lines, o, width, n = dz.shape
        _, h, w, c = self._x.shape
        apart, _, _, across, _ = self._dx.shape
        dx = self._dx.reshape(apart, h, groups, c // groups, across, n)
        (sh, sw), (dh, _), ((top, _), (left, _)) = window.stride, window.dilation, window.pads
        run, v = width * n, dz.itemsize
        line = o * run * v
        cols = [inside(block.cols.start * sw + j - left, sw, width, w) for j in filters.at]
        for (i, many), matrix in zip(self._phases, filters.matrices, strict=True):
            count = lines - 2 * halo + many - 1
            # Matrices of `many` rows of dz each, which overlap with the next in many - 1 rows.
            shape = (groups, count, many * o, run)
            rows = strided(dz, shape, (lines * line, line, run * v, v), (halo - many + 1) * line)
            parts = memory.empty((groups, count, matrix.shape[2], run), dz.dtype)
            product(matrix, rows, parts)
            parts = parts.reshape(groups, count, len(filters.at), c // groups, width, n)
            parts = parts.swapaxes(0, 1)
            from_rows, to_rows = inside(block.rows.start * sh + i * dh - top, sh, count, h)
            for j, (from_cols, to_cols) in enumerate(cols):
                at = slice(to_cols.start // apart, to_cols.stop // apart, sw // apart)
                target = dx[to_cols.start % apart, to_rows, :, :, at]
                np.add(target, parts[from_rows, :, j, :, from_cols], out=target)

    def dweight(self) -> Array:
        """Return the gradient of the weight, ``(kh, kw, c_in // groups, c_out)``."""
        if self._dfilters is None:
            return memory.zeros(self._shape, self._x.dtype)
        return self._dfilters.swapaxes(0, 1).reshape(self._shape)

    def dx(self) -> Array | None:
        """Return the gradient of the input, ``(n, h, w, c_in)``; None if it was not asked for."""
        return self.take_dx() if self._filters else None

    def take_dx(self) -> Array:
        """Return the gradient of the input, which was asked for."""
        if len(self._dx) == 1:
            return nhwc(self._dx[0])
        _, h, w, c = self._x.shape
        dx = memory.empty((h, c, w, len(self._x)), self._dx.dtype)
        for phase, columns in enumerate(self._dx):
            target = dx[:, :, phase :: len(self._dx)]
            np.copyto(runs(target), runs(columns[:, :, : target.shape[2]]))
        return nhwc(dx)


def _side_by_side(dz: Array, count: int) -> Array:
    """Stack ``dz (..., o, cols, n)`` with copies of it, each one column further to the left.

    ``(..., count*o, cols + count - 1, n)``, with zeros where a copy does not reach.
    """
    if count == 1:
        return dz
    *lead, o, width, n = dz.shape
    copies = memory.zeros((*lead, count, o, width + count - 1, n), dz.dtype)
    for t in range(count):
        copies[..., t, :, count - 1 - t : count - 1 - t + width, :] = dz
    return copies.reshape(*lead, count * o, width + count - 1, n)
