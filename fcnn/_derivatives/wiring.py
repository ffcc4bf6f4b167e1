"""How a combinator runs its layers, read from what it registered for `fcnn.walk`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from fcnn import tree
from fcnn._layer import Context, Layer
from fcnn._sharing import Ties
from fcnn._typing import Tree
from fcnn._walk import Part, Wiring, combinator_of
from fcnn.layers.branches import add, concat, fanout, itemwise, multiply, residual

JOINS = {
    add: add(),
    residual: add(),
    multiply: multiply(),
    concat: concat(),
    fanout: None,
    itemwise: None,
}
"""The layer that makes one output of those of layers side by side; None leaves them apart."""


class Wires(NamedTuple):
    """The layers of a combinator and what connects them.

    Attributes:
        wiring: what the layers read, as in `fcnn.walk`.
        parts: the layers.
        join: what their outputs go through; None for a chain or outputs that stay apart.
        ties: the shared layers among them.
        is_known: whether the combinator computes this and nothing else; one that only may,
            a wrapper of a single layer, is to be certified.
        eval_only: whether the layers run as in evaluation.
    """

    wiring: Wiring
    parts: Sequence[Part]
    join: Layer | None
    ties: Ties
    is_known: bool
    eval_only: bool = False

    def own(self, params: Tree) -> list[Any]:
        """Return the params of each layer."""
        if self.parts[0].place == ():
            return [params]
        restored: Any = self.ties.restore(params)
        return [_child(restored, part.place[0]) for part in self.parts]

    def together(self, items: Sequence[Any]) -> Tree:
        """Return trees, one a layer, as the combinator nests its params."""
        if self.parts[0].place == ():
            return items[0]  # type: ignore[no-any-return]
        return self.ties.add(_nested([part.place[0] for part in self.parts], items))

    def apart(self, items: Sequence[Any]) -> Tree:
        """Return outputs, or gradients of inputs, one a layer, as a tuple or dict."""
        return _nested([part.item for part in self.parts], items)

    def tangent(self, outputs: Sequence[Any], tangents: Sequence[Any]) -> Any:
        """Return the tangents of outputs that stay apart; None, which is zero, if all are."""
        if all(tangent is None for tangent in tangents):
            return None
        pairs = zip(outputs, tangents, strict=True)
        return self.apart([tree.zeros_like(y) if u is None else u for y, u in pairs])

    def read(self, x: Any) -> list[Any]:
        """Return what each of the layers side by side reads of x; None reads as None."""
        if self.wiring == "items" and x is not None:
            return [x[part.item] for part in self.parts]
        return [x] * len(self.parts)

    def contexts(self, ctx: Context) -> list[Context]:
        """Return each layer's context."""
        if self.eval_only:
            return [Context(input_grad=ctx.input_grad, fuse=ctx.fuse)] * len(self.parts)
        return [ctx if p.place == () else ctx.child(i) for i, p in enumerate(self.parts)]


def wires_of(layer: Layer) -> Wires | None:
    """Return how a layer is made of layers; None for a leaf, and where that is not known."""
    made, constructor = combinator_of(layer), layer.spec.constructor
    parts = () if made is None else made.parts(layer)
    if made is None or not parts:
        return None
    if any(len(part.place) != 1 for part in parts) and [part.place for part in parts] != [()]:
        return None
    if constructor in JOINS or made.wiring == "chain":
        return Wires(made.wiring, parts, JOINS.get(constructor), Ties(layer), True)
    if len(parts) > 1:
        return None
    return Wires("chain", parts, None, Ties(layer), False, made.eval_only)


def _child(params: Any, step: Any) -> Any:
    return getattr(params, step) if hasattr(params, "__node_fields__") else params[step]


def _nested(keys: Sequence[Any], items: Sequence[Any]) -> Tree:
    return dict(zip(keys, items, strict=True)) if isinstance(keys[0], str) else tuple(items)
