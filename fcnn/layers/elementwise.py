"""A user's own element-wise function as a layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fcnn._layer import EVAL, Context, Triple, layer
from fcnn._pointwise import keep_shape
from fcnn._typing import Array, ModelPullback
from fcnn._walk import facts
from fcnn.errors import ArgumentError, DTypeError, ShapeError


@layer
def elementwise(f: Callable[[Any], Any], derivative: Callable[[Any], Any]) -> Triple:
    """Apply a function of each element: ``y = f(x)``, ``dx = dy · derivative(x)``.

    Both take an array and return one of its shape and dtype, without writing into it. The
    layer pickles if both do: functions defined in a module do, lambdas do not.
    `fcnn.testing.check_layer` compares the derivative with differences.

    Args:
        f: the function.
        derivative: its derivative.

    Raises:
        ArgumentError: if one of them is not callable.
        ShapeError: if one of them returns an array of another shape, or none.
        DTypeError: if one of them returns an array of another dtype.

    >>> import numpy as np, fcnn
    >>> sine = fcnn.elementwise(np.sin, np.cos)
    >>> fcnn.serial(fcnn.dense(4), sine).init(fcnn.key(0), (3,))[1]
    (4,)
    >>> y, pullback = sine.vjp((), np.array([[0.0, np.pi]]))
    >>> pullback(np.ones((1, 2)))[1]
    array([[ 1., -1.]])
    """
    for each in (f, derivative):
        if not callable(each):
            raise ArgumentError(f"expected two functions of an array, got {each!r}")

    def apply(params: tuple[()], x: Array, ctx: Context = EVAL) -> Array:
        return _checked(f, x)

    def vjp(params: tuple[()], x: Array, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
        y = _checked(f, x)
        if not ctx.input_grad:
            return y, lambda dy: ((), None)
        d = _checked(derivative, x)
        return y, lambda dy: ((), d * dy)

    return keep_shape, apply, vjp


def _checked(function: Callable[[Any], Any], x: Array) -> Array:
    """Return ``function(x)``, in memory of its own, if it fits x."""
    given = x.view()
    given.setflags(write=False)
    y = function(given)
    name = getattr(function, "__name__", "the function")
    if not isinstance(y, np.ndarray) or y.shape != x.shape:
        got = f"shape {y.shape}" if isinstance(y, np.ndarray) else type(y).__name__
        raise ShapeError(f"expected an array of x's shape {x.shape} from {name}, got {got}")
    if y.dtype != x.dtype:
        raise DTypeError(
            f"expected an array of x's dtype {x.dtype} from {name}, got {y.dtype}; "
            f"cast it: .astype(x.dtype)"
        )
    return y.copy() if np.may_share_memory(y, x) or not y.flags.writeable else y


facts(elementwise, multiply_adds=0, window=(1, 1))
