"""The layers of a model in whole numbers in C: dense layers and convolutions.

The arithmetic is that of `fcnn.quantize`: sums of 32 bits, and one rounding to another scale.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fcnn._typing import Array, Shape
from fcnn.export._c._conv import (
    FEW,
    PLACES,
    TAPS,
    Axis,
    along_row,
    is_inside,
    reads,
    taps_of,
    window_of,
)
from fcnn.export._c._operands import Operation
from fcnn.export._c._tables import Tables
from fcnn.export._c._text import Lines, index, strides_of


class WholeLayers:
    """`_layer` writes a layer that reads ``in0`` and writes ``out``; `WholeSteps` has the rest.

    Attributes:
        model: what `fcnn.quantize.calibrate` made.
        prefix: what the file's names begin with.
        shapes: of all values.
        tables: the file's constants.
        lines: what is written to.
        sums: the elements of the longest row that sums are added up in.
        patch: the elements of the largest window that is copied.
    """

    model: Any
    prefix: str
    shapes: dict[str, Shape]
    tables: Tables
    lines: Lines
    sums: int
    patch: int

    def _zero(self, step: Any, i: int = 0) -> int:
        return int(self.model.scales[step.inputs[i]].zero)

    def _rescaled(self, step: Any, total: str, multiplier: str, shift: str) -> str:
        zero = self.model.scales[step.output].zero
        return f"{self.prefix}_rescaled({total}, {multiplier}, {shift}, {zero})"

    def _table_of(self, step: Any, name: str, values: Array | None = None) -> str:
        given = step.arrays[name] if values is None else values
        if name == "shift":
            given = given.astype(np.uint8)
        return self.tables.add(f"{step.node.name}_{name}", given)

    def _layer(self, step: Any) -> None:
        if "multiplier" in step.arrays:
            by, to = (self._table_of(step, each) for each in ("multiplier", "shift"))

            def made(total: str, unit: str) -> str:
                return self._rescaled(step, total, f"{by}[{unit}]", f"{to}[{unit}]")
        else:
            units = self._table_of(step, "unit")

            def made(total: str, unit: str) -> str:
                return f"(float){total} * {units}[{unit}]"

        if step.node.op != "Conv":
            self._dense(step, made)
        elif len(step.arrays["weight"]) // step.node.attributes.get("group", 1) < FEW:
            self._rows(step, made)
        else:
            self._patches(step, made)

    def _product(self, step: Any, x: str, channel: str) -> str:
        """Write the product of elements ``x`` with a channel's weights; return the sum's name."""
        weight, bias, zero = step.arrays["weight"], step.arrays["bias"], self._zero(step)
        flat = weight.reshape(len(weight), -1).astype(np.int64)
        centred = bias - zero * flat.sum(1)  # sum of w (x - zero) + bias, the zero taken out
        most = np.abs(centred) + 255 * np.abs(flat).sum(1)
        if most.max(initial=0) < 2**31:
            bias, value = centred.astype(np.int32), f"{x}[k]"
        else:
            value = f"({x}[k] - {zero})" if zero else f"{x}[k]"
        size = flat.shape[1]
        first = index((channel, size))
        self.lines.add(
            f"const int8_t *by = {self._table_of(step, 'weight')} + {first};",
            f"int32_t sum = {self._table_of(step, 'bias', bias)}[{channel}];",
        )
        with self.lines.loops(("k", size)):
            self.lines.add(f"sum += by[k] * {value};")
        return "sum"

    def _dense(self, step: Any, made: Callable[[str, str], str]) -> None:
        units, n_in = step.arrays["weight"].shape
        rows = math.prod(self.shapes[step.output]) // units
        with self.lines.loops(("r", rows), ("u", units)):
            x = "in0" if rows == 1 else f"(in0 + {index(('r', n_in))})"
            total = made(self._product(step, x, "u"), "u")
            self.lines.add(f"out[{index(('r', units), ('u', 1))}] = {total};")

    def _patches(self, step: Any, made: Callable[[str, str], str]) -> None:
        """Write a convolution that copies each window, and multiplies it with each filter."""
        axes, groups, fan, filters = self._conv_of(step)
        lines, rank = self.lines, len(axes)
        size = fan * math.prod(each[2] for each in axes)
        self.patch, patch = max(self.patch, size), f"{self.prefix}_patch"
        places, taps = PLACES[-rank:], TAPS[-rank:]
        steps_in = strides_of((fan, *[each[1] for each in axes]))
        steps_out = strides_of((filters, *[each[0] for each in axes]))
        group = [("g", groups)] if groups > 1 else []
        with lines.loops(*group, *zip(places, [each[0] for each in axes], strict=True)):
            lines.add(f"uint8_t *to = {patch};")
            with lines.loops(("c", fan)):
                outside = []
                for axis, place, tap in zip(axes, places, taps, strict=True):
                    lines.open(f"for (int {tap} = 0; {tap} < {axis[2]}; {tap}++)")
                    lines.add(f"const int i{place} = {reads(axis, place, tap)};")
                    if not is_inside(axis):
                        outside.append(f"i{place} < 0 || i{place} >= {axis[1]}")
                at = [(g, fan * steps_in[0]) for g, _ in group] + [("c", steps_in[0])]
                at += [(f"i{p}", by) for p, by in zip(places, steps_in[1:], strict=True)]
                value = f"in0[{index(*at)}]"
                if outside:
                    value = f"{' || '.join(outside)} ? {self._zero(step)} : {value}"
                lines.add(f"*to++ = {value};")
                for _ in axes:
                    lines.close()
            with lines.loops(("f", filters)):
                channel = "f" if groups == 1 else f"(g * {filters} + f)"
                total = made(self._product(step, patch, channel), channel)
                at = [(g, filters * steps_out[0]) for g, _ in group] + [("f", steps_out[0])]
                at += [*zip(places, steps_out[1:], strict=True)]
                lines.add(f"out[{index(*at)}] = {total};")

    def _conv_of(self, step: Any) -> tuple[list[Axis], int, int, int]:
        """Return a convolution's axes, its groups, and the channels of one that go in and out."""
        (_, c_in, *image), (_, filters, *out) = (
            self.shapes[step.inputs[0]],
            self.shapes[step.output],
        )
        op = Operation(step.node, [], {}, [], "uint8_t", self.lines, self.tables.add)
        axes = window_of(op, tuple(out), tuple(image))
        groups = step.node.attributes.get("group", 1)
        return axes, groups, c_in // groups, filters // groups

    def _rows(self, step: Any, made: Callable[[str, str], str]) -> None:
        """Write a convolution of few channels a group, whose rows are added up in place."""
        axes, groups, fan, per_group = self._conv_of(step)
        *outer, last = axes
        filters, lines = groups * per_group, self.lines
        name, bias = self._table_of(step, "weight"), self._table_of(step, "bias")
        places, taps = PLACES[-len(axes) : -1], TAPS[-len(axes) : -1]
        self.sums, sums = max(self.sums, last[0]), f"{self.prefix}_sums"
        steps_out = strides_of((filters, *[each[0] for each in axes]))
        steps_in = strides_of((fan, *[each[1] for each in axes]))
        steps_w = strides_of(step.arrays["weight"].shape)
        with lines.loops(("f", filters), *zip(places, [each[0] for each in outer], strict=True)):
            with lines.loops(("x", last[0])):
                lines.add(f"{sums}[x] = {bias}[f];")
            with lines.loops(("c", fan)):
                op = Operation(step.node, [], {}, [], "uint8_t", lines, self.tables.add)
                taps_of(op, outer, places, taps)
                at = [(f"(f / {per_group})", fan * steps_in[0])] if groups > 1 else []
                at += [("c", steps_in[0])]
                at += [(f"i{p}", s) for p, s in zip(places, steps_in[1:-1], strict=True)]
                lines.add(f"const uint8_t *from = in0 + {index(*at)};")
                at = [("f", steps_w[0]), ("c", steps_w[1]), *zip(taps, steps_w[2:-1], strict=True)]
                lines.add(f"const int8_t *by = {name} + {index(*at)};")
                with lines.loops(("kx", last[2])), along_row(lines, last) as read:
                    zero = self._zero(step)
                    value = f"(from[{read}] - {zero})" if zero else f"from[{read}]"
                    lines.add(f"{sums}[x] += (int32_t)by[kx] * {value};")
                for _ in outer:
                    lines.close()
            with lines.loops(("x", last[0])):
                at = [("f", steps_out[0]), *zip(places, steps_out[1:-1], strict=True), ("x", 1)]
                lines.add(f"out[{index(*at)}] = {made(f'{sums}[x]', 'f')};")
