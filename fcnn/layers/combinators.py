"""Combinators: layers made of layers.

By the chain rule the pullbacks of a composition run backwards. In a sum dy goes into every
branch, and the branches' dx are added; in a product each branch gets dy times the other
outputs; in a concatenation each branch gets its slice of dy.

Every combinator of several layers has the tuple of its layers' params as its own, gives each
layer a sub-key of its own, and names it in errors by its place.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np

from fcnn import fusion
from fcnn._check import whole
from fcnn._freezing import FrozenParams, unmoved
from fcnn._layer import EVAL, Context, Layer, Triple, for_last_call, layer, relocate
from fcnn._sharing import SHARED, Ties
from fcnn._typing import ModelPullback, Tree
from fcnn._walk import Part, combinator, facts, naming, parts_of, step_of
from fcnn.errors import ArgumentError, TreeError
from fcnn.prng import Key, fold_in


@layer(inputs="any")
def serial(*layers: Layer) -> Triple:
    """Compose layers: ``y = f_k(... f_2(f_1(x)))``.

    Neighbours that a rule of `fcnn.fusion` covers run as one kernel, across nested serials
    too. ``serial()`` is the identity. ``model[0]``, ``model[:4]``, ``len(model)`` and
    ``model.layers`` give the layers; unpacking gives the triple.

    Raises:
        ArgumentError: if something that is not a layer is among the layers.
        FcnnError: whatever a layer raises, with the path to it.

    >>> import fcnn
    >>> model = fcnn.serial(fcnn.conv2d(4, 5), fcnn.relu, fcnn.flatten, fcnn.dense(10))
    >>> params, out_shape = model.init(fcnn.key(0), (28, 28, 1))
    >>> len(params), out_shape
    (4, (10,))
    >>> model.init(fcnn.key(0), (4, 28, 1))
    Traceback (most recent call last):
    fcnn.errors.ShapeError: serial[0] conv2d(4, 5): expected a window no larger than its image, ...
    """
    check_layers("serial", layers)
    parts = _chain("serial", layers)
    check_steps(parts)
    return chained(parts)


def chained(parts: Sequence[Part]) -> Triple:
    """Return the triple of layers one after the other, their params in a tuple."""
    layers = [part.layer for part in parts]
    ties = Ties(parts)
    places = [p for part in parts for p in fusion.flatten(part.layer, part.step, part.place)]
    nesting = tuple([_nesting(each) for each in layers])
    is_flat = [place.place for place in places] == [(i,) for i in range(len(layers))]
    plans = {
        (train, fuse): [
            (stage, stage.own, stage.start, places[stage.start].place)
            for stage in fusion.plan(
                [place.layer for place in places],
                train=train,
                fuse=fuse,
                steps=[place.step for place in places],
            )
        ]
        for train in (False, True)
        for fuse in (False, True)
    }

    is_plain, count = is_flat and not ties, len(layers)

    def flattened(params: Any) -> Sequence[Tree]:
        if type(params) is not tuple or len(params) != count:
            check_params(params, count)
        if not is_plain:
            params = _gather(ties.restore(params), nesting)
        own: Sequence[Tree] = params
        return own

    def init(key: Key, shape: Any) -> tuple[Tree, Any]:
        params = []
        for i, part in enumerate(parts):
            try:
                made, shape = part.layer.init(fold_in(key, i), shape)
            except Exception as error:
                relocate(error, part.step, part.layer)
            params.append(made)
        return ties.prune(tuple(params)), shape

    def apply(params: Tree, x: Any, ctx: Context = EVAL) -> Any:
        flat = flattened(params)
        for stage, own, _, place in plans[ctx.train, ctx.fuse]:
            try:
                x = stage.apply(flat[own], x, ctx.at(place, ctx.input_grad))
            except Exception as error:
                stage.blame(error)
        return x

    def vjp(params: Tree, x: Any, ctx: Context = EVAL) -> tuple[Any, ModelPullback]:
        flat, pullbacks = flattened(params), []
        # Without an input gradient, layers before the first weights need no pullback.
        first = 0 if ctx.input_grad else _first_with_weights(flat)
        for stage, own, start, place in plans[ctx.train, ctx.fuse]:
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
            dparams = tuple(grads) if is_flat else _scatter(iter(grads), nesting)
            return ties.add(dparams) if ties else dparams, dx if ctx.input_grad else None

        def pullback_all(dy: Any) -> tuple[Tree, Any]:
            return backward(list(pullbacks), False, dy)

        last = functools.partial(backward, pullbacks, True)
        pullback_all.last = last  # type: ignore[attr-defined]
        return x, pullback_all

    return init, apply, vjp


def _chain(name: str, layers: Sequence[Layer]) -> list[Part]:
    return [Part(step_of(name, i, each), each, (i,)) for i, each in enumerate(layers)]


@combinator(serial, wiring="chain")
def _serial_parts(model: Layer) -> list[Part]:
    return _chain("serial", model.layers)


facts(serial, multiply_adds=0, window=(1, 1))  # without layers: the identity


@layer(inputs="any")
def repeat(layer: Layer, n: int) -> Triple:
    """Compose n copies of a layer, each with params of its own: ``serial(layer, ..., layer)``.

    Raises:
        ArgumentError: if what it repeats is no layer, or ``n`` no whole number of at least 0.

    >>> import fcnn
    >>> block = fcnn.residual(fcnn.conv2d(4, 3, padding="same"), fcnn.relu)
    >>> params, _ = fcnn.repeat(block, 3).init(fcnn.key(0), (8, 8, 4))
    >>> len(params)
    3
    """
    if not isinstance(layer, Layer):
        raise ArgumentError(f"expected a layer to repeat, got {layer!r}")
    return chained(_repeated(layer, whole(n, "n", 0)))


def _repeated(layer: Layer, n: int) -> list[Part]:
    return [Part(f"repeat[{i}]", layer, (i,)) for i in range(n)]


@combinator(repeat, wiring="chain")
def _repeat_parts(model: Layer) -> list[Part]:
    return _repeated(**model.spec.arguments)


facts(repeat, multiply_adds=0, window=(1, 1))  # none of a layer: the identity


@layer(inputs="any")
def named(name: str, layer: Layer) -> Triple:
    """Give a layer a name by which paths and errors call it.

    It computes what the layer computes, with the same params and the same random numbers.

    Raises:
        ArgumentError: if the name is no identifier, or what it names no layer.

    >>> import fcnn
    >>> model = fcnn.serial(fcnn.named("conv1", fcnn.conv2d(4, 3)), fcnn.relu)
    >>> [visit.path for visit in fcnn.walk(model, (8, 8, 1))]
    ['conv1', 'serial[1]']
    """
    if not isinstance(name, str) or not name.isidentifier():
        raise ArgumentError(f"expected a name of letters, digits and _, got {name!r}")
    if not isinstance(layer, Layer):
        raise ArgumentError(f"expected a layer to name, got {layer!r}")
    return layer.init, layer.apply, layer.vjp


naming(named, lambda layer: str(layer.spec.arguments["name"]))


@combinator(named, wiring="chain")
def _named_parts(layer: Layer) -> list[Part]:
    return [Part("", layer.spec.arguments["layer"], ())]


@layer(inputs="any")
def shared(layer: Layer, *, name: str = "") -> Triple:
    """Use one set of params wherever this layer stands in a model.

    Its first place in the model holds the params; the other places hold ``()``. The gradients
    of all places are added there, and the observations of its statistics averaged. Shared
    layers that are equal are the same layer: give a ``name`` to keep two apart.

    >>> import fcnn
    >>> tied = fcnn.shared(fcnn.dense(4))
    >>> params, _ = fcnn.serial(tied, fcnn.relu, tied).init(fcnn.key(0), (4,))
    >>> [type(each).__name__ for each in params]
    ['DenseParams', 'tuple', 'tuple']
    """
    if not isinstance(layer, Layer):
        raise ArgumentError(f"expected a layer to share, got {layer!r}")
    return layer.init, layer.apply, layer.vjp


SHARED.add(shared)


@combinator(shared, wiring="chain")
def _shared_parts(layer: Layer) -> list[Part]:
    return [Part("", layer.spec.arguments["layer"], ())]


def check_layers(name: str, layers: Sequence[Any], least: int = 0) -> None:
    """Refuse what is not a layer, or fewer layers than a combinator needs."""
    for i, each in enumerate(layers):
        if not isinstance(each, Layer):
            raise ArgumentError(f"expected a layer as {name}[{i}], got {each!r}{_hint(each)}")
    if len(layers) < least:
        raise ArgumentError(f"expected {name} of at least {least} layer(s), got {len(layers)}")


def _hint(each: Any) -> str:
    """What to write instead of what is not a layer."""
    if isinstance(each, list | tuple):
        return "; pass the layers one by one: *layers"
    if isinstance(each, np.ufunc | str):
        return "; use a layer, such as fcnn.relu"
    return "; call the constructor" if callable(each) else ""


def check_steps(parts: Sequence[Part]) -> None:
    """Refuse two layers of one name in a combinator."""
    steps = [part.step for part in parts]
    for step in steps:
        if steps.count(step) > 1:
            raise ArgumentError(f"expected names that differ, got {step!r} twice; rename one")


def check_params(params: Tree, n: int) -> tuple[Tree, ...]:
    """Return the params of a combinator of n layers if they are a tuple of n.

    Raises:
        TreeError: if they are not.
    """
    if type(params) is not tuple or len(params) != n:
        got = f"a tuple of {len(params)}" if type(params) is tuple else type(params).__name__
        raise TreeError(f"expected params made by init, a tuple of {n}, got {got}")
    return params


Nesting: TypeAlias = "tuple[Nesting, ...] | None"
"""The tuples in which a chain's params are nested; None stands for a layer's own params."""


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
