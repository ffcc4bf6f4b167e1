"""Eight-bit weights and activations, as pairs of QuantizeLinear and DequantizeLinear.

A weight w of an output channel becomes a whole number from -127 to 127, an activation x one from 0
to 255, and a bias b one of 32 bits, all rounded half to even::

    s_w = max |w| / 127            q_w = round(w / s_w)
    s_x = (high - low) / 255       q_x = round(x / s_x) + z,    z = round(-low / s_x)
                                   q_b = round(b / (s_x · s_w))

with low <= 0 <= high the range of the activation on the calibration examples, as fcnn computes it,
narrowed where that makes the squared error less (`_ranges`). The file says in float32 what these
numbers stand for; an engine that recognises the pairs round a convolution or a dense layer computes
it in whole numbers.

What comes out of the last of them stays in float32, and with it a softmax.

Source: B. Jacob et al., "Quantization and training of neural networks for efficient
integer-arithmetic-only inference", 2017, https://arxiv.org/abs/1712.05877.
"""

from __future__ import annotations

import itertools
from collections import defaultdict

import attrs
import numpy as np

from fcnn._typing import Array
from fcnn.export._graph import Graph, Node

CHANNEL_AXIS = {"Conv": 0, "Gemm": 0, "MatMul": 1, "ConvTranspose": 1}
"""Which axis of the weight is that of the output channels."""
MOVES = {"Transpose", "Reshape", "MaxPool", "GlobalMaxPool", "Slice", "Gather", "DepthToSpace"}
"""What gives back elements that it was given, and so needs no scale of its own."""
POOLS = {"MaxPool", "AveragePool", "GlobalAveragePool"}
ABSORBED = {"Relu", "Clip"}
"""What engines compute together with the layer before it."""
GOES_ON = {*CHANNEL_AXIS, *MOVES, "Add", "Concat", "AveragePool", "GlobalAveragePool"}
"""What reads an activation that is worth writing in 8 bits."""


