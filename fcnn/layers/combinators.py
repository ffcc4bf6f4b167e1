"""Combinators: layers made of layers.

With dy the gradient at the output, the chain rule says of a composition that
pullbacks run backwards, of a sum that dy goes into every branch and their dx are
added, and of a concatenation that each branch gets its slice of dy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from fcnn._layer import EVAL, Apply, Context, Fusible, Layer, Triple, Vjp, layer, relocate
from fcnn._ops.relu import relu as relu_of
from fcnn._ops.relu import relu_adjoint
from fcnn._typing import Array, ModelPullback, Shape, Tree
from fcnn.errors import ArgumentError, ShapeError, TreeError
from fcnn.layers.activations import relu
from fcnn.prng import Key, fold_in


@layer
def serial(*layers: Layer) -> Triple:
    """One layer after the other: ``y = f_k(... f_2(f_1(x)))``.

    Its params are the tuple of its layers' params; each layer gets a sub-key of its
    own. ``serial()`` is the identity.

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
    fcnn.errors.ShapeError: serial[0] conv2d(4, 5): the window is larger than its image: ...
    """
    _check_layers("serial", layers)
    stages = _stages(layers)

    def init(key: Key, shape: Shape) -> tuple[Tree, Shape]:
        params = []
        for i, each in enumerate(layers):
            try:
                made, shape = each.init(fold_in(key, i), shape)
            except Exception as error:
                relocate(error, f"serial[{i}]", each)
            params.append(made)
        return tuple(params), shape

    def apply(params: Tree, x: Array, ctx: Context = EVAL) -> Array:
        _check_params(params, layers)
        for i, each, run in stages:
            try:
                x = each.apply(params[i], x, ctx.child(i))
            except Exception as error:
                _blame(error, i, run, params, x, ctx)
        return x

    def vjp(params: Tree, x: Array, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
        _check_params(params, layers)
        # Without an input gradient, what stands before the first parameters needs no pullback.
        first = 0 if ctx.input_grad else _first_with_params(params)
        pullbacks: list[tuple[int, Layer, ModelPullback]] = []
        for i, each, run in stages:
            try:
                child = ctx.child(i, input_grad=ctx.input_grad or i > first)
                x, pullback = each.vjp(params[i], x, child)
            except Exception as error:
                _blame(error, i, run, params, x, ctx)
            if i >= first:
                pullbacks.append((i, each, pullback))

        def pullback_all(dy: Array) -> tuple[Tree, Any]:
            grads = list(params)
            dx: Any = dy
            for i, each, pullback in reversed(pullbacks):
                try:
                    grads[i], dx = pullback(dx)
                except Exception as error:
                    relocate(error, f"serial[{i}]", each)
            return tuple(grads), dx if ctx.input_grad else None

        return x, pullback_all

    return init, apply, vjp


@layer
def add(*branches: Layer) -> Fusible:
    """The sum of what the branches make of the same input: ``y = f_1(x) + ... + f_k(x)``.

    Raises:
        ArgumentError: if there is no branch, or one is not a layer.
        ShapeError: if the branches' outputs differ in shape.

    >>> import fcnn
    >>> params, out_shape = fcnn.add(fcnn.dense(3), fcnn.dense(3)).init(fcnn.key(0), (2,))
    >>> out_shape
    (3,)
    """
    _check_layers("add", branches, least=1)
    return _adding("add", branches)


@layer
def concat(*branches: Layer) -> Fusible:
    """What the branches make of the same input, one behind the other on the last axis.

    Raises:
        ArgumentError: if there is no branch, or one is not a layer.
        ShapeError: if the branches' outputs differ in any axis but the last.

    >>> import fcnn
    >>> params, out_shape = fcnn.concat(fcnn.dense(3), fcnn.dense(4)).init(fcnn.key(0), (2,))
    >>> out_shape
    (7,)
    """
    _check_layers("concat", branches, least=1)

    def join_shapes(shapes: Sequence[Shape]) -> Shape:
        if len({shape[:-1] for shape in shapes}) > 1:
            raise ShapeError(
                f"the branches' outputs must agree in all axes but the last, and they are {shapes}"
            )
        return (*shapes[0][:-1], sum(shape[-1] for shape in shapes))

    def join(ys: Sequence[Array]) -> Array:
        return np.concatenate(ys, axis=-1)

    def part(dy: Array, widths: Sequence[int]) -> list[Array]:
        return np.split(dy, np.cumsum(widths)[:-1], axis=-1)

    return _branching("concat", branches, join_shapes, join, part)


@layer
def residual(*body: Layer, shortcut: Layer | None = None) -> Fusible:
    """``y = shortcut(x) + body(x)``: ``add(shortcut, serial(*body))``.

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
    _check_layers("residual", (*body, shortcut or serial()))
    return _adding("residual", (shortcut or serial(), serial(*body)))


def _adding(name: str, branches: tuple[Layer, ...]) -> Fusible:
    def join_shapes(shapes: Sequence[Shape]) -> Shape:
        if len(set(shapes)) > 1:
            raise ShapeError(f"the branches' outputs must have one shape, and they have {shapes}")
        return shapes[0]

    def part(dy: Array, widths: Sequence[int]) -> list[Array]:
        return [dy] * len(widths)

    return _branching(name, branches, join_shapes, _sum, part)


