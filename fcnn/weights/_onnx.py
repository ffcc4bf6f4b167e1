"""ONNX graphs, by node: what a node does says what its arrays are, whatever they are called.

The layouts of arrays are PyTorch's. A node also tells its hyper-parameters, and whether an image
was transposed to channels last before it was flattened.

Source: the operators of https://onnx.ai/onnx/operators/.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from fcnn._layer import is_shape
from fcnn._typing import Shape
from fcnn.errors import DataError
from fcnn.weights._modules import Module, Source
from fcnn.weights._stored import Stored, reading

_SAME_ORDER = {
    "Relu", "LeakyRelu", "Elu", "Selu", "Sigmoid", "Tanh", "Clip", "Dropout", "Identity", "Gelu",
    "HardSwish", "HardSigmoid", "Softplus", "Softsign", "Cast", "BatchNormalization", "PRelu",
    "LayerNormalization", "Add", "Sub", "Mul", "Div",
}  # fmt: skip
_SHAPE_ONLY = {"Identity", "Unsqueeze"}
_FLATTEN = {"Flatten", "Reshape"}
_ARRAYS = {
    "Conv": ("weight", "bias"),
    "ConvTranspose": ("weight", "bias"),
    "BatchNormalization": ("weight", "bias", "running_mean", "running_var"),
    "LayerNormalization": ("weight", "bias"),
    "InstanceNormalization": ("weight", "bias"),
    "GroupNormalization": ("weight", "bias"),
    "PRelu": ("weight",),
}


@contextmanager
def opened(path: Path, shape: Any = None) -> Iterator[Source]:
    """Open an ONNX file; arrays may be in a file beside it.

    Args:
        path: the file.
        shape: the shape of an example of the model's input, which tells whether a file that
            flattens its input has the channels last.

    Raises:
        OSError: if there is no such file.
        DataError: if it is damaged.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError:
        raise ImportError(
            "expected the package onnx, which is not installed; pip install 'fcnn[weights]'"
        ) from None
    with reading("ONNX"):
        if not path.stat().st_size:
            raise DataError(f"expected an ONNX file, got an empty one: {path.name}")
        try:
            model = onnx.load_model(path, format="protobuf")
        except (DecodeError, onnx.checker.ValidationError) as error:
            raise DataError(f"expected an ONNX file, got a damaged one: {error!s:.100}") from None
        graph = _Graph.of(model.graph, onnx.numpy_helper.to_array, shape)
        modules = graph.modules()
        source = Source("torch", modules, True, repeated=frozenset(graph.repeated))
    yield source


