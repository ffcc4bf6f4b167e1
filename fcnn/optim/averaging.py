"""Schedule-free optimizers: an average of the iterates in the place of a falling rate.

The params that are trained are y, between the iterates z and their average x: gradients are
taken at y, steps are made at z, and x is what is evaluated.
"""

from __future__ import annotations

from typing import Any, TypeVar

import attrs

from fcnn import _check, tree
from fcnn._ops.values import computed
from fcnn._typing import Array, Tree
from fcnn.errors import ArgumentError
from fcnn.optim._contracts import Init, Step, Transform, check_transform, optimizer, updated
from fcnn.optim._leaves import averaged_step, blended, keep_first
from fcnn.optim._states import ScaleByLearningRateState, expect, find, kept, names
from fcnn.optim.adam_scaling import scale_by_adam
from fcnn.optim.combine import chain
from fcnn.optim.masks import Mask
from fcnn.optim.optimizers import Rate, decay_of
from fcnn.optim.transforms import rates

T = TypeVar("T")


@tree.node
class ScheduleFreeState:
    """The state of `schedule_free`.

    Attributes:
        b1: the weight of the average in the params.
        weight_sum: the sum of the weights of the iterates in the average.
        largest_rate: the largest learning rate so far.
        rate_state: the number of steps taken, and the learning rate of the last one.
        z: the iterate that steps are made at, a tree like the params.
        inner_state: the state of the transform.
    """

    b1: float
    weight_sum: float = tree.number()
    largest_rate: float = tree.number()
    rate_state: ScaleByLearningRateState
    z: Any = attrs.field(converter=kept)
    inner_state: Any = attrs.field(converter=kept)


@optimizer
def schedule_free(
    transform: Transform, learning_rate: Rate, *, b1: float = 0.9, weight_lr_power: float = 2.0
) -> tuple[Init, Step]:
    """Descend along a transform's updates, and average the iterates, without a falling rate.

    With y the params and u the update of their gradient: ``z = z - γ u``,
    ``x = (1 - c) x + c z`` and ``y = (1 - b1) z + b1 x``, where γ is the learning rate, and
    ``c = w / (the sum of all w so far)`` with ``w = (the largest γ so far) ^ weight_lr_power``.

    Evaluate the average x: ``schedule_free_params(params, state)``. `fcnn.fit` validates y,
    which is near to x; for the numbers of x write the loop over `fcnn.train.epochs`, and call
    `fcnn.evaluate` with the params ``schedule_free_params(epoch.state.params,
    epoch.state.opt_state)``. Running statistics are those that y saw; `fcnn.train.calibrate`
    computes them for x.

    Args:
        transform: a gradient transform without momentum, which b1 takes the place of.
        learning_rate: a number, or a schedule that rises and then stays, such as
            ``warmup(1000, 0.0025)``.
        b1: the weight of the average in the params, in (0, 1].
        weight_lr_power: how much less the iterates count that were made with a low rate.

    Raises:
        ArgumentError: if ``transform`` is something else, or an argument is out of its range.

    Source: A. Defazio et al., "The road less scheduled", 2024,
    https://arxiv.org/abs/2405.15682.

    >>> from fcnn import optim
    >>> optimizer = optim.schedule_free(optim.scale_by_rms(), 0.01)
    >>> optimizer
    schedule_free(scale_by_rms(), 0.01)
    """
    check_transform(transform)
    rate_at = rates(learning_rate)
    b1 = _check.number(b1, "b1", 0.0, 1.0)
    if b1 == 0:
        raise ArgumentError("expected a number in (0, 1] for b1, got 0")
    power = _check.number(weight_lr_power, "weight_lr_power", 0.0, open_high=True)

    def init(params: Tree) -> ScheduleFreeState:
        rate = ScaleByLearningRateState(0, rate_at(0))
        return ScheduleFreeState(b1, 0.0, 0.0, rate, params, transform.init(params))

    def weights(count: int, largest: float, weight_sum: float) -> tuple[float, ...]:
        rate = rate_at(count)
        largest = max(largest, rate)
        weight_sum += largest**power
        return rate, largest, weight_sum, largest**power / weight_sum if weight_sum else 0.0

    def step(params: Tree, grads: Tree, state: Any) -> tuple[Tree, ScheduleFreeState]:
        expect(state, ScheduleFreeState)
        count = state.rate_state.count
        rate, largest, weight_sum, c = computed(
            weights, count, state.largest_rate, state.weight_sum
        )
        updates, inner_state = updated(transform, grads, state.inner_state, params)

        def iterate(z: Array, u: Array) -> Array:
            new: Array = u * -rate
            new += z
            return new

        def between(y: Array, old: Array, new: Array) -> Array:
            # (1 - b1) z + b1 ((1 - c) x + c z), with the old x = (y - (1 - b1) old) / b1
            moved: Array = (1 - c) * y
            moved += (1 - b1 + b1 * c) * new
            moved -= (1 - c) * (1 - b1) * old
            return moved

        params, z = averaged_step(iterate, between, params, state.z, updates)
        now = ScaleByLearningRateState(count + 1, rate)
        return params, ScheduleFreeState(b1, weight_sum, largest, now, z, inner_state)

    return init, step


