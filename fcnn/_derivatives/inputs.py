"""The gradient of a loss in the model's input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fcnn import _batch
from fcnn._derivatives.signatures import InputGradient
from fcnn._doors import check_loss, check_model
from fcnn._layer import EVAL, Context, Layer, refuse_context

if TYPE_CHECKING:
    from fcnn.losses import Loss


def input_gradient(model: Layer, loss: Loss) -> InputGradient:
    """Return the function that gives a loss and its gradient with respect to the input.

    With ``prediction, pull = model.vjp(params, x, ctx)`` and
    ``value, pull_loss = loss.vjp(prediction, target)`` the chain rule is
    ``_, dx = pull(pull_loss(1))``. The loss is the mean over the batch: for the gradient of
    each example's own loss multiply by the number of examples.

    Args:
        model: a layer.
        loss: a loss from `fcnn.losses`, or anything with its ``vjp``.

    Returns:
        ``f(params, x, target, ctx=EVAL) -> (value, dx)``, dx of the shape of x, a tuple or dict
        of arrays where x is one.

    Raises:
        ArgumentError: if model or loss is something else.
        ShapeError: from ``f``, if the batch is empty or its target has another length.

    >>> import numpy as np, fcnn
    >>> model = fcnn.dense(1)
    >>> params, _ = model.init(fcnn.key(0), (2,))
    >>> f = fcnn.input_gradient(model, fcnn.losses.mean_squared_error)
    >>> value, dx = f(params, np.ones((4, 2), np.float32), np.zeros((4, 1), np.float32))
    >>> dx.shape
    (4, 2)
    """
    check_model(model)
    check_loss(loss)

    def f(params: Any, x: Any, target: Any, ctx: Context = EVAL) -> tuple[float, Any]:
        if type(ctx) is not Context:
            refuse_context(ctx)
        _batch.check_targets(x, target)
        prediction, pull = model.vjp(params, x, ctx.at((), True))
        value, pull_loss = loss.vjp(prediction, target)
        return value, pull(pull_loss(1.0))[1]

    return f
