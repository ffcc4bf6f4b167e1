"""A graph in float32 as the body of a C function: operations in order, values in one buffer."""

from __future__ import annotations

import math

from fcnn._typing import Shape
from fcnn.export._c._elementwise import EXPRESSIONS
from fcnn.export._c._memory import Life, placed
from fcnn.export._c._moves import is_view
from fcnn.export._c._shapes import out_shape
from fcnn.export._c._tables import Tables
from fcnn.export._c._text import Lines, comment
from fcnn.export._c._write import write
from fcnn.export._graph import Graph, Node

SAME_PLACE = {*EXPRESSIONS, "BatchNormalization"}
"""What may write where its first input lies, if nothing reads that later."""


class Body:
    """The statements that compute a graph, and what they need."""

    helpers: tuple[str, ...] = ()

    def __init__(self, graph: Graph, names: dict[str, str], prefix: str) -> None:
        """Write a graph whose inputs and outputs are the caller's arrays ``names``."""
        self.graph, self.names, self.prefix = graph, dict(names), prefix
        self.tables, self.lines = Tables(prefix), Lines()
        self.shapes: dict[str, Shape] = {
            **{name: each.shape for name, each in graph.arrays.items()},
            **{each.name: (1, *each.layout) for each in graph.inputs},
        }
        for node in graph.nodes:
            known = node.constants(graph.arrays)
            shapes = [self.shapes.get(name, ()) for name in node.inputs]
            self.shapes[node.outputs[0]] = out_shape(node, shapes, known)
        self.floats = self._place()
        for node in graph.nodes:
            self._write(node)

    @property
    def memory(self) -> list[str]:
        """The static arrays."""
        return [f"static float {self.prefix}_memory[{self.floats}];"] if self.floats else []

    @property
    def size(self) -> int:
        """The bytes of the static arrays."""
        return 4 * self.floats

    def _place(self) -> int:
        """Give each value its place in the buffer; return the buffer's size in floats."""
        nodes = self.graph.nodes
        last = {name: step for step, node in enumerate(nodes) for name in node.inputs}
        self._same: dict[str, str] = {}
        self._seen: set[str] = set()
        for step, node in enumerate(nodes):
            x, y = node.inputs[0], node.outputs[0]
            if y in self.names or x in self.graph.arrays:
                continue
            views = is_view(node, self.shapes[x])
            if x in self.names:  # an array of the caller, which is read as it is
                if views:
                    self.names[y] = self.names[x]
                    self._seen.add(y)
                continue
            is_over = node.op in SAME_PLACE and last[x] == step and self._is_alone(x, y)
            if views or (is_over and self.shapes[x] == self.shapes[y]):
                self._same[y] = x
        lives: dict[str, Life] = {}
        for step, node in enumerate(nodes):
            y = node.outputs[0]
            if y not in self.names:
                root = self._root(y)
                before = lives.get(root)
                start = step if before is None else before.start
                end = max(last.get(y, step), 0 if before is None else before.end)
                lives[root] = Life(4 * math.prod(self.shapes[root]), start, end)
        offsets, total = placed(lives)
        for node in nodes:
            y = node.outputs[0]
            if y not in self.names:
                offset = offsets[self._root(y)] // 4
                self.names[y] = f"{self.prefix}_memory" + (f" + {offset}" if offset else "")
        return total // 4

    def _is_alone(self, x: str, y: str) -> bool:
        """Whether nothing but this operation reads the memory of x at or after this step."""
        root = self._root(x)
        nodes = self.graph.nodes
        step = next(i for i, node in enumerate(nodes) if node.outputs[0] == y)
        return not any(
            self._root(name) == root
            for node in nodes[step + 1 :]
            for name in node.inputs
            if name not in self.names
        ) and not any(self._root(name) == root for name in nodes[step].inputs[1:])

    def _root(self, name: str) -> str:
        while name in self._same:
            name = self._same[name]
        return name

    def _write(self, node: Node) -> None:
        x, y = node.inputs[0], node.outputs[0]
        before, after = self.shapes[x][1:], self.shapes[y][1:]
        if y in self._seen or (is_view(node, self.shapes[x]) and y in self._same):
            return  # the same elements under another shape
        self.lines.add("")
        self.lines.add(comment(f"{node.name}: {before} -> {after}"))
        with self.lines.block(""):
            write(node, node.inputs, y, node.constants(self.graph.arrays), "float", self)

    def pointer(self, name: str) -> tuple[str, str]:
        """Return the type and the place of a value."""
        return "int32_t" if name in self.graph.integers else "float", self.names[name]
