"""Correlation of images with a kernel, and its adjoints."""

from __future__ import annotations

import numpy as np

from fcnn._ops.gemm import product, product_of_rows
from fcnn._ops.layout import hcwn, images_innermost, nhwc
from fcnn._ops.relu import relu_adjoint
from fcnn._ops.window import Window, taken
from fcnn._typing import Array

BUDGET = 1 << 22  # bytes of scratch for one block
LEAST = 4


def correlate(
    x: Array,
    weight: Array,
    window: Window,
    groups: int = 1,
    bias: Array | None = None,
    relu: bool = False,
) -> Array:
    """Cross-correlation, plus bias, and if asked for the larger of that and 0.

    ``y[n, y, x, o] = bias[o]
    + sum over i, j, k of padded[n, y*sh + i*dh, x*sw + j*dw, k] * weight[i, j, k, o]``

    ``x (n, h, w, c_in)``, ``weight (kh, kw, c_in // groups, c_out)``, ``bias (c_out,)`` or
    ``(oh, ow, c_out)``, ``y (n, oh, ow, c_out)``. Group g takes the g-th part of the input
    channels to the g-th part of the output channels. With ``relu``, ``max(y, 0)``.
    """
    x, weight = _operands(x, weight)
    (oh, ow), c_out, n = window.out, weight.shape[3], len(x)
    c = c_out // groups
    taps = weight.reshape(-1, groups, 1, c).transpose(1, 2, 3, 0)  # (g, 1, o, i*j*k)
    taps = np.ascontiguousarray(taps)
    y = np.empty((oh, c_out, ow, n), x.dtype)
    for rows, columns in blocks(window, x, BUDGET):
        out = y[rows, :, columns]
        many, _, wide, _ = out.shape
        lines = out.reshape(many, groups, c, wide * n).swapaxes(0, 1)
        product(taps, lower(x, window, groups, rows, columns), lines)
        if bias is not None:
            np.add(out, _at(bias, rows, columns), out=out)
        if relu:
            np.maximum(out, np.zeros((wide, n), out.dtype), out=out)
    return nhwc(y)


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
) -> tuple[Array, Array | None, Array | None]:
    """``(dweight, dbias, dx)`` of `correlate` for ``dy (n, oh, ow, c_out)``.

    Those that are not wanted are None. ``bias`` is "tied" for a dbias ``(c_out,)``, "untied"
    for ``(oh, ow, c_out)``. Pass the output ``y`` if relu was applied: where it is 0, no
    gradient flows.
    """
    x, weight = _operands(x, weight)
    (oh, ow), c_out, n = window.out, weight.shape[3], len(x)
    dy_rows, live = hcwn(dy), None if y is None else hcwn(y)
    spread = Spread(weight, window, groups, x) if input_grad else None
    halo = 0 if spread is None else spread.halo
    dtaps = np.zeros((groups, weight[..., 0].size, c_out // groups), x.dtype)
    dbias = np.zeros((oh, c_out, ow) if bias == "untied" else c_out, x.dtype)
    for rows, columns in blocks(window, x, BUDGET // 2):
        source = dy_rows[rows, :, columns]
        many, _, wide, _ = source.shape
        padded = np.empty((many + 2 * halo, c_out, wide, n), x.dtype)
        dz = padded[halo : halo + many]
        if halo:
            padded[:halo] = 0
            padded[halo + many :] = 0
        if live is None:
            np.copyto(dz, source)
        else:
            relu_adjoint(live[rows, :, columns], source, dz)
        if bias == "tied":
            dbias += (dz.reshape(many, c_out, wide * n) @ np.ones(wide * n, x.dtype)).sum(axis=0)
        elif bias == "untied":
            np.matmul(dz, np.ones(n, x.dtype), out=dbias[rows, :, columns])
        lines = dz.reshape(many, groups, c_out // groups, wide * n).swapaxes(0, 1)
        dtaps += product_of_rows(lower(x, window, groups, rows, columns), lines)
        if spread is not None:
            spread.add(padded, rows.start, columns.start)
    dweight = dtaps.swapaxes(0, 1).reshape(weight.shape)
    if bias == "untied":
        dbias = np.ascontiguousarray(dbias.swapaxes(1, 2))
    return dweight, None if bias is None else dbias, None if spread is None else nhwc(spread.dx)


def blocks(window: Window, x: Array, budget: int) -> list[tuple[slice, slice]]:
    """Rows and columns of the output, so many that what `lower` makes of each is in the budget.

    Rows that are lowered together share ``kh - sh`` rows of input, so a block has some of
    them before its columns are cut; but long runs of columns make fast products.
    """
    (kh, kw), (sh, _), (oh, ow) = window.kernel, window.stride, window.out
    once, extra = (sh, kh - sh) if _is_shared(window) else (kh, 0)
    line = kw * max(1, x.nbytes // (x.shape[1] * x.shape[2]))  # bytes: one row, one column
    if line * (once * oh + extra) * ow <= budget:
        return [(slice(0, oh), slice(0, ow))]
    least = min(oh, LEAST * max(1, extra))
    wide = _even(ow, budget // (line * (once * least + extra)))
    high = _even(oh, (budget // (line * wide) - extra) // once)
    return [
        (slice(top, min(top + high, oh)), slice(left, min(left + wide, ow)))
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
        to_rows, of_rows = taken(first, 1, deep, h)
        to_columns, of_columns = taken(before, 1, broad, w)
        part = np.zeros((deep, c, broad, n), x.dtype)
        part[to_rows, :, to_columns] = seen[of_rows, :, of_columns]
        seen, first, before = part, 0, 0
    c //= groups
    v = x.itemsize
    t, s, u = seen.strides[0], seen.shape[2] * n * v, n * v
    if _is_shared(window):
        lines, taps, step = (high - 1) * sh + kh, 1, sh
        strides = (c * s, t, t, dw * u, s, sw * u, v)
    else:
        lines, taps, step = high, kh, kh
        strides = (c * s, sh * t, dh * t, dw * u, s, sw * u, v)
    shape = (groups, lines, taps, kw, c, wide, n)
    low = np.empty(shape, x.dtype)
    np.copyto(low, np.ndarray(shape, x.dtype, seen, first * t + before * u, strides))
    line = kw * c * wide * n * v
    strided = (lines * taps * line, step * line, wide * n * v, v)
    return np.ndarray((groups, high, kh * kw * c, wide * n), x.dtype, low, 0, strided)


class Spread:
    """The adjoint in the input: what each row of output gives back is added where it came from.

    Input row ``r`` met output row ``o`` through tap ``i`` where ``r + top = o*sh + i*dh``. So all
    rows that meet the taps ``i, i + sh, ...`` are had from one product with neighbouring rows
    of dz, and nothing is multiplied that the stride left out.
    """

    def __init__(self, weight: Array, window: Window, groups: int, x: Array) -> None:
        (kh, kw), (sh, _), (dh, _) = window.kernel, window.stride, window.dilation
        n, h, w, c = x.shape
        self.window, self.groups = window, groups
        self.dx = np.zeros((h, c, w, n), x.dtype)
        turned = weight.reshape(kh, kw, c // groups, groups, -1)[::-1].transpose(3, 1, 2, 0, 4)
        self.phases = []  # (first tap, how many taps, their matrix (g, 1, j*k, i*o))
        for i in range(min(sh, kh) if dh == 1 else kh):
            step = sh if dh == 1 else kh
            taps = turned[:, :, :, (kh - 1 - i) % step :: step]
            many = taps.shape[3]
            self.phases.append((i * dh, many, taps.reshape(groups, 1, kw * c // groups, -1)))
        self.halo = max(many for _, many, _ in self.phases) - 1

    def add(self, padded: Array, top: int, left: int) -> None:
        """Add what ``padded (rows, c_out, columns, n)`` gives back, dz from ``top, left`` on.

        It has ``halo`` rows of zeros above and below.
        """
        window, groups, dx = self.window, self.groups, self.dx
        (_, kw), (sh, sw), dw = window.kernel, window.stride, window.dilation[1]
        h, c, w, n = dx.shape
        lines, c_out, wide, _ = padded.shape
        if groups > 1:
            padded = padded.reshape(lines, groups, -1, wide, n).swapaxes(0, 1).copy()
        c, c_out, v = c // groups, c_out // groups, padded.itemsize
        dx = dx.reshape(h, groups, c, w, n)
        line = c_out * wide * n * v
        places = [taken(left * sw - window.pads[1][0] + j * dw, sw, wide, w) for j in range(kw)]
        for i, many, taps in self.phases:
            count = lines - 2 * self.halo + many - 1
            dz = np.ndarray(
                (groups, count, many * c_out, wide * n),
                padded.dtype,
                padded,
                (self.halo - many + 1) * line,
                (lines * line, line, wide * n * v, v),
            )
            back = np.empty((groups, count, kw * c, wide * n), padded.dtype)
            product(taps, dz, back)
            parts = back.reshape(groups, count, kw, c, wide, n).swapaxes(0, 1)
            of_rows, to_rows = taken(top * sh + i - window.pads[0][0], sh, count, h)
            for j, (of, to) in enumerate(places):
                place = dx[to_rows, :, :, to]
                np.add(place, parts[of_rows, :, j, :, of], out=place)


def _is_shared(window: Window) -> bool:
    """Whether rows of output meet rows of input that lie side by side, and share some."""
    return window.dilation[0] == 1 and window.kernel[0] > window.stride[0]


def _even(n: int, most: int) -> int:
    """The size of blocks of at most that many, if they are to be as even as they can."""
    return -(-n // -(-n // max(1, most)))


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
