"""The transforms of filters and of tiles, in the kernels' memory order.

The tiles of a block lie in memory as ``(tiles down, 36, c, tiles across * n)``, so that the 36
products are those of matrices ``(o, c)`` with matrices ``(c, tiles across * n)``. A tile is
transformed along its columns by products of a 6 x 6 matrix with six runs of n elements where they
lie, and along its rows by products with long rows.
"""

from __future__ import annotations

import numpy as np

from fcnn._ops import memory
from fcnn._ops.blocks import Block
from fcnn._ops.gemm import SPACE, spaced, transform
from fcnn._ops.im2col import padded
from fcnn._ops.layout import hcwn, runs
from fcnn._ops.strided import strided
from fcnn._ops.window import Window
from fcnn._ops.winograd.matrices import (
    ALPHA,
    FILTER,
    FILTER_TRANSFORM,
    INPUT_TRANSFORM,
    OUTPUT_TRANSFORM,
    TILE,
)
from fcnn._ops.winograd.tiling import tiles
from fcnn._typing import Array


def transform_filters(weight: Array) -> Array:
    """Return ``weight (3, 3, a, b)`` transformed, ``(36, a, b)``."""
    *_, a, b = weight.shape
    matrix = FILTER_TRANSFORM.astype(weight.dtype)
    rows = matrix @ weight.reshape(FILTER, -1)
    filters: Array = matrix @ rows.reshape(ALPHA, FILTER, a * b)
    return filters.reshape(ALPHA**2, a, b)


def transform_filters_adjoint(dfilters: Array) -> Array:
    """Return the gradient ``(3, 3, a, b)`` of the weight for one of the transformed filters."""
    _, a, b = dfilters.shape
    matrix = FILTER_TRANSFORM.T.astype(dfilters.dtype, order="C")
    rows = matrix @ dfilters.reshape(ALPHA, -1)
    dweight: Array = matrix @ rows.reshape(FILTER, ALPHA, -1)
    return dweight.reshape(FILTER, FILTER, a, b)


def transform_input(x: Array, window: Window, block: Block) -> Array:
    """Return the transformed input tiles of a block of output, 6 x 6 pixels each."""
    (top, _), (left, _) = window.pads
    first = block.rows.start - top, block.cols.start - left
    height, width = block.size
    return _transform_tiles(INPUT_TRANSFORM, hcwn(x), *first, tiles(height), tiles(width))


def transform_output_adjoint(dz: Array) -> Array:
    """Return the gradient of the products for that of a block of output, ``(rows, o, cols, n)``."""
    rows, _, cols, _ = dz.shape
    return _transform_tiles(OUTPUT_TRANSFORM.T, dz, 0, 0, tiles(rows), tiles(cols))


def transform_output(products: Array, out: Array) -> None:
    """Write the output of the products ``(tiles down, 36, o, run)`` to ``out (rows, o, cols, n)``.

    Pass the only reference to the products: their memory is freed for the next temporary array.
    """
    down, _, o, run = products.shape
    matrix, line = OUTPUT_TRANSFORM.astype(out.dtype), o * run
    by_cols = products.reshape(down, ALPHA, ALPHA, line).swapaxes(1, 2)
    by_rows = spaced((down, TILE, ALPHA, line), out.dtype)
    transform(matrix, by_cols, by_rows.swapaxes(1, 2))
    del products, by_cols
    whole = memory.empty((down, TILE, TILE, line), out.dtype)
    transform(matrix, by_rows, whole)
    _, _, cols, n = out.shape
    untile(whole.reshape(-1, TILE, o, tiles(cols), n), out)


def untile(columns: Array, out: Array) -> None:
    """Interleave the columns of tiles: ``(rows, 4, c, tiles across, n)`` to ``(rows, c, cols, n)``.

    Rows and columns that reach over ``out`` are left out.
    """
    rows, c, cols, n = out.shape
    full, rest = divmod(cols, TILE)
    whole = out[:, :, : full * TILE].reshape(rows, c, full, TILE, n).transpose(0, 3, 1, 2, 4)
    np.copyto(runs(whole), runs(columns[:rows, :, :, :full]))
    if rest:
        np.copyto(out[:, :, full * TILE :], columns[:rows, :rest, :, full].swapaxes(1, 2))


def _transform_tiles(
    matrix: Array, image: Array, first_row: int, first_col: int, down: int, across: int
) -> Array:
    """Transform tiles of as many rows and columns as the matrix has columns, one every four."""
    matrix, size = matrix.astype(image.dtype, order="C"), matrix.shape[1]
    height, width = (down - 1) * TILE + size, (across - 1) * TILE + size
    image, first_row, first_col = padded(image, first_row, first_col, height, width)
    (_, c, _, n), dtype = image.shape, image.dtype
    row, channel, col, v = (*image.strides[:3], image.itemsize)
    # Tiles of 6 columns overlap with the next one in 2.
    shape, strides = (height, c, across, size, n), (row, channel, TILE * col, col, v)
    columns = strided(image, shape, strides, first_row * row + first_col * col)
    line = ALPHA * c * across * n
    lines = memory.empty((height, line + SPACE), dtype)  # as of `spaced`
    by_cols = lines[:, :line].reshape(height, ALPHA, c, across, n)
    np.matmul(matrix, columns, out=by_cols.transpose(0, 2, 3, 1, 4))
    del image, columns
    # Tiles of 6 rows likewise.
    step = lines.strides[0]
    rows = strided(lines, (down, size, line), (TILE * step, step, v))
    both = transform(matrix, rows, memory.empty((down, ALPHA, line), dtype))
    return both.reshape(down, ALPHA**2, c, across * n)
