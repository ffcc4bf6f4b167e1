"""The graph under construction: nodes, weights, and tensors that know their shape and layout.

Nothing here needs the package onnx; `fcnn.export._write` turns a graph into a file.

fcnn's arrays have channels last, ONNX's convolutions and pools read channels on the axis behind
the batch. A `Tensor` has its shape in fcnn's order and says how it lies in the file; `Graph.first`
and `Graph.last` give it in the other layout, by one Transpose that all readers share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import attrs
import numpy as np

from fcnn._layer import Layer
from fcnn._typing import Array, Shape
from fcnn.errors import ArgumentError, DTypeError


@attrs.frozen
class Tensor:
    """A value in the file's graph.

    Attributes:
        name: its name in the file.
        shape: the shape of one example, in fcnn's order: channels last.
        channels_first: whether the channels are the first axis of an example in the file.

    >>> from fcnn.export import Tensor
    >>> Tensor("input", (28, 28, 1), channels_first=True).layout
    (1, 28, 28)
    """

    name: str
    shape: Shape
    channels_first: bool = False

    @property
    def layout(self) -> Shape:
        """The shape of one example as it lies in the file."""
        return (self.shape[-1], *self.shape[:-1]) if self.channels_first else self.shape


Operand: TypeAlias = "Tensor | Array | np.floating[Any] | float | str | None"


@attrs.define
class Node:
    """An operation: ``outputs = op(inputs)``; an input that is left out is ``""``."""

    op: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]
    name: str

    def constants(self, arrays: Mapping[str, Array]) -> dict[int, Array]:
        """Return which of the inputs are constants, by their position."""
        return {i: arrays[name] for i, name in enumerate(self.inputs) if name in arrays}


class Graph:
    """Nodes in order of execution, and the arrays that they read.

    A rule is given the graph and adds to it:

    >>> import fcnn
    >>> graph = fcnn.export.Graph(17)
    >>> x = graph.input("x", (28, 28, 1))
    >>> y = graph.node("Relu", graph.first(x))
    >>> y.layout, [node.op for node in graph.nodes]
    ((1, 28, 28), ['Transpose', 'Relu'])
    """

    def __init__(self, opset: int) -> None:
        self.opset = opset
        self.scope = ""
        self.nodes: list[Node] = []
        self.arrays: dict[str, Array] = {}
        self.inputs: list[Tensor] = []
        self.integers: set[str] = set()
        self.ranges: dict[str, tuple[float, float]] = {}
        self.writer: Callable[[Layer, Any, Any], Any] | None = None
        self._used: set[str] = set()
        self._contents: dict[Any, str] = {}
        self._turned: dict[str, Tensor] = {}

    def input(self, name: str, shape: Shape, *, channels_first: bool = False) -> Tensor:
        """Add an input of the model."""
        tensor = Tensor(self.unique(name), shape, channels_first and len(shape) > 1)
        self.inputs.append(tensor)
        return tensor

    def unique(self, name: str) -> str:
        """Return a name that nothing has yet."""
        found, i = name, 1
        while found in self._used:
            i += 1
            found = f"{name}_{i}"
        self._used.add(found)
        return found

    def constant(self, array: Any, name: str = "constant") -> str:
        """Return the name of an array in the file; floats are written in float32.

        Equal arrays are written once.
        """
        array = np.asarray(array)
        if array.dtype.kind == "f":
            array = array.astype(np.float32)
        array = np.ascontiguousarray(array).reshape(array.shape)
        content = array.dtype.str, array.shape, array.tobytes()
        if content not in self._contents:
            found = self.unique(f"{self.scope}.{name}" if self.scope else name)
            self._contents[content], self.arrays[found] = found, array
        return self._contents[content]

    def node(
        self,
        op: str,
        *inputs: Operand,
        shape: Shape | None = None,
        channels_first: bool | None = None,
        **attributes: Any,
    ) -> Tensor:
        """Add an operation and return its output.

        Args:
            op: the operator's name.
            *inputs: tensors; arrays or numbers, which become constants of the file; names that
                `constant` returned; None leaves an optional one out.
            shape: the output's shape for one example, in fcnn's order; by default that of the
                first tensor.
            channels_first: the output's layout; by default that of the first tensor.
            **attributes: the operator's attributes.
        """
        given = next(each for each in inputs if isinstance(each, Tensor))
        name = self.unique(f"{self.scope}.{op}" if self.scope else op)
        names = [self._name(each) for each in inputs]
        while not names[-1]:
            names.pop()
        self.nodes.append(Node(op, names, [name], attributes, name))
        first = given.channels_first if channels_first is None else channels_first
        shape = given.shape if shape is None else shape
        return Tensor(name, shape, first and len(shape) > 1)

    def reduce(self, op: str, x: Tensor, axes: Sequence[int]) -> Tensor:
        """Add a ReduceMean, ReduceMax or ReduceSum over axes of the file, which stay as 1.

        The axes became an input with opset 13 for sums and 18 for the others.
        """
        one = tuple([1 if i + 1 in axes else n for i, n in enumerate(x.layout)])
        shape = (*one[1:], one[0]) if x.channels_first else one
        if self.opset >= (13 if op == "ReduceSum" else 18):
            return self.node(op, x, np.array(axes, np.int64), shape=shape, keepdims=1)
        return self.node(op, x, shape=shape, axes=list(axes), keepdims=1)

    def reshape(
        self, x: Tensor, layout: Sequence[int], shape: Shape, *, channels_first: bool = False
    ) -> Tensor:
        """Add a Reshape of each example to ``layout``, which is ``shape`` in fcnn's order."""
        target = np.array([0, *layout], np.int64)  # 0 keeps the batch
        return self.node("Reshape", x, target, shape=shape, channels_first=channels_first)

    def first(self, x: Tensor) -> Tensor:
        """Return the tensor with channels on the axis behind the batch."""
        rank = len(x.shape)
        if x.channels_first or rank < 2:
            return x
        return self._transposed(x, [0, rank, *range(1, rank)], True)

    def last(self, x: Tensor) -> Tensor:
        """Return the tensor with channels on the last axis."""
        if not x.channels_first:
            return x
        return self._transposed(x, [0, *range(2, len(x.shape) + 1), 1], False)

    def _transposed(self, x: Tensor, perm: list[int], first: bool) -> Tensor:
        if x.name not in self._turned:
            turned = self.node("Transpose", x, channels_first=first, perm=perm)
            self._turned[x.name], self._turned[turned.name] = turned, x
        return self._turned[x.name]

    def write(self, layer: Layer, params: Any, x: Any) -> Any:
        """Write another layer's nodes, of which a rule's layer is made; return its output."""
        if self.writer is None:
            raise ArgumentError(f"expected a graph that a model is written to, for {layer!r}")
        return self.writer(layer, params, x)

    def as_integers(self, x: Tensor) -> Tensor:
        """Declare that an input of the model holds whole numbers, as int64.

        Raises:
            DTypeError: if x is no input of the model.
        """
        if x not in self.inputs:
            raise DTypeError("expected whole numbers straight from an input of the model")
        self.integers.add(x.name)
        return x

    def axis(self, x: Tensor, axis: int) -> int:
        """Return the axis of the file that is this axis of an example in fcnn's order."""
        rank = len(x.shape)
        axis %= rank
        if not x.channels_first:
            return axis + 1
        return 1 if axis == rank - 1 else axis + 2

    def like(self, x: Tensor, array: Array) -> Array:
        """Return an array of x's last axes so that it broadcasts against x in the file.

        ``(c,)`` becomes ``(c, 1, 1)`` against an image with channels first.
        """
        if not x.channels_first or array.ndim == 0 or array.size == 1:
            return array
        whole = array.reshape(*[1] * (len(x.shape) - array.ndim), *array.shape)
        return np.moveaxis(whole, -1, 0)

    def _name(self, operand: Operand) -> str:
        if operand is None or isinstance(operand, str):
            return operand or ""
        return operand.name if isinstance(operand, Tensor) else self.constant(operand)

    def renamed(self, names: Mapping[str, str]) -> None:
        """Give values other names wherever they are read or written."""
        for node in self.nodes:
            node.inputs = [names.get(each, each) for each in node.inputs]
            node.outputs = [names.get(each, each) for each in node.outputs]
        self.ranges = {names.get(name, name): each for name, each in self.ranges.items()}
