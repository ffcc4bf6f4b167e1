"""What type checkers see of the functions in layers, losses, optimizers and gradients.

One array as the input gives one array as the output. Where the input is a tuple or dict of
arrays, or a layer returns one, a type checker cannot know the output: it is ``Any``.
Gradients have the type of the params, states of an optimizer the type of the state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from fcnn._typing import Array, Shape, Tree

if TYPE_CHECKING:
    from fcnn._layer import Context
    from fcnn.prng import Key

T = TypeVar("T")
S = TypeVar("S")


class LayerInit(Protocol):
    """``init(key, shape) -> (params, out_shape)`` of a `Layer`."""

    @overload
    def __call__(self, key: Key, shape: Shape, /) -> tuple[Tree, Shape]: ...
    @overload
    def __call__(self, key: Key, shape: Tree, /) -> tuple[Tree, Any]: ...


class LayerApply(Protocol):
    """``apply(params, x, ctx=EVAL) -> y`` of a `Layer`."""

    @overload
    def __call__(self, params: Tree, x: Array, /, ctx: Context = ...) -> Array: ...
    @overload
    def __call__(self, params: Tree, x: Tree, /, ctx: Context = ...) -> Any: ...


class LayerVjp(Protocol):
    """``vjp(params, x, ctx=EVAL) -> (y, pullback)`` of a `Layer`.

    ``dx`` is None, whatever the type says, where the context asks for no input gradient.
    """

    @overload
    def __call__(
        self, params: T, x: Array, /, ctx: Context = ...
    ) -> tuple[Array, Callable[[Array], tuple[T, Array]]]: ...
    @overload
    def __call__(
        self, params: T, x: S, /, ctx: Context = ...
    ) -> tuple[Any, Callable[[Any], tuple[T, S]]]: ...


class LossVjp(Protocol):
    """``vjp(prediction, target) -> (value, pullback)`` of a loss."""

    def __call__(self, prediction: T, target: Tree, /) -> tuple[float, Callable[[float], T]]: ...


class Grad(Protocol):
    """``f(params, x, target, ctx=EVAL) -> grads``."""

    def __call__(self, params: T, x: Tree, target: Tree, ctx: Context = ...) -> T: ...


class ValueAndGrad(Protocol):
    """``f(params, x, target, ctx=EVAL) -> (value, grads)``."""

    def __call__(self, params: T, x: Tree, target: Tree, ctx: Context = ...) -> tuple[float, T]: ...


class ValueAuxAndGrad(Protocol):
    """``f(params, x, target, ctx=EVAL) -> ((value, prediction), grads)``."""

    @overload
    def __call__(
        self, params: T, x: Array, target: Tree, ctx: Context = ...
    ) -> tuple[tuple[float, Array], T]: ...
    @overload
    def __call__(
        self, params: T, x: Tree, target: Tree, ctx: Context = ...
    ) -> tuple[tuple[float, Any], T]: ...


class TransformUpdate(Protocol):
    """``update(grads, state, params) -> (updates, state)`` of a gradient transform."""

    def __call__(self, grads: T, state: S, params: T, /) -> tuple[T, S]: ...


class OptimizerStep(Protocol):
    """``step(params, grads, state) -> (params, state)`` of an optimizer."""

    def __call__(self, params: T, grads: T, state: S, /) -> tuple[T, S]: ...
