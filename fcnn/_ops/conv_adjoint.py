"""The adjoints of a correlation in its weight and in its input, block after block."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fcnn._ops.gemm import product, product_of_rows
from fcnn._ops.layout import nhwc
from fcnn._ops.lower import BUDGET, Place, blocks, lower
from fcnn._ops.window import Pair, Window, taken
from fcnn._typing import Array


class Adjoint:
    """What each block of dz adds to the gradients of the weight and of the input.

    The weight's is the sum of ``low @ dz.T`` over the rows, ``low`` being what `lower` made for
    the output. For the input's: input row ``r`` met output row ``o`` through tap ``i`` where
    ``r + top = o*sh + i*dh``. So all rows that meet the taps ``i, i + sh, ...`` are had from one
    product with neighbouring rows of dz, and nothing is multiplied that the stride left out.
    What comes back for each tap of a kernel row is added where it came from.
    """

    def __init__(
        self,
        x: Array,
        weight: Array,
        window: Window,
        groups: int,
        input_grad: bool,
        low: Array | None = None,
    ) -> None:
        (kh, kw), (sh, _), (dh, _) = window.kernel, window.stride, window.dilation
        n, h, w, c = x.shape
        self._x, self._window, self._groups, self._low = x, window, groups, low
        self._shape, self._dz = weight.shape, np.empty((0, 0, 0, 0), x.dtype)
        self._dtaps: Any = 0  # (g, kh*kw*c, o)
        # first tap of a phase, how many it has, and their matrix (g, 1, kw*c, taps*o)
        self._phases: list[tuple[int, int, Array]] = []
        self.halo = 0
        if not input_grad:
            return
        turned = weight.reshape(kh, kw, c // groups, groups, -1)[::-1].transpose(3, 1, 2, 0, 4)
        step = sh if dh == 1 else kh
        for i in range(min(step, kh)):
            taps = turned[:, :, :, (kh - 1 - i) % step :: step]
            many = taps.shape[3]
            self._phases.append((i * dh, many, taps.reshape(groups, 1, kw * c // groups, -1)))
            self.halo = max(self.halo, many - 1)
        self._back = np.zeros((h, c, w, n), x.dtype)

    def places(self, pool: Pair = (1, 1)) -> list[Place]:
        """The rows and columns to be added one after the other."""
        budget = BUDGET // 2 if self._low is None else math.inf  # what was kept was one block
        return blocks(self._window, self._x, budget, pool)

    def room(self, many: int, wide: int) -> Array:
        """Where the next block's dz ``(many, c_out, wide, n)`` is to be written."""
        halo = self.halo
        shape = (many + 2 * halo, self._shape[3], wide, len(self._x))
        self._dz = np.empty(shape, self._x.dtype)
        if halo:
            self._dz[:halo] = 0
            self._dz[halo + many :] = 0
        return self._dz[halo : halo + many]

    def add(self, rows: slice, columns: slice, dz: Array) -> None:
        """Add what dz says of these rows and columns; it has its `room`, if there is a halo."""
        groups, window, halo = self._groups, self._window, self.halo
        low = lower(self._x, window, groups, rows, columns) if self._low is None else self._low
        self._dtaps = self._dtaps + product_of_rows(low, as_lines(dz, groups))
        if not self._phases:
            return
        (_, kw), (sh, sw), (_, dw) = window.kernel, window.stride, window.dilation
        (top, _), (left, _) = window.pads
        padded = self._dz if halo else dz
        lines, c_out, wide, n = padded.shape
        if groups > 1:
            padded = np.stack(np.split(padded, groups, axis=1))
        h, c, w, _ = self._back.shape
        back = self._back.reshape(h, groups, c // groups, w, n)
        run, v = wide * n, padded.itemsize
        line = c_out // groups * run * v
        places = [taken(columns.start * sw + j * dw - left, sw, wide, w) for j in range(kw)]
        for i, many, taps in self._phases:
            count = lines - 2 * halo + many - 1
            shape = (groups, count, many * c_out // groups, run)
            strides = (lines * line, line, run * v, v)
            near = np.ndarray(shape, padded.dtype, padded, (halo - many + 1) * line, strides)
            given = np.empty((groups, count, taps.shape[2], run), padded.dtype)
            product(taps, near, given)
            parts = given.reshape(groups, count, kw, c // groups, wide, n).swapaxes(0, 1)
            of_rows, to_rows = taken(rows.start * sh + i - top, sh, count, h)
            for j, (of, to) in enumerate(places):
                place = back[to_rows, :, :, to]
                np.add(place, parts[of_rows, :, j, :, of], out=place)

    def dweight(self) -> Array:
        """The gradient of the weight."""
        dweight: Array = self._dtaps.swapaxes(0, 1).reshape(self._shape)
        return dweight

    def dx(self) -> Array | None:
        """The gradient of the input; None if it was not wanted."""
        return nhwc(self._back) if self._phases else None


def as_lines(out: Array, groups: int) -> Array:
    """``(rows, g*o, ..., n)`` as a view ``(g, rows, o, run)``."""
    rows, c_out, *run = out.shape
    return out.reshape(rows, groups, c_out // groups, math.prod(run)).swapaxes(0, 1)


def channel_sums(dz: Array) -> Array:
    """The sums of ``(rows, c, columns, n)`` over all but c."""
    rows, c, wide, n = dz.shape
    total: Array = (dz.reshape(rows, c, wide * n) @ np.ones(wide * n, dz.dtype)).sum(axis=0)
    return total