def schedule_free_params(params: T, state: Tree) -> T:
    """Return the average that a schedule-free optimizer keeps: the params to evaluate.

    ``x = (y - (1 - b1) z) / b1``; running statistics are those of ``params``.

    Args:
        params: the params that are trained, y.
        state: the optimizer's state that belongs to them.

    Raises:
        ArgumentError: if the state holds no schedule-free state, or several.
        TreeError: with the path, if the state is of other params.

    >>> from fcnn import optim
    >>> optimizer = optim.schedule_free_sgd(1.0, b1=0.5)
    >>> params, state = (4.0,), optimizer.init((4.0,))
    >>> for _ in range(2):
    ...     params, state = optimizer.step(params, (1.0,), state)
    >>> params, state.z, optim.schedule_free_params(params, state)
    ((2.25,), (2.0,), (2.5,))
    """
    found = list(find(state, ScheduleFreeState))
    if len(found) != 1:
        raise ArgumentError(
            f"expected the state of one schedule-free optimizer, got {names(state)} with "
            f"{len(found)}; pass what init or step returned, as in run.state.opt_state"
        )
    b1 = found[0].b1

    def average(y: Any, z: Any) -> Any:
        return (y - (1 - b1) * z) / b1

    return blended(average, params, found[0].z, keep_first)


@optimizer
def schedule_free_sgd(
    learning_rate: Rate,
    *,
    b1: float = 0.9,
    weight_decay: float = 0.0,
    mask: Mask | None = None,
    weight_lr_power: float = 2.0,
) -> tuple[Init, Step]:
    """Descend by schedule-free SGD (Defazio et al., 2024): `schedule_free` of the gradient.

    Learning rates are larger than those of SGD with momentum, often by ten or more. Evaluate
    ``schedule_free_params(params, state)``.

    Args:
        learning_rate: a number, or a schedule that rises and then stays.
        b1: the weight of the average in the params.
        weight_decay: how much of the weights is added to the gradients.
        mask: the weights that decay; None is all of them.
        weight_lr_power: how much less the iterates count that were made with a low rate.

    Raises:
        ArgumentError: if an argument is out of its range, or ``mask`` comes without decay.

    >>> from fcnn import optim
    >>> optim.schedule_free_sgd(1.0)
    schedule_free_sgd(1.0)
    """
    transform = chain(*decay_of(weight_decay, mask))
    made = schedule_free(transform, learning_rate, b1=b1, weight_lr_power=weight_lr_power)
    return made.init, made.step


@optimizer
def schedule_free_adamw(
    learning_rate: Rate = 0.0025,
    *,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    mask: Mask | None = None,
    weight_lr_power: float = 2.0,
) -> tuple[Init, Step]:
    """Descend by schedule-free AdamW (Defazio et al., 2024).

    `schedule_free` of ``u / (sqrt(ν / (1 - b2ᵗ)) + eps) + weight_decay · y``. Evaluate
    ``schedule_free_params(params, state)``. As ``optax.contrib.schedule_free_adamw``.

    Args:
        learning_rate: a number, or a schedule that rises and then stays.
        b1: the weight of the average in the params.
        b2: the weight of the old average of the squared gradients.
        eps: is added to its root.
        weight_decay: how much of the weights is added to the direction.
        mask: the weights that decay; None is all of them.
        weight_lr_power: how much less the iterates count that were made with a low rate.

    Raises:
        ArgumentError: if an argument is out of its range, or ``mask`` comes without decay.

    >>> from fcnn import optim
    >>> optim.schedule_free_adamw(optim.warmup(100, 0.0025), weight_decay=0.01)
    schedule_free_adamw(warmup(100, 0.0025), weight_decay=0.01)
    """
    adam = scale_by_adam(b1=0.0, b2=b2, eps=eps)
    transform = chain(adam, *decay_of(weight_decay, mask))
    made = schedule_free(transform, learning_rate, b1=b1, weight_lr_power=weight_lr_power)
    return made.init, made.step
