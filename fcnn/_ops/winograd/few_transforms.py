"""Winograd's algorithm for few images, whose runs in the kernels' order of memory are short.

The images are turned once, channels innermost, and cut into tiles. The tiles' pixels are outermost,
``(6, 6, tiles, channels)``, where tiles run over rows of tiles, columns of tiles and images. So
each transform along rows or columns is one product of a small matrix with very long rows, and the
36 products are those of matrices ``(tiles, c)`` with matrices ``(c, o)``. The derivation is in
`fcnn._ops.winograd.matrices`; `fcnn._ops.winograd.transforms` has the form for many images.
"""

from __future__ import annotations

import numpy as np

from fcnn._ops import memory
from fcnn._ops.blocks import Block
from fcnn._ops.gemm import spaced, transform
from fcnn._ops.layout import hcwn, runs
from fcnn._ops.strided import strided
from fcnn._ops.window import Pair, Window, inside
from fcnn._ops.winograd.matrices import ALPHA, INPUT_TRANSFORM, OUTPUT_TRANSFORM, TILE
from fcnn._ops.winograd.tiling import tiles
from fcnn._typing import Array


def input_tiles(x: Array, window: Window, block: Block) -> Array:
    """Return the transformed input tiles of a block of output, ``(36, tiles, c)``."""
    (top, _), (left, _) = window.pads
    down, across = (tiles(size) for size in block.size)
    height, width = (TILE * count + ALPHA - TILE for count in (down, across))
    image = _turned(
        hcwn(x), block.rows.start - top, block.cols.start - left, height, width
    )  # (height, width, n, c)
    *_, n, c = image.shape
    row, col = image.strides[:2]
    shape = ALPHA, ALPHA, down, across, n * c
    view = strided(image, shape, (row, col, TILE * row, TILE * col, image.itemsize))
    pixels = memory.empty(shape, x.dtype)
    np.copyto(runs(pixels), runs(view))
    return both(INPUT_TRANSFORM, pixels.reshape(ALPHA, ALPHA, -1)).reshape(ALPHA**2, -1, c)


def write_output(products: Array, out: Array) -> None:
    """Write the output of the products ``(36, tiles, o)`` to ``out (rows, o, cols, n)``."""
    rows, o, cols, n = out.shape
    down, across = tiles(rows), tiles(cols)
    pixels = both(OUTPUT_TRANSFORM, products.reshape(ALPHA, ALPHA, -1))
    pixels = pixels.reshape(TILE, TILE, down, across, n * o).transpose(2, 0, 3, 1, 4)
    whole = memory.empty((down * TILE, across * TILE, n, o), out.dtype)
    np.copyto(runs(whole.reshape(pixels.shape)), runs(pixels))
    np.copyto(out, whole[:rows, :cols].transpose(0, 3, 1, 2))


def products_adjoint(dz: Array) -> Array:
    """Return the gradient ``(36, tiles, o)`` of the products for that of an output block."""
    rows, o, cols, n = dz.shape
    down, across = tiles(rows), tiles(cols)
    image = _turned(dz, 0, 0, down * TILE, across * TILE)
    view = image.reshape(down, TILE, across, TILE, n * o).transpose(1, 3, 0, 2, 4)
    pixels = memory.empty(view.shape, dz.dtype)
    np.copyto(runs(pixels), runs(view))
    return both(OUTPUT_TRANSFORM.T, pixels.reshape(TILE, TILE, -1)).reshape(ALPHA**2, -1, o)


def input_adjoint(dtiles: Array, count: Pair, n: int) -> Array:
    """Return the gradient ``(4*down + 2, c, 4*across + 2, n)`` of the input, as a view.

    ``dtiles (36, tiles, c)``, ``count`` tiles down and across. What neighbouring tiles have for the
    rows and columns that they share is added.
    """
    (down, across), c, shared = count, dtiles.shape[2], ALPHA - TILE
    pixels = both(INPUT_TRANSFORM.T, dtiles.reshape(ALPHA, ALPHA, -1))
    pixels = pixels.reshape(ALPHA, ALPHA, down, across, n * c)
    pixels[:shared, :, 1:] += pixels[TILE:, :, :-1]
    pixels[:, :shared, :, 1:] += pixels[:, TILE:, :, :-1]
    height, width = down * TILE + shared, across * TILE + shared
    image = memory.empty((height, width, n, c), dtiles.dtype)
    lines, right = image.reshape(height, width, n * c), across * TILE
    bottom = down * TILE
    inner = lines[:bottom, :right].reshape(down, TILE, across, TILE, n * c)
    np.copyto(runs(inner), runs(pixels[:TILE, :TILE].transpose(2, 0, 3, 1, 4)))
    edge = lines[:bottom, right:].reshape(down, TILE, shared, n * c)
    np.copyto(runs(edge), runs(pixels[:TILE, TILE:, :, -1].transpose(2, 0, 1, 3)))
    edge = lines[bottom:, :right].reshape(shared, across, TILE, n * c)
    np.copyto(runs(edge), runs(pixels[TILE:, :TILE, -1].transpose(0, 2, 1, 3)))
    np.copyto(runs(lines[bottom:, right:]), runs(pixels[TILE:, TILE:, -1, -1]))
    return image.transpose(0, 3, 1, 2)


def both(matrix: Array, pixels: Array) -> Array:
    """Return ``(m, m, run)``: a matrix ``(m, k)`` times both first axes of ``(k, k, run)``."""
    (m, k), run, dtype = matrix.shape, pixels.shape[2], pixels.dtype
    matrix = matrix.astype(dtype, order="C")
    down = spaced((m, k, run), dtype)
    transform(matrix, pixels.swapaxes(0, 1), down.swapaxes(0, 1))
    return transform(matrix, down, memory.empty((m, m, run), dtype))


def _turned(image: Array, first_row: int, first_col: int, height: int, width: int) -> Array:
    """Copy a part of ``image (h, c, w, n)`` as ``(height, width, n, c)``, zeros outside it."""
    h, c, w, n = image.shape
    to_rows, from_rows = inside(first_row, 1, height, h)
    to_cols, from_cols = inside(first_col, 1, width, w)
    turned = memory.zeros((height, width, n, c), image.dtype)
    np.copyto(turned[to_rows, to_cols], image[from_rows, :, from_cols].transpose(0, 2, 3, 1))
    return turned
