"""Gradients of a loss over a model: the VJPs of both, composed, shard by shard.

The mean loss of a batch is the mean of its shards' losses weighted by their numbers of
examples, L = Σ wᵢ Lᵢ with wᵢ = nᵢ / n, and so is its gradient. (A loss that weights examples says
which losses of the shards have the sum L.) The weight is given to the
loss's pullback as its dvalue, which scales the small array at the output instead of the large
ones at the params; the gradients are then added in the order of the shards. Observations of
statistics do not pass through the loss, and are averaged with the same weights.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, overload

from fcnn import _batch
from fcnn._check import whole
from fcnn._doors import check_loss, check_model
from fcnn._layer import EVAL, Context, Layer, core, for_last_call, refuse_context
from fcnn._typing import Tree
from fcnn.losses._loss import shard_losses
from fcnn.parallel import cut, sum_shards
from fcnn.parallel._once import Once
from fcnn.prng import fold_in

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from fcnn._signatures import Grad, ValueAndGrad, ValueAuxAndGrad
    from fcnn.losses import Loss

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
Augment: TypeAlias = Callable[[Any, int], Any]
"""``(inputs, start) -> inputs`` for the examples of a batch from ``start`` on; it must pickle."""


@overload
def value_and_grad(
    model: Layer,
    loss: Loss,
    *,
    has_aux: Literal[False] = False,
    shard_size: int | None = None,
    executor: Executor | None = None,
    jit: bool | None = None,
) -> ValueAndGrad: ...
@overload
def value_and_grad(
    model: Layer,
    loss: Loss,
    *,
    has_aux: Literal[True],
    shard_size: int | None = None,
    executor: Executor | None = None,
    jit: bool | None = None,
) -> ValueAuxAndGrad: ...
@overload
def value_and_grad(
    model: Layer,
    loss: Loss,
    *,
    has_aux: bool,
    shard_size: int | None = None,
    executor: Executor | None = None,
    jit: bool | None = None,
) -> ValueAndGrad | ValueAuxAndGrad: ...
def value_and_grad(
    model: Layer,
    loss: Loss,
    *,
    has_aux: bool = False,
    shard_size: int | None = None,
    executor: Executor | None = None,
    jit: bool | None = None,
) -> Any:
    """Return the function that gives a loss and its gradient with respect to the params.

    With ``prediction, pull = model.vjp(params, x, ctx)`` and
    ``value, pull_loss = loss.vjp(prediction, target)`` the chain rule is
    ``dparams, _ = pull(pull_loss(1))``.

    Args:
        model: a layer.
        loss: a loss from `fcnn.losses`, or anything with its ``vjp``.
        has_aux: also return the prediction.
        shard_size: cut the batch into shards of at most that many examples, each computed
            with one BLAS thread and a sub-key of its own; the whole batch at once, with as
            many BLAS threads as there are, if None. Batch norm normalises within a shard.
        executor: what computes the shards (see `fcnn.parallel`); this thread if None. The
            bits of the result are the same for all.
        jit: record a call, and replay what was recorded in later ones with the same shapes, with
            the same bits (see `fcnn.jit`). None: where model and loss are of this library
            throughout, and only after 100 calls, so that short loops are not slowed down. True:
            the second call, with layers and losses of your own too, which must be pure functions
            of their arguments in plain NumPy; what cannot be recorded runs as it is, after a
            warning that names the call. False: never.

    Returns:
        ``f(params, x, target, ctx=EVAL) -> (value, grads)``, or
        ``((value, prediction), grads)`` with ``has_aux``. The default context is that of
        evaluation: pass ``fcnn.training(key)`` for dropout and the batch's statistics. Input,
        prediction and target may be tuples or dicts of arrays. In the place of a statistic
        grads holds an `fcnn.tree.Observation`, which an optimizer's step mixes in.

    Raises:
        ArgumentError: if model or loss is something else.
        ShapeError: from ``f``, if the batch is empty or its target has another length.

    >>> import numpy as np, fcnn
    >>> model = fcnn.dense(1)
    >>> params, _ = model.init(fcnn.key(0), (2,))
    >>> f = fcnn.value_and_grad(model, fcnn.losses.mean_squared_error)
    >>> value, grads = f(params, np.ones((4, 2), np.float32), np.zeros((4, 1), np.float32))
    >>> type(grads).__name__, grads.weight.shape
    ('DenseParams', (2, 1))
    """
    check_model(model)
    check_loss(loss)
    if shard_size is not None:
        shard_size = whole(shard_size, "shard_size")
    return gradients(Shard(model, loss, has_aux, jit), shard_size, executor)


def gradients(
    shard: Shard, shard_size: int | None = None, executor: Executor | None = None
) -> Callable[..., Any]:
    """Return what `value_and_grad` does, of a `Shard`."""
    loss, has_aux = shard.loss, shard.has_aux

    def f(
        params: Any, x: Any, target: Any, ctx: Context = EVAL, augment: Augment | None = None
    ) -> Any:
        if type(ctx) is not Context:
            refuse_context(ctx)
        n = _batch.check_targets(x, target)
        if shard_size is None:
            if augment is not None:
                x = augment(x, 0)
            value, prediction, grads = shard.compute(params, x, target, ctx, 1.0)
        else:
            parts = cut(n, shard_size)
            weights = [(part.stop - part.start) / n for part in parts]
            targets = [_batch.take(target, part) for part in parts]
            losses = shard_losses(loss, targets)
            shards = [
                (
                    _batch.take(x, part),
                    targets[i],
                    i,
                    part.start,
                    weights[i] if losses is None else 1.0,
                    None if losses is None else losses[i],
                )
                for i, part in enumerate(parts)
            ]
            done, grads = sum_shards(shard, (params, ctx, augment), shards, weights, executor)
            values, predictions = zip(*done, strict=True)
            value = sum(values)
            prediction = _batch.concatenate(predictions) if has_aux else None
        return ((value, prediction), grads) if has_aux else (value, grads)

    return f


def grad(
    model: Layer,
    loss: Loss,
    *,
    shard_size: int | None = None,
    executor: Executor | None = None,
    jit: bool | None = None,
) -> Grad:
    """Return the function that gives the gradient of a loss with respect to the params.

    ``grad(model, loss)(params, x, target, ctx)`` is the second part of what
    `value_and_grad` gives.

    >>> import numpy as np, fcnn
    >>> model = fcnn.dense(1)
    >>> params, _ = model.init(fcnn.key(0), (2,))
    >>> f = fcnn.grad(model, fcnn.losses.mean_squared_error)
    >>> f(params, np.ones((4, 2), np.float32), np.zeros((4, 1), np.float32)).bias.shape
    (1,)
    """
    f = value_and_grad(model, loss, shard_size=shard_size, executor=executor, jit=jit)

    def gradient(params: T, x: Tree, target: Tree, ctx: Context = EVAL) -> T:
        return f(params, x, target, ctx)[1]

    return gradient


def _weighted(
    model: Layer,
    loss: Loss,
    has_aux: bool,
    params: T,
    x: Any,
    target: Any,
    ctx: Context,
    weight: float,
) -> tuple[float, Any, T]:
    """Return the value and the gradients, both times ``weight``, and the prediction if wanted."""
    prediction, pull = core(model.vjp)(params, x, ctx.at((), False))
    value, pull_loss = loss.vjp(prediction, target)
    grads, _ = for_last_call(pull)(pull_loss(weight))
    return value * weight, prediction if has_aux else None, grads


class Shard(Once):
    """The loss and the gradients of a shard, replayed after some calls of the same shapes.

    It is pickled once, for all steps, by its arguments, and is one object in each process that it
    is sent to, so that a worker records it once.
    """

    def __init__(self, model: Layer, loss: Loss, has_aux: bool, jit: bool | None) -> None:
        super().__init__(model, loss, has_aux, jit)
        self.model, self.loss, self.has_aux, self.jit = model, loss, has_aux, jit
        compute = functools.partial(_weighted, model, loss, has_aux)
        self.compute = replay_of(compute, "the gradient", model, loss, jit) or compute

    def __call__(self, common: Any, shard: Any) -> tuple[tuple[float, Any], Any]:
        """Return the shard's part of the value with its prediction if wanted, and its gradients."""
        params, ctx, augment = common
        x, target, i, start, weight, own_loss = shard
        if augment is not None:
            x = augment(x, start)
        if ctx.key is not None:
            ctx = Context(ctx.train, fold_in(ctx.key, i), ctx.input_grad, ctx.fuse)
        if own_loss is not None:  # of this batch alone
            compute: Any = functools.partial(_weighted, self.model, own_loss, self.has_aux)
        else:
            compute = self.compute
        value, prediction, grads = compute(params, x, target, ctx, weight)
        return (value, prediction), grads


def replay_of(function: F, what: str, model: Layer, loss: Loss, jit: bool | None) -> F | None:
    """Return a function of a model and a loss, replayed; None if ``jit`` says that it is not."""
    if jit is False:
        return None
    from fcnn._jit import is_own, replayed, wanted  # `import fcnn` need not import it

    own = is_own(model) and is_own(loss)
    return replayed(function, what, model, jit, own) if wanted(jit, own) else None
