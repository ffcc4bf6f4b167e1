"""What type checkers see of the functions that this package returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from fcnn._typing import Array, Tree

if TYPE_CHECKING:
    from fcnn._layer import Context

T = TypeVar("T")
S = TypeVar("S")


class InputGradient(Protocol):
    """``f(params, x, target, ctx=EVAL) -> (value, dx)``."""

    def __call__(self, params: Tree, x: S, target: Tree, ctx: Context = ...) -> tuple[float, S]: ...


class Jvp(Protocol):
    """``f(params, x, dparams, dx, ctx=EVAL) -> (y, dy)``."""

    @overload
    def __call__(
        self, params: Tree, x: Array, dparams: Tree, dx: Tree, ctx: Context = ...
    ) -> tuple[Array, Array]: ...
    @overload
    def __call__(
        self, params: Tree, x: Tree, dparams: Tree, dx: Tree, ctx: Context = ...
    ) -> tuple[Any, Any]: ...


class Hvp(Protocol):
    """``f(params, x, target, dparams, ctx=EVAL) -> H dparams``."""

    def __call__(
        self, params: T, x: Tree, target: Tree, dparams: Tree, ctx: Context = ...
    ) -> T: ...


class InputJacobian(Protocol):
    """``f(params, x, ctx=EVAL) -> J``, of the structure of x."""

    def __call__(self, params: Tree, x: S, ctx: Context = ...) -> S: ...


class ParamsJacobian(Protocol):
    """``f(params, x, ctx=EVAL) -> J``, of the structure of params."""

    def __call__(self, params: T, x: Tree, ctx: Context = ...) -> T: ...