@attrs.define
class Quantizer:
    """A graph with what its nodes read and write, by name."""

    graph: Graph
    outputs: list[str]
    makers: dict[str, Node]
    readers: dict[str, list[Node]]

    def run(self) -> None:
        """Put the pairs into the graph."""
        layers = [node for node in self.graph.nodes if self._is_target(node)]
        chosen = {}
        for node in layers:
            if node.op != "ConvTranspose":  # whose weight alone: few engines compute it in 8 bits
                chosen[node.inputs[0]] = True
        for node in layers:
            name = self._after(node)
            if self.range_of(name) is not None and self._goes_on(name):
                chosen[name] = True
        for node in self.graph.nodes:  # pools between them, in 8 bits too
            out = node.outputs[0]
            is_between = node.op in POOLS and node.inputs[0] in chosen and self._goes_on(out)
            if is_between and self.range_of(out) is not None:
                chosen[out] = True
        scales = {name: self._scale(name) for name in chosen}
        before: dict[str, list[Node]] = {}
        for node in layers:
            before[node.name] = self._weights(node, scales)
        self._insert(scales, before)

    def range_of(self, name: str) -> tuple[float, float] | None:
        """Return the range of a value; None if it is not known."""
        maker = self.makers.get(name)
        if maker is not None and maker.op in MOVES:
            return self.range_of(maker.inputs[0])
        return self.graph.ranges.get(name)

    def _is_target(self, node: Node) -> bool:
        if node.op not in CHANNEL_AXIS or node.inputs[1] not in self.graph.arrays:
            return False
        return self.range_of(node.inputs[0]) is not None

    def _after(self, node: Node) -> str:
        """Return what a layer writes, together with the activation that is absorbed."""
        name = node.outputs[0]
        readers = self.readers[name]
        if len(readers) == 1 and readers[0].op in ABSORBED and name not in self.outputs:
            return readers[0].outputs[0]
        return name

    def _goes_on(self, name: str) -> bool:
        if name in self.outputs:
            return False
        return any(reader.op in GOES_ON for reader in self.readers[name])

    def _scale(self, name: str) -> tuple[np.float32, np.uint8]:
        low, high = self.range_of(name) or (0.0, 0.0)
        low, high = min(low, 0.0), max(high, 0.0)
        scale = np.float32((high - low) / 255) or np.float32(1)
        return scale, np.uint8(np.clip(np.round(-low / scale), 0, 255))

    def _weights(self, node: Node, scales: dict[str, tuple[np.float32, np.uint8]]) -> list[Node]:
        """Write a layer's weight and bias in whole numbers; return what turns them back."""
        graph, axis = self.graph, CHANNEL_AXIS[node.op]
        graph.scope = node.name
        weight = graph.arrays[node.inputs[1]]
        scale = _channel_scales(weight, axis)
        turned = [1] * weight.ndim
        turned[axis] = -1
        whole = np.round(weight / scale.reshape(turned)).astype(np.int8)
        made = [self._dequantized(whole, scale, axis, "weight")]
        node.inputs[1] = made[0].outputs[0]
        bias = graph.arrays.get(node.inputs[2]) if len(node.inputs) > 2 else None
        if bias is not None and node.inputs[0] in scales:
            step = scale.astype(float) * float(scales[node.inputs[0]][0])
            exact = np.round(bias / step)
            if np.abs(exact).max() < 2**31:
                steps = step.astype(np.float32)
                made.append(self._dequantized(exact.astype(np.int32), steps, 0, "bias"))
                node.inputs[2] = made[1].outputs[0]
        return made

    def _dequantized(self, whole: Array, scale: Array, axis: int, name: str) -> Node:
        graph = self.graph
        inputs = [graph.constant(whole, f"{name}_q"), graph.constant(scale, f"{name}_scale")]
        if whole.dtype == np.int8:  # without it onnxruntime computes a Gemm in float32
            inputs.append(graph.constant(np.zeros(len(scale), np.int8), "zero"))
        out = graph.unique(f"{graph.scope}.{name}")
        return Node("DequantizeLinear", inputs, [out], {"axis": axis}, "")

    def _insert(
        self, scales: dict[str, tuple[np.float32, np.uint8]], before: dict[str, list[Node]]
    ) -> None:
        """Put each activation's pair behind what makes it, and let all readers read the pair."""
        inner, nodes = {}, []
        for each in self.graph.inputs:
            if each.name in scales:
                inner[each.name], pair = self._pair(each.name, scales[each.name])
                nodes += pair
        for node in self.graph.nodes:
            node.inputs = [inner.get(name, name) for name in node.inputs]
            nodes += [*before.get(node.name, ()), node]
            for name in node.outputs:
                if name in scales:
                    inner[name], pair = self._pair(name, scales[name])
                    nodes += pair
        self.graph.nodes = nodes

    def _pair(self, name: str, scale: tuple[np.float32, np.uint8]) -> tuple[str, list[Node]]:
        graph = self.graph
        graph.scope = name
        operands = [graph.constant(scale[0], "scale"), graph.constant(scale[1], "zero")]
        whole, back = graph.unique(f"{name}.q"), graph.unique(f"{name}.dq")
        return back, [
            Node("QuantizeLinear", [name, *operands], [whole], {}, ""),
            Node("DequantizeLinear", [whole, *operands], [back], {}, ""),
        ]


def quantized(graph: Graph, outputs: list[str]) -> None:
    """Write convolutions and dense layers of a graph, whose ranges are known, in 8 bits."""
    readers = defaultdict(list)
    for node in graph.nodes:
        for name in node.inputs:
            readers[name].append(node)
    makers = {name: node for node in graph.nodes for name in node.outputs}
    Quantizer(graph, outputs, makers, readers).run()
    _shorten(graph, {*outputs, *(each.name for each in graph.inputs)})


def _shorten(graph: Graph, kept: set[str]) -> None:
    """Give all values but ``kept`` short names, which in a small file take half of its overhead.

    Layers' nodes keep theirs, by which profilers and viewers show them.
    """
    found = [*graph.arrays, *(name for node in graph.nodes for name in node.outputs)]
    free = (name for i in itertools.count() if (name := f"v{i}") not in kept)
    names = dict(zip([name for name in found if name not in kept], free, strict=False))
    graph.renamed(names)
    graph.arrays = {names[name]: array for name, array in graph.arrays.items()}


def _channel_scales(weight: Array, axis: int) -> Array:
    others = tuple(i for i in range(weight.ndim) if i != axis)
    most: Array = np.abs(weight).max(axis=others)
    return np.where(most > 0, most / np.float32(127), np.float32(1)).astype(np.float32)
