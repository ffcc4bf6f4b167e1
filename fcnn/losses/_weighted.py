"""Weights of examples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fcnn._ops import memory
from fcnn._ops.values import decide
from fcnn._typing import Array, Tree
from fcnn.errors import ArgumentError, LabelError, ShapeError
from fcnn.losses._loss import Loss, Pair, check_loss, loss, total


@loss
def weighted(loss: Loss) -> Pair:
    """Weight the examples: ``Σ wᵢ lᵢ / Σ wᵢ``, for targets ``(target, weights)``.

    The weights stand beside the targets in the data set, ``Dataset(x, (labels, weights))``, and
    are shuffled, cut and sent with them. Where the loss itself weights (`cross_entropy` with
    class weights), both are multiplied, in the sum and in what it is divided by. The mean is
    over the weights, so that it keeps its size whatever they are: to divide by the number of
    examples instead, as Keras does, scale the weights to a mean of 1 over the data. A batch's
    loss is not the mean of the losses of its parts weighted by their lengths;
    `fcnn.value_and_grad` weights shards by their Σ wᵢ, and what `fcnn.fit` reports of an epoch is
    the mean of its batches' losses by their numbers of examples. A batch whose weights are all 0
    has the loss 0 and the gradient 0.

    Shapes: prediction and target as the loss takes them; weights ``(n,)``, from 0.

    Args:
        loss: a loss of arrays; a loss of a tuple or dict of outputs has its parts weighted.

    Raises:
        ArgumentError: if ``loss`` is not a loss, or does not tell the losses of examples apart.
        ShapeError: on a call, if the weights are not one number for each example.
        LabelError: on a call, if a weight is negative or not finite, or there are none.

    >>> import numpy as np
    >>> from fcnn.losses import mean_squared_error, weighted
    >>> prediction, target = np.array([[1.0], [2.0]]), np.zeros((2, 1))
    >>> weighted(mean_squared_error)(prediction, (target, np.array([3.0, 1.0])))
    1.75
    """
    check_loss(loss, "weighted")
    each = getattr(loss, "each", None)
    own = getattr(loss, "weigh", None)
    if each is None:
        raise ArgumentError(
            f"expected a loss with a function each(prediction, target), got {loss!r}; "
            f"weight the parts of a combined loss"
        )

    def weigh(target: Any) -> Array:
        truth, weights = _both(target)
        return weights if own is None else weights * own(truth)

    def mean(prediction: Any, target: Any, weights: Array) -> float:
        values = each(prediction, target[0])
        if values.shape != weights.shape:
            raise ShapeError(
                f"expected weights {values.shape}, one an example, got {weights.shape}"
            )
        # A sum of products, not a product of BLAS, whose order depends on the processor.
        whole = total(weights)
        return total(weights * values) / whole if decide(whole) else 0.0

    def apply(prediction: Any, target: Any) -> float:
        return mean(prediction, target, weigh(target))

    def vjp(prediction: Any, target: Any) -> tuple[float, Callable[[float], Any]]:
        weights = weigh(target)
        value = mean(prediction, target, weights)
        truth, given = _both(target)
        _, its_pullback = loss.vjp(prediction, truth)
        # The loss's own pullback has divided by the sum of its own weights.
        before = len(given) if own is None else total(own(truth))
        whole = total(weights)
        factors = given * (before / whole) if decide(whole) else 0 * given

        def pullback(dvalue: float) -> Array:
            dprediction: Array = its_pullback(dvalue)
            shape = (-1,) + (1,) * (dprediction.ndim - 1)
            dprediction *= factors.astype(dprediction.dtype).reshape(shape)
            return dprediction

        return value, pullback

    return Pair(apply, vjp, lambda prediction, target: each(prediction, _both(target)[0]), weigh)


def _both(target: Tree) -> tuple[Any, Array]:
    if not (isinstance(target, tuple | list) and len(target) == 2):
        kind = type(target).__name__
        raise LabelError(f"expected a target (target, weights) for weighted, got {kind}")
    truth, given = target
    try:
        weights = memory.asarray(given, np.float64)
    except (TypeError, ValueError):
        weights = memory.array(np.nan)
    if weights.ndim != 1:
        raise ShapeError(f"expected weights (n,), one an example, got {weights.shape}")
    if not decide((np.isfinite(weights) & (weights >= 0)).all()):
        raise LabelError("expected finite weights from 0, got others among them")
    return truth, weights
