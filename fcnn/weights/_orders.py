"""Where the elements of flat features stand in a framework whose channels come first.

``flatten`` puts an image's pixels first and its channels last, there it is the other way round:
element ``(y·w + x)·c + i`` here is element ``i·h·w + y·w + x`` there. So the rows of the weight
that reads them are in another order, and so are the params of what stands between. A dense layer
whose output is reshaped to an image has its columns in another order.

The order of each flat value is found by following the model; for a dense layer's output it is
not known before the layer that reads it. What an embedding or a dense layer makes of a sequence
has its channels last there too, up to a convolution, pool or batch norm, which take them first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import attrs
import numpy as np

from fcnn import tree
from fcnn._layer import is_shape
from fcnn._typing import Shape
from fcnn._walk import Visit, combinator_of, is_leaf, parts_of
from fcnn.errors import TreeError
from fcnn.layers.dense import dense
from fcnn.layers.embedding import embedding

_TAKES_FIRST = re.compile("conv|pool|batch_norm")


@attrs.frozen(eq=False)
class Node:
    """A layer of a model, and the layers in it."""

    visit: Visit
    children: list[Node] = attrs.field(factory=list)


def tree_of(visits: Iterable[Visit]) -> Node:
    """Return what `fcnn.walk` yields with ``combinators=True`` as a tree."""
    above: list[Node] = []
    for visit in visits:
        node = Node(visit)
        del above[visit.depth :]
        if above:
            above[-1].children.append(node)
        above.append(node)
    return above[0]


@attrs.define(eq=False)
class Order:
    """Where the elements of a flat value stand elsewhere; unknown as long as nothing says it."""

    size: int
    shape: Shape | None = None
    parts: Sequence[Order] = ()
    same: Order | None = None

    def last(self) -> Order:
        """Return the one that this is the same as."""
        return self if self.same is None else self.same.last()

    def settle(self, other: Order, path: str) -> None:
        """Make two orders the same."""
        one, other = self.last(), other.last()
        if one is other:
            return
        if other.shape is None and not other.parts:
            one, other = other, one
        if one.shape is not None or one.parts:
            if np.array_equal(one.indices(), other.indices()):
                return
            raise TreeError(
                f"expected {path} to read features in one order, got two: channels first, an "
                f"image of {one.shape} and one of {other.shape} have other places for them"
            )
        one.same = other

    def indices(self) -> np.ndarray:
        """Return where each element stands elsewhere."""
        if self.same is not None:
            return self.same.indices()
        if self.parts:
            starts = np.cumsum([0, *[part.size for part in self.parts]])
            found = [part.indices() for part in self.parts]
            return np.concatenate([i + s for i, s in zip(found, starts, strict=False)])
        if self.shape is None or len(self.shape) < 2:
            return np.arange(self.size)
        *pixels, channels = self.shape
        first = np.arange(self.size).reshape(channels, *pixels)
        return np.moveaxis(first, 0, -1).reshape(-1)


LAST = "channels last"
"""In the place of an order: a sequence or image whose channels are last elsewhere as well."""


def orders(root: Node) -> dict[str, tuple[Any, Any]]:
    """Return the orders of the inputs and outputs of leaf layers, by path; None if the same.

    Raises:
        TreeError: if a layer reads flat features that have two orders elsewhere.
    """
    found: dict[str, tuple[Any, Any]] = {}
    _follow(root, _of_shape(root.visit.in_shape), found)
    return {path: (_indices(i), _indices(o)) for path, (i, o) in found.items()}


def _indices(order: Any) -> Any:
    if not isinstance(order, Order):
        return None
    indices = order.indices()
    return None if np.array_equal(indices, np.arange(len(indices))) else indices


def _of_shape(shape: Any) -> Any:
    if is_shape(shape):
        return Order(shape[0]) if len(shape) == 1 else None
    if isinstance(shape, dict):
        return {name: _of_shape(each) for name, each in shape.items()}
    return tuple([_of_shape(each) for each in shape])


def _follow(node: Node, order: Any, found: dict[str, Any]) -> Any:
    """Return the order of a layer's output from that of its input."""
    visit = node.visit
    if is_leaf(visit.layer):
        return _through_leaf(visit, order, found)
    made = combinator_of(visit.layer)
    wiring = "branches" if made is None else made.wiring
    if wiring == "chain":
        for child in node.children:
            order = _follow(child, order, found)
        return order
    items = [part.item for part in parts_of(visit.layer)]
    given = [order if wiring == "branches" else _item(order, i) for i in items]
    outs = [_follow(child, o, found) for child, o in zip(node.children, given, strict=True)]
    if not is_shape(visit.out_shape):
        keys = visit.out_shape if isinstance(visit.out_shape, dict) else None
        return tuple(outs) if keys is None else dict(zip(items, outs, strict=True))
    return outs[0] if len(outs) == 1 else _joined(visit, outs)


def _item(order: Any, i: Any) -> Any:
    return None if order is None else order[i]


def _joined(visit: Visit, outs: Sequence[Any]) -> Any:
    """Return the order of what several are joined to."""
    if all(each is LAST for each in outs):
        return LAST
    if len(visit.out_shape) != 1 or any(not isinstance(each, Order) for each in outs):
        return _of_shape(visit.out_shape)
    if visit.layer.spec.name == "concat":
        return Order(visit.out_shape[0], parts=outs)
    for each in outs[1:]:
        outs[0].settle(each, visit.path)
    return outs[0]


def _through_leaf(visit: Visit, order: Any, found: dict[str, Any]) -> Any:
    layer, given, out = visit.layer, visit.in_shape, visit.out_shape
    if not is_shape(given) or not is_shape(out):
        outs = order.values() if isinstance(order, dict) else order
        if is_shape(out) and isinstance(order, tuple | dict):
            return _joined(visit, list(outs))
        return _of_shape(out)
    if len(given) == 1 and len(out) == 1:
        made = Order(out[0]) if layer.spec.constructor is dense or given != out else order
        found[visit.path] = (order, made)
        return made
    if len(out) == 1 and layer.spec.name in ("flatten", "reshape"):
        return Order(out[0], shape=out if order is LAST else given)
    if len(out) > 1 and layer.spec.constructor in (dense, embedding):
        return LAST
    if order is LAST and given == out and not _TAKES_FIRST.search(layer.spec.name):
        return LAST
    if len(given) == 1 and layer.spec.name == "reshape" and isinstance(order, Order):
        order.settle(Order(given[0], shape=out), visit.path)
    return _of_shape(out)


def shapes_at(params: Any, path: str) -> dict[str, Shape]:
    """Return the shapes of the arrays below a path, by the rest of theirs."""
    pairs = zip(tree.paths(params), tree.leaves(params), strict=True)
    below = {place.removeprefix(path): leaf for place, leaf in pairs if _is_below(place, path)}
    return {place.removeprefix("."): leaf.shape for place, leaf in below.items()}


def _is_below(place: str, path: str) -> bool:
    return place.startswith(path) and place[len(path) : len(path) + 1] in ("", ".", "[")
