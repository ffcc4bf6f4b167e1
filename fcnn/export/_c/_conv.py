"""Convolutions in C: blocks of output channels and columns, or rows where channels are few.

A compiler computes several elements at a time where the innermost loop has a constant number of
rounds and no order of additions to keep. So a block of up to 16 channels of up to 4 columns is
added up in local arrays, with the weights of neighbouring channels side by side: each weight that
is read is multiplied with 4 elements, and each element with 16 weights. Columns whose taps reach
into the padding are computed one by one with the taps that lie inside.

Where a group has fewer channels than a block is worth, a row of the output is added up in place,
one weight after the other.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence

import attrs
import numpy as np

from fcnn._typing import Shape
from fcnn.export._c._operands import Operation
from fcnn.export._c._text import Lines, index, strides_of

PLACES, TAPS = ("z", "y", "x"), ("kz", "ky", "kx")
CHANNELS, COLUMNS = 16, 4
"""Of a block: 64 sums are 4 vectors of 16 floats, and as many weights are read once."""
FEW = 4
"""Channels of a group from which on blocks are faster than rows."""

Axis = tuple[int, int, int, int, int, int]


def window_of(op: Operation, out: Shape, image: Shape) -> list[Axis]:
    """Return ``out, size, kernel, stride, dilation, padding before`` along each axis."""
    rank = len(image)
    kernel, stride = op.get("kernel_shape"), op.get("strides")
    dilation = op.get("dilations", [1] * rank)
    pads = op.get("pads")
    return [(out[i], image[i], kernel[i], stride[i], dilation[i], pads[i]) for i in range(rank)]


def block_of(count: int, most: int) -> int:
    """Return the size of equal blocks that cover ``count`` elements, the last one overlapping.

    >>> from fcnn.export._c._conv import block_of
    >>> [block_of(count, 16) for count in (6, 16, 20, 48, 49)]
    [6, 16, 12, 16, 16]
    """
    blocks = math.ceil(count / most)
    return min(count, -(-math.ceil(count / blocks) // 4) * 4)


@contextlib.contextmanager
def in_blocks(lines: Lines, name: str, count: int, size: int) -> Iterator[None]:
    """Open a loop over blocks; the last one overlaps the one before, to be as large as all."""
    last = count - size
    if count == size:
        lines.add(f"const int {name} = 0;")
        yield
    elif count % size == 0:
        with lines.block(f"for (int {name} = 0; {name} < {count}; {name} += {size})"):
            yield
    else:
        with lines.block(f"for (int n = 0; n < {count}; n += {size})"):
            lines.add(f"const int {name} = n < {last} ? n : {last};")
            yield


def taps_of(
    op: Operation, outer: Sequence[Axis], places: Sequence[str], taps: Sequence[str]
) -> None:
    """Open a loop over the taps of each axis but the last, with the place ``iy`` that they read."""
    for axis, place, tap in zip(outer, places, taps, strict=True):
        op.lines.open(f"for (int {tap} = 0; {tap} < {axis[2]}; {tap}++)")
        op.lines.add(f"const int i{place} = {reads(axis, place, tap)};")
        if not is_inside(axis):
            op.lines.add(f"if (i{place} < 0 || i{place} >= {axis[1]}) continue;")


def conv(op: Operation) -> None:
    """Write a convolution of one to three axes, in groups."""
    (_, c_in, *image), (_, filters, *out) = op.shapes[0], op.out
    axes = window_of(op, tuple(out), tuple(image))
    if all(each[2:] == (1, 1, 1, 0) and each[0] == each[1] for each in axes):
        axes = [(math.prod(out), math.prod(image), 1, 1, 1, 0)]  # 1x1: all pixels are a row
    groups = op.get("group", 1)
    (_blocks if filters // groups >= FEW else _rows)(op, axes, groups, c_in // groups)


@attrs.frozen
class Columns:
    """The columns of a block: how many, and what lies between two of them.

    Attributes:
        count: the columns that are computed at a time.
        step, more: C's expressions of the elements from one to the next, read and written.
        low, high: C's expressions of the first tap that lies inside, and the last one's end.
    """

    count: int
    step: str
    more: str
    low: str
    high: str

    def read(self, p: int) -> str:
        """Return where column p's element lies behind the first one's."""
        return _times(self.step, p)

    def written(self, p: int, channel: int) -> str:
        """Return where column p's sum of channel u is written, ``channel`` elements apart."""
        row = index(("u", channel))
        return row if p == 0 else f"{row} + {_times(self.more, p)}"


