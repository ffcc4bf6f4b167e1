"""Correlation with kernels of three rows, by fewer multiplications.

Four rows of output meet six rows of input, each of the four by three taps: twelve products
with rows of the kernel. Winograd's F(4, 3) makes it six: with d the six rows, g the three
taps and ``*`` between the transformed ones a product for each of the six,

    y = out @ ((taps @ g) * (data @ d))

In code a tap is a matrix ``(o, kw*c)`` and a row the matrix ``(kw*c, ow*n)`` that
`fcnn._ops.lower` makes of its columns; ``data @``, ``out @`` mix whole rows, so that they are
products too, of few long rows, which take 0.2 ns an element. Only the rows are treated like this:
columns are as many runs of n elements, which are too short to be mixed fast.

The adjoint in the weight is ``taps.T @ ((out.T @ dy) * (data @ d))``, six products for twelve
again; the one in the input is a correlation of dy, with the taps turned round. Forward and adjoints
of 26x26x32 -> 64 channels take 540 us an image instead of 720 on one core, those of 8x8x64 -> 64
120 instead of 180; with 16 channels, the passes cost what the products save.

The sums are other sums than those of the definition. In float32 a result is off by two to four
times as much as that of the plain products: 2e-5 against 6e-6 for sums of 288 products that
are about 2 in all.

Source: A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural Networks", 2016,
https://arxiv.org/abs/1509.09308; S. Winograd, "Arithmetic Complexity of Computations", 1980,
https://doi.org/10.1137/1.9781611970364.
"""

from __future__ import annotations

import numpy as np

from fcnn._ops.conv_adjoint import Adjoint
from fcnn._ops.gemm import mixed, product, product_of_rows
from fcnn._ops.layout import hcwn, nhwc
from fcnn._ops.lower import BUDGET, Place, blocks, lower, met
from fcnn._ops.window import Pair, Window, taken
from fcnn._typing import Array

TAPS, TILE, MIXED = 3, 4, 6  # rows of the kernel, of the output, and products for a tile

DATA = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ]
)
KERNEL = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24
OUT = np.array([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]])

CHANNELS = 32  # of input and of output, where the products are worth the passes
PIXELS = 512  # of output in all images, where they are worth the taps' own passes
WASTE = 0.7  # most of the plain multiplications, where the last tile is not full


def suits(window: Window, shape: tuple[int, ...], groups: int, images: int) -> bool:
    """Whether this is the way for a weight of that shape."""
    (oh, ow), (*_, c, o) = window.out, shape
    return (
        window.kernel[0] == TAPS
        and window.stride == window.dilation == (1, 1)
        and groups == 1
        and min(c, o) >= CHANNELS
        and images * oh * ow >= PIXELS
        and _tiles(oh) * MIXED <= WASTE * TAPS * oh
    )


