"""From a model to a graph: every layer's rule in order of execution, through every combinator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from fcnn._layer import Layer, is_shape
from fcnn._sharing import Ties
from fcnn._typing import Shape
from fcnn._walk import Attribute, Part, combinator_of
from fcnn.errors import ArgumentError, FcnnError
from fcnn.export._graph import Graph, Tensor
from fcnn.export._ranges import least_error_range
from fcnn.export._rules import refuse, rule_of
from fcnn.layers.branches import add, concat, fanout, itemwise, multiply, residual
from fcnn.layers.checkpointed import checkpointed
from fcnn.layers.frozen import frozen

JOINS = {add: add(), residual: add(), multiply: multiply(), concat: concat()}
"""The layer that joins the outputs of a combinator's layers."""
APART = {fanout, itemwise}
"""The combinators whose outputs stay apart."""
WRAPPERS = {frozen, checkpointed}
"""The combinators that compute what their only layer computes."""
KNOWN = {*JOINS, *APART, *WRAPPERS}


@attrs.define
class Trace:
    """A model on its way into a graph, with calibration data where there are any."""

    graph: Graph

    def run(self, layer: Layer, params: Any, x: Any, data: Any, path: str = "") -> tuple[Any, Any]:
        """Write a layer; return its output's tensors, and its output for the calibration data."""
        rule, made = rule_of(layer), combinator_of(layer)
        self.graph.writer = self.inner
        parts = () if made is None else made.parts(layer)
        is_known = rule is None or layer.spec.constructor in KNOWN
        if is_known and made is not None and (parts or made.wiring == "chain"):
            return self._combined(layer, params, x, data, path)
        if rule is None:
            refuse(layer, path)
        self.graph.scope = path or layer.spec.name
        try:
            y = rule(self.graph, layer, params, x)
        except FcnnError as error:
            raise type(error)(error.message, path, error.call or repr(layer)) from None
        if data is not None:
            data = layer.apply(params, data)
            self.note(y, data)
        return y, data

    def inner(self, layer: Layer, params: Any, x: Any) -> Any:
        """Write a layer that another one's rule is made of."""
        scope = self.graph.scope
        y, _ = self.run(layer, params, x, None, scope)
        self.graph.scope = scope
        return y

    def _combined(self, layer: Layer, params: Any, x: Any, data: Any, path: str) -> tuple[Any, Any]:
        made, constructor = combinator_of(layer), layer.spec.constructor
        if made is None or (made.wiring != "chain" and constructor not in KNOWN):
            refuse(layer, path)
        parts, is_chain = made.parts(layer), made.wiring == "chain" or constructor in WRAPPERS
        restored: Any = Ties(layer).restore(params)
        outputs, seen = [], []
        for part in parts:
            own, below = _get(restored, part), ".".join(each for each in (path, part.step) if each)
            if is_chain:
                x, data = self.run(part.layer, own, x, data, below)
                continue
            is_items = made.wiring == "items"
            here = data if data is None or not is_items else data[part.item]
            y, values = self.run(part.layer, own, x[part.item] if is_items else x, here, below)
            outputs.append(y)
            seen.append(values)
        if is_chain:
            return x, data
        keys = [part.item for part in parts]
        together, values = _nested(keys, outputs), None if data is None else _nested(keys, seen)
        if constructor in APART:
            return together, values
        if len(outputs) == 1:
            return outputs[0], seen[0]
        return self.run(JOINS[constructor], (), together, values, path)

    def note(self, y: Any, data: Any) -> None:
        """Note the range of each tensor on the calibration data."""
        if isinstance(y, Tensor):
            if data.dtype.kind == "f":
                self.graph.ranges[y.name] = least_error_range(data)
        elif isinstance(y, dict):
            for name in y:
                self.note(y[name], data[name])
        else:
            for one, values in zip(y, data, strict=True):
                self.note(one, values)


def _get(params: Any, part: Part) -> Any:
    for step in part.place:
        params = getattr(params, step) if isinstance(step, Attribute) else params[step]
    return params


def _nested(keys: list[Any], items: list[Any]) -> Any:
    return dict(zip(keys, items, strict=True)) if isinstance(keys[0], str) else tuple(items)


def inputs_of(graph: Graph, shape: Any, names: list[str], channels_first: bool) -> Any:
    """Add the model's inputs to a graph; return them as the tree that their shapes are."""
    left = iter(names)
    return over_shapes(
        lambda each: graph.input(next(left), each, channels_first=channels_first), shape
    )


def over_shapes(function: Callable[[Shape], Any], shape: Any) -> Any:
    """Apply a function to each shape of a tuple or dict of shapes, in the order of its leaves."""
    if is_shape(shape):
        return function(shape)
    if isinstance(shape, dict):
        return {name: over_shapes(function, shape[name]) for name in sorted(shape)}
    return tuple([over_shapes(function, each) for each in shape])


def flat(tree: Any, is_leaf: Callable[[Any], bool], path: str = "") -> list[tuple[str, Any]]:
    """Return the leaves of tuples and dicts with the way to each: ``"_a_0"``."""
    if is_leaf(tree):
        return [(path, tree)]
    items = sorted(tree.items()) if isinstance(tree, dict) else list(enumerate(tree))
    return [leaf for key, each in items for leaf in flat(each, is_leaf, f"{path}_{key}")]


def names_of(leaves: list[tuple[str, Any]], given: Any, default: str, what: str) -> list[str]:
    """Return a name for each leaf: the names given, or ``input``, ``input_a``, ``input_0_b``.

    Raises:
        ArgumentError: if there is another number of names, or one is twice.
    """
    if given is None:
        return [f"{default}{path}" for path, _ in leaves]
    names = [given] if isinstance(given, str) else list(given)
    if len(names) != len(leaves) or len(set(names)) != len(names) or not all(names):
        raise ArgumentError(f"expected {len(leaves)} different {what}, got {given!r}")
    return names
