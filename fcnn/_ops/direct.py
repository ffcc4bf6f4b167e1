"""Correlation by its definition: filters times im2col columns, and the adjoints of that.

Forward, for each row r of the output (`fcnn._ops.im2col`)::

    y[r] = filters @ columns[r]

The weight's gradient is ``sum over r of columns[r] @ dy[r].T``.
"""

from __future__ import annotations

from fcnn._ops import memory
from fcnn._ops.blocks import Block
from fcnn._ops.gemm import product
from fcnn._ops.im2col import im2col, im2col_blocks
from fcnn._ops.window import Pair, Window
from fcnn._typing import Array


class DirectForward:
    """A `fcnn._ops.algorithm.Forward` by im2col."""

    def __init__(self, x: Array, weight: Array, window: Window, groups: int) -> None:
        filters = weight.reshape(-1, groups, 1, weight.shape[3] // groups).transpose(1, 2, 3, 0)
        in_place = len(x) == 1 and filters.shape[3] >= 32  # one image: a copy would not pay
        self._filters = (
            filters if in_place else memory.ascontiguousarray(filters)
        )  # (g, 1, o, kh*kw*c)
        self._x, self._window, self._groups = x, window, groups

    def blocks(self, pool: Pair = (1, 1)) -> list[Block]:
        """Cut the output into blocks of whole pools."""
        return im2col_blocks(self._window, self._x, pool=pool)

    def compute(self, block: Block, out: Array, bias: Array | None) -> Array | None:
        """Write a block of the output without its bias into ``out``; return its columns.

        Those of filters of one column may be the image itself: None, because they cost nothing.
        """
        columns = im2col(self._x, self._window, self._groups, block)
        product(self._filters, columns, as_matrices(out, self._groups))
        return columns if self._window.kernel[1] > 1 else None


def as_matrices(out: Array, groups: int) -> Array:
    """View ``(rows, g*o, cols, n)`` as ``(g, rows, o, cols*n)``: a matrix a row."""
    rows, c_out, cols, n = out.shape
    return out.reshape(rows, groups, c_out // groups, cols * n).swapaxes(0, 1)
