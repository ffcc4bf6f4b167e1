"""What a correlation multiplies: rows of the image, their columns repeated for each tap.

The form is told at the top of `fcnn._ops.conv`.
"""

from __future__ import annotations

import numpy as np

from fcnn._ops.layout import hcwn, runs
from fcnn._ops.window import Pair, Window, taken
from fcnn._typing import Array

BUDGET = 1 << 22  # bytes of scratch for one block
LEAST = 4  # rows in a block for each that it shares with the next
KEPT = 1 << 20  # bytes of a block that is kept for the adjoint

Place = tuple[slice, slice]
"""Rows and columns of the output."""


def blocks(window: Window, x: Array, budget: float, pool: Pair = (1, 1)) -> list[Place]:
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
    wide = even(ow, int(budget // (line * (once * least + extra))))
    high = even(oh, int(budget // (line * wide) - extra) // once)
    return grid(oh * ph, ow * pw, high * ph, wide * pw)


def grid(high: int, wide: int, down: int, across: int) -> list[Place]:
    """``high`` rows and ``wide`` columns in blocks of ``down`` and ``across``, row by row."""
    return [
        (slice(top, min(top + down, high)), slice(left, min(left + across, wide)))
        for top in range(0, high, down)
        for left in range(0, wide, across)
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
    seen, first, before = met(hcwn(x), first, before, deep, broad)
    _, c, _, n = seen.shape
    v = x.itemsize
    u = n * v  # bytes from a column to the next, and likewise for channels and rows
    r = seen.shape[2] * u
    t = c * r
    per_group = c // groups
    if _is_shared(window):
        lines, taps, step, down = (high - 1) * sh + kh, 1, sh, (t, t)
    else:
        lines, taps, step, down = high, kh, kh, (sh * t, dh * t)
    low = np.empty((groups, lines, taps, kw, per_group, wide, n), x.dtype)
    strides = (per_group * r, *down, dw * u, r, sw * u, v)
    source = np.ndarray(low.shape, x.dtype, seen, first * t + before * u, strides)
    if sw > 1:
        np.copyto(runs(low), runs(source))
    else:
        np.copyto(low, source)
    run = wide * n * v
    line = kw * per_group * run
    shape = (groups, high, kh * kw * per_group, wide * n)
    return np.ndarray(shape, x.dtype, low, 0, (lines * taps * line, step * line, run, v))


def met(image: Array, first: int, before: int, deep: int, broad: int) -> tuple[Array, int, int]:
    """Contiguous rows ``(h, c, w, n)`` that hold a part of the image, and where it begins there.

    The part has ``deep`` rows and ``broad`` columns from ``first`` and ``before`` on. What
    reaches over the border is copied, with zeros for what is not there.
    """
    h, c, w, n = image.shape
    inside = first >= 0 and before >= 0 and first + deep <= h and before + broad <= w
    if inside and image.flags.c_contiguous:
        return image, first, before
    part = np.zeros((deep, c, broad, n), image.dtype)
    to_rows, of_rows = taken(first, 1, deep, h)
    to_columns, of_columns = taken(before, 1, broad, w)
    part[to_rows, :, to_columns] = image[of_rows, :, of_columns]
    return part, 0, 0


def worth_keeping(low: Array, places: list[Place]) -> Array | None:
    """What was lowered, if it is the only block and small: it serves the adjoint too."""
    size = low.strides[0] * len(low)
    return low if len(places) == 1 and size <= KEPT else None


def _is_shared(window: Window) -> bool:
    """Whether rows of output meet rows of input that lie side by side, and share some."""
    return window.dilation[0] == 1 and window.kernel[0] > window.stride[0]


def even(n: int, most: int) -> int:
    """The size of blocks of at most that many, if they are to be as even as they can."""
    return -(-n // -(-n // max(1, most)))
