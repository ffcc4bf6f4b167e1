"""Layers that stand in several places of a model with one set of params.

A combinator's params hold its layers' params. Where a `shared` layer occurs more than once
below it, the first place keeps the params and the others hold ``()``: `Ties.prune` after init.
Before its layers run, the combinator puts the params back (`Ties.restore`), and afterwards
adds up the gradients of all places (`Ties.add`). Each combinator does so for what its own
layers have in common, so this composes however deep the places lie.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias, TypeVar

import attrs

from fcnn import _batch, tree
from fcnn._layer import Layer
from fcnn._typing import Tree
from fcnn._walk import Attribute, Part, parts_of
from fcnn.errors import ArgumentError, ShapeError
from fcnn.tree._children import shape_of

T = TypeVar("T")
Index: TypeAlias = tuple[int | str, ...]
SHARED: set[Any] = set()
"""The constructors whose layers have one set of params wherever they stand."""


class Ties:
    """The shared layers that occur more than once below a combinator; false if none does."""

    def __init__(self, combinator: Layer | Sequence[Part]) -> None:
        parts = parts_of(combinator) if isinstance(combinator, Layer) else combinator
        found: dict[Layer, list[Index]] = {}
        for part in parts:
            for shared, index in _holders(part.layer):
                found.setdefault(shared, []).append((*part.place, *index))
        self._groups = [places for places in found.values() if len(places) > 1]
        for places in self._groups:
            if len({_in_node(place) for place in places}) > 1:
                raise ArgumentError(
                    "expected a shared layer to be frozen in all of its places, or in none"
                )

    def __bool__(self) -> bool:
        return bool(self._groups)

    def prune(self, params: T) -> T:
        """Return params with ``()`` in all places but the first of each shared layer."""
        for first, *others in self._groups:
            held = _get(params, first)
            for place in others:
                if not _alike(held, _get(params, place)):
                    raise ShapeError(
                        "expected inputs of one shape for a shared layer, got params of different "
                        "shapes in its places; give each place a layer of its own"
                    )
                params = _put(params, place, ())
        return params

    def restore(self, params: T) -> T:
        """Return params with those of each shared layer in all of its places."""
        for first, *others in self._groups:
            held = _get(params, first)
            for place in others:
                params = _put(params, place, held)
        return params

    def add(self, grads: T) -> T:
        """Return gradients with the sum over a shared layer's places in the first of them."""
        for places in self._groups:
            equal = [1 / len(places)] * len(places)
            found = [_get(grads, place) for place in places]
            # Of frozen layers all that is found is that nothing moves.
            total = found[0] if _in_node(places[0]) else _batch.add_gradients(found, equal)
            grads = _put(grads, places[0], total)
            for place in places[1:]:
                grads = _put(grads, place, ())
        return grads


def _holders(layer: Layer) -> Iterator[tuple[Layer, Index]]:
    """Yield the shared layers in a layer and the way to their params, each one's first place."""
    if layer.spec.constructor in SHARED:
        yield layer, ()
        return
    known = set()
    for part in parts_of(layer):
        for shared, index in _holders(part.layer):
            if shared not in known:
                known.add(shared)
                yield shared, (*part.place, *index)


def _alike(a: Tree, b: Tree) -> bool:
    """Return whether two sets of params have one structure and the same shapes."""
    shapes = [[shape_of(leaf) for leaf in tree.leaves(each)] for each in (a, b)]
    return tree.structure(a) == tree.structure(b) and shapes[0] == shapes[1]


def _in_node(index: Index) -> bool:
    """Return whether the way leads through a node, as that to the params of frozen layers does."""
    return any(isinstance(step, Attribute) for step in index)


def _get(params: Any, index: Index) -> Any:
    for i in index:
        params = getattr(params, i) if isinstance(i, Attribute) else params[i]
    return params


def _put(params: Any, index: Index, new: Any) -> Any:
    if not index:
        return new
    first: Any = index[0]
    inner = _put(_get(params, index[:1]), index[1:], new)
    if isinstance(first, Attribute):
        return attrs.evolve(params, **{first: inner})
    if isinstance(params, dict):
        return {**params, first: inner}
    return (*params[:first], inner, *params[first + 1 :])
