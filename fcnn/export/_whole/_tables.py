"""The values of a plan: what their whole numbers stand for, and functions of them as tables.

A function of one value's 256 whole numbers is no step: its 256 values are kept, and become a table
where a layer reads them as whole numbers, or the last layers as floats.
"""

from __future__ import annotations

import attrs
import numpy as np

from fcnn._typing import Array, Shape
from fcnn.errors import ArgumentError
from fcnn.export._graph import Graph, Node
from fcnn.export._whole._fixed import Scale
from fcnn.export._whole._values import ONE_BY_ONE

TABLE = np.arange(256, dtype=np.uint8)


@attrs.frozen(eq=False)
class Step:
    """An operation on whole numbers, or after the last of them on floats.

    Attributes:
        kind: "layer", "table", "add", "multiply", "concat", "max", "mean", "move",
            "real" (floats by a table) or "float".
        node: the operation of the float graph.
        inputs: the names of what it reads.
        output: the name of what it writes.
        arrays: whole numbers of weights, biases, tables, multipliers and shifts, by name.
    """

    kind: str
    node: Node
    inputs: tuple[str, ...]
    output: str
    arrays: dict[str, Array] = attrs.field(factory=dict)


@attrs.define
class Values:
    """The steps so far, what each value's whole numbers stand for, and the functions of them."""

    graph: Graph
    outputs: list[str]
    shapes: dict[str, Shape] = attrs.field(factory=dict)
    scales: dict[str, Scale] = attrs.field(factory=dict)
    floats: set[str] = attrs.field(factory=set)
    steps: list[Step] = attrs.field(factory=list)
    tables: dict[str, tuple[str, Array]] = attrs.field(factory=dict)
    """Of a value that is a function of another's whole numbers: these, and its 256 values."""

    def _source(self, name: str) -> str:
        return self.tables[name][0] if name in self.tables else name

    def _tabled(self, node: Node, inputs: list[str]) -> None:
        source = self._source(inputs[0])
        values = [
            self._values(name, source) if name in inputs else self.graph.arrays.get(name)
            for name in node.inputs
        ]
        with np.errstate(all="ignore"):
            made = ONE_BY_ONE[node.op](node.attributes, *[v for v in values if v is not None])
        self.tables[node.outputs[0]] = source, np.asarray(made, np.float32)

    def _values(self, name: str, source: str) -> Array:
        """Return a value for each of the 256 whole numbers of its source: ``(256, c, ...)``."""
        if name != source:
            return self.tables[name][1]
        rank = len(self.shapes[name])
        return self.scales[name].real(TABLE).reshape(256, *[1] * (rank - 1))

    def _whole(self, name: str) -> str:
        """Return a name of whole numbers for a value: its table is applied if it has one."""
        if name not in self.tables or name in self.scales:
            if name in self.floats:
                raise ArgumentError(
                    f"expected layers of whole numbers up to the last one, got a value computed in "
                    f"floats before another layer: {name}; leave quantize out"
                )
            return name
        source, values = self.tables[name]
        finite = values[np.isfinite(values)]
        seen = self.graph.ranges.get(name, (finite.min(), finite.max()))
        low, high = max(seen[0], finite.min()), min(seen[1], finite.max())
        self.scales[name] = scale = Scale.of(low, high)
        with np.errstate(all="ignore"):
            table = scale.quantized(np.nan_to_num(values, posinf=high, neginf=low))
        table = table.reshape(256, -1).T  # (c or 1, 256)
        node = Node("Table", [source], [name], {}, name)
        self.steps.append(Step("table", node, (source,), name, {"table": table}))
        return name

    def _as_float(self, name: str) -> str:
        """Return the name of a value in floats."""
        made = f"{name}.real"
        if name in self.floats or made in self.floats:
            return name if name in self.floats else made
        is_table = name in self.tables and name not in self.scales
        source, values = self.tables[name] if is_table else (name, self._values(name, name))
        table = values.reshape(256, -1).T.astype(np.float32)
        node = Node("Table", [source], [made], {}, made)
        self.steps.append(Step("real", node, (source,), made, {"table": table}))
        self.floats.add(made)
        self.shapes[made] = self.shapes[name]
        return made
