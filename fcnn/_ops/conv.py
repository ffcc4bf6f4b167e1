"""Correlation of images with a kernel, and its adjoints."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fcnn._ops.gemm import product, product_of_rows
from fcnn._ops.layout import PIECE, hcwn, images_innermost, nhwc
from fcnn._ops.pool import give, reduce_by
from fcnn._ops.relu import relu_adjoint
from fcnn._ops.window import Pair, Window, taken
from fcnn._typing import Array

BUDGET = 1 << 22  # bytes of scratch for one block
LEAST = 4  # rows in a block for each that it shares with the next
KEPT = 1 << 20  # bytes of a block that is kept for the adjoint


def correlate(
    x: Array,
    weight: Array,
    window: Window,
    groups: int = 1,
    bias: Array | None = None,
    relu: bool = False,
) -> tuple[Array, Array | None]:
    """Cross-correlation, plus bias, and if asked for the larger of that and 0.

    ``y[n, y, x, o] = bias[o]
    + sum over i, j, k of padded[n, y*sh + i*dh, x*sw + j*dw, k] * weight[i, j, k, o]``

    ``x (n, h, w, c_in)``, ``weight (kh, kw, c_in // groups, c_out)``, ``bias (c_out,)`` or
    ``(oh, ow, c_out)``, ``y (n, oh, ow, c_out)``. Group g takes the g-th part of the input
    channels to the g-th part of the output channels. With ``relu``, ``max(y, 0)``.

    The second result, if it is small, may be given to `correlate_adjoints` as ``low``, which
    then need not be made again.
    """
    x, weight = _operands(x, weight)
    (oh, ow), c_out, n = window.out, weight.shape[3], len(x)
    taps = _by_output(weight, groups)
    y = np.empty((oh, c_out, ow, n), x.dtype)
    places = blocks(window, x, BUDGET)
    for rows, columns in places:
        out = y[rows, :, columns]
        seen = lower(x, window, groups, rows, columns)
        product(taps, seen, _lines(out, groups))
        low = _worth_keeping(seen, places)
        del seen  # its memory serves the next block
        _finish(out, None if bias is None else _at(bias, rows, columns), relu)
    return nhwc(y), low


def correlate_adjoints(
    x: Array,
    weight: Array,
    dy: Array,
    window: Window,
    groups: int = 1,
    *,
    y: Array | None = None,
    bias: str | None = "tied",
    input_grad: bool = True,
    low: Array | None = None,
) -> tuple[Array, Array | None, Array | None]:
    """``(dweight, dbias, dx)`` of `correlate` for ``dy (n, oh, ow, c_out)``.

    Those that are not wanted are None. ``bias`` is "tied" for a dbias ``(c_out,)``, "untied"
    for ``(oh, ow, c_out)``. Pass the output ``y`` if relu was applied: where it is 0, no
    gradient flows.
    """
    x, weight = _operands(x, weight)
    adjoint = Adjoint(x, weight, window, groups, input_grad, low)
    (oh, ow), c_out = window.out, weight.shape[3]
    dbias = np.zeros((oh, c_out, ow) if bias == "untied" else c_out, x.dtype)
    drows, live = hcwn(dy), None if y is None else hcwn(y)
    for rows, columns in blocks(window, x, BUDGET // 2 if low is None else math.inf):
        dz = drows[rows, :, columns]
        if live is not None or adjoint.halo or not dz.flags.c_contiguous:
            source, dz = dz, adjoint.room(len(dz), dz.shape[2])
            if live is None:
                np.copyto(dz, source)
            else:
                relu_adjoint(live[rows, :, columns], source, dz)
        if bias == "tied":
            dbias += _channel_sums(dz)
        elif bias == "untied":
            np.matmul(dz, np.ones(dz.shape[3], x.dtype), out=dbias[rows, :, columns])
        adjoint.add(rows, columns, dz)
    if bias == "untied":
        dbias = np.ascontiguousarray(dbias.swapaxes(1, 2))
    return adjoint.dweight(), None if bias is None else dbias, adjoint.dx()


def correlate_pooled(
    x: Array,
    weight: Array,
    window: Window,
    groups: int,
    bias: Array | None,
    relu: bool,
    pool: Pair,
    keep: bool,
) -> tuple[Array, Array | None, Array | None]:
    """`correlate`, and the maximum of each ``pool`` of its output; what falls off is left out.

    To add a bias and to rectify keep the order of numbers, so both wait until after the pool,
    where a part of the elements is left. The second result, with ``keep``, is what
    `correlate_pooled_adjoints` needs, and the third what it may be given.
    """
    x, weight = _operands(x, weight)
    (oh, ow), c_out, n, (ph, pw) = window.out, weight.shape[3], len(x), pool
    high, wide = oh // ph, ow // pw
    taps = _by_output(weight, groups)
    y = np.empty((high, c_out, wide, n), x.dtype)
    raw = np.empty((high * ph, c_out, wide * pw, n), x.dtype) if keep else None
    places = blocks(window, x, BUDGET, pool)
    for rows, columns in places:
        many, broad = rows.stop - rows.start, columns.stop - columns.start
        shape = (many, c_out, broad, n)
        out = np.empty(shape, x.dtype) if raw is None else raw[rows, :, columns]
        seen = lower(x, window, groups, rows, columns)
        product(taps, seen, _lines(out, groups))
        low = _worth_keeping(seen, places)
        del seen
        most = y[_pooled(rows, ph), :, _pooled(columns, pw)]
        tops = reduce_by(np.maximum, [out[i::ph] for i in range(ph)])
        reduce_by(np.maximum, [tops[:, :, j::pw] for j in range(pw)], most)
        _finish(most, None if bias is None else bias[:, None, None], relu)
    return nhwc(y), raw, low


def correlate_pooled_adjoints(
    x: Array,
    weight: Array,
    dy: Array,
    window: Window,
    groups: int,
    bias: bool,
    pool: Pair,
    raw: Array,
    y: Array | None,
    input_grad: bool,
    low: Array | None = None,
) -> tuple[Array, Array | None, Array | None]:
    """``(dweight, dbias, dx)`` of `correlate_pooled`; ``y`` is its output, if relu was applied.

    As `fcnn._ops.pool.max_pool_adjoint` has it, a gradient goes to the first place, row by
    row, that holds the maximum.
    """
    x, weight = _operands(x, weight)
    adjoint = Adjoint(x, weight, window, groups, input_grad, low)
    ph, pw = pool
    dbias = np.zeros(weight.shape[3], x.dtype)
    drows, live = hcwn(dy), None if y is None else hcwn(y)
    for rows, columns in blocks(window, x, BUDGET // 2 if low is None else math.inf, pool):
        here = _pooled(rows, ph), slice(None), _pooled(columns, pw)
        dmost = drows[here] if live is None else relu_adjoint(live[here], drows[here])
        if bias:
            dbias += _channel_sums(dmost)
        seen = raw[rows, :, columns]
        lines = reduce_by(np.maximum, [seen[:, :, j::pw] for j in range(pw)])
        most = reduce_by(np.maximum, [lines[i::ph] for i in range(ph)])
        dlines = np.empty(lines.shape, x.dtype)
        give([(lines[i::ph], dlines[i::ph]) for i in range(ph)], most, dmost)
        dz = adjoint.room(len(seen), seen.shape[2])
        give([(seen[:, :, j::pw], dz[:, :, j::pw]) for j in range(pw)], lines, dlines)
        adjoint.add(rows, columns, dz)
    return adjoint.dweight(), dbias if bias else None, adjoint.dx()


def blocks(
    window: Window, x: Array, budget: float, pool: Pair = (1, 1)
) -> list[tuple[slice, slice]]:
    """Rows and columns of the output, so many that what `lower` makes of each is in the budget.

    Only whole pools, and no rest. Rows that are lowered together share ``kh - sh`` rows of
    input, so a block has some of them before its columns are cut; but long runs of columns
    make fast products.
    """
    (kh, kw), (sh, _), (oh, ow), (ph, pw) = window.kernel, window.stride, window.out, pool
    oh, ow = oh // ph, ow // pw
    once, extra = (sh * ph, kh - sh) if _is_shared(window) else (kh * ph, 0)
    # bytes: one row, the columns of one pool
    line = kw * pw * max(1, x.nbytes // (x.shape[1] * x.shape[2]))
    if line * (once * oh + extra) * ow <= budget:
        return [(slice(0, oh * ph), slice(0, ow * pw))]
    least = min(oh, LEAST * max(1, extra))
    wide = _even(ow, int(budget // (line * (once * least + extra))))
    high = _even(oh, int(budget // (line * wide) - extra) // once)
    return [
        (
            slice(top * ph, min(top + high, oh) * ph),
            slice(left * pw, min(left + wide, ow) * pw),
        )
        for top in range(0, oh, high)
        for left in range(0, ow, wide)
    ]


def lower(x: Array, window: Window, groups: int, rows: slice, columns: slice) -> Array:
    """What a block of output meets, ``(g, rows, kh*kw*c, columns*n)``: a matrix a row.

    Every row of input is stored once, its columns once for each tap of a kernel row. The
    matrix of an output row is ``kh`` of these rows, one behind the other, and overlaps with
    that of the next. Where rows are not shared, each matrix has rows of its own.
    """
    (kh, kw), (sh, sw), (dh, dw) = window.kernel, window.stride, window.dilation
    (top, _), (left, _) = window.pads
    high, wide = rows.stop - rows.start, columns.stop - columns.start
    first, before = rows.start * sh - top, columns.start * sw - left
    deep, broad = (high - 1) * sh + (kh - 1) * dh + 1, (wide - 1) * sw + (kw - 1) * dw + 1
    seen = hcwn(x)
    h, c, w, n = seen.shape
    if (
        first < 0
        or before < 0
        or first + deep > h
        or before + broad > w
        or not seen.flags.c_contiguous
    ):
        part = np.zeros((deep, c, broad, n), x.dtype)
        to_rows, of_rows = taken(first, 1, deep, h)
        to_columns, of_columns = taken(before, 1, broad, w)
        part[to_rows, :, to_columns] = seen[of_rows, :, of_columns]
        seen, first, before = part, 0, 0
    v = x.itemsize
    t, r, u = seen.strides[0], seen.shape[2] * n * v, n * v  # a row, a channel, a column
    per_group = c // groups
    if _is_shared(window):
        lines, taps, step, down = (high - 1) * sh + kh, 1, sh, (t, t)
    else:
        lines, taps, step, down = high, kh, kh, (sh * t, dh * t)
    low = np.empty((groups, lines, taps, kw, per_group, wide, n), x.dtype)
    strides = (per_group * r, *down, dw * u, r, sw * u, v)
    np.copyto(low, np.ndarray(low.shape, x.dtype, seen, first * t + before * u, strides))
    run = wide * n * v
    line = kw * per_group * run
    shape = (groups, high, kh * kw * per_group, wide * n)
    return np.ndarray(shape, x.dtype, low, 0, (lines * taps * line, step * line, run, v))


class Adjoint:
    """The adjoints in the weight and in the input, block after block of dz.

    Source of the second: input row ``r`` met output row ``o`` through tap ``i`` where
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
        c_out = weight.shape[3]
        self._x, self._window, self._groups, self._low = x, window, groups, low
        self._shape, self._dz = weight.shape, np.empty((0, 0, 0, 0), x.dtype)
        self._dtaps = np.zeros((groups, kh * kw * c // groups, c_out // groups), x.dtype)
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
        self._dtaps += product_of_rows(low, _lines(dz, groups))
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
        return self._dtaps.swapaxes(0, 1).reshape(self._shape)

    def dx(self) -> Array | None:
        """The gradient of the input; None if it was not wanted."""
        return nhwc(self._back) if self._phases else None


def _is_shared(window: Window) -> bool:
    """Whether rows of output meet rows of input that lie side by side, and share some."""
    return window.dilation[0] == 1 and window.kernel[0] > window.stride[0]


def _pooled(places: slice, size: int) -> slice:
    return slice(places.start // size, places.stop // size)


def _even(n: int, most: int) -> int:
    """The size of blocks of at most that many, if they are to be as even as they can."""
    return -(-n // -(-n // max(1, most)))


def _by_output(weight: Array, groups: int) -> Array:
    """``(kh, kw, c, g*o)`` as contiguous ``(g, 1, o, kh*kw*c)``."""
    taps = weight.reshape(-1, groups, 1, weight.shape[3] // groups).transpose(1, 2, 3, 0)
    return np.ascontiguousarray(taps)


def _worth_keeping(low: Array, places: list[Any]) -> Array | None:
    """What was lowered, if it is the only block and small: it serves the adjoint too."""
    size = low.strides[0] * len(low)
    return low if len(places) == 1 and size <= KEPT else None


def _lines(out: Array, groups: int) -> Array:
    """``(rows, g*o, ..., n)`` as a view ``(g, rows, o, run)``."""
    rows, c_out, *run = out.shape
    return out.reshape(rows, groups, c_out // groups, math.prod(run)).swapaxes(0, 1)


def _finish(out: Array, bias: Array | None, relu: bool) -> None:
    """Add the bias and rectify, in place.

    To either, a line as long as a row of the image is passed, not a number: the inner loops
    are longer, and that of a maximum is a slow one for a number.
    """
    if bias is not None and bias.ndim == 3 and out.size > PIECE:
        line = np.empty(out.shape[1:], out.dtype)
        line[...] = bias
        np.add(out, line, out=out)
    elif bias is not None:
        np.add(out, bias, out=out)
    if relu:
        np.maximum(out, np.zeros(out.shape[1:], out.dtype), out=out)


def _channel_sums(dz: Array) -> Array:
    """The sums of ``(rows, c, columns, n)`` over all but c."""
    rows, c, wide, n = dz.shape
    total: Array = (dz.reshape(rows, c, wide * n) @ np.ones(wide * n, dz.dtype)).sum(axis=0)
    return total


def _at(bias: Array, rows: slice, columns: slice) -> Array:
    """A bias ``(c,)`` or ``(oh, ow, c)``, to meet a block ``(rows, c, columns, n)``."""
    if bias.ndim == 1:
        return bias[:, None, None]
    return bias.swapaxes(1, 2)[rows, :, columns, None]


def _operands(x: Array, weight: Array) -> tuple[Array, Array]:
    """Both in one precision, float32 or float64, the images innermost in memory."""
    if x.dtype != weight.dtype or x.dtype.char not in "fd":
        dtype = np.result_type(x, weight)
        if dtype not in (np.float32, np.float64):
            dtype = np.dtype(np.float64)
        x, weight = x.astype(dtype, copy=False), weight.astype(dtype, copy=False)
    return images_innermost(x), weight
