"""Gradients of a loss over a model: the VJPs of both, composed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fcnn._layer import EVAL, Context, Layer
from fcnn._typing import Array, Tree
from fcnn.losses import Loss


def value_and_grad(model: Layer, loss: Loss, *, has_aux: bool = False) -> Callable[..., Any]:
    """The function that gives a loss and its gradient with respect to the params.

    With ``prediction, pull = model.vjp(params, x, ctx)`` and
    ``value, pull_loss = loss.vjp(prediction, target)`` the chain rule is
    ``dparams, _ = pull(pull_loss(1))``.

    Args:
        model: a layer.
        loss: a loss from `fcnn.losses`, or anything with its ``vjp``.
        has_aux: also return the prediction.

    Returns:
        ``f(params, x, target, ctx=EVAL) -> (value, grads)``, or
        ``((value, prediction), grads)`` with ``has_aux``.

    >>> import numpy as np, fcnn
    >>> model = fcnn.dense(1)
    >>> params, _ = model.init(fcnn.key(0), (2,))
    >>> f = fcnn.value_and_grad(model, fcnn.losses.mean_squared_error)
    >>> value, grads = f(params, np.ones((4, 2), np.float32), np.zeros((4, 1), np.float32))
    >>> type(grads).__name__, grads.weight.shape
    ('DenseParams', (2, 1))
    """

    def f(params: Tree, x: Array, target: Any, ctx: Context = EVAL) -> Any:
        prediction, pull = model.vjp(params, x, Context(ctx.train, ctx.key, input_grad=False))
        value, pull_loss = loss.vjp(prediction, target)
        grads, _ = pull(pull_loss(1.0))
        return ((value, prediction), grads) if has_aux else (value, grads)

    return f


def grad(model: Layer, loss: Loss) -> Callable[..., Tree]:
    """The function that gives the gradient of a loss with respect to the params.

    ``grad(model, loss)(params, x, target, ctx)`` is the second part of what
    `value_and_grad` gives.

    >>> import numpy as np, fcnn
    >>> model = fcnn.dense(1)
    >>> params, _ = model.init(fcnn.key(0), (2,))
    >>> f = fcnn.grad(model, fcnn.losses.mean_squared_error)
    >>> f(params, np.ones((4, 2), np.float32), np.zeros((4, 1), np.float32)).bias.shape
    (1,)
    """
    f = value_and_grad(model, loss)

    def gradient(params: Tree, x: Array, target: Any, ctx: Context = EVAL) -> Tree:
        return f(params, x, target, ctx)[1]

    return gradient
