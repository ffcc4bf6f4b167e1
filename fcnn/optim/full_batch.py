"""Full-batch training by the minimisers of SciPy."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from fcnn import _check, tree
from fcnn._typing import Array, Tree
from fcnn.errors import ArgumentError, TreeError

T = TypeVar("T")


def scipy_minimize(
    value_and_grad: Callable[[T], tuple[float, T]],
    params: T,
    *,
    method: str = "L-BFGS-B",
    maxiter: int | None = None,
    tol: float | None = None,
    bounds: tuple[Tree | float | None, Tree | float | None] | None = None,
    options: Mapping[str, Any] | None = None,
    callback: Callable[[T], object] | None = None,
) -> tuple[T, Any]:
    """Minimise a function of params by `scipy.optimize.minimize` over all weights as one vector.

    For small models and data that fit into one batch, where L-BFGS needs far fewer gradients
    than the optimizers of this package. SciPy computes in float64; the params keep their
    dtypes. In float32 the line search ends where rounding hides the descent: for an accurate
    minimum start from ``fcnn.tree.astype(params, np.float64)``, with data in float64.

    Running statistics take no part and stay as they are; `fcnn.train.calibrate` computes them
    for the trained weights. Pass a context without dropout, or with a fixed key: the value must
    be a function of the params alone.

    Args:
        value_and_grad: ``params -> (value, grads)``.
        params: where to start.
        method: a method of `scipy.optimize.minimize` that takes gradients.
        maxiter: the largest number of iterations; the method's default if None.
        tol: the tolerance for termination; the method's default if None.
        bounds: ``(low, high)``, each a number for all weights, a tree like the params, or None.
        options: further options of the method.
        callback: called with the params after each iteration; raise StopIteration to stop.

    Returns:
        The params at the lowest value found, and SciPy's ``OptimizeResult``, which has ``fun``,
        ``nit``, ``success`` and ``message`` among others.

    Raises:
        ArgumentError: if an argument is something else, or the method takes no gradients.
        TreeError: if a bound has another structure than the params.

    >>> import numpy as np, fcnn
    >>> from fcnn import optim
    >>> x, y = np.array([[0.0], [1.0], [2.0]]), np.array([[1.0], [3.0], [5.0]])
    >>> model = fcnn.dense(1)
    >>> start = fcnn.tree.astype(model.init(fcnn.key(0), (1,))[0], np.float64)
    >>> f = fcnn.value_and_grad(model, fcnn.losses.mean_squared_error)
    >>> params, result = optim.scipy_minimize(lambda params: f(params, x, y), start)
    >>> params.weight.round(4), params.bias.round(4), result.success
    (array([[2.]]), array([1.]), True)
    """
    if not callable(value_and_grad):
        raise ArgumentError(
            f"expected a function of params that returns value and gradients, got "
            f"{value_and_grad!r:.80}"
        )
    optimize = importlib.import_module("scipy.optimize")  # which ships no types
    start, unravel = tree.ravel(params)
    structure = tree.structure(params)
    method = _method(method, bounds)
    chosen = dict(options or {})
    if maxiter is not None:
        chosen["maxiter"] = _check.whole(maxiter, "maxiter")

    def objective(vector: Array) -> tuple[float, Array]:
        value, grads = value_and_grad(unravel(vector))
        if tree.structure(grads) != structure:
            raise TreeError(
                "expected gradients with the structure of the params; value_and_grad takes the "
                "params alone, and returns value and gradients"
            )
        return float(value), tree.ravel(grads)[0].astype(np.float64)

    def after_each(xk: Array, *_: Any) -> None:
        if callback is not None:
            callback(unravel(xk))

    result = optimize.minimize(
        objective,
        start.astype(np.float64),
        jac=True,
        method=method,
        tol=tol,
        bounds=_bounds(bounds, params, start.size),
        options=chosen,
        callback=None if callback is None else after_each,
    )
    return unravel(np.array(result.x)), result


_WITH_GRADIENTS = ("CG", "BFGS", "Newton-CG", "L-BFGS-B", "SLSQP", "trust-constr")
_WITH_BOUNDS = ("L-BFGS-B", "SLSQP", "trust-constr")


def _method(method: Any, bounds: Any) -> str:
    """Return the name of a method as SciPy writes it."""
    known = _WITH_GRADIENTS if bounds is None else _WITH_BOUNDS
    for name in known:
        if isinstance(method, str) and method.lower() == name.lower():
            return name
    what = "gradients" if bounds is None else "gradients and bounds"
    raise ArgumentError(f"expected a method that takes {what}, {', '.join(known)}, got {method!r}")


def _bounds(bounds: Any, params: Tree, size: int) -> Any:
    """Return bounds of all weights as SciPy takes them."""
    if bounds is None:
        return None
    if not isinstance(bounds, tuple | list) or len(bounds) != 2:
        raise ArgumentError(f"expected (low, high) for bounds, got {bounds!r:.80}")
    ends = zip(bounds, (-np.inf, np.inf), strict=True)
    low, high = (_bound(each, nothing, params, size) for each, nothing in ends)
    if not np.all(low <= high):
        raise ArgumentError("expected low bounds that are not above the high ones")
    return importlib.import_module("scipy.optimize").Bounds(low, high)


def _bound(bound: Any, nothing: float, params: Tree, size: int) -> Array:
    if bound is None:
        bound = nothing
    if isinstance(bound, int | float | np.generic):
        return np.full(size, bound, np.float64)
    whole = tree.map(lambda p, b: np.broadcast_to(np.asarray(b, np.float64), np.shape(p)), params,
                     bound)  # fmt: skip
    return tree.ravel(whole)[0]
