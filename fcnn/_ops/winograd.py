"""Correlation with kernels of 3 x 3, by fewer multiplications.

Four outputs in a row meet six inputs, each of the four by three taps: twelve products. Winograd's
F(4, 3) makes it six. It is the transpose of a product of two polynomials that is computed by their
values at six points: with d the inputs and g the taps,

    y = out @ ((kernel @ g) * (data @ d))

With rows and columns treated like this, a tile of 4 x 4 outputs takes 36 products in place of 144.
In code the tiles of a block lie in memory as ``(tiles down, 36, c, tiles across * n)``; so the 36
products are those of matrices ``(o, c)`` with matrices ``(c, tiles across * n)``. Columns are mixed
by products of a 6 x 6 matrix with six runs of n elements where they lie, which take 0.3 ns an
element for n = 32; rows by products with long rows, which take 0.2.

The adjoints are the same steps turned round. Along one axis,

    dm = out.T @ dy      d(kernel @ g) = dm * (data @ d)      dg = kernel.T @ d(kernel @ g)
                         d(data @ d) = dm * (kernel @ g)      dd = data.T @ d(data @ d)

and since neighbouring tiles share two rows and columns of d, these are added.

The sums are other sums than those of the definition. The points are 0, 3/4, -3/4, 3/2, -3/2 and
infinity, the best of some ten thousand sets that were tried, of those whose fractions binary
numbers hold. In float32 a result is off by two to five times as much as that of the plain products;
with the usual 0, 1, -1, 2, -2 and infinity it would be four to ten times, at the worst element
eight to twenty. All the outputs of a tile share its rounding, which is that of its largest pixel:
beside a pixel a thousand times as bright as the others it is two hundred times that of the plain
products. Likewise a NaN or an infinity makes NaN of the tiles that see it, up to four pixels away.
What must not be rounded is not: an output that sees zeros alone is exactly its bias
(``clear_blanks``), so that a relu behind it passes no gradient.

Source: A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural Networks", 2016,
https://arxiv.org/abs/1509.09308; S. Winograd, "Arithmetic Complexity of Computations", 1980,
https://doi.org/10.1137/1.9781611970364; on the points, B. Barabasz, A. Anderson, K. Soodhalter
and D. Gregg, "Error Analysis and Improving the Accuracy of Winograd Convolution for Deep Neural
Networks", 2020, https://arxiv.org/abs/1803.10986.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fcnn._ops.gemm import mixed, product, product_of_rows
from fcnn._ops.layout import hcwn, nhwc, runs
from fcnn._ops.lower import Place, even, grid, met
from fcnn._ops.window import Pair, Window, taken
from fcnn._typing import Array

TAPS, TILE = 3, 4  # rows of the kernel and of a tile of the output
MIXED = TAPS + TILE - 1  # rows of input that a tile meets
POINTS = 0.0, 0.75, -0.75, 1.5, -1.5  # and infinity
BUDGET = 3 << 20  # bytes of a block's tiles, of input and of output, mixed
MOST_TAPS = 12 << 20  # bytes of the taps, mixed, which are four times those of the weight


def matrices(points: tuple[float, ...]) -> tuple[Array, Array, Array]:
    """``out (4, 6)``, ``kernel (6, 3)`` and ``data (6, 6)`` for five points and infinity.

    A polynomial's value at infinity is its highest coefficient.
    """
    out, kernel = np.zeros((TILE, MIXED)), np.zeros((MIXED, TAPS))
    data = np.zeros((MIXED, MIXED))
    out[-1, -1] = kernel[-1, -1] = 1
    data[-1] = np.poly(points)[::-1]
    for i, point in enumerate(points):
        others = [each for each in points if each != point]
        out[:, i] = point ** np.arange(TILE)
        kernel[i] = point ** np.arange(TAPS) / np.prod([point - each for each in others])
        data[i, :-1] = np.poly(others)[::-1]
    return out, kernel, data


OUT, KERNEL, DATA = matrices(POINTS)

CHANNELS = 16  # at least, of input and of output: fewer products are not worth the passes
IMAGES = 8  # at least: shorter runs are mixed slowly
BOTH = 256  # at least, the one times the other
PIXELS = 512  # of output at least, in all images: fewer are not worth the mixing of the taps
WASTE = 0.4  # at most, of the plain multiplications; it is more where the last tiles are not full


def suits(x: Array, weight: Array, window: Window, groups: int, pool: Pair = (1, 1)) -> bool:
    """Whether this is the way, given these shapes."""
    (oh, ow), (*_, c, o), images = window.out, weight.shape, len(x)
    return (
        window.kernel == (TAPS, TAPS)
        and window.stride == window.dilation == (1, 1)
        and groups == 1
        and min(c, o) >= CHANNELS
        and images >= IMAGES
        and min(c, o) * images >= BOTH
        and images * oh * ow >= PIXELS
        and MIXED**2 * c * o * x.itemsize <= MOST_TAPS
        and _least_block(x, o, pool) <= BUDGET
        and _tiles(oh) * _tiles(ow) * MIXED**2 <= WASTE * TAPS**2 * oh * ow
    )


class Winograd:
    """A correlation of x with ``weight (3, 3, c, o)``."""

    def __init__(self, x: Array, weight: Array, window: Window) -> None:
        self._taps = mixed_taps(weight.swapaxes(2, 3))  # (36, o, c)
        self._x, self._window = x, window

    def places(self, pool: Pair = (1, 1)) -> list[Place]:
        """The blocks of output."""
        return places(self._window, self._x, self._taps.shape[1], pool)

    def block(self, rows: slice, columns: slice, out: Array, bias: Array | None) -> Array:
        """A block of output, the bias still missing, into ``out (rows, o, columns, n)``.

        Returns its tiles, which the adjoint may be given.
        """
        low = mixed_data(self._x, self._window, rows, columns)
        self._product(low, out)
        if bias is None or not bias.all():  # nobody can tell another bias from one rounded
            clear_blanks(self._x, self._window, rows, columns, out)
        return low

    def _product(self, low: Array, out: Array) -> None:
        """The taps times what was mixed, mixed back."""
        _, o, wide, n = out.shape
        (tiles, _, _, run), back = low.shape, OUT.astype(out.dtype)
        parts = np.empty((tiles, MIXED**2, o, run), out.dtype)
        product(self._taps, low, parts)
        line = o * run
        half = np.empty((tiles * TILE, MIXED * line), out.dtype)
        mixed(back, parts.reshape(tiles, MIXED, -1), half.reshape(tiles, TILE, -1))
        del parts
        whole = np.empty((tiles * TILE, TILE, line), out.dtype)
        mixed(back, half.reshape(-1, MIXED, line), whole)
        spread(whole.reshape(-1, TILE, o, _tiles(wide), n), out)


class WinogradAdjoint:
    """What `fcnn._ops.conv_adjoint.Adjoint` is, by fewer multiplications."""

    halo = 0

    def __init__(
        self, x: Array, weight: Array, window: Window, input_grad: bool, low: Array | None
    ) -> None:
        n, h, w, c = x.shape
        self._x, self._window, self._low, self._shape = x, window, low, weight.shape
        self._dtaps: Any = 0  # (36, c, o)
        self._taps = mixed_taps(weight) if input_grad else None  # (36, c, o)
        self._back = np.zeros((h, c, w, n) if input_grad else 0, x.dtype)

    def places(self, pool: Pair = (1, 1)) -> list[Place]:
        """The rows and columns to be added one after the other."""
        return places(self._window, self._x, self._shape[3], pool)

    def room(self, many: int, wide: int) -> Array:
        """Where the next block's dz ``(many, o, wide, n)`` is to be written."""
        return np.empty((many, self._shape[3], wide, len(self._x)), self._x.dtype)

    def add(self, rows: slice, columns: slice, dz: Array) -> None:
        """Add what dz says of these rows and columns."""
        dmixed = mixed_dy(dz)
        low = self._low
        if low is None:
            low = mixed_data(self._x, self._window, rows, columns)
        self._dtaps += product_of_rows(low.swapaxes(0, 1), dmixed.swapaxes(0, 1))
        del low
        if self._taps is not None:
            self._add_back(rows, columns, self._taps, dmixed)

    def _add_back(self, rows: slice, columns: slice, taps: Array, dmixed: Array) -> None:
        """Add to dx what its tiles are given, ``(tiles down, 36, c, tiles across * n)``."""
        (tiles, _, _, length), (top, _), (left, _) = dmixed.shape, *self._window.pads
        given = np.empty((tiles, *taps.shape[:2], length), dmixed.dtype)
        product(taps, dmixed, given)
        h, c, w, n = self._back.shape
        high, wide = rows.stop - rows.start, columns.stop - columns.start
        down, across = _tiles(high), _tiles(wide)
        back, run = DATA.T.astype(given.dtype, order="C"), c * across * n
        near = np.empty((down, MIXED, MIXED * run), given.dtype)
        mixed(back, given.reshape(near.shape), near)
        del given
        near[1:, : MIXED - TILE] += near[:-1, TILE:]
        lines = np.empty((down * TILE + MIXED - TILE, MIXED, run), near.dtype)
        near = near.reshape(down, MIXED, MIXED, run)
        last = down * TILE
        mixed(back, near[:, :TILE], lines[:last].reshape(down, TILE, MIXED, run))
        mixed(back, near[-1, TILE:], lines[last:])
        del near
        lines = lines.reshape(-1, MIXED, c, across, n)
        lines[:, : MIXED - TILE, :, 1:] += lines[:, TILE:, :, :-1]
        part = np.empty((len(lines), c, across * TILE + MIXED - TILE, n), lines.dtype)
        spread(lines[:, :TILE], part[:, :, : across * TILE])
        np.copyto(part[:, :, across * TILE :], lines[:, TILE:, :, -1].swapaxes(1, 2))
        of_rows, to_rows = taken(rows.start - top, 1, high + MIXED - TILE, h)
        of_columns, to_columns = taken(columns.start - left, 1, wide + MIXED - TILE, w)
        place = self._back[to_rows, :, to_columns]
        np.add(place, part[of_rows, :, of_columns], out=place)

    def dweight(self) -> Array:
        """The gradient of the weight."""
        turned = KERNEL.T.astype(self._x.dtype, order="C")
        rows = turned @ self._dtaps.reshape(MIXED, -1)
        dweight: Array = turned @ rows.reshape(TAPS, MIXED, -1)
        return dweight.reshape(self._shape)

    def dx(self) -> Array | None:
        """The gradient of the input; None if it was not wanted."""
        return None if self._taps is None else nhwc(self._back)


