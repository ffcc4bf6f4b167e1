"""Triples of element-wise functions without params.

An element-wise function keeps for its pullback its output or its input, from which its derivative
follows, or the derivative itself, which is computed along with the output.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fcnn._layer import EVAL, Context, Triple
from fcnn._ops.epilogue import Epilogue
from fcnn._ops.pieces import piecewise
from fcnn._typing import Array, ModelPullback, Shape
from fcnn.errors import MissingKeyError
from fcnn.prng import Key


def keep_shape(key: Key, shape: Shape) -> tuple[tuple[()], Shape]:
    """Do what `init` does for a layer without params that gives the shape that it takes."""
    return (), shape


def key_of(ctx: Context, name: str) -> Key:
    """Return the context's key.

    Raises:
        MissingKeyError: if it has none.
    """
    if ctx.key is None:
        raise MissingKeyError(
            f"expected a key for {name} in training, got None; pass fcnn.training(key)"
        )
    return ctx.key


def by_output(function: Epilogue) -> Triple:
    """Return the triple of ``y = f(x)`` whose ``dx`` follows from y and dy."""

    def run(x: Array, y: Array) -> None:
        function.apply(x, out=y)

    def pull(y: Array, dy: Array, dx: Array) -> None:
        function.adjoint(y, dy, out=dx)

    return _triple(run, pull, of_output=True)


def by_input(run: Callable[..., None], pull: Callable[..., None]) -> Triple:
    """Return the triple of ``y = f(x)`` whose ``dx`` follows from x and dy.

    ``run(x, y)`` writes f(x) into y, and ``pull(x, dy, dx)`` the product ``dy · f'(x)`` into dx.
    """
    return _triple(run, pull, of_output=False)


def _triple(run: Callable[..., None], pull: Callable[..., None], *, of_output: bool) -> Triple:
    def apply(params: tuple[()], x: Array, ctx: Context = EVAL) -> Array:
        with np.errstate(over="ignore", invalid="ignore"):
            return piecewise(run, x)[0]

    def vjp(params: tuple[()], x: Array, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
        y = apply(params, x)
        kept = y if of_output else x

        def pullback(dy: Array) -> tuple[tuple[()], Array]:
            with np.errstate(over="ignore", invalid="ignore"):
                return (), piecewise(pull, kept, dy)[0]

        return y, pullback

    return keep_shape, apply, vjp


def by_derivative(run: Callable[..., None]) -> Triple:
    """Return the triple of ``y = f(x)`` with ``dx = dy · f'(x)``.

    ``run(x, y)`` writes f(x) into y, and ``run(x, y, d)`` also f'(x) into d; the arrays are
    contiguous and one-dimensional, and y has the same bits in both.
    """

    def apply(params: tuple[()], x: Array, ctx: Context = EVAL) -> Array:
        with np.errstate(over="ignore", invalid="ignore"):
            return piecewise(run, x)[0]

    def vjp(params: tuple[()], x: Array, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
        if not ctx.input_grad:
            return apply(params, x), lambda dy: ((), None)
        with np.errstate(over="ignore", invalid="ignore"):
            y, d = piecewise(run, x, outputs=2)

        def pullback(dy: Array) -> tuple[tuple[()], Any]:
            return (), d * dy

        return y, pullback

    return keep_shape, apply, vjp
