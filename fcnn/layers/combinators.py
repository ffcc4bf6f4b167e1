"""Combinators: layers made of layers.

With dy the gradient at the output, the chain rule says of a composition that
pullbacks run backwards, of a sum that dy goes into every branch and their dx are
added, and of a concatenation that each branch gets its slice of dy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn

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
    fcnn.errors.ShapeError: serial[0] conv2d(4, 5): expected a window no larger than its image, ...
    """
    _check_layers("serial", layers)
    in_training, in_evaluation = _stages(layers), _stages(layers, fold=True)

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
        for stage in in_training if ctx.train else in_evaluation:
            try:
                x = stage.apply(params, x, ctx)
            except Exception as error:
                stage.blame(error, params, x, ctx)
        return x

    def vjp(params: Tree, x: Array, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
        _check_params(params, layers)
        # Without an input gradient, what stands before the first parameters needs no pullback.
        first = 0 if ctx.input_grad else _first_with_params(params)
        pullbacks: list[tuple[_Stage, ModelPullback]] = []
        for stage in in_training if ctx.train else in_evaluation:
            try:
                x, pullback = stage.vjp(params, x, ctx, ctx.input_grad or stage.at > first)
            except Exception as error:
                stage.blame(error, params, x, ctx)
            if stage.at >= first:
                pullbacks.append((stage, pullback))

        def pullback_all(dy: Array) -> tuple[Tree, Any]:
            grads = list(params)
            dx: Any = dy
            for stage, pullback in reversed(pullbacks):
                try:
                    grads[stage.own], dx = pullback(dx)
                except Exception as error:
                    relocate(error, f"serial[{stage.at}]", stage.run[0])
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


class _Stage(NamedTuple):
    """A part of a `serial` that runs in one: ``run`` are the layers that it stands for.

    ``layer`` takes the params of the first, which are at ``own``; the others have none, and
    nothing is missed where their gradients ``()`` are skipped. ``folded``, if there is one,
    does the work in evaluation and takes the params of all, which are at ``own``.
    """

    at: int
    run: tuple[Layer, ...]
    own: Any
    layer: Layer
    folded: Apply | None

    def apply(self, params: Tree, x: Array, ctx: Context) -> Array:
        if self.folded is not None:
            return self.folded(params[self.own], x, ctx)
        y: Array = self.layer.apply(params[self.own], x, ctx.child(self.at))
        return y

    def vjp(
        self, params: Tree, x: Array, ctx: Context, input_grad: bool
    ) -> tuple[Array, ModelPullback]:
        child = ctx.child(self.at, input_grad=input_grad)
        if self.folded is None:
            return self.layer.vjp(params[self.own], x, child)

        def pullback(dy: Array) -> tuple[Tree, Any]:
            """That of the layers one by one; in evaluation it is seldom wanted."""
            y, here, pullbacks = x, child, []
            for each, its in zip(self.run, params[self.own], strict=True):
                y, pull = each.vjp(its, y, here)
                here = Context(ctx.train, child.key)  # the next ones owe their input's gradient
                pullbacks.append(pull)
            grads = []
            for pull in reversed(pullbacks):
                grad, dy = pull(dy)
                grads.append(grad)
            return tuple(reversed(grads)), dy

        return self.folded(params[self.own], x, child), pullback

    def blame(self, error: Exception, params: Tree, x: Array, ctx: Context) -> NoReturn:
        """Raise its error; if it stands for several layers, that of the one it comes from."""
        for k, each in enumerate(self.run if len(self.run) > 1 else (), self.at):
            try:
                x = each.apply(params[k], x, ctx.child(k))
            except Exception as its_own:
                relocate(its_own, f"serial[{k}]", each)
        relocate(error, f"serial[{self.at}]", self.run[0])


def _stages(layers: tuple[Layer, ...], *, fold: bool = False) -> list[_Stage]:
    """What runs, as many layers in one as they can; those that fold only if asked for."""
    stages: list[_Stage] = []
    while (i := stages[-1].at + len(stages[-1].run) if stages else 0) < len(layers):
        head = layers[i]
        for many in (2, 1, 0):
            run = layers[i : i + 1 + many]
            if len(run) <= many:
                continue
            folded = head.fold(run[1:]) if fold and many else None
            does = head if folded or not many else head.fuse(run[1:])
            if does is not None:
                own = i if folded is None else slice(i, i + 1 + many)
                stages.append(_Stage(i, run, own, does, folded))
                break
    return stages


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
