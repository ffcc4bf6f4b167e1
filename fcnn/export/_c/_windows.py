"""Convolutions, pools and matrix products in C.

A row of the output is added up in place, one weight after the other, so that the innermost loop
runs along the row and a compiler can compute several elements at a time: with the sum of one
element innermost it could not, for that would change the order of the additions.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence

import numpy as np

from fcnn._typing import Shape
from fcnn.export._c._operands import Operation
from fcnn.export._c._text import Lines, index, number, strides_of

PLACES, TAPS = ("z", "y", "x"), ("kz", "ky", "kx")


def window_of(op: Operation, out: Shape, image: Shape) -> list[tuple[int, int, int, int, int, int]]:
    """Return ``out, size, kernel, stride, dilation, padding before`` along each axis."""
    rank = len(image)
    kernel, stride = op.get("kernel_shape"), op.get("strides")
    dilation = op.get("dilations", [1] * rank)
    pads = op.get("pads")
    return [(out[i], image[i], kernel[i], stride[i], dilation[i], pads[i]) for i in range(rank)]


def _row(axis: tuple[int, int, int, int, int, int]) -> tuple[str, str, str]:
    """Return the first and the last column that a tap ``kx`` reaches, and where it reads."""
    out, size, taps, stride, dilation, pad = axis
    tap = index(("kx", dilation))
    read = index(("x", stride), ("kx", dilation)) + (f" - {pad}" if pad else "")
    low, high = "0", str(out)
    if pad:
        low = f"{tap} < {pad} ? ({pad + stride - 1} - {tap}) / {stride} : 0"
    if (out - 1) * stride + (taps - 1) * dilation - pad >= size:
        high = f"({size - 1 + pad + stride} - {tap}) / {stride}"
        high = f"{high} < {out} ? {high} : {out}"
    return low, high, read


@contextlib.contextmanager
def along_row(lines: Lines, axis: tuple[int, int, int, int, int, int]) -> Iterator[str]:
    """Open a loop over the columns that a tap reaches; yield where it reads."""
    low, high, read = _row(axis)
    head = f"for (int x = {low}; x < {high}; x++)"
    if low != "0" or high != str(axis[0]):
        lines.add(f"const int low = {low}, high = {high};")
        head = "for (int x = low; x < high; x++)"
    with lines.block(head):
        yield read


def conv(op: Operation) -> None:
    """Write a convolution of one to three axes, in groups."""
    (_, c_in, *image), (_, filters, *out) = op.shapes[0], op.out
    groups = op.get("group", 1)
    weight = op.array(1)
    per_group, fan = filters // groups, c_in // groups
    name = op.constant(1, weight, "filter")
    bias = op.constant(2, op.array(2), "bias") if 2 in op.arrays else None
    axes = window_of(op, tuple(out), tuple(image))
    *outer, last = axes
    places, taps = PLACES[-len(axes) : -1], TAPS[-len(axes) : -1]
    lines, wide, taps_x = op.lines, last[0], last[2]
    steps_out, steps_in = strides_of((filters, *out)), strides_of((c_in, *image))
    steps_w = strides_of(weight.shape)
    with lines.loops(("f", filters), *zip(places, [each[0] for each in outer], strict=True)):
        row = [("f", steps_out[0]), *zip(places, steps_out[1:-1], strict=True)]
        lines.add(f"{op.kind} *row = {op.y} + {index(*row)};")
        with lines.loops(("x", wide)):
            lines.add(f"row[x] = {f'{bias}[f]' if bias else '0.0f'};")
        with lines.loops(("c", fan)):
            taps_of(op, outer, places, taps)
            group = [(f"(f / {per_group})", fan * steps_in[0])] if groups > 1 else []
            at = [*group, ("c", steps_in[0])]
            at += [(f"i{each}", step) for each, step in zip(places, steps_in[1:-1], strict=True)]
            lines.add(f"const {op.kind} *from = {op.x} + {index(*at)};")
            at = [("f", steps_w[0]), ("c", steps_w[1]), *zip(taps, steps_w[2:-1], strict=True)]
            lines.add(f"const float *by = {name} + {index(*at)};")
            with lines.loops(("kx", taps_x)), along_row(lines, last) as read:
                lines.add(f"row[x] += by[kx] * from[{read}];")
            for _ in outer:
                lines.close()


def taps_of(
    op: Operation,
    outer: Sequence[tuple[int, int, int, int, int, int]],
    places: Sequence[str],
    taps: Sequence[str],
) -> None:
    """Open a loop over the taps of each axis but the last, with the place ``iy`` that they read."""
    for (out, size, kernel, stride, dilation, pad), place, tap in zip(
        outer, places, taps, strict=True
    ):
        op.lines.open(f"for (int {tap} = 0; {tap} < {kernel}; {tap}++)")
        at = index((place, stride), (tap, dilation)) + (f" - {pad}" if pad else "")
        op.lines.add(f"const int i{place} = {at};")
        most = (out - 1) * stride + (kernel - 1) * dilation - pad
        if pad or most >= size:
            op.lines.add(f"if (i{place} < 0 || i{place} >= {size}) continue;")


def conv_transpose(op: Operation) -> None:
    """Write the input adjoint of a convolution: each element is spread over a window."""
    (_, c_in, *image), (_, filters, *out) = op.shapes[0], op.out
    groups, weight = op.get("group", 1), op.array(1)
    per_group, fan = filters // groups, c_in // groups
    name = op.constant(1, weight, "filter")
    bias = op.constant(2, op.array(2), "bias") if 2 in op.arrays else None
    axes = window_of(op, tuple(out), tuple(image))
    rank, lines = len(axes), op.lines
    places, taps = PLACES[-rank:], TAPS[-rank:]
    steps_out, steps_in = strides_of((filters, *out)), strides_of((c_in, *image))
    steps_w = strides_of(weight.shape)
    with lines.loops(("f", filters)):
        with lines.loops(("i", steps_out[0])):
            whole = index(("f", steps_out[0]), ("i", 1))
            lines.add(f"{op.y}[{whole}] = {f'{bias}[f]' if bias else '0.0f'};")
        with lines.loops(("c", fan), *zip(places, image, strict=True)):
            group = f"(f / {per_group})"
            at = [(group, fan * steps_in[0])] if groups > 1 else []
            at += [("c", steps_in[0]), *zip(places, steps_in[1:], strict=True)]
            lines.add(f"const float a = {op.x}[{index(*at)}];")
            for (size, _, kernel, stride, dilation, pad), place, tap in zip(
                axes, places, taps, strict=True
            ):
                lines.open(f"for (int {tap} = 0; {tap} < {kernel}; {tap}++)")
                at_out = index((place, stride), (tap, dilation)) + (f" - {pad}" if pad else "")
                lines.add(f"const int o{place} = {at_out};")
                lines.add(f"if (o{place} < 0 || o{place} >= {size}) continue;")
            to = [("f", steps_out[0])]
            to += [(f"o{each}", step) for each, step in zip(places, steps_out[1:], strict=True)]
            first = f"({group} * {fan} + c)" if groups > 1 else "c"
            second = f"f % {per_group}" if groups > 1 else "f"
            second = f"({second})" if groups > 1 else second
            at = [(first, steps_w[0]), (second, steps_w[1]), *zip(taps, steps_w[2:], strict=True)]
            lines.add(f"{op.y}[{index(*to)}] += {name}[{index(*at)}] * a;")
            for _ in axes:
                lines.close()


def pool(op: Operation) -> None:
    """Write a maximum or a mean over windows; padding takes no part."""
    (_, channels, *image), (_, _, *out) = op.shapes[0], op.out
    is_max = op.node.op == "MaxPool"
    counts_all = bool(op.get("count_include_pad", 0))
    axes, lines = window_of(op, tuple(out), tuple(image)), op.lines
    rank = len(axes)
    places, taps = PLACES[-rank:], TAPS[-rank:]
    steps_in, steps_out = strides_of((channels, *image)), strides_of((channels, *out))
    with lines.loops(("c", channels), *zip(places, out, strict=True)):
        lines.add(f"float found = {'-INFINITY' if is_max else '0.0f'};")
        if not is_max:
            lines.add("int count = 0;")
        taps_of(op, axes, places, taps)
        at = [("c", steps_in[0])]
        at += [(f"i{each}", step) for each, step in zip(places, steps_in[1:], strict=True)]
        lines.add(f"const float a = {op.x}[{index(*at)}];")
        if is_max:
            lines.add("found = a > found ? a : found;")
        else:
            lines.add("found += a;", "count++;")
        for _ in axes:
            lines.close()
        at = [("c", steps_out[0]), *zip(places, steps_out[1:], strict=True)]
        every = math.prod(each[2] for each in axes)
        by = f" / {number(every) if counts_all else '(float)count'}"
        if counts_all and not is_max:
            lines.add("(void)count;")
        lines.add(f"{op.y}[{index(*at)}] = found{'' if is_max else by};")


def whole_pool(op: Operation) -> None:
    """Write the maximum or the mean of each channel."""
    channels, size = op.out[1], math.prod(op.shapes[0][2:])
    is_max = op.node.op == "GlobalMaxPool"
    with op.lines.loops(("c", channels)):
        op.lines.add(f"float found = {'-INFINITY' if is_max else '0.0f'};")
        with op.lines.loops(("i", size)):
            given = f"{op.x}[{index(('c', size), ('i', 1))}]"
            if is_max:
                op.lines.add(f"found = {given} > found ? {given} : found;")
            else:
                op.lines.add(f"found += {given};")
        op.lines.add(f"{op.y}[c] = found{'' if is_max else f' / {number(size)}'};")


def gemm(op: Operation) -> None:
    """Write ``y = W x + b`` of a vector; the weight is stored with the outputs innermost."""
    units, n_in = op.shapes[1]
    name = op.constant(1, op.array(1).T, "weight")
    bias = op.constant(2, np.broadcast_to(op.array(2), units), "bias")
    with op.lines.loops(("u", units)):
        op.lines.add(f"{op.y}[u] = {bias}[u];")
    with op.lines.loops(("i", n_in)):
        op.lines.add(f"const float a = {op.x}[i];")
        with op.lines.loops(("u", units)):
            op.lines.add(f"{op.y}[u] += a * {name}[{index(('i', units), ('u', 1))}];")


def matmul(op: Operation) -> None:
    """Write products of matrices, in each of the leading axes."""
    a, b = op.shapes[0], op.shapes[1]
    rows, terms, columns = a[-2], a[-1], b[-1]
    leading = op.out[:-2]
    stacks = math.prod(leading)
    names = [
        op.constant(i, op.array(i), "matrix") if i in op.arrays else op.names[i] for i in (0, 1)
    ]
    steps = [rows * terms if math.prod(a[:-2]) > 1 else 0]
    steps.append(terms * columns if math.prod(b[:-2]) > 1 else 0)
    at_y = index(("s", rows * columns), ("r", columns), ("u", 1))
    with op.lines.loops(("s", stacks), ("r", rows)):
        with op.lines.loops(("u", columns)):
            op.lines.add(f"{op.y}[{at_y}] = 0.0f;")
        with op.lines.loops(("i", terms)):
            at_a = index(("s", steps[0]), ("r", terms), ("i", 1))
            at_b = index(("s", steps[1]), ("i", columns), ("u", 1))
            op.lines.add(f"const float a = {names[0]}[{at_a}];")
            with op.lines.loops(("u", columns)):
                op.lines.add(f"{op.y}[{at_y}] += a * {names[1]}[{at_b}];")