def places(window: Window, x: Array, filters: int, pool: Pair) -> list[Place]:
    """Blocks of output, of as many whole tiles and whole pools as there is room for."""
    (oh, ow), (ph, pw) = window.out, pool
    high, wide = oh // ph * ph, ow // pw * pw
    tall, broad = math.lcm(TILE, ph), math.lcm(TILE, pw)
    room = BUDGET // _least_block(x, filters, pool)
    across = broad * even(-(-wide // broad), room)
    down = tall * even(-(-high // tall), room * broad // across)
    return grid(high, wide, down, across)


def _least_block(x: Array, filters: int, pool: Pair) -> int:
    """Bytes of the tiles of the smallest block that has whole tiles and whole pools."""
    tiles = math.lcm(TILE, pool[0]) * math.lcm(TILE, pool[1]) // TILE**2
    return int(MIXED**2 * (x.shape[3] + filters) * len(x) * x.itemsize * tiles)


def clear_blanks(x: Array, window: Window, rows: slice, columns: slice, out: Array) -> None:
    """Make those elements of a block of output exactly 0 that meet zeros alone."""
    (top, _), (left, _) = window.pads
    high, _, wide, n = out.shape
    to_rows, of_rows = taken(rows.start - top, 1, high + TAPS - 1, x.shape[1])
    to_columns, of_columns = taken(columns.start - left, 1, wide + TAPS - 1, x.shape[2])
    part = hcwn(x)[of_rows, :, of_columns]
    seen = np.zeros((high + TAPS - 1, wide + TAPS - 1, n), bool)
    for channels in (slice(0, 4), slice(4, None)):  # the first few mostly settle it
        seen[to_rows, to_columns] |= (part[:, channels] != 0).any(axis=1)
        across = seen[:, :-2] | seen[:, 1:-1] | seen[:, 2:]
        live = across[:-2] | across[1:-1] | across[2:]
        if live.all():
            return
    np.multiply(out, live[:, None].astype(out.dtype), out=out)


def mixed_taps(weight: Array) -> Array:
    """``(3, 3, m, k)`` as ``(36, m, k)``."""
    *_, m, k = weight.shape
    kernel = KERNEL.astype(weight.dtype)
    rows = kernel @ weight.reshape(TAPS, -1)
    taps: Array = kernel @ rows.reshape(MIXED, TAPS, m * k)
    return taps.reshape(MIXED**2, m, k)


def mixed_data(x: Array, window: Window, rows: slice, columns: slice) -> Array:
    """What the tiles of a block of output meet, mixed: ``(tiles down, 36, c, tiles across*n)``."""
    (top, _), (left, _) = window.pads
    down, across = _tiles(rows.stop - rows.start), _tiles(columns.stop - columns.start)
    return _mixed_tiles(DATA, hcwn(x), rows.start - top, columns.start - left, down, across)


def mixed_dy(dz: Array) -> Array:
    """The tiles of ``dz (rows, o, columns, n)``, mixed: ``(tiles down, 36, o, tiles across*n)``."""
    rows, _, columns, _ = dz.shape
    return _mixed_tiles(OUT.T, dz, 0, 0, _tiles(rows), _tiles(columns))


def _mixed_tiles(
    matrix: Array, image: Array, first: int, before: int, down: int, across: int
) -> Array:
    """Tiles of as many rows and columns as the matrix has columns, one every four."""
    matrix, many = matrix.astype(image.dtype, order="C"), matrix.shape[1]
    deep, broad = (down - 1) * TILE + many, (across - 1) * TILE + many
    seen, first, before = met(image, first, before, deep, broad)
    (_, c, _, n), dtype, (line, plane, column, v) = seen.shape, seen.dtype, seen.strides
    shape, at = (deep, c, across, many, n), first * line + before * column
    tiles = np.ndarray(shape, dtype, seen, at, (line, plane, TILE * column, column, v))
    columns = np.empty((deep, MIXED, c, across, n), dtype)
    np.matmul(matrix, tiles, out=columns.transpose(0, 2, 3, 1, 4))
    del seen, tiles
    row = columns.strides[0]
    near = np.ndarray((down, many, row // v), dtype, columns, 0, (TILE * row, row, v))
    rows = mixed(matrix, near, np.empty((down, MIXED, row // v), dtype))
    return rows.reshape(down, MIXED**2, c, across * n)


def spread(tiles: Array, out: Array) -> None:
    """Columns where they belong: ``tiles (rows, 4, c, across, n)``, ``out (rows, c, columns, n)``.

    What reaches over ``out`` is left out.
    """
    rows, c, columns, n = out.shape
    full, rest = divmod(columns, TILE)
    whole = out[:, :, : full * TILE].reshape(rows, c, full, TILE, n).transpose(0, 3, 1, 2, 4)
    np.copyto(runs(whole), runs(tiles[:rows, :, :, :full]))
    if rest:
        np.copyto(out[:, :, full * TILE :], tiles[:rows, :rest, :, full].swapaxes(1, 2))


def _tiles(rows: int) -> int:
    return -(-rows // TILE)