@attrs.define(eq=False)
class _Graph:
    """Nodes by what they produce, and the arrays."""

    graph: Any
    arrays: dict[str, Any]
    by_output: dict[str, Any]
    to_array: Any
    shape: Any
    repeated: list[str] = attrs.field(factory=list)

    @classmethod
    def of(cls, graph: Any, to_array: Any, shape: Any) -> _Graph:
        """Return a graph ready to be looked up in."""
        arrays = {each.name: each for each in graph.initializer}
        by_output = {out: node for node in graph.node for out in node.output if out}
        for node in graph.node:
            if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
                arrays[node.output[0]] = node.attribute[0].t
        return cls(graph, arrays, by_output, to_array, shape)

    def array(self, name: str) -> Any:
        """Return the tensor of a name, through what only shapes it; None if it is computed."""
        for _ in range(100):
            node = self.by_output.get(name)
            if name in self.arrays or node is None or node.op_type not in _SHAPE_ONLY:
                break
            name = node.input[0]
        return self.arrays.get(name)

    def stored(self, name: str, transposed: bool = False) -> Stored:
        """Return a tensor as an array that is read on demand."""
        tensor = self.array(name)
        shape = tuple(tensor.dims)

        def read() -> np.ndarray:
            array: np.ndarray = self.to_array(tensor)
            return array.T if transposed else array

        return Stored(shape[::-1] if transposed else shape, read, tensor.name)

    def modules(self) -> list[Module]:
        """Return what has arrays, each branch of the graph together."""
        found: list[Module] = []
        for node in self._in_order():
            if node.op_type != "Constant":
                found += self._module(node, found)
        self.repeated = _repeated(found)
        return found

    def _in_order(self) -> list[Any]:
        order: list[Any] = []
        opened: set[int] = set()
        waiting = [(each.name, False) for each in self.graph.output][::-1]
        while waiting:
            name, is_done = waiting.pop()
            node = self.by_output.get(name)
            if is_done:
                order.append(node)
            elif node is not None and id(node) not in opened:
                opened.add(id(node))
                waiting.append((name, True))
                waiting += [(each, False) for each in node.input][::-1]
        return order

    def _module(self, node: Any, before: list[Module]) -> list[Module]:
        if node.op_type in _SHAPE_ONLY and self.array(node.output[0]) is not None:
            return []
        name = _name(node)
        facts = _facts(node)
        padded = self.by_output.get(node.input[0]) if node.input else None
        if padded is not None and padded.op_type == "Pad":
            facts.pop("padding", None)
        if node.op_type in _ARRAYS:
            names = _ARRAYS[node.op_type]
            given = [each for each in node.input[1:] if each]
            if any(self.array(each) is None for each in given):
                raise DataError(f"expected arrays in the file for {name!r:.60}, got computed ones")
            arrays = {n: self.stored(each) for n, each in zip(names, given, strict=False)}
            return [Module(name, arrays, facts, self._channels_last(node))]
        if node.op_type == "Gemm":
            return [self._gemm(node, name)]
        if node.op_type == "MatMul" and self.array(node.input[1]) is not None:
            arrays = {"weight": self.stored(node.input[1], transposed=True)}
            return [Module(name, arrays, {}, self._channels_last(node))]
        if node.op_type == "Gather" and self.array(node.input[0]) is not None:
            return [Module(name, {"weight": self.stored(node.input[0])})]
        return self._other(node, name, before)

    def _gemm(self, node: Any, name: str) -> Module:
        said = {each.name: each for each in node.attribute}
        plain = [said[n].f for n in ("alpha", "beta") if n in said]
        if any(n != 1 for n in plain) or ("transA" in said and said["transA"].i):
            raise DataError(f"expected a Gemm without factors, got {name!r:.60} with some")
        if any(self.array(each) is None for each in node.input[1:]):
            raise DataError(f"expected arrays in the file for {name!r:.60}, got computed ones")
        is_torch = "transB" in said and said["transB"].i
        arrays = {"weight": self.stored(node.input[1], transposed=not is_torch)}
        if len(node.input) > 2:
            arrays["bias"] = _flat(self.stored(node.input[2]))
        return Module(name, arrays, {}, self._channels_last(node))

    def _other(self, node: Any, name: str, before: list[Module]) -> list[Module]:
        """Return an addition to the product before as its bias, other arrays as a module."""
        known = {n: self.array(n) for n in node.input if n}
        floats = [n for n, t in known.items() if t is not None and t.data_type in (1, 10, 11, 16)]
        floats = [n for n in floats if np.prod(known[n].dims) > 1]
        if not floats:
            return []
        others = [self.by_output.get(n) for n in node.input if n not in floats]
        product = others[0] if others else None
        kind = "" if product is None else product.op_type
        if node.op_type == "Add" and kind in ("MatMul", "Mul"):
            first = [each for each in before if each.name == _name(product)]
            if first and list(first[0].arrays) == ["weight"]:
                array = self.stored(floats[0])
                first[0].arrays["bias"] = _flat(array) if kind == "MatMul" else array
                return []
        if node.op_type in ("Mul", "Add") and len(floats) == 1:
            own = {"weight" if node.op_type == "Mul" else "bias": self.stored(floats[0])}
            return [Module(name, own, {}, self._channels_last(node))]
        return [Module(name, {f"{node.op_type}.{n}": self.stored(n) for n in floats})]

    def _channels_last(self, node: Any) -> bool | None:
        """Return whether the images that a node reads flat had the channels last."""
        given = next((n for n in node.input if self.array(n) is None), "")
        found = set(self._flattened(given, 0))
        return next(iter(found), False) if len(found) < 2 else None

    def _flattened(self, name: str, depth: int) -> Iterator[bool | None]:
        """Yield for each image in a flat value whether it had the channels last."""
        name, at = self._through(name)
        if at is not None and at.op_type == "Concat" and depth < 20:
            for each in at.input:
                yield from self._flattened(each, depth + 1)
        elif at is not None and at.op_type in _FLATTEN:
            name, at = self._through(at.input[0])
            if at is None:
                yield self._is_last(name)
                return
            order = [list(each.ints) for each in at.attribute if each.name == "perm"]
            n = len(order[0]) if order and at.op_type == "Transpose" else 0
            yield n > 2 and order[0] == [0, *range(2, n), 1]

    def _through(self, name: str) -> tuple[str, Any]:
        """Return the value in front of layers that keep the order, and the node that makes it."""
        for _ in range(1000):
            node = self.by_output.get(name)
            if node is None or node.op_type not in _SAME_ORDER:
                break
            name = next((n for n in node.input if self.array(n) is None), "")
        return name, self.by_output.get(name)

    def _is_last(self, name: str) -> bool | None:
        """Return whether an input of the graph has the channels last, by its declared shape."""
        for each in self.graph.input:
            dims = tuple([d.dim_value for d in each.type.tensor_type.shape.dim][1:])
            if each.name == name and len(dims) > 1:
                shapes = _shapes_of(self.shape)
                is_last = dims in shapes
                is_first = dims in [(*s[-1:], *s[:-1]) for s in shapes]
                return None if is_last == is_first else is_last
        return False if name in self.arrays else None


def _shapes_of(shape: Any) -> list[Shape]:
    if is_shape(shape):
        return [shape]
    inner = shape.values() if isinstance(shape, dict) else shape or ()
    return [each for item in inner for each in _shapes_of(item)]


def _name(node: Any) -> str:
    return str(node.name or node.output[0])


def _flat(array: Stored) -> Stored:
    shape = (int(np.prod(array.shape)),)
    return Stored(shape, lambda: array.read().reshape(-1), array.name)


def _repeated(modules: list[Module]) -> list[str]:
    """Return the names of modules whose arrays are all those of one before: a shared layer's."""
    known: set[Any] = set()
    found = []
    for each in modules:
        key = tuple([(own, array.name) for own, array in each.arrays.items()])
        if key in known and all(name for _, name in key):
            found.append(each.name)
        known.add(key)
    return found


_FACTS = {
    "strides": "stride", "dilations": "dilation", "group": "groups", "epsilon": "eps",
    "pads": "padding",
}  # fmt: skip


def _facts(node: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in node.attribute:
        if each.name in _FACTS:
            plain = {1: each.f, 2: each.i, 7: list(each.ints)}
            found[_FACTS[each.name]] = plain.get(each.type)
    if "Normalization" in node.op_type:
        found.setdefault("eps", 1e-5)
    return found
