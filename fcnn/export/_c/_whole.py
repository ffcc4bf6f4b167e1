"""The steps of a model in whole numbers as the body of a C function.

The arithmetic is that of `fcnn.quantize`: sums of 32 bits, and one rounding to another scale.
"""

from __future__ import annotations

import math
from typing import Any

from fcnn._typing import Shape
from fcnn.export._c._memory import Life, placed
from fcnn.export._c._moves import is_view
from fcnn.export._c._tables import Tables
from fcnn.export._c._text import Lines, comment, number
from fcnn.export._c._whole_steps import WholeSteps
from fcnn.export._c._write import write

HELPERS = """\
/* The nearest whole number of x / step, which stands for x. */
static inline uint8_t {prefix}_quantized(float x, float step, float zero)
{{
    const float q = rintf(x / step) + zero;
    return (uint8_t)(!(q > 0.0f) ? 0.0f : q > 255.0f ? 255.0f : q);
}}

/* A sum at another scale: floor(total * multiplier / 2^shift + 1 / 2) + zero, in 8 bits. */
static inline uint8_t {prefix}_rescaled(int64_t total, int32_t multiplier, int shift, int zero)
{{
    const uint64_t moved = (uint64_t)(total * multiplier + ((int64_t)1 << (shift - 1)));
    /* C leaves >> of negative numbers open: shift them as numbers that are 2^63 larger. */
    const int64_t floored = (int64_t)((moved + ((uint64_t)1 << 63)) >> shift);
    const int64_t whole = floored - ((int64_t)1 << (63 - shift)) + zero;
    return (uint8_t)(whole < 0 ? 0 : whole > 255 ? 255 : whole);
}}
"""


class WholeBody(WholeSteps):
    """The statements that compute a model in whole numbers, and what they need."""

    def __init__(self, model: Any, names: dict[str, str], prefix: str) -> None:
        """Write a model whose inputs and outputs are the caller's arrays ``names``."""
        self.model, self.prefix, self.params = model, prefix, names
        self.names: dict[str, str] = {}
        self.tables, self.lines = Tables(prefix), Lines()
        self.shapes: dict[str, Shape] = dict(model.shapes)
        self.sums = 0  # elements of the row that sums are added up in
        self.patch = 0  # elements of the largest window that is copied
        self._types = {step.output: _type_of(step) for step in model.steps}
        self._types |= {f"{each.name}.whole": "uint8_t" for each in model.inputs}
        self._outputs = {of: name for name, of in model.results.items()}
        self._same = {
            step.output: step.inputs[0]
            for step in model.steps
            if step.kind == "move" and is_view(step.node, self.shapes[step.inputs[0]])
        }
        self.sizes = {kind: self._place(kind) for kind in ("uint8_t", "float")}
        for each in model.inputs:
            self._take(each.name)
        for step in model.steps:
            self._write(step)
        for name, of in model.results.items():
            self._give(name, of)

    @property
    def helpers(self) -> list[str]:
        """The functions that the statements call."""
        return HELPERS.format(prefix=self.prefix).splitlines()

    @property
    def memory(self) -> list[str]:
        """The static arrays."""
        kinds = [("uint8_t", "bytes"), ("float", "memory")]
        found = [
            f"static {kind} {self.prefix}_{what}[{self.sizes[kind]}];"
            for kind, what in kinds
            if self.sizes[kind]
        ]
        if self.patch:
            found.append(f"static uint8_t {self.prefix}_patch[{self.patch}];")
        return found + ([f"static int32_t {self.prefix}_sums[{self.sums}];"] if self.sums else [])

    @property
    def size(self) -> int:
        """The bytes of the static arrays."""
        return self.sizes["uint8_t"] + 4 * self.sizes["float"] + 4 * self.sums + self.patch

    def _place(self, kind: str) -> int:
        """Give each value of a type its place; return how many elements its array has."""
        model, width = self.model, 1 if kind == "uint8_t" else 4
        lives: dict[str, Life] = {}
        for each in model.inputs:
            if kind == "uint8_t":
                own = f"{each.name}.whole"
                self.shapes[own] = self.shapes[each.name]
                lives[own] = Life(math.prod(self.shapes[own]), -1, self._last(each.name))
        for i, step in enumerate(model.steps):
            if step.output in self._same or step.output in self._outputs:
                continue
            if self._types[step.output] == kind:
                size = width * math.prod(self.shapes[step.output])
                lives[step.output] = Life(size, i, max(i, self._last(step.output)))
        offsets, total = placed(lives)
        array = f"{self.prefix}_{'bytes' if kind == 'uint8_t' else 'memory'}"
        for name, offset in offsets.items():
            at = offset // width
            self.names[name] = array + (f" + {at}" if at else "")
        for of, name in self._outputs.items():
            if self._types[of] == kind:
                self.names[of] = self.params[name]
        return total // width

    def _last(self, name: str) -> int:
        """Return the last step that reads a value, or another one that is the same elements."""
        names = {name}
        for step in self.model.steps:
            if self._same.get(step.output) in names:
                names.add(step.output)
        steps = self.model.steps
        return max((i for i, s in enumerate(steps) if names & set(s.inputs)), default=-1)

    def _name(self, name: str) -> str:
        """Return the array of a value that a step reads."""
        while name in self._same:
            name = self._same[name]
        return self.names.get(f"{name}.whole") or self.names[name]

    def _take(self, name: str) -> None:
        scale, size = self.model.scales[name], math.prod(self.shapes[name])
        self.lines.add("", comment(f"{name}: {self.shapes[name][1:]} in whole numbers"))
        with self.lines.block(""):
            self.lines.add(f"uint8_t *out = {self._name(name)};")
            with self.lines.loops(("i", size)):
                made = f"{self.params[name]}[i], {number(scale.step)}, {number(scale.zero)}"
                self.lines.add(f"out[i] = {self.prefix}_quantized({made});")

    def _give(self, name: str, of: str) -> None:
        """Copy an output that another one's value is."""
        if self._outputs[of] != name:
            with self.lines.loops(("i", math.prod(self.shapes[of]))):
                self.lines.add(f"{self.params[name]}[i] = {self.names[of]}[i];")

    def _write(self, step: Any) -> None:
        if step.output in self._same:
            return  # the same elements under another shape
        before, after = self.shapes[step.inputs[0]][1:], self.shapes[step.output][1:]
        self.lines.add("", comment(f"{step.node.name}: {before} -> {after}"))
        with self.lines.block(""):
            if step.kind in ("float", "move"):
                self._plain(step)
            else:
                for i, name in enumerate(step.inputs):
                    self.lines.add(f"const uint8_t *in{i} = {self._name(name)};")
                self.lines.add(f"{self._types[step.output]} *out = {self.names[step.output]};")
                getattr(self, f"_{step.kind}")(step)

    def _plain(self, step: Any) -> None:
        """Write an operation of the float graph, of floats or on whole numbers that it moves."""
        node = step.node
        arrays = node.constants(self.model.arrays)
        if "value" in step.arrays:
            arrays[2] = step.arrays["value"]
        inputs = step.inputs if step.kind == "float" else [*step.inputs, *node.inputs[1:]]
        write(node, inputs, step.output, arrays, self._types[step.output], self)

    def pointer(self, name: str) -> tuple[str, str]:
        """Return the type and the place of a value that an operation reads."""
        return self._types.get(name, "uint8_t"), self._name(name)


def _type_of(step: Any) -> str:
    is_real = step.kind in ("real", "float") or (
        step.kind == "layer" and "multiplier" not in step.arrays
    )
    return "float" if is_real else "uint8_t"
