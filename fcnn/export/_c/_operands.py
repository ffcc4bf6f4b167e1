"""What an operation sees of the graph while it is written: shapes, constants and names in C."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import numpy as np

from fcnn._typing import Array, Shape
from fcnn.export._c._text import Lines
from fcnn.export._graph import Node


@attrs.define
class Operation:
    """A node on its way into C, for a batch of one example.

    Attributes:
        node: the node.
        shapes: of its inputs, with the batch axis, then of its output.
        arrays: the constants among its inputs by position.
        names: of its inputs in C, and of its output.
        kind: C's type of its elements.
        lines: what is written to.
        table: adds a constant array to the file, and returns its name.
    """

    node: Node
    shapes: list[Shape]
    arrays: dict[int, Array]
    names: list[str]
    kind: str
    lines: Lines
    table: Callable[[str, Array], str]

    @property
    def out(self) -> Shape:
        return self.shapes[-1]

    @property
    def x(self) -> str:
        return self.names[0]

    @property
    def y(self) -> str:
        return self.names[-1]

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute of the node."""
        return self.node.attributes.get(name, default)

    def array(self, i: int) -> Array:
        return self.arrays[i]

    def constant(self, i: int, values: Array, what: str) -> str:
        """Return the name of an input's values in another order, as the kernels read them."""
        return self.table(f"{self.node.inputs[i]}_{what}", np.ascontiguousarray(values, np.float32))