def _branching(
    name: str,
    branches: tuple[Layer, ...],
    join_shapes: Callable[[Sequence[Shape]], Shape],
    join: Callable[[Sequence[Array]], Array],
    part: Callable[[Array, Sequence[int]], list[Array]],
) -> Fusible:
    """The triple of ``join(branch(x) for each branch)``.

    ``part`` is the adjoint of ``join``, given dy and the branches' numbers of channels.
    """

    def init(key: Key, shape: Shape) -> tuple[Tree, Shape]:
        made = []
        for i, branch in enumerate(branches):
            try:
                made.append(branch.init(fold_in(key, i), shape))
            except Exception as error:
                relocate(error, f"{name}[{i}]", branch)
        return tuple(params for params, _ in made), join_shapes([out for _, out in made])

    def maps(rectify: bool) -> tuple[Apply, Vjp]:
        """The layer's apply and vjp, or those of the layer and a relu behind it."""

        def joined(ys: Sequence[Array]) -> Array:
            join_shapes([y.shape for y in ys])
            y = join(ys)
            if not rectify:
                return y
            return relu_of(y, out=None if any(y is each for each in ys) else y)

        def apply(params: Tree, x: Array, ctx: Context = EVAL) -> Array:
            _check_params(params, branches)
            ys = []
            for i, branch in enumerate(branches):
                try:
                    ys.append(branch.apply(params[i], x, ctx.child(i)))
                except Exception as error:
                    relocate(error, f"{name}[{i}]", branch)
            return joined(ys)

        def vjp(params: Tree, x: Array, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
            _check_params(params, branches)
            ys, pullbacks = [], []
            for i, branch in enumerate(branches):
                try:
                    child = ctx.child(i, input_grad=ctx.input_grad)
                    y, pull = branch.vjp(params[i], x, child)
                except Exception as error:
                    relocate(error, f"{name}[{i}]", branch)
                ys.append(y)
                pullbacks.append(pull)
            y, widths = joined(ys), [y.shape[-1] for y in ys]
            del ys  # a pullback that held them would hold their memory

            def pullback(dy: Array) -> tuple[Tree, Any]:
                pairs = []
                for i, dpart in enumerate(part(relu_adjoint(y, dy) if rectify else dy, widths)):
                    try:
                        pairs.append(pullbacks[i](dpart))
                    except Exception as error:
                        relocate(error, f"{name}[{i}]", branches[i])
                dx = _sum([dx for _, dx in pairs]) if ctx.input_grad else None
                return tuple(grad for grad, _ in pairs), dx

            return y, pullback

        return apply, vjp

    def fuse(followers: tuple[Layer, ...]) -> tuple[Apply, Vjp] | None:
        return maps(True) if followers == (relu,) else None

    return Fusible(init, *maps(False), fuse)


def _sum(arrays: Sequence[Array]) -> Array:
    """The sum, in order; a single array is returned as it is."""
    total = arrays[0]
    for array in arrays[1:]:
        total = total + array
    return total


def _stages(layers: tuple[Layer, ...]) -> list[tuple[int, Layer, tuple[Layer, ...]]]:
    """What runs: a place, a layer, and the layers that it stands for if it is several in one.

    Those taken along have no params; their gradients are ``()``, so nothing is missed where
    they are skipped.
    """
    stages: list[tuple[int, Layer, tuple[Layer, ...]]] = []
    i = 0
    while i < len(layers):
        for many in (2, 1, 0):
            followers = layers[i + 1 : i + 1 + many]
            fused = layers[i].fuse(followers) if len(followers) == many > 0 else None
            if fused is not None or many == 0:
                stages.append((i, fused or layers[i], (layers[i], *followers)))
                i += 1 + many
                break
    return stages


def _blame(
    error: Exception, i: int, run: tuple[Layer, ...], params: Tree, x: Array, ctx: Context
) -> NoReturn:
    """Raise a stage's error; if it stands for several layers, that of the one it comes from."""
    for k, each in enumerate(run if len(run) > 1 else (), i):
        try:
            x = each.apply(params[k], x, ctx.child(k))
        except Exception as its_own:
            relocate(its_own, f"serial[{k}]", each)
    relocate(error, f"serial[{i}]", run[0])


def _first_with_params(params: Tree) -> int:
    return next((i for i, each in enumerate(params) if _any_leaf(each)), len(params))


def _any_leaf(params: Tree) -> bool:
    return any(_any_leaf(each) for each in params) if type(params) is tuple else True


def _check_layers(name: str, layers: tuple[Layer, ...], least: int = 0) -> None:
    for i, each in enumerate(layers):
        if not isinstance(each, Layer):
            hint = ", call it" if callable(each) else ""
            raise ArgumentError(f"{name}[{i}] must be a layer, and {each!r} came{hint}")
    if len(layers) < least:
        raise ArgumentError(f"{name} needs a branch at least")


def _check_params(params: Tree, layers: tuple[Layer, ...]) -> None:
    if type(params) is not tuple or len(params) != len(layers):
        came = f"a tuple of {len(params)}" if type(params) is tuple else type(params).__name__
        raise TreeError(f"wanted params made by init, a tuple of {len(layers)}, and {came} came")
