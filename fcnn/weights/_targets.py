"""The layers of a model that need params, and how they stand side by side and one in another."""

from __future__ import annotations

import re
from typing import Any

import attrs

from fcnn import tree
from fcnn._layer import Layer
from fcnn._typing import Tree
from fcnn._walk import combinator_of, is_leaf, walk
from fcnn.checkpoint._leaf_names import namer
from fcnn.errors import TreeError
from fcnn.prng import abstract_key
from fcnn.weights._modules import Convention
from fcnn.weights._orders import Node, orders, shapes_at, tree_of
from fcnn.weights._rules import Target, expansion_of, rule_of
from fcnn.weights._search import ANY, LEAF, SEQ, Item

_STEP = re.compile(r"\.(\w+)|\[('?)([^\]]*?)\2\]")


@attrs.frozen(eq=False)
class Model:
    """A model's layers with params.

    Attributes:
        params: its params, without numbers.
        targets: the layers, in the order of `fcnn.walk`.
        grammar: the same, nested as in the model: one after the other, or in any order.
    """

    params: Tree
    targets: list[Target]
    grammar: Item


def targets_of(model: Layer, shape: Any, convention: Convention) -> Model:
    """Return the layers of a model that need params.

    Raises:
        ShapeError: if the model does not take such an example.
        TreeError: if a layer has params and no rule.
    """
    params = model.init(abstract_key(), shape)[0]
    root = tree_of(walk(model, shape, combinators=True))
    places = orders(root) if convention == "torch" else {}
    finder = _Finder(params, namer(model), convention, places)
    grammar = finder.item(root)
    return Model(params, finder.targets, grammar)


@attrs.define(eq=False)
class _Finder:
    params: Tree
    name_of: Any
    convention: Convention
    places: dict[str, tuple[Any, Any]]
    targets: list[Target] = attrs.field(factory=list)
    known: set[str] = attrs.field(factory=set)

    def item(self, node: Node) -> Item:
        """Return the layers with params in a node, as the search takes them."""
        if is_leaf(node.visit.layer):
            found = self._of_leaf(node)
            self.targets += found
            return (SEQ, tuple([(LEAF, each) for each in found]))
        made = combinator_of(node.visit.layer)
        kind = SEQ if made is not None and made.wiring == "chain" else ANY
        return (kind, tuple([self.item(child) for child in node.children]))

    def _of_leaf(self, node: Node) -> list[Target]:
        visit = node.visit
        shapes = shapes_at(self.params, visit.params_path)
        if not shapes or visit.params_path in self.known:  # none, or a shared layer's later place
            return []
        self.known.add(visit.params_path)
        layer, name = visit.layer, self.name_of(_dotted(visit.params_path))
        expand = expansion_of(layer)
        if expand is None:
            rows, columns = self.places.get(visit.path, (None, None))
            _check_rule(layer, visit.path)
            ends = (visit.in_shape, visit.out_shape, shapes, visit.params_path)
            return [Target(name, visit.path, layer, *ends, self.convention, rows, columns)]
        found = []
        for step, way, inner, in_shape, out_shape in expand(layer, shapes):
            place = visit.params_path + way
            ends = (in_shape, out_shape, shapes_at(self.params, place), place)
            called = ".".join(filter(None, [name, step]))
            found.append(Target(called, f"{visit.path}.{step}", inner, *ends, self.convention))
        return found


def _check_rule(layer: Layer, path: str) -> None:
    if rule_of(layer) is None:
        raise TreeError(
            f"expected a rule that says which arrays of a file are the params of {layer!r}, got "
            f"none; register one: @fcnn.weights.rule({layer.spec.name})",
            path=path,
        )


def _dotted(path: str) -> str:
    """Return a path of `fcnn.tree` as that of a file's names: ``[0].params[1]`` as ``0.params.1``.

    >>> from fcnn.weights._targets import _dotted
    >>> _dotted("[0].params['a']")
    '0.params.a'
    """
    return ".".join([name or index for name, _, index in _STEP.findall(path)])


def put(model: Model, arrays: dict[str, Any]) -> Tree:
    """Return the params with these arrays, by their paths."""
    structure = tree.structure(model.params)
    return tree.unflatten(structure, [arrays[path] for path in tree.paths(model.params)])