class Winograd:
    """A correlation with ``weight (3, kw, c, o)``."""

    def __init__(self, weight: Array, window: Window) -> None:
        lines = mixed_taps(weight).reshape(MIXED, -1, weight.shape[3])
        self._taps = np.ascontiguousarray(lines.swapaxes(1, 2))  # (6, o, kw*c)
        self._window = window

    def places(self, x: Array, pool: Pair = (1, 1)) -> list[Place]:
        """Blocks of output, of as many tiles as there is room for."""
        return blocks(self._window, x, BUDGET // 2, pool, TILE)

    def lower(self, x: Array, rows: slice, columns: slice) -> Array:
        """What `product` takes for a block."""
        return lower_mixed(x, self._window, rows, columns)

    def product(self, low: Array, out: Array) -> None:
        """The taps times what was lowered, into ``out (rows, o, columns, n)``."""
        _, o, k = self._taps.shape
        parts = np.empty((low.shape[1] // MIXED, MIXED, o, low.shape[3]), low.dtype)
        product(self._taps, low.reshape(-1, MIXED, k, low.shape[3]), parts)
        mix_back(parts.reshape(-1, o, *out.shape[2:]), out)


class WinogradAdjoint(Adjoint):
    """`Adjoint` by fewer multiplications: the same steps, for tiles of rows."""

    tile = TILE

    def __init__(
        self, x: Array, weight: Array, window: Window, input_grad: bool, low: Array | None
    ) -> None:
        super().__init__(x, weight, window, 1, False, low)
        n, h, w, c = x.shape
        self._dmixed = np.zeros((), x.dtype)  # (6, kw*c, o)
        self._taps, self._back = None, np.zeros((h, c, w, n) if input_grad else 0, x.dtype)
        self.halo = TAPS - 1, TILE + TAPS - 2  # the last tiles may reach that far
        if input_grad:
            turned = mixed_taps(np.ascontiguousarray(weight[::-1]))  # (6, kw, c, o)
            self._taps = turned.reshape(MIXED, -1, weight.shape[3])

    def add(self, rows: slice, columns: slice, dz: Array) -> None:
        """Add what dz says of these rows and columns; it has its `room`."""
        self._add_to_dweight(rows, columns, dz.shape)
        if self._taps is not None:
            self._add_to_dx(rows, columns, self._taps)

    def _add_to_dweight(self, rows: slice, columns: slice, shape: tuple[int, ...]) -> None:
        """The rows of dz, mixed, meet what `lower_mixed` made for the output."""
        low = self._low
        if low is None:
            low = lower_mixed(self._x, self._window, rows, columns)
        (above, _), (high, o, wide, n) = self.halo, shape
        tiles = _tiles(high)
        dy = self._dz[above : above + tiles * TILE].reshape(tiles, TILE, -1)
        dmixed = np.empty((tiles, MIXED, o * wide * n), dy.dtype)
        mixed(np.ascontiguousarray(OUT.T).astype(dy.dtype), dy, dmixed)
        met_by = low.reshape(tiles, MIXED, *low.shape[2:]).swapaxes(0, 1)
        lines = dmixed.reshape(tiles, MIXED, o, wide * n).swapaxes(0, 1)
        self._dmixed = self._dmixed + product_of_rows(met_by, lines)

    def _add_to_dx(self, rows: slice, columns: slice, taps: Array) -> None:
        """A correlation of dz: its rows mixed, multiplied, added by columns, and mixed back."""
        (top, _), (left, _) = self._window.pads
        h, c, w, n = self._back.shape
        first, last = max(0, rows.start - top), min(h, rows.stop - top + TAPS - 1)
        wide, kw = columns.stop - columns.start, self._window.kernel[1]
        start, stop = max(0, columns.start - left), min(w, columns.stop - left + kw - 1)
        if first >= last or start >= stop:
            return  # padding alone
        near = mixed_rows(self._dz, first - rows.start + top, _tiles(last - first))
        given = np.empty((*near.shape[:2], kw * c, wide * n), near.dtype)
        product(taps, near.reshape(*given.shape[:2], -1, wide * n), given)
        del near
        given = given.reshape(-1, kw, c, wide, n)
        parts = np.zeros((len(given), c, stop - start, n), given.dtype)
        for j in range(kw):
            of, to = taken(columns.start + j - left - start, 1, wide, stop - start)
            np.add(parts[:, :, to], given[:, j, :, of], out=parts[:, :, to])
        del given
        mix_back(parts, self._back[first:last, :, start:stop], add=True)

    def dweight(self) -> Array:
        """The gradient of the weight."""
        kernel = np.ascontiguousarray(KERNEL.T).astype(self._x.dtype)
        dweight: Array = kernel @ self._dmixed.reshape(MIXED, -1)
        return dweight.reshape(self._shape)

    def dx(self) -> Array | None:
        """The gradient of the input; None if it was not wanted."""
        return None if self._taps is None else nhwc(self._back)


def lower_mixed(x: Array, window: Window, rows: slice, columns: slice) -> Array:
    """What the tiles of a block of output meet, mixed: ``(1, tiles*6, kw*c, columns*n)``."""
    first, before = rows.start - window.pads[0][0], columns.start - window.pads[1][0]
    wide, kw = columns.stop - columns.start, window.kernel[1]
    tiles, broad = _tiles(rows.stop - rows.start), wide + kw - 1
    start = max(0, before)  # no column is mixed that the block does not meet
    part = hcwn(x)[:, :, start : before + broad]
    deep = tiles * TILE + TAPS - 1
    seen, first, before = met(part, first, before - start, deep, broad)
    image = nhwc(mixed_rows(seen, first, tiles).reshape(-1, *seen.shape[1:]))
    size = image.shape[1:3]
    along = Window(size, (1, kw), (1, 1), (1, 1), ((0, 0), (0, 0)), size)
    return lower(image, along, 1, slice(0, size[0]), slice(before, before + wide))


def mixed_taps(weight: Array) -> Array:
    """``(3, kw, c, o)`` as ``(6, kw, c, o)``."""
    lines = KERNEL.astype(weight.dtype) @ weight.reshape(TAPS, -1)
    return lines.reshape(MIXED, *weight.shape[1:])


def mixed_rows(seen: Array, first: int, tiles: int) -> Array:
    """Of ``(h, c, w, n)``, for each tile from row ``first`` on: ``(tiles, 6, c, w, n)``."""
    line, v = seen.strides[0], seen.itemsize
    shape = (tiles, MIXED, line // v)
    near = np.ndarray(shape, seen.dtype, seen, first * line, (TILE * line, line, v))
    rows = mixed(DATA.astype(seen.dtype), near, np.empty(shape, seen.dtype))
    return rows.reshape(tiles, MIXED, *seen.shape[1:])


def mix_back(parts: Array, out: Array, add: bool = False) -> None:
    """Rows of output from those of their tiles, ``(tiles*6, o, w, n)``: set, or added."""
    direct = out.flags.c_contiguous and not add
    target, back = out if direct else np.empty(out.shape, out.dtype), OUT.astype(out.dtype)
    (full, rest), line = divmod(len(out), TILE), out[0].size
    lines = parts.reshape(-1, MIXED, line)
    mixed(back, lines[:full], target[: full * TILE].reshape(full, TILE, line))
    if rest:
        mixed(back[:rest], lines[full:], target[full * TILE :].reshape(1, rest, line))
    if add:
        np.add(out, target, out=out)
    elif not direct:
        np.copyto(out, target)


def _tiles(rows: int) -> int:
    return -(-rows // TILE)
