"""Layers side by side: branches that read the same input, items that each have their own.

With dy the gradient at the output: in a sum every branch gets dy; in a product each gets dy
times the other outputs; in a concatenation each gets its slice of dy. The dx of branches that
read the same input are added; those of items stay apart.

`add`, `concat` and `multiply` join branches, or, called without any, the items of a tuple:
``serial(itemwise(f, g), concat())``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fcnn._layer import EVAL, Context, Layer, Triple, core, is_shape, layer, relocate
from fcnn._sharing import Ties
from fcnn._typing import ModelPullback, Tree
from fcnn._walk import Part, Wiring, combinator, facts, step_of
from fcnn.errors import ArgumentError, ShapeError, TreeError
from fcnn.layers._joins import ADD, CONCAT, MULTIPLY, Join, items_of, total_of
from fcnn.layers.combinators import check_layers, check_params, serial
from fcnn.prng import Key, fold_in


@layer(inputs="any")
def add(*branches: Layer) -> Triple:
    """Add what the branches make of the same input: ``y = f_1(x) + ... + f_k(x)``.

    Without branches, add the items of a tuple or dict: ``y = x_1 + ... + x_k``.

    Raises:
        ArgumentError: if a branch is not a layer.
        ShapeError: if the outputs differ in shape, or the input has no items to add.

    >>> import fcnn
    >>> params, out_shape = fcnn.add(fcnn.dense(3), fcnn.dense(3)).init(fcnn.key(0), (2,))
    >>> out_shape
    (3,)
    """
    return _joining("add", branches, ADD)


@layer(inputs="any")
def multiply(*branches: Layer) -> Triple:
    """Multiply what the branches make of the same input: ``y = f_1(x) · ... · f_k(x)``.

    Without branches, multiply the items of a tuple or dict. Shapes may differ where NumPy
    broadcasts: a gate ``(n, 1, 1, c)`` scales the channels of ``(n, h, w, c)``.

    Raises:
        ArgumentError: if a branch is not a layer.
        ShapeError: if the outputs do not broadcast, or the input has no items to multiply.

    >>> import fcnn
    >>> gated = fcnn.multiply(fcnn.dense(3), fcnn.serial(fcnn.dense(3), fcnn.sigmoid))
    >>> gated.init(fcnn.key(0), (2,))[1]
    (3,)
    """
    return _joining("multiply", branches, MULTIPLY)


@layer(inputs="any")
def concat(*branches: Layer) -> Triple:
    """Concatenate what the branches make of the same input, on the last axis.

    Without branches, concatenate the items of a tuple or dict.

    Raises:
        ArgumentError: if a branch is not a layer.
        ShapeError: if the outputs differ in any axis but the last, or the input has no items.

    >>> import fcnn
    >>> params, out_shape = fcnn.concat(fcnn.dense(3), fcnn.dense(4)).init(fcnn.key(0), (2,))
    >>> out_shape
    (7,)
    >>> fcnn.concat().init(fcnn.key(0), ((3,), (4,)))
    ((), (7,))
    """
    return _joining("concat", branches, CONCAT)


@layer(inputs="any")
def residual(*body: Layer, shortcut: Layer | None = None) -> Triple:
    """Add a shortcut around a body: ``y = shortcut(x) + body(x)``.

    The same as ``add(shortcut, serial(*body))``.

    Args:
        *body: layers, one after the other.
        shortcut: what joins the input to the sum; the identity if None.

    Raises:
        ShapeError: if body and shortcut give different shapes.

    >>> import fcnn
    >>> block = fcnn.residual(fcnn.conv2d(8, 3, padding="same"), fcnn.relu)
    >>> block.init(fcnn.key(0), (28, 28, 8))[1]
    (28, 28, 8)

    Source: K. He et al., "Deep residual learning for image recognition", 2015,
    https://arxiv.org/abs/1512.03385.
    """
    around = serial() if shortcut is None else shortcut
    check_layers("residual", (*body, around))
    return _side_by_side("residual", _parts("residual", (around, serial(*body))), ADD, "branches")


@layer(inputs="any")
def fanout(*branches: Layer, **heads: Layer) -> Triple:
    """Give the same input to several layers: ``y = (f_1(x), ..., f_k(x))``.

    With names, y is a dict and so are the params: ``fanout(digit=dense(10), tilt=dense(1))``.

    Raises:
        ArgumentError: if there is no branch, one is not a layer, or only some have names.

    >>> import fcnn
    >>> two = fcnn.fanout(digit=fcnn.dense(10), tilt=fcnn.dense(1))
    >>> two.init(fcnn.key(0), (64,))[1]
    {'digit': (10,), 'tilt': (1,)}
    """
    parts = _named_parts("fanout", branches, heads)
    return _side_by_side("fanout", parts, items_of(parts), "branches")


@layer(inputs="any")
def itemwise(*layers: Layer, **named_layers: Layer) -> Triple:
    """Give each item of a tuple or dict to its own layer: ``y_i = f_i(x_i)``.

    With names, x and y are dicts and so are the params.

    Raises:
        ArgumentError: if there is no layer, one is not a layer, or only some have names.
        ShapeError: if the input has other items.

    A model of two inputs:

    >>> import fcnn
    >>> image = fcnn.serial(fcnn.conv2d(4, 3), fcnn.relu, fcnn.flatten)
    >>> model = fcnn.serial(fcnn.itemwise(image, fcnn.dense(8)), fcnn.concat(), fcnn.dense(10))
    >>> model.init(fcnn.key(0), ((8, 8, 1), (5,)))[1]
    (10,)
    """
    parts = _named_parts("itemwise", layers, named_layers)
    return _side_by_side("itemwise", parts, items_of(parts), "items")


def _parts(name: str, layers: Sequence[Layer]) -> list[Part]:
    return [Part(step_of(name, i, each), each, (i,), i) for i, each in enumerate(layers)]


def _named_parts(name: str, layers: Sequence[Layer], named: dict[str, Layer]) -> list[Part]:
    if layers and named:
        raise ArgumentError(f"expected {name} of layers all with names or none, got some of each")
    check_layers(name, (*layers, *named.values()), least=1)
    if not named:
        return _parts(name, layers)
    return [Part(step_of(name, key, named[key]), named[key], (key,), key) for key in sorted(named)]


combinator(add, wiring="branches")(lambda layer: _parts("add", layer.layers))
combinator(multiply, wiring="branches")(lambda layer: _parts("multiply", layer.layers))
combinator(concat, wiring="branches")(lambda layer: _parts("concat", layer.layers))


facts(add, multiply_adds=0)
facts(concat, multiply_adds=0)
facts(multiply, multiply_adds=lambda layer, i, o: (len(i) - 1) * math.prod(o))


@combinator(residual, wiring="branches")
def _residual_parts(layer: Layer) -> list[Part]:
    shortcut = layer.spec.arguments["shortcut"] or serial()
    return _parts("residual", (shortcut, serial(*layer.spec.args)))


@combinator(fanout, wiring="branches")
def _fanout_parts(layer: Layer) -> list[Part]:
    return _named_parts("fanout", layer.spec.args, dict(layer.spec.kwargs))


@combinator(itemwise, wiring="items")
def _itemwise_parts(layer: Layer) -> list[Part]:
    return _named_parts("itemwise", layer.spec.args, dict(layer.spec.kwargs))


def _joining(name: str, branches: Sequence[Layer], join: Join) -> Triple:
    """Return the triple of ``join(branches(x))``, or of ``join(x)`` where there is no branch."""
    check_layers(name, branches)
    if branches:
        return _side_by_side(name, _parts(name, branches), join, "branches")

    def init(key: Key, shape: Any) -> tuple[tuple[()], Any]:
        return (), join.shape(_items(name, shape))

    def apply(params: tuple[()], x: Any, ctx: Context = EVAL) -> Any:
        return join.value(_items(name, x))

    def vjp(params: tuple[()], x: Any, ctx: Context = EVAL) -> tuple[Any, ModelPullback]:
        y, pull = join.vjp(_items(name, x))
        keys = sorted(x) if isinstance(x, dict) else None

        def pullback(dy: Any) -> tuple[tuple[()], Any]:
            dxs = pull(dy)
            return (), tuple(dxs) if keys is None else dict(zip(keys, dxs, strict=True))

        return y, pullback

    return init, apply, vjp


def _items(name: str, x: Any) -> list[Any]:
    """Return the items of a tuple or dict of arrays, or of shapes."""
    if isinstance(x, dict) and x:
        return [x[key] for key in sorted(x)]
    if isinstance(x, tuple) and x and not is_shape(x):
        return list(x)
    got = f"an array of shape {x.shape}" if isinstance(x, np.ndarray) else f"{x!r}"
    raise ShapeError(f"expected a tuple or dict of arrays for {name}(), got {got}")


def _side_by_side(name: str, parts: Sequence[Part], join: Join, wiring: Wiring) -> Triple:
    """Return the triple of ``join([f(x) or f(x[item]) for each layer f])``."""
    ties, in_dict = Ties(parts), isinstance(parts[0].item, str)

    def read(x: Any) -> list[Any]:
        if wiring == "branches":
            return [x] * len(parts)
        items = set(x) if isinstance(x, dict) else set(range(len(x)))
        if isinstance(x, np.ndarray) or is_shape(x) or items != {part.item for part in parts}:
            expected = f"a {'dict' if in_dict else 'tuple'} of {[part.item for part in parts]}"
            raise ShapeError(f"expected {expected} for {name}, got {_described(x)}")
        return [x[part.item] for part in parts]

    def own(params: Tree) -> list[Tree]:
        if not in_dict:
            return list(ties.restore(check_params(params, len(parts))))
        if type(params) is not dict or set(params) != {part.item for part in parts}:
            raise TreeError(f"expected params made by init, a dict of {[p.item for p in parts]}")
        params = ties.restore(params)
        return [params[part.item] for part in parts]

    def together(items: Sequence[Any]) -> Tree:
        if not in_dict:
            return tuple(items)
        return dict(zip([part.item for part in parts], items, strict=True))

    def init(key: Key, shape: Any) -> tuple[Tree, Any]:
        made = []
        for i, (part, seen) in enumerate(zip(parts, read(shape), strict=True)):
            try:
                made.append(part.layer.init(fold_in(key, i), seen))
            except Exception as error:
                relocate(error, part.step, part.layer)
        params = together([params for params, _ in made])
        return ties.prune(params), join.shape([out for _, out in made])

    def apply(params: Tree, x: Any, ctx: Context = EVAL) -> Any:
        ys = []
        for i, (part, its, seen) in enumerate(zip(parts, own(params), read(x), strict=True)):
            try:
                ys.append(part.layer.apply(its, seen, ctx.child(i)))
            except Exception as error:
                relocate(error, part.step, part.layer)
        return join.value(ys)

    def vjp(params: Tree, x: Any, ctx: Context = EVAL) -> tuple[Any, ModelPullback]:
        ys, pullbacks = [], []
        for i, (part, its, seen) in enumerate(zip(parts, own(params), read(x), strict=True)):
            try:
                y, pullback = core(part.layer.vjp)(its, seen, ctx.child(i))
            except Exception as error:
                relocate(error, part.step, part.layer)
            ys.append(y)
            pullbacks.append(pullback)
        y, pull = join.vjp(ys)
        del ys  # the pullback keeps alive what it reads, and no more

        def pullback_all(dy: Any) -> tuple[Tree, Any]:
            grads, dxs = [], []
            for part, pullback, dpart in zip(parts, pullbacks, pull(dy), strict=True):
                try:
                    grad, dx = pullback(dpart)
                except Exception as error:
                    relocate(error, part.step, part.layer)
                grads.append(grad)
                dxs.append(dx)
            dparams = ties.add(together(grads))
            if not ctx.input_grad:
                return dparams, None
            return dparams, together(dxs) if wiring == "items" else total_of(dxs)

        return y, pullback_all

    return init, apply, vjp


def _described(x: Any) -> str:
    if isinstance(x, dict):
        return f"a dict of {sorted(x)}"
    if isinstance(x, np.ndarray):
        return f"an array of shape {x.shape}"
    return f"the shape {x}" if is_shape(x) else f"a tuple of {len(x)}"
