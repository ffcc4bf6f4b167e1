"""The adjoints of a correlation in its weight and in its input, block after block."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from fcnn._ops.gemm import product, product_of_rows
from fcnn._ops.layout import nhwc
from fcnn._ops.lower import BUDGET, Place, blocks, lower
from fcnn._ops.window import Pair, Window, taken
from fcnn._typing import Array


class _Columns(NamedTuple):
    """Taps of a kernel row whose share of dx is had from one product.

    Either each by itself, ``many == 1`` and ``at`` all of them; or the ``many`` that meet the
    same columns of dx, ``at`` the first of them.
    """

    at: range
    many: int
    matrices: list[Array]  # one for each phase of the rows, (g, 1, taps*c, rows*many*o)


class Adjoint:
    """What each block of dz adds to the gradients of the weight and of the input.

    The weight's is the sum of ``low @ dz.T`` over the rows, ``low`` being what `lower` made for
    the output. For the input's: input row ``r`` met output row ``o`` through tap ``i`` where
    ``r + top = o*sh + i*dh``. So all rows that meet the taps ``i, i + sh, ...`` are had from one
    product with neighbouring rows of dz, and nothing is multiplied that the stride left out.
    What comes back for each tap of a kernel row is added where it came from. Under a stride
    the columns may be treated as the rows are: neighbouring columns of dz are copied side by
    side, and what comes back for several taps is added at once.
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
        (kh, kw), (sh, sw), (dh, dw) = window.kernel, window.stride, window.dilation
        n, h, w, c = x.shape
        self._x, self._window, self._groups, self._low = x, window, groups, low
        self._shape, self._dz = weight.shape, np.empty((0, 0, 0, 0), x.dtype)
        self._dtaps: Any = 0  # (g, kh*kw*c, o)
        self._rows: list[tuple[int, int]] = []  # the phases: their first tap, how many they have
        self._columns: list[_Columns] = []
        self.halo = 0
        if not input_grad:
            return
        step = sh if dh == 1 else kh
        self._rows = [(i, -(-(kh - i) // step)) for i in range(min(step, kh))]
        self.halo = max(many for _, many in self._rows) - 1
        taps = weight.reshape(kh, kw, c // groups, groups, -1)[::-1]
        copied, saved = kw * weight.shape[3], (kw - sw) * c  # elements, for a column of dz
        if sw == 1 or dw > 1 or n == 1 or copied > 4 * saved:
            self._columns.append(self._of(taps[:, :, None], range(0, kw * dw, dw), step))
        else:
            for j in range(sw):
                together = taps[:, j::sw][:, None, ::-1]
                self._columns.append(self._of(together, range(j, j + 1), step))
        self._back = np.zeros((h, c, w, n), x.dtype)

    def _of(self, taps: Array, at: range, step: int) -> _Columns:
        """Of ``taps (kh, at, many, c, g, o)``, the rows from the last to the first."""
        kh, _, many, c, groups, _ = taps.shape
        turned = taps.transpose(4, 1, 3, 0, 2, 5)
        matrices = [
            turned[:, :, :, (kh - 1 - i) % step :: step].reshape(groups, 1, len(at) * c, -1)
            for i, _ in self._rows
        ]
        return _Columns(at, many, matrices)

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
        groups, window = self._groups, self._window
        low = lower(self._x, window, groups, rows, columns) if self._low is None else self._low
        self._dtaps = self._dtaps + product_of_rows(low, as_lines(dz, groups))
        padded = self._dz if self.halo else dz
        if groups > 1 and self._columns:
            padded = np.stack(np.split(padded, groups, axis=1))
        seen = {many: _side_by_side(padded, many) for many in {t.many for t in self._columns}}
        for taps in self._columns:
            self._add_back(rows.start, columns.start, seen[taps.many], taps)

    def _add_back(self, top: int, left: int, seen: Array, taps: _Columns) -> None:
        """Add to dx what rows of dz, with their halo and side by side, say of these taps."""
        groups, window, halo = self._groups, self._window, self.halo
        *_, lines, deep, wide, n = seen.shape
        h, c, w, _ = self._back.shape
        back = self._back.reshape(h, groups, c // groups, w, n)
        run, v = wide * n, seen.itemsize
        line = deep * run * v
        (sh, sw), (dh, _), pads = window.stride, window.dilation, window.pads
        places = [taken(left * sw + j - pads[1][0], sw, wide, w) for j in taps.at]
        for (i, many), matrix in zip(self._rows, taps.matrices, strict=True):
            count = lines - 2 * halo + many - 1
            shape = (groups, count, many * deep, run)
            strides = (lines * line, line, run * v, v)
            near = np.ndarray(shape, seen.dtype, seen, (halo - many + 1) * line, strides)
            given = np.empty((groups, count, matrix.shape[2], run), seen.dtype)
            product(matrix, near, given)
            parts = given.reshape(groups, count, len(taps.at), c // groups, wide, n).swapaxes(0, 1)
            of_rows, to_rows = taken(top * sh + i * dh - pads[0][0], sh, count, h)
            for j, (of, to) in enumerate(places):
                place = back[to_rows, :, :, to]
                np.add(place, parts[of_rows, :, j, :, of], out=place)

    def dweight(self) -> Array:
        """The gradient of the weight."""
        dweight: Array = self._dtaps.swapaxes(0, 1).reshape(self._shape)
        return dweight

    def dx(self) -> Array | None:
        """The gradient of the input; None if it was not wanted."""
        return nhwc(self._back) if self._columns else None


def _side_by_side(dz: Array, many: int) -> Array:
    """``(..., o, wide, n)`` as ``(..., many*o, wide + many - 1, n)``: each time a column on."""
    if many == 1:
        return dz
    *lead, o, wide, n = dz.shape
    seen = np.zeros((*lead, many, o, wide + many - 1, n), dz.dtype)
    for t in range(many):
        seen[..., t, :, many - 1 - t : many - 1 - t + wide, :] = dz
    return seen.reshape(*lead, many * o, wide + many - 1, n)


def as_lines(out: Array, groups: int) -> Array:
    """``(rows, g*o, ..., n)`` as a view ``(g, rows, o, run)``."""
    rows, c_out, *run = out.shape
    return out.reshape(rows, groups, c_out // groups, math.prod(run)).swapaxes(0, 1)


def channel_sums(dz: Array) -> Array:
    """The sums of ``(rows, c, columns, n)`` over all but c."""
    rows, c, wide, n = dz.shape
    total: Array = (dz.reshape(rows, c, wide * n) @ np.ones(wide * n, dz.dtype)).sum(axis=0)
    return total
