"""A float graph with the ranges of its values as steps on whole numbers."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import attrs
import numpy as np

from fcnn._typing import Array
from fcnn.errors import ArgumentError
from fcnn.export._c._shapes import axes_of, out_shape
from fcnn.export._graph import Node
from fcnn.export._whole._fixed import Scale, fixed
from fcnn.export._whole._tables import TABLE, Step, Values
from fcnn.export._whole._values import LAST, LAYERS, MOVES, ONE_BY_ONE

POOLS = ("MaxPool", "GlobalMaxPool", "ReduceMax")
MEANS = ("AveragePool", "GlobalAveragePool", "ReduceMean")


@attrs.define
class Planner(Values):
    """The plan of a graph, node by node."""

    skipped: set[str] = attrs.field(factory=set)
    readers: Counter[str] = attrs.field(factory=Counter)
    results: dict[str, str] = attrs.field(factory=dict)
    """The value, in floats, of each output."""

    def run(self) -> None:
        """Plan every node.

        Raises:
            ArgumentError: if a layer reads what is computed in floats.
        """
        graph = self.graph
        self.readers.update(name for node in graph.nodes for name in node.inputs)
        self.shapes |= {name: each.shape for name, each in graph.arrays.items()}
        for each in graph.inputs:
            if each.name in graph.integers:
                raise ArgumentError("expected a model of floats to quantize, got one of integers")
            self.shapes[each.name] = (1, *each.layout)
            self.scales[each.name] = Scale.of(*graph.ranges[each.name])
        for node in graph.nodes:
            arrays = node.constants(graph.arrays)
            shapes = [self.shapes.get(name, ()) for name in node.inputs]
            self.shapes[node.outputs[0]] = out_shape(node, shapes, arrays)
            if node.outputs[0] not in self.skipped:
                self._plan(node)
        self.results = {name: self._as_float(name) for name in self.outputs}

    def _plan(self, node: Node) -> None:
        inputs = self._read_by(node)
        if any(name in self.floats for name in inputs):
            return self._in_floats(node)
        if node.op in LAYERS and len(inputs) == 1:
            return self._layer(node)
        if node.op in MOVES and len(inputs) == 1 and node.attributes.get("mode") != "linear":
            return self._moved(node)
        if node.op in POOLS:
            return self._same_scale("max", node)
        if node.op in MEANS:
            return self._mean(node)
        if node.op == "Concat":
            return self._concat(node)
        if node.op in ONE_BY_ONE and self._is_of_one(node, inputs):
            return self._tabled(node, inputs)
        if node.op in ("Add", "Mul") and len(inputs) == 2:
            return self._joined(node)
        return self._in_floats(node)

    def _is_of_one(self, node: Node, inputs: list[str]) -> bool:
        """Whether the node is a function of the whole numbers of one value, channel by channel."""
        if len({self._source(name) for name in inputs}) != 1:
            return False
        rank = len(self.shapes[node.outputs[0]])
        constants = [self.graph.arrays[n] for n in node.inputs if n in self.graph.arrays]
        if node.op == "BatchNormalization":
            return True
        return all(
            c.size == 1 or (c.ndim >= rank - 1 and c.size == c.shape[1 - rank]) for c in constants
        )

    # Layers.

    def _layer(self, node: Node) -> None:
        x = self._whole(node.inputs[0])
        weight = self.graph.arrays[node.inputs[1]].astype(float)
        bias = self.graph.arrays.get(node.inputs[2]) if len(node.inputs) > 2 else None
        out = node.outputs[0]
        if node.op == "MatMul":
            weight = weight.T  # (units, n_in)
            out, bias = self._with_bias(node)
        most = np.abs(weight).max(axis=tuple(range(1, weight.ndim)))
        steps = np.where(most > 0, most / 127, 1.0)
        whole = np.rint(weight / steps.reshape(-1, *[1] * (weight.ndim - 1))).astype(np.int8)
        unit = steps * self.scales[x].step
        offset = np.zeros(len(unit)) if bias is None else bias.astype(float).reshape(-1)
        limit = 2**30
        added = np.clip(np.rint(offset / unit), -limit, limit).astype(np.int32)
        out = self._with_activation(out)
        arrays: dict[str, Array] = {"weight": whole, "bias": added, "unit": unit.astype(np.float32)}
        if self._is_last(out) or out not in self.graph.ranges:
            self.floats.add(out)
        else:
            self.scales[out] = scale = Scale.of(*self.graph.ranges[out])
            arrays["multiplier"], arrays["shift"] = fixed(unit / scale.step)
        self.steps.append(Step("layer", node, (x,), out, arrays))

    def _with_bias(self, node: Node) -> tuple[str, Array | None]:
        """Return what an Add of a constant behind a product writes, and the constant."""
        after = self._only_reader(node.outputs[0])
        if after is None or after.op != "Add" or after.inputs[1] not in self.graph.arrays:
            return node.outputs[0], None
        self._skip(after)
        return after.outputs[0], self.graph.arrays[after.inputs[1]]

    def _with_activation(self, out: str) -> str:
        """Return what a Relu or a Clip from 0 behind a layer writes: the range does it."""
        after = self._only_reader(out)
        if after is None or after.op not in ("Relu", "Clip"):
            return out
        low, high = self.graph.ranges.get(after.outputs[0], (-1.0, 0.0))
        if low < 0 or high <= 0 or self._is_last(after.outputs[0]):
            return out
        self._skip(after)
        return after.outputs[0]

    def _only_reader(self, name: str) -> Node | None:
        if name in self.outputs or self.readers[name] != 1:
            return None
        return next(node for node in self.graph.nodes if name in node.inputs)

    def _skip(self, node: Node) -> None:
        self.skipped.add(node.outputs[0])
        self.shapes[node.outputs[0]] = self.shapes[node.inputs[0]]

    def _is_last(self, name: str) -> bool:
        """Whether no layer or join of whole numbers follows, so that floats lose nothing."""
        reached = {name}
        for node in self.graph.nodes:
            own = self._read_by(node)
            if reached.isdisjoint(own):
                continue
            if node.op not in LAST or not reached.issuperset(own):
                return False
            reached.add(node.outputs[0])
        return True

    def _read_by(self, node: Node) -> list[str]:
        """Return the values that a node reads, without constants."""
        return [name for name in node.inputs if name and name not in self.graph.arrays]

    # Everything else.

    def _moved(self, node: Node) -> None:
        name, x = node.inputs[0], node.inputs[0]
        if name in self.tables and name not in self.scales:
            x = self._whole(name)
        value: dict[str, Array] = {}
        if node.op == "Pad" and node.attributes.get("mode", "constant") == "constant":
            given = node.inputs[2] if len(node.inputs) > 2 else ""
            fill = self.graph.arrays[given] if given else np.float32(0)
            value = {"value": self.scales[x].quantized(np.asarray(fill)).reshape(1)}
        self._step("move", node, (x,), self.scales[x], value)

    def _same_scale(self, kind: str, node: Node) -> None:
        x = self._whole(node.inputs[0])
        self._step(kind, node, (x,), self.scales[x])

    def _step(
        self, kind: str, node: Node, inputs: tuple[str, ...], scale: Scale, arrays: Any = None
    ) -> None:
        self.scales[node.outputs[0]] = scale
        self.steps.append(Step(kind, node, inputs, node.outputs[0], arrays or {}))

    def _scale_of(self, node: Node, low: float, high: float) -> Scale:
        return Scale.of(*self.graph.ranges.get(node.outputs[0], (low, high)))

    def _mean(self, node: Node) -> None:
        x = self._whole(node.inputs[0])
        own = self.scales[x]
        scale = self._scale_of(node, own.step * -own.zero, own.step * (255 - own.zero))
        counts = np.arange(1, self._most(node) + 1)
        multiplier, shift = fixed(own.step / scale.step / counts)
        self._step("mean", node, (x,), scale, {"multiplier": multiplier, "shift": shift})

    def _most(self, node: Node) -> int:
        """Return how many elements a mean is of, at most."""
        if node.op == "AveragePool":
            return math.prod(node.attributes["kernel_shape"])
        shape = self.shapes[node.inputs[0]]
        if node.op == "GlobalAveragePool":
            return math.prod(shape[2:])
        arrays = node.constants(self.graph.arrays)
        return math.prod(shape[axis] for axis in axes_of(node.attributes, arrays, len(shape)))

    def _joined(self, node: Node) -> None:
        a, b = (self._whole(name) for name in node.inputs)
        one, other = self.scales[a], self.scales[b]
        ends = [_ends(one), _ends(other)]
        if node.op == "Add":
            scale = self._scale_of(node, ends[0][0] + ends[1][0], ends[0][1] + ends[1][1])
            shift = 20
            multiplier = np.rint(np.array([one.step, other.step]) / scale.step * 2**shift)
            joined = {"multiplier": multiplier.astype(np.int64), "shift": np.array([shift])}
            return self._step("add", node, (a, b), scale, joined)
        corners = [p * q for p in ends[0] for q in ends[1]]
        scale = self._scale_of(node, min(corners), max(corners))
        multiplier, shifts = fixed(one.step * other.step / scale.step)
        self._step("multiply", node, (a, b), scale, {"multiplier": multiplier, "shift": shifts})
        return None

    def _concat(self, node: Node) -> None:
        names = tuple([self._whole(name) for name in node.inputs])
        lows, highs = zip(*[_ends(self.scales[name]) for name in names], strict=True)
        scale = self._scale_of(node, min(lows), max(highs))
        tables = [scale.quantized(self.scales[name].real(TABLE)) for name in names]
        self._step("concat", node, names, scale, {"tables": np.stack(tables)})

    def _in_floats(self, node: Node) -> None:
        if node.op not in LAST:
            raise ArgumentError(
                f"expected layers that are computed in whole numbers, got {node.op} at "
                f"{node.name}; leave quantize out"
            )
        names = tuple(
            [
                name if name in self.graph.arrays or not name else self._as_float(name)
                for name in node.inputs
            ]
        )
        self.steps.append(Step("float", node, names, node.outputs[0]))
        self.floats.add(node.outputs[0])


def _ends(scale: Scale) -> tuple[float, float]:
    return -scale.zero * scale.step, (255 - scale.zero) * scale.step
