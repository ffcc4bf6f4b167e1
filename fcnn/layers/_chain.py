"""The triple of layers one after the other.

By the chain rule, with ``y = f_k(... f_1(x))``, the pullbacks run backwards: that of f_k turns dy
into the gradient of its params and the dy of the layer before it.

What runs are the stages of `fcnn.fusion.plan`: a layer, or neighbours that have a kernel in common,
across nested chains too. So the params, which are nested like the layers, are gathered into a flat
list first, and the gradients nested again.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from fcnn import fusion
from fcnn._freezing import FrozenParams, unmoved
from fcnn._layer import EVAL, Context, Layer, Triple, for_last_call, relocate
from fcnn._sharing import Ties
from fcnn._typing import ModelPullback, Tree
from fcnn._walk import Part, parts_of
from fcnn.layers._children import check_params
from fcnn.prng import Key, fold_in

Nesting: TypeAlias = "tuple[Nesting, ...] | None"
"""The tuples in which a chain's params are nested; None stands for a layer's own params."""


class Chain:
    """Layers one after the other, their params in a tuple; ``triple`` is init, apply and vjp."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts, self._count = parts, len(parts)
        self._ties = Ties(parts)
        self._nesting = tuple([_nesting(part.layer) for part in parts])
        places = [p for part in parts for p in fusion.flatten(part.layer, part.step, part.place)]
        self._is_flat = [place.place for place in places] == [(i,) for i in range(len(parts))]
        self._is_plain = self._is_flat and not self._ties
        modes = [(train, fuse) for train in (False, True) for fuse in (False, True)]
        self._plans = {mode: _planned(places, *mode) for mode in modes}

    @property
    def triple(self) -> Triple:
        """The layer's functions."""
        return self._init, self._apply, self._vjp

    def _init(self, key: Key, shape: Any) -> tuple[Tree, Any]:
        params = []
        for i, part in enumerate(self._parts):
            try:
                made, shape = part.layer.init(fold_in(key, i), shape)
            except Exception as error:
                relocate(error, part.step, part.layer)
            params.append(made)
        return self._ties.prune(tuple(params)), shape

    def _apply(self, params: Tree, x: Any, ctx: Context = EVAL) -> Any:
        flat = self._gathered(params)
        for stage, own, _, place in self._plans[ctx.train, ctx.fuse]:
            try:
                x = stage.apply(flat[own], x, ctx.at(place, ctx.input_grad))
            except Exception as error:
                stage.blame(error)
        return x

    def _vjp(self, params: Tree, x: Any, ctx: Context = EVAL) -> tuple[Any, ModelPullback]:
        flat, pullbacks = self._gathered(params), []
        # Without an input gradient, layers before the first weights need no pullback.
        first = 0 if ctx.input_grad else _first_with_weights(flat)
        for stage, own, start, place in self._plans[ctx.train, ctx.fuse]:
            here = ctx.at(place, ctx.input_grad or start > first)
            try:
                x, pullback = stage.vjp(flat[own], x, here)
            except Exception as error:
                stage.blame(error)
            if start + len(stage.layers) > first:
                pullbacks.append((stage, own, pullback))

        def backward(pullbacks: list[Any], is_last: bool, dx: Any) -> tuple[Tree, Any]:
            grads = [*map(unmoved, flat[:first]), *flat[first:]]
            while pullbacks:
                stage, own, pullback = pullbacks.pop()
                try:
                    grads[own], dx = (for_last_call(pullback) if is_last else pullback)(dx)
                except Exception as error:
                    stage.blame(error)
            dparams = tuple(grads) if self._is_flat else _scatter(iter(grads), self._nesting)
            return self._ties.add(
                dparams
            ) if self._ties else dparams, dx if ctx.input_grad else None

        def pullback_all(dy: Any) -> tuple[Tree, Any]:
            return backward(list(pullbacks), False, dy)

        # The last call empties the list: what a layer keeps is freed when its pullback has run.
        last = functools.partial(backward, pullbacks, True)
        pullback_all.last = last  # type: ignore[attr-defined]
        return x, pullback_all

    def _gathered(self, params: Any) -> Sequence[Tree]:
        """Return the params of each layer that runs, in order."""
        if type(params) is not tuple or len(params) != self._count:
            check_params(params, self._count)
        if self._is_plain:
            own: Sequence[Tree] = params
            return own
        return _gather(self._ties.restore(params), self._nesting)


def _planned(places: Sequence[Any], train: bool, fuse: bool) -> list[Any]:
    """Return each stage with where its params are, its first layer, and the place of that."""
    layers, steps = [place.layer for place in places], [place.step for place in places]
    stages = fusion.plan(layers, train=train, fuse=fuse, steps=steps)
    return [(stage, stage.own, stage.start, places[stage.start].place) for stage in stages]


def _nesting(layer: Layer) -> Nesting:
    if not fusion.is_flattened(layer):
        return None
    inner = [(part.place, _nesting(part.layer)) for part in parts_of(layer)]
    if inner and inner[0][0] == ():  # its params are those of its only layer
        return inner[0][1]
    return tuple([nesting for _, nesting in inner])


def _gather(params: Tree, nesting: Nesting) -> list[Tree]:
    """Return the layers' params in order, one for each that runs."""
    if nesting is None:
        return [params]
    pairs = zip(check_params(params, len(nesting)), nesting, strict=True)
    return [leaf for each, inner in pairs for leaf in _gather(each, inner)]


def _scatter(flat: Iterator[Tree], nesting: Nesting) -> Tree:
    """Return params nested again: the inverse of `_gather`."""
    if nesting is None:
        return next(flat)
    return tuple([_scatter(flat, inner) for inner in nesting])


def _first_with_weights(flat: Sequence[Tree]) -> int:
    return next((i for i, each in enumerate(flat) if _any_weight(each)), len(flat))


def _any_weight(params: Tree) -> bool:
    if type(params) is tuple:
        return any(_any_weight(each) for each in params)
    return type(params) is not FrozenParams
