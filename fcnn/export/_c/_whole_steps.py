"""The steps of a model in whole numbers in C, each as the statements that compute it.

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
from fcnn.export._c._elementwise import merged
from fcnn.export._c._operands import Operation
from fcnn.export._c._shapes import axes_of
from fcnn.export._c._tables import Tables
from fcnn.export._c._text import Lines, index, loop_names, number, strides_of


class WholeSteps:
    """A method for each kind of step, which reads ``in0``, ``in1`` and writes ``out``.

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

    def _table(self, step: Any) -> None:
        self._looked_up(step, self._table_of(step, "table"))

    def _looked_up(self, step: Any, table: str) -> None:
        """Write a table's value for each element; there is one table, or one a channel."""
        shape = self.shapes[step.output]
        tables = len(step.arrays["table"])
        if tables == 1:
            with self.lines.loops(("i", math.prod(shape))):
                self.lines.add(f"out[i] = {table}[in0[i]];")
            return
        size = math.prod(shape[2:])
        with self.lines.loops(("c", tables), ("i", size)):
            at = index(("c", size), ("i", 1))
            self.lines.add(f"out[{at}] = {table}[c * 256 + in0[{at}]];")

    def _real(self, step: Any) -> None:
        scale = self.model.scales[step.inputs[0]]
        table = step.arrays["table"]
        if not np.array_equal(table[0], scale.real(np.arange(256, dtype=np.uint8))):
            return self._looked_up(step, self._table_of(step, "table"))
        with self.lines.loops(("i", math.prod(self.shapes[step.output]))):
            whole = f"(float)((int32_t)in0[i] - {scale.zero})"
            self.lines.add(f"out[i] = {whole} * {number(scale.step)};")
        return None

    def _pairwise(self, step: Any, made: Callable[[list[str]], str]) -> None:
        """Write a loop over two inputs, of which one may be broadcast."""
        out = self.shapes[step.output]
        axes = merged(out, [self.shapes[name] for name in step.inputs])
        names = loop_names(len(axes))
        sizes = [size for size, _ in axes]
        with self.lines.loops(*zip(names, sizes, strict=True)):
            values = []
            for i in range(2):
                terms = [(name, by[i]) for name, (_, by) in zip(names, axes, strict=True)]
                values.append(f"((int64_t)in{i}[{index(*terms)}] - {self._zero(step, i)})")
            at = index(*zip(names, strides_of(tuple(sizes)), strict=True))
            self.lines.add(f"out[{at}] = {made(values)};")

    def _add(self, step: Any) -> None:
        by, shift = step.arrays["multiplier"].tolist(), int(step.arrays["shift"][0])

        def made(values: list[str]) -> str:
            terms = [f"{value} * {each}" for value, each in zip(values, by, strict=True)]
            return self._rescaled(step, " + ".join(terms), "1", str(shift))

        self._pairwise(step, made)

    def _multiply(self, step: Any) -> None:
        multiplier, shift = (str(int(step.arrays[n][0])) for n in ("multiplier", "shift"))
        self._pairwise(
            step, lambda values: self._rescaled(step, " * ".join(values), multiplier, shift)
        )

    def _concat(self, step: Any) -> None:
        shape = self.shapes[step.output]
        axis = step.node.attributes["axis"] % len(shape)
        outer, inner = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
        start, whole = 0, shape[axis] * inner
        for i, (name, values) in enumerate(zip(step.inputs, step.arrays["tables"], strict=True)):
            table, size = (
                self._table_of(step, f"table_{i}", values),
                self.shapes[name][axis] * inner,
            )
            with self.lines.loops(("o", outer), ("i", size)):
                more = f" + {start}" if start else ""
                to, of = index(("o", whole), ("i", 1)), index(("o", size), ("i", 1))
                self.lines.add(f"out[{to}{more}] = {table}[in{i}[{of}]];")
            start += size

    def _max(self, step: Any) -> None:
        self._pooled(step, "0", "found = a > found ? a : found;", lambda count: "(uint8_t)found")

    def _mean(self, step: Any) -> None:
        by, to = (self._table_of(step, each) for each in ("multiplier", "shift"))

        def made(count: str) -> str:
            at = f"[{count} - 1]"
            return self._rescaled(step, "found", f"{by}{at}", f"{to}{at}")

        self._pooled(step, "0", f"found += a - {self._zero(step)};", made)

    def _pooled(self, step: Any, start: str, more: str, made: Callable[[str], str]) -> None:
        """Write a loop over windows, or over whole axes, of which each gives one element."""
        node, lines, shape = step.node, self.lines, self.shapes[step.inputs[0]]
        if node.op not in ("MaxPool", "AveragePool"):
            return self._over_axes(step, start, more, made)
        (_, channels, *image), (_, _, *out) = shape, self.shapes[step.output]
        op = Operation(node, [], {}, [], "uint8_t", lines, self.tables.add)
        axes, rank = window_of(op, tuple(out), tuple(image)), len(out)
        places, taps = PLACES[-rank:], TAPS[-rank:]
        steps_in, steps_out = strides_of((channels, *image)), strides_of((channels, *out))
        counts = node.op == "AveragePool" and not node.attributes.get("count_include_pad", 0)
        with lines.loops(("c", channels), *zip(places, out, strict=True)):
            lines.add(f"int32_t found = {start};", *(["int count = 0;"] if counts else []))
            taps_of(op, axes, places, taps)
            at = [("c", steps_in[0])]
            at += [(f"i{p}", s) for p, s in zip(places, steps_in[1:], strict=True)]
            lines.add(f"const int32_t a = in0[{index(*at)}];", more)
            lines.add(*(["count++;"] if counts else []))
            for _ in axes:
                lines.close()
            at = [("c", steps_out[0]), *zip(places, steps_out[1:], strict=True)]
            every = str(math.prod(node.attributes["kernel_shape"]))
            lines.add(f"out[{index(*at)}] = {made('count' if counts else every)};")
        return None

    def _over_axes(self, step: Any, start: str, more: str, made: Callable[[str], str]) -> None:
        node, lines, shape = step.node, self.lines, self.shapes[step.inputs[0]]
        arrays = node.constants(self.model.arrays)
        is_global = node.op.startswith("Global")
        axes = (
            list(range(2, len(shape)))
            if is_global
            else axes_of(node.attributes, arrays, len(shape))
        )
        names, steps, to = (
            loop_names(len(shape)),
            strides_of(shape),
            strides_of(self.shapes[step.output]),
        )
        kept = [k for k in range(len(shape)) if k not in axes and shape[k] > 1]
        with lines.loops(*[(names[k], shape[k]) for k in kept]):
            lines.add(f"int32_t found = {start};")
            with lines.loops(*[(names[k], shape[k]) for k in axes]):
                at = [(names[k], steps[k]) for k in sorted([*kept, *axes])]
                lines.add(f"const int32_t a = in0[{index(*at)}];", more)
            at = [(names[k], to[k]) for k in kept]
            count = str(math.prod(shape[k] for k in axes))
            lines.add(f"out[{index(*at)}] = {made(count)};")
