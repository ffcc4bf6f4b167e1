"""Gradients of a loss over a model: the VJPs of both, composed, shard by shard.

The mean loss of a batch is the mean of its shards' losses weighted by how many
examples they hold, L = Σ wᵢ Lᵢ with wᵢ = nᵢ / n, and so is its gradient. The weight
is given to the loss's pullback as its dvalue, which scales the small array at the
output instead of the large ones at the parameters; the gradients are then added in
the order of the shards.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fcnn import tree
from fcnn._check import whole
from fcnn._layer import EVAL, Context, Layer
from fcnn._typing import Array, Tree
from fcnn.errors import ShapeError
from fcnn.parallel import cut, map_shards
from fcnn.prng import fold_in

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from fcnn.losses import Loss


def value_and_grad(
    model: Layer,
    loss: Loss,
    *,
    has_aux: bool = False,
    shard_size: int | None = None,
    executor: Executor | None = None,
) -> Callable[..., Any]:
    """The function that gives a loss and its gradient with respect to the params.

    With ``prediction, pull = model.vjp(params, x, ctx)`` and
    ``value, pull_loss = loss.vjp(prediction, target)`` the chain rule is
    ``dparams, _ = pull(pull_loss(1))``.

    Args:
        model: a layer.
        loss: a loss from `fcnn.losses`, or anything with its ``vjp``.
        has_aux: also return the prediction.
        shard_size: cut the batch into shards of that many examples, each computed with
            one BLAS thread and a sub-key of its own; the whole batch at once, with as
            many BLAS threads as there are, if None.
        executor: who computes the shards (see `fcnn.parallel`); this thread if None. The
            bits of the result are the same for all.

    Returns:
        ``f(params, x, target, ctx=EVAL) -> (value, grads)``, or
        ``((value, prediction), grads)`` with ``has_aux``.

    Raises:
        ShapeError: from ``f``, if the batch is empty or its target has another length.

    >>> import numpy as np, fcnn
    >>> model = fcnn.dense(1)
    >>> params, _ = model.init(fcnn.key(0), (2,))
    >>> f = fcnn.value_and_grad(model, fcnn.losses.mean_squared_error)
    >>> value, grads = f(params, np.ones((4, 2), np.float32), np.zeros((4, 1), np.float32))
    >>> type(grads).__name__, grads.weight.shape
    ('DenseParams', (2, 1))
    """
    if shard_size is not None:
        shard_size = whole(shard_size, "shard_size")
    of_shard = functools.partial(_of_shard, model, loss, has_aux)

    def f(params: Tree, x: Array, target: Any, ctx: Context = EVAL) -> Any:
        n = _batch_length(x, target)
        prediction: Array | None
        if shard_size is None:
            value, prediction, grads = _weighted(model, loss, params, x, target, ctx, 1.0)
        else:
            shards = [
                (x[part], target[part], i, (part.stop - part.start) / n)
                for i, part in enumerate(cut(n, shard_size))
            ]
            done = map_shards(of_shard, (params, ctx), shards, executor)
            values, predictions, gradients = zip(*done, strict=True)
            value = sum(values)
            grads = _sum_trees(gradients, [weight for *_, weight in shards])
            prediction = np.concatenate(predictions) if has_aux else None
        return ((value, prediction), grads) if has_aux else (value, grads)

    return f


def grad(
    model: Layer,
    loss: Loss,
    *,
    shard_size: int | None = None,
    executor: Executor | None = None,
) -> Callable[..., Tree]:
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
    f = value_and_grad(model, loss, shard_size=shard_size, executor=executor)

    def gradient(params: Tree, x: Array, target: Any, ctx: Context = EVAL) -> Tree:
        return f(params, x, target, ctx)[1]

    return gradient


def _batch_length(x: Array, target: Any) -> int:
    n, m = len(x), len(target)
    if n != m:
        raise ShapeError(f"a batch of {n} examples has {n} targets, and {m} came")
    if n == 0:
        raise ShapeError("the gradient of an empty batch's mean loss is not defined")
    return n


def _weighted(
    model: Layer, loss: Loss, params: Tree, x: Array, target: Any, ctx: Context, weight: float
) -> tuple[float, Array, Tree]:
    """The value and the gradients, both times ``weight``, and the prediction."""
    prediction, pull = model.vjp(params, x, Context(ctx.train, ctx.key, input_grad=False))
    value, pull_loss = loss.vjp(prediction, target)
    grads, _ = pull(pull_loss(weight))
    return value * weight, prediction, grads


def _of_shard(
    model: Layer, loss: Loss, has_aux: bool, common: Any, shard: Any
) -> tuple[float, Array | None, Tree]:
    params, ctx = common
    x, target, i, weight = shard
    if ctx.key is not None:
        ctx = Context(ctx.train, fold_in(ctx.key, i))
    value, prediction, grads = _weighted(model, loss, params, x, target, ctx, weight)
    return value, prediction if has_aux else None, grads


def _sum_trees(trees: Sequence[Tree], weights: Sequence[float]) -> Tree:
    """The sum in the order given, whoever computed its terms.

    The terms are weighted already, but for the statistics', whose gradients do not pass
    through the loss.
    """
    if len(trees) == 1:
        return trees[0]

    def weighted(*arrays: Array) -> Array:
        return _sum(*[w * array for w, array in zip(weights, arrays, strict=True)])

    return tree.map(_sum, *trees, statistic=weighted)


def _sum(first: Array, second: Array, *others: Array) -> Array:
    total: Array = first + second
    for array in others:
        total += array
    return total
