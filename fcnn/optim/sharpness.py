"""Sharpness-aware minimisation: the gradient where the loss is highest nearby."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fcnn import tree
from fcnn._ops.memory import asarray
from fcnn._ops.values import decide
from fcnn._typing import Tree
from fcnn.errors import ArgumentError
from fcnn.optim.transforms import norm_of, positive, weights_of


def sam(
    value_and_grad: Callable[..., tuple[Any, Tree]], rho: float = 0.05
) -> Callable[..., tuple[Any, Any]]:
    """Return the function that gives the value here and the gradient a step uphill from here.

    ``(L(p), ∇L(p + ρ g / ‖g‖))`` with ``g = ∇L(p)``, the norm being that of all weights
    together: two gradients a step. Any optimizer descends along the second, which leads to minima
    that are flat within a distance of ρ. A gradient of zero, or one that is not finite, is
    returned as it is. Value and observations of running statistics
    are those at p; a key in the context draws the same dropout both times.

    `fcnn.fit` computes its gradients itself; write the loop over `fcnn.data.batches`.

    Args:
        value_and_grad: ``f(params, *arguments) -> (value, grads)``, as `fcnn.value_and_grad`
            returns it.
        rho: the length of the step uphill.

    Raises:
        ArgumentError: if ``value_and_grad`` is no function, or ``rho`` is not greater than 0.

    Source: P. Foret et al., "Sharpness-aware minimization for efficiently improving
    generalization", 2021, https://arxiv.org/abs/2010.01412, algorithm 1, without weight decay.

    >>> from fcnn import optim
    >>> def square(params):
    ...     return params[0] ** 2, (2 * params[0],)
    >>> optim.sam(square, rho=0.5)((1.0,))
    (1.0, (3.0,))
    """
    if not callable(value_and_grad):
        raise ArgumentError(
            f"expected a function of params that returns value and gradients, got "
            f"{value_and_grad!r:.80}; pass fcnn.value_and_grad(model, loss)"
        )
    rho = positive(rho, "rho")

    def f(params: Tree, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        value, grads = value_and_grad(params, *args, **kwargs)
        norm = norm_of(*weights_of(grads))
        if not (decide(norm > 0) and decide(norm < math.inf)):
            return value, grads

        def uphill(p: Any, g: Any) -> Any:
            move = asarray(g, np.float64) / norm * rho  # whose norm may be 1e-40
            return (p + move).astype(p.dtype) if isinstance(p, np.ndarray) else type(p)(p + move)

        up = tree.map(uphill, params, grads, statistic=lambda p, seen: p)
        _, there = value_and_grad(up, *args, **kwargs)
        return value, tree.map(lambda here, g: g, grads, there, statistic=lambda here, _: here)

    return f
