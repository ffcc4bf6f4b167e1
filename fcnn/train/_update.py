"""What a batch makes of params and the optimizer's state: the gradient, and the optimizer's step.

Both are one recording where the batch is one shard of this process and the optimizer is of this
library; else the gradient alone is replayed, shard by shard.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from fcnn import _batch
from fcnn._layer import Context
from fcnn._ops.values import decide
from fcnn._typing import Tree
from fcnn.autodiff import Augment, Shard, gradients, replay_of
from fcnn.parallel import one_blas_thread
from fcnn.train._plan import Plan

if TYPE_CHECKING:
    from concurrent.futures import Executor

Update: TypeAlias = Callable[[Tree, Any, Any, Any, Context, Augment | None], tuple[Any, Any]]


def updates(plan: Plan, executor: Executor | None, opt_state: Any) -> Update:
    """Return ``update(params, opt_state, x, target, ctx, augment)``.

    It returns ``value, (params, opt_state)``, with the value of `fcnn.autodiff.gradients`; None in
    the place of the pair if the loss is not finite.
    """
    apart = functools.cache(lambda size: gradients(plan.shard, size, executor))
    is_one = executor is None and not plan.is_sharded
    together = _together(plan, opt_state) if is_one else None

    def update(
        params: Tree, opt_state: Any, x: Any, target: Any, ctx: Context, augment: Augment | None
    ) -> tuple[Any, Any]:
        size = plan.shard_size_for(_batch.length(x))
        # As in a run of epochs, so that the bits of a step are the same there.
        with contextlib.nullcontext() if size is None else one_blas_thread():
            if together is None:
                return _updated(plan, apart(size), params, opt_state, x, target, ctx, augment)
            if augment is not None:
                x = augment(x, 0)
            found: tuple[Any, Any] = together(params, opt_state, x, target, ctx)
            return found

    return update


def _together(plan: Plan, opt_state: Any) -> Callable[..., tuple[Any, Any]] | None:
    """Return the update of a batch of one shard, replayed; None where it is better not."""
    shard = plan.shard
    if shard.jit is False:
        return None
    from fcnn._jit import has_count, is_own  # `import fcnn` need not import it

    if not is_own(plan.optimizer) or has_count(opt_state) or _weighs(plan.loss):
        return None
    plain = Shard(plan.model, plan.loss, shard.has_aux, False)

    def update(params: Tree, opt_state: Any, x: Any, target: Any, ctx: Context) -> Any:
        size = plan.shard_size_for(_batch.length(x))
        return _updated(plan, gradients(plain, size), params, opt_state, x, target, ctx)

    return replay_of(update, "the step", plan.model, plan.loss, shard.jit)


def _weighs(loss: Any) -> bool:
    """Whether a loss gives each batch a loss of its own."""
    return getattr(loss, "shards", None) is not None or getattr(loss, "weigh", None) is not None


def _updated(
    plan: Plan,
    f: Callable[..., Any],
    params: Tree,
    opt_state: Any,
    x: Any,
    target: Any,
    ctx: Context,
    augment: Augment | None = None,
) -> tuple[Any, Any]:
    value, grads = f(params, x, target, ctx, augment)
    loss = value[0] if plan.shard.has_aux else value
    if not decide(np.isfinite(loss)):
        return value, None
    return value, plan.optimizer.step(params, grads, opt_state)
