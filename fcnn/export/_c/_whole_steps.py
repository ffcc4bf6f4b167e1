"""The steps of a model in whole numbers in C, each as the statements that compute it.

Layers are in `_whole_layers`.

The arithmetic is that of `fcnn.quantize`: sums of 32 bits, and one rounding to another scale.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fcnn.export._c._conv import (
    PLACES,
    TAPS,
    taps_of,
    window_of,
)
from fcnn.export._c._elementwise import merged
from fcnn.export._c._operands import Operation
from fcnn.export._c._shapes import axes_of
from fcnn.export._c._text import index, loop_names, number, strides_of
from fcnn.export._c._whole_layers import WholeLayers


class WholeSteps(WholeLayers):
    """A method for each kind of step, which reads ``in0``, ``in1`` and writes ``out``."""

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
