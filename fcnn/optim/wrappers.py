"""Optimizers around optimizers: accumulated gradients and averaged params."""

from __future__ import annotations

from typing import Any

import attrs

from fcnn import _check, tree
from fcnn._ops.values import computed
from fcnn._typing import Array, Tree
from fcnn.optim._contracts import (
    Init,
    Optimizer,
    Step,
    Transform,
    TransformOrOptimizer,
    check_optimizer,
    optimizer,
    runner,
    same_kind,
    wrapper,
)
from fcnn.optim._leaves import blended, keep_first, moment, observed, transformed
from fcnn.optim._states import ParamsEmaState, expect, kept
from fcnn.tree import Observation


@tree.node
class AccumulateState:
    """The state of `accumulate`.

    Attributes:
        mini_step: the number of gradients in the sum.
        acc_grads: the sum of the gradients; the mean of the observations of statistics.
        inner_state: the state of the transform or optimizer.
    """

    mini_step: int
    acc_grads: Any = attrs.field(converter=kept)
    inner_state: Any = attrs.field(converter=kept)


@wrapper
def accumulate(inner: TransformOrOptimizer, every: int) -> TransformOrOptimizer:
    """Take one step for every ``every`` gradients, with their mean.

    In between, an optimizer returns its params as they are, and a transform returns updates of
    zero. Running statistics are accumulated too: the observations are averaged, and mixed in
    once, at the step. So ``every`` batches of n examples make the step, up to rounding, that
    one batch of ``every · n`` examples makes in shards of n. All gradients weigh the same, a
    smaller last batch included. Gradients that are left over after an epoch stay in the state.

    Args:
        inner: an optimizer, or a gradient transform; the result is of the same kind.
        every: the number of gradients of a step.

    Raises:
        ArgumentError: if ``inner`` is something else, or ``every`` is not a whole number of at
            least 1.

    >>> from fcnn import optim
    >>> optimizer = optim.accumulate(optim.sgd(1.0), 2)
    >>> params, state = (1.0,), optimizer.init((1.0,))
    >>> for gradient in (1.0, 3.0):
    ...     params, state = optimizer.step(params, (gradient,), state)
    ...     print(params)
    (1.0,)
    (-1.0,)
    """
    every = _check.whole(every, "every")
    if not isinstance(inner, Transform):
        check_optimizer(inner)
    run_inner = runner(inner)
    idle = no_update if isinstance(inner, Transform) else keep_first

    def init(params: Tree) -> AccumulateState:
        return AccumulateState(0, _nothing(params), inner.init(params))

    def run(params: Tree, grads: Tree, state: Any) -> tuple[Tree, AccumulateState]:
        expect(state, AccumulateState)
        count = state.mini_step + 1
        total = _accumulated(state.acc_grads, grads, params, count)
        if count < every:
            return idle(params), AccumulateState(count, total, state.inner_state)
        mean = transformed(lambda p, g: g / every, total, params)
        made, inner_state = run_inner(params, mean, state.inner_state)
        return made, AccumulateState(0, _nothing(params), inner_state)

    return same_kind(inner, init, run)


def _nothing(params: Tree) -> Tree:
    """Return the sum of no gradients."""
    zeros = tree.zeros_like(params)
    return tree.map(lambda zero: zero, zeros, statistic=lambda zero: Observation(zero, 1.0))


def no_update(params: Tree) -> Tree:
    """Return updates that change neither weights nor statistics."""
    zeros = tree.zeros_like(params)
    return tree.map(
        lambda zero, p: zero, zeros, params, statistic=lambda zero, p: Observation(p, 1.0)
    )


def _accumulated(total: Tree, grads: Tree, params: Tree, count: int) -> Tree:
    """Return the sum with one gradient more, the ``count``-th."""

    def averaged(mean: Observation, seen: Any) -> Observation:
        return tree.average([mean, observed(mean, seen)], [1 - 1 / count, 1 / count])

    return moment(lambda a, g: a + g, total, grads, params, statistic=averaged)


@optimizer
def params_ema(optimizer: Optimizer, decay: float) -> tuple[Init, Step]:
    """Keep an exponential moving average of the params in the optimizer's state.

    After step t it is the mean of the params after steps 1 to t, those of step i with a weight
    proportional to ``decay ** (t - i)``. The weights sum to 1, so that the initial params take
    no part in it (as ``optax.ema(decay)`` applied to the params). The params themselves are
    those of the optimizer alone. Running statistics are averaged like weights;
    `fcnn.train.calibrate` computes them anew for the averaged weights.

    `fcnn.optim.current_params_ema` reads the average of a state.

    Args:
        optimizer: the optimizer that makes the steps.
        decay: the weight of the old average.

    Raises:
        ArgumentError: if ``optimizer`` is something else, or ``decay`` is not in [0, 1).

    Source: B. Polyak and A. Juditsky, "Acceleration of stochastic approximation by averaging",
    1992, https://doi.org/10.1137/0330046, with weights that decay.

    >>> from fcnn import optim
    >>> optimizer = optim.params_ema(optim.sgd(1.0), 0.5)
    >>> params, state = (4.0,), optimizer.init((4.0,))
    >>> for gradient in (1.0, 3.0):
    ...     params, state = optimizer.step(params, (gradient,), state)
    >>> params, optim.current_params_ema(state)  # 3 with weight 1/3, 0 with weight 2/3
    ((0.0,), (1.0,))
    """
    check_optimizer(optimizer)
    decay = _check.number(decay, "decay", 0.0, 1.0, open_high=True)

    def init(params: Tree) -> ParamsEmaState:
        return ParamsEmaState(0, params, optimizer.init(params))

    def step(params: Tree, grads: Tree, state: Any) -> tuple[Tree, ParamsEmaState]:
        expect(state, ParamsEmaState)
        params, inner_state = optimizer.step(params, grads, state.inner_state)
        count = state.count + 1
        new = computed(lambda t: (1 - decay) / (1 - decay**t), count)

        def average(mean: Array, p: Array) -> Array:
            blend: Array = (1 - new) * mean + new * p
            return blend

        return params, ParamsEmaState(count, blended(average, state.ema, params), inner_state)

    return init, step
