"""The scratch budget of the kernels, and the cut of an output into blocks that stay within it.

A kernel computes its output block by block, so that its scratch arrays stay in or near the cache
and their size does not grow with the batch. There is one budget; a pass that holds several arrays
at a time, or that gains nothing from large blocks, takes a share of it. ``fcnn/_ops/NOTES.md`` has
the measurements. The cuts follow from shapes alone, and so do the bits of every sum over blocks.
"""

from __future__ import annotations

from typing import NamedTuple

from fcnn._ops.window import Pair
from fcnn._typing import Array

BUDGET = 1 << 22
"""Bytes of scratch for one block: the im2col columns of a forward convolution."""

ADJOINT = 1 / 2  # columns in an adjoint, which holds a product for dx of about their size too
TILES = 3 / 4  # Winograd tiles of input and output together; the passes over them copy once more
PLANES = 3 / 2  # such tiles of several planes of volumes: with as many channels, runs are short
ELEMENTWISE = 1 / 8  # one operand of pooling and batch norm: three or four stay in a 2 MiB cache
INNERMOST = 1 / 2  # a batch that is copied into the layout of the kernels as a whole
KEPT = 1 / 4  # columns that are kept from the forward pass for the adjoint
FILTERS = 3  # Winograd filters, transformed: four times the bytes of the weight


class Block(NamedTuple):
    """Rows and columns of an output."""

    rows: slice
    cols: slice

    @property
    def size(self) -> Pair:
        """The number of rows and of columns."""
        rows, cols = self
        return rows.stop - rows.start, cols.stop - cols.start

    def of(self, image: Array) -> Array:
        """Return the view of this block in ``image (h, c, w, n)``."""
        return image[self.rows, :, self.cols]

    def pooled(self, pool: Pair) -> Block:
        """Return the block of the output of a max pool that is computed from this block."""
        (rows, cols), (ph, pw) = self, pool
        return Block(
            slice(rows.start // ph, rows.stop // ph), slice(cols.start // pw, cols.stop // pw)
        )


def within(share: float) -> int:
    """Return a share of the budget in bytes."""
    return int(BUDGET * share)


def cut(
    out: Pair,
    size: int,
    share: float = 1,
    *,
    unit: Pair = (1, 1),
    each: int = 1,
    shared: int = 0,
    least: int = 1,
    even: bool = True,
) -> list[Block]:
    """Cut ``out`` rows and columns into blocks of whole units, row by row.

    A block of r rows and c columns of units takes ``(each * r + shared) * c * size`` bytes; the
    last ones may reach over ``out``. Columns are cut only where ``least`` rows of units are over
    the share of the budget. A block has one unit at least. The blocks are as even as they can be,
    or all but the last ones as large as they may be.
    """
    budget = within(share)
    rows, cols = -(-out[0] // unit[0]), -(-out[1] // unit[1])
    if (each * rows + shared) * cols * size <= budget:
        return [Block(slice(0, out[0]), slice(0, out[1]))]
    lines = each * min(rows, least) + shared
    width = _part(cols, budget // (size * lines), even)
    height = _part(rows, (budget // (size * width) - shared) // each, even)
    down, across = height * unit[0], width * unit[1]
    return [
        Block(slice(top, min(top + down, out[0])), slice(left, min(left + across, out[1])))
        for top in range(0, out[0], down)
        for left in range(0, out[1], across)
    ]


def bands(rows: int, size: int, share: float) -> list[slice]:
    """Cut rows of ``size`` bytes into slices within a share of the budget."""
    if rows * size <= BUDGET * share:
        return [slice(0, rows)]
    return [block.rows for block in cut((rows, 1), max(1, size), share, even=False)]


def _part(count: int, most: int, even: bool) -> int:
    """The size of parts of ``count``, at most ``most`` and at least 1."""
    most = max(1, min(count, most))
    return -(-count // -(-count // most)) if even else most
