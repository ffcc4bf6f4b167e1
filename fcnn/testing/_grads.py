"""A gradient of a number, as `fcnn.value_and_grad` gives it, against differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fcnn import tree
from fcnn._typing import Tree
from fcnn.prng import Key
from fcnn.testing._law import KEY
from fcnn.testing._vjp import check_vjp


def check_grads(
    f: Callable[..., tuple[float, Any]],
    params: Tree,
    *args: Any,
    key: Key = KEY,
    step: float = 1e-7,
    rtol: float = 1e-5,
    directions: int = 3,
) -> None:
    """Compare the gradient that a function returns with central differences of its value.

    ``<grads, v> ≈ (f(params + h·v) - f(params - h·v)) / 2h`` along random directions v, for each
    leaf of params by itself, in float64: `check_vjp` of the function's value.

    Args:
        f: ``f(params, *args) -> (value, grads)``: what `fcnn.value_and_grad` and
            `fcnn.input_gradient` return, or a function of your own.
        params: where to check: a tree, whose floating-point arrays are cast to float64.
        *args: what else f takes; trees of arrays are cast, too.
        key: where the directions come from.
        step: h. A longer one crosses kinks, a shorter one loses digits to rounding.
        rtol: the allowed relative difference; rounding is allowed for besides.
        directions: how many draws for each leaf.

    Raises:
        AssertionError: if the gradient is wrong, with the path of the leaf.

    >>> import numpy as np
    >>> from fcnn.testing import check_grads
    >>> w, x = np.array([0.3, 0.7]), np.array([[1.0, 2.0], [3.0, 5.0]])
    >>> def half_norm(w, x, factor=1.0):
    ...     return float(0.5 * np.sum((x @ w) ** 2)), factor * x.T @ (x @ w)
    >>> check_grads(half_norm, w, x)
    >>> check_grads(half_norm, w, x, 2.0)
    Traceback (most recent call last):
    AssertionError: the pullback is wrong for params: ...
    """
    rest = [
        tree.astype(arg, np.float64) if isinstance(arg, np.ndarray | tuple | dict) else arg
        for arg in args
    ]

    def value(moved: Tree) -> float:
        return f(moved, *rest)[0]

    def vjp(at: Tree) -> tuple[float, Callable[[float], tuple[Tree]]]:
        found, grads = f(at, *rest)
        return found, lambda d: (tree.map(lambda g: d * g, grads, statistic=lambda seen: seen),)

    check_vjp(
        value, vjp, params, key=key, step=step, rtol=rtol, directions=directions, names=("params",)
    )
