"""im2col along the width: each row of the image stored once, its columns once per kernel column.

The usual im2col stores every pixel ``kh * kw`` times. Here a row of the input is stored once, as a
matrix ``(kw*c, ow*n)``: for each column of the kernel and each channel, the pixels that it is
multiplied by. The matrices of neighbouring rows lie one behind the other, so ``kh`` of them are,
without a copy, the matrix ``(kh*kw*c, ow*n)`` of one row of the output::

    y[r] (o, ow*n) = filters (o, kh*kw*c) @ columns[r] (kh*kw*c, ow*n)

The matrices ``columns[r]`` and ``columns[r + 1]`` overlap in memory; one ``np.matmul`` multiplies
the stack of them.
"""

from __future__ import annotations

import numpy as np

from fcnn._ops import blocks, memory
from fcnn._ops.blocks import Block, cut
from fcnn._ops.layout import hcwn, runs
from fcnn._ops.strided import strided
from fcnn._ops.window import Pair, Window, inside
from fcnn._typing import Array

LEAST = 4  # rows in a block for each that it shares with the next, before columns are cut


def im2col_blocks(window: Window, x: Array, share: float = 1, pool: Pair = (1, 1)) -> list[Block]:
    """Cut the output into blocks whose columns are within a share of the budget.

    Blocks hold whole pools; rows and columns that no pool covers are left out.
    """
    (kh, kw), (sh, _), (oh, ow), (ph, pw) = window.kernel, window.stride, window.out, pool
    # Rows of columns for each row of pools, and those that a block shares with the next one.
    each, shared = (sh * ph, kh - sh) if _overlaps(window) else (kh * ph, 0)
    n, _, _, c = x.shape
    size, out = kw * pw * max(1, n * c * x.itemsize), (oh // ph * ph, ow // pw * pw)
    return cut(out, size, share, unit=pool, each=each, shared=shared, least=LEAST * max(1, shared))


def im2col(x: Array, window: Window, groups: int, block: Block) -> Array:
    """Return the columns of a block of output, ``(g, rows, kh*kw*c, cols*n)``: a matrix a row.

    Where rows of output share no rows of input, each matrix has memory of its own.
    """
    (kh, kw), (sh, sw), (dh, dw) = window.kernel, window.stride, window.dilation
    (top, _), (left, _) = window.pads
    height, width = block.size
    first_row, first_col = block.rows.start * sh - top, block.cols.start * sw - left
    part = (height - 1) * sh + (kh - 1) * dh + 1, (width - 1) * sw + (kw - 1) * dw + 1
    image, first_row, first_col = padded(hcwn(x), first_row, first_col, *part)
    _, c, _, n = image.shape
    row, channel, col, _ = image.strides
    v, c = x.itemsize, c // groups
    if _overlaps(window):
        lines, repeats, step, row_strides = (height - 1) * sh + kh, 1, sh, (row, row)
    else:
        lines, repeats, step, row_strides = height, kh, kh, (sh * row, dh * row)
    # The source overlaps along the kernel's columns: each is read once per kernel column.
    run, apart = ((width * n,), (v,)) if sw == 1 else ((width, n), (sw * col, v))
    shape = groups, lines, repeats, kw, c, *run
    strides = (c * channel, *row_strides, dw * col, channel, *apart)
    source = strided(image, shape, strides, first_row * row + first_col * col)
    if source.flags.c_contiguous:  # one kernel column: whole rows of the image as they lie
        columns = source
    else:
        columns = memory.empty(shape, x.dtype)
        np.copyto(runs(columns), runs(source))
    # The result overlaps along the rows: neighbouring matrices share kh - sh rows of input.
    line = columns.strides[2]
    matrices = (groups, height, kh * kw * c, width * n)
    return strided(columns, matrices, (columns.strides[0], step * line, width * n * v, v))


def padded(
    image: Array, first_row: int, first_col: int, height: int, width: int
) -> tuple[Array, int, int]:
    """Return contiguous rows ``(h, c, w, n)`` that hold a part of ``image``, and where it starts.

    The part may reach over the border: then it is copied, with zeros outside the image.
    """
    h, c, w, n = image.shape
    within = (
        first_row >= 0 and first_col >= 0 and first_row + height <= h and first_col + width <= w
    )
    if within and image.flags.c_contiguous:
        return image, first_row, first_col
    part = memory.zeros((height, c, width, n), image.dtype)
    to_rows, from_rows = inside(first_row, 1, height, h)
    to_cols, from_cols = inside(first_col, 1, width, w)
    part[to_rows, :, to_cols] = image[from_rows, :, from_cols]
    return part, 0, 0


def kept_columns(columns: Array | None, parts: list[Block]) -> Array | None:
    """Return the columns for the adjoint to reuse, if they are of the only block and small."""
    if columns is None or len(parts) > 1:
        return None
    is_small = columns.strides[0] * len(columns) <= blocks.within(blocks.KEPT)
    return columns if is_small else None


def _overlaps(window: Window) -> bool:
    """Whether the matrices of neighbouring output rows share neighbouring rows of input."""
    return window.dilation[0] == 1 and window.kernel[0] > window.stride[0]
