"""Transposed convolutions, pools and matrix products in C.

A row of the output is added up in place, one weight after the other, so that the innermost loop
runs along the row and a compiler can compute several elements at a time: with the sum of one
element innermost it could not, for that would change the order of the additions.
"""

from __future__ import annotations

import math

import numpy as np

from fcnn.export._c._conv import CHANNELS, PLACES, TAPS, block_of, in_blocks, taps_of, window_of
from fcnn.export._c._operands import Operation
from fcnn.export._c._text import index, number, strides_of


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
    size, lines = block_of(units, 4 * CHANNELS), op.lines
    with in_blocks(lines, "f", units, size):
        lines.add(f"float sums[{size}];")
        with lines.loops(("u", size)):
            lines.add(f"sums[u] = {bias}[f + u];")
        with lines.loops(("i", n_in)):
            lines.add(f"const float a = {op.x}[i], *by = {name} + {index(('i', units), ('f', 1))};")
            with lines.loops(("u", size)):
                lines.add("sums[u] += a * by[u];")
        with lines.loops(("u", size)):
            lines.add(f"{op.y}[f + u] = sums[u];")


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