def _times(step: str, p: int) -> str:
    if step.isdigit():
        return str(int(step) * p)
    return "0" if p == 0 else step if p == 1 else f"{p} * {step}"


@contextlib.contextmanager
def _in_columns(lines: Lines, axis: Axis) -> Iterator[Columns]:
    """Open a loop over blocks of columns; at an edge a block is the same column several times."""
    out, size, taps, stride, dilation, pad = axis
    first = -(-pad // stride)
    end = min(out, (size - 1 + pad - (taps - 1) * dilation) // stride + 1)
    count = min(COLUMNS, max(end - first, 1))
    if (first, end) == (0, out):
        with in_blocks(lines, "x", out, count):
            yield Columns(count, str(stride), "1", "0", str(taps))
        return
    with lines.block(f"for (int i = 0, next; i < {out}; i = next)"):
        lines.add(f"const int inside = {f'i >= {first} && ' if first else ''}i < {end};")
        last = f"inside && i > {end - count} ? {end - count} : i"
        lines.add(f"const int x = {last if end > first else 'i'};")
        lines.add(f"next = inside ? x + {count} : x + 1;")
        start = index(("x", stride)) + (f" - {pad}" if pad else "")
        low = f"{start} < 0 ? ({pad + dilation - 1} - {index(('x', stride))}) / {dilation} : 0"
        high = f"({size + pad + dilation - 1} - {index(('x', stride))}) / {dilation}"
        lines.add(f"const int low = {low if pad else 0};")
        lines.add(f"const int high = {high} < {taps} ? {high} : {taps};")
        if count > 1:
            lines.add(f"const int step = inside ? {stride} : 0;")
        yield Columns(count, "step", "inside", "low", "high")


def _blocks(op: Operation, axes: list[Axis], groups: int, fan: int) -> None:
    """Write a convolution in blocks of channels and columns."""
    lines, weight = op.lines, op.array(1)
    filters, shape = len(weight) // groups, [each[2] for each in axes]
    apart = np.moveaxis(weight.reshape(groups, filters, fan, *shape), 1, -1)
    name = op.constant(1, apart, "filter")
    bias = op.constant(2, op.array(2), "bias") if 2 in op.arrays else None
    g, size = "g" if groups > 1 else "0", block_of(filters, CHANNELS)
    *outer, last = axes
    places, taps = PLACES[-len(axes) : -1], TAPS[-len(axes) : -1]
    steps_in, steps_w = strides_of((fan, *[each[1] for each in axes])), strides_of(apart.shape)
    steps = strides_of((filters, *[each[0] for each in axes]))
    with (
        lines.loops(*[("g", groups)] if groups > 1 else []),
        in_blocks(lines, "f", filters, size),
        lines.loops(*zip(places, [each[0] for each in outer], strict=True)),
        _in_columns(lines, last) as columns,
    ):
        sums = [f"s{p}" for p in range(columns.count)]
        lines.add(f"float {', '.join(f'{each}[{size}]' for each in sums)};")
        with lines.loops(("u", size)):
            start = f"{bias}[{index((g, filters), ('f', 1), ('u', 1))}]" if bias else "0.0f"
            lines.add(f"{' = '.join(f'{each}[u]' for each in sums)} = {start};")
        with lines.loops(("c", fan)):
            taps_of(op, outer, places, taps)
            at = [(g, fan * steps_in[0]), ("c", steps_in[0])]
            at += [(f"i{each}", by) for each, by in zip(places, steps_in[1:-1], strict=True)]
            lines.add(f"const float *from = {op.x} + {index(*at)};")
            with lines.block(f"for (int kx = {columns.low}; kx < {columns.high}; kx++)"):
                at = [(g, steps_w[0]), ("c", steps_w[1]), *zip(taps, steps_w[2:-2], strict=True)]
                lines.add(f"const float *by = {name} + {index(*at, ('kx', filters), ('f', 1))};")
                lines.add(f"const float *a = from + {reads(last)};")
                with lines.loops(("u", size)):
                    lines.add("const float b = by[u];")
                    for p, each in enumerate(sums):
                        lines.add(f"{each}[u] += a[{columns.read(p)}] * b;")
            for _ in outer:
                lines.close()
        at = [(g, filters * steps[0]), ("f", steps[0])]
        at += [*zip(places, steps[1:-1], strict=True), ("x", 1)]
        lines.add(f"float *to = {op.y} + {index(*at)};")
        with lines.loops(("u", size)):
            for p, each in enumerate(sums):
                lines.add(f"to[{columns.written(p, steps[0])}] = {each}[u];")


def _rows(op: Operation, axes: list[Axis], groups: int, fan: int) -> None:
    """Write a convolution whose rows are added up in place."""
    lines, weight = op.lines, op.array(1)
    filters, per_group = len(weight), len(weight) // groups
    name = op.constant(1, weight, "filter")
    bias = op.constant(2, op.array(2), "bias") if 2 in op.arrays else None
    *outer, last = axes
    places, taps = PLACES[-len(axes) : -1], TAPS[-len(axes) : -1]
    steps_out = strides_of((filters, *[each[0] for each in axes]))
    steps_in = strides_of((fan, *[each[1] for each in axes]))
    steps_w = strides_of((filters, fan, *[each[2] for each in axes]))
    with lines.loops(("f", filters), *zip(places, [each[0] for each in outer], strict=True)):
        row = [("f", steps_out[0]), *zip(places, steps_out[1:-1], strict=True)]
        lines.add(f"float *row = {op.y} + {index(*row)};")
        with lines.loops(("x", last[0])):
            lines.add(f"row[x] = {f'{bias}[f]' if bias else '0.0f'};")
        with lines.loops(("c", fan)):
            taps_of(op, outer, places, taps)
            at = [(f"(f / {per_group})", fan * steps_in[0])] if groups > 1 else []
            at += [("c", steps_in[0])]
            at += [(f"i{each}", by) for each, by in zip(places, steps_in[1:-1], strict=True)]
            lines.add(f"const float *from = {op.x} + {index(*at)};")
            at = [("f", steps_w[0]), ("c", steps_w[1]), *zip(taps, steps_w[2:-1], strict=True)]
            lines.add(f"const float *by = {name} + {index(*at)};")
            with lines.loops(("kx", last[2])), along_row(lines, last) as read:
                lines.add(f"row[x] += by[kx] * from[{read}];")
            for _ in outer:
                lines.close()


def reads(axis: Axis, place: str = "x", tap: str = "kx") -> str:
    """Return where a place of the output and a tap read."""
    _, _, _, stride, dilation, pad = axis
    return index((place, stride), (tap, dilation)) + (f" - {pad}" if pad else "")


def is_inside(axis: Axis) -> bool:
    """Whether all taps lie inside at every place."""
    out, size, taps, stride, dilation, pad = axis
    return pad == 0 and (out - 1) * stride + (taps - 1) * dilation < size


def _row(axis: Axis) -> tuple[str, str, str]:
    """Return the first and the last column that a tap ``kx`` reaches, and where it reads."""
    out, size, taps, stride, dilation, pad = axis
    tap = index(("kx", dilation))
    low, high = "0", str(out)
    if pad:
        low = f"{tap} < {pad} ? ({pad + stride - 1} - {tap}) / {stride} : 0"
    if (out - 1) * stride + (taps - 1) * dilation - pad >= size:
        high = f"({size - 1 + pad + stride} - {tap}) / {stride}"
        high = f"{high} < {out} ? {high} : {out}"
    return low, high, reads(axis)


@contextlib.contextmanager
def along_row(lines: Lines, axis: Axis) -> Iterator[str]:
    """Open a loop over the columns that a tap reaches; yield where it reads."""
    low, high, read = _row(axis)
    head = f"for (int x = {low}; x < {high}; x++)"
    if low != "0" or high != str(axis[0]):
        lines.add(f"const int low = {low}, high = {high};")
        head = "for (int x = low; x < high; x++)"
    with lines.block(head):
        yield read
