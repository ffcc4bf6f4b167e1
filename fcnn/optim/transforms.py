"""Gradient transforms that keep no moments: scales, learning rates, weight decay, clipping.

In the formulas, u is the update that comes in (the gradient, at the head of a chain), p the
parameter, and t counts the steps from 1. ``mask`` says which weights a transform applies to
(`fcnn.optim.masked`); None is all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fcnn import _check, tree
from fcnn._ops.values import called, computed, decide, is_known, number
from fcnn._typing import Array, Tree
from fcnn.errors import ArgumentError
from fcnn.optim._contracts import Init, Update, transform
from fcnn.optim._leafwise import leafwise, stateless
from fcnn.optim._leaves import transformed
from fcnn.optim._stages import Stage
from fcnn.optim._states import EmptyState, ScaleByLearningRateState, expect
from fcnn.optim.masks import Mask, restrict
from fcnn.optim.schedules import as_schedule
from fcnn.tree._children import walk


@tree.node
class ScaleByScheduleState:
    """The state of `scale_by_schedule`.

    Attributes:
        count: the number of steps taken.
    """

    count: int = tree.number()


def positive(value: Any, what: str) -> float:
    """Return a finite number greater than 0.

    Raises:
        ArgumentError: if it is something else.
    """
    number = _check.number(value, what, 0.0, open_high=True)
    if number == 0:
        raise ArgumentError(f"expected a number greater than 0 for {what}, got {value!r}")
    return number


def empty(params: Tree) -> EmptyState:
    """Return the state of a transform that keeps nothing."""
    return EmptyState()


@transform
def scale(factor: float, *, mask: Mask | None = None) -> tuple[Init, Update]:
    """Multiply by a number: ``factor · u``.

    Args:
        factor: any finite number.
        mask: the weights it applies to.

    Raises:
        ArgumentError: if ``factor`` is not finite.

    >>> from fcnn import optim
    >>> t = optim.scale(3.0)
    >>> t.update((2.0,), t.init((0.0,)), (0.0,))[0]
    (6.0,)
    """
    factor = _check.number(factor, "factor", -math.inf, open_high=True)

    return restrict(empty, stateless(_scaled, factor), mask)


def _scaled(p: Array, u: Array, factor: Array) -> Array:
    scaled: Array = u * factor
    return scaled


@transform
def scale_by_schedule(
    schedule: Callable[[int], float], *, mask: Mask | None = None
) -> tuple[Init, Update]:
    """Multiply by a schedule: ``schedule(t - 1) · u``. The first step is the schedule's step 0.

    Args:
        schedule: ``step -> float``.
        mask: the weights it applies to.

    >>> from fcnn import optim
    >>> t = optim.scale_by_schedule(optim.step_decay(1.0, every=1, factor=0.5))
    >>> state = t.init((0.0,))
    >>> _, state = t.update((2.0,), state, (0.0,))
    >>> t.update((2.0,), state, (0.0,))[0]
    (1.0,)
    """

    def begin(state: Any) -> Stage:
        expect(state, ScaleByScheduleState)
        after = ScaleByScheduleState(state.count + 1)
        factor = computed(lambda count: float(schedule(count)), state.count)
        return Stage(_scaled, lambda: after, numbers=(factor,))

    return restrict(lambda params: ScaleByScheduleState(0), leafwise(begin), mask)


@transform
def scale_by_learning_rate(
    learning_rate: float | Callable[[int], float], *, mask: Mask | None = None
) -> tuple[Init, Update]:
    """Step against the gradient: ``-learning_rate · u``.

    Args:
        learning_rate: a number, or a schedule, whose step 0 is the first step.
        mask: the weights it applies to.

    Raises:
        ArgumentError: if the rate, at any step, is negative or not finite.

    >>> from fcnn import optim
    >>> t = optim.scale_by_learning_rate(0.5)
    >>> t.update((2.0,), t.init((0.0,)), (0.0,))[0]
    (-1.0,)
    """
    rate_at = rates(learning_rate)

    def begin(state: Any) -> Stage:
        expect(state, ScaleByLearningRateState)
        rate = computed(rate_at, state.count) if callable(learning_rate) else rate_at(0)
        after = ScaleByLearningRateState(state.count + 1, rate)
        return Stage(_scaled, lambda: after, numbers=(-rate,))

    def init(params: Tree) -> ScaleByLearningRateState:
        return ScaleByLearningRateState(0, rate_at(0))

    return restrict(init, leafwise(begin), mask)


def rates(learning_rate: float | Callable[[int], float]) -> Callable[[int], float]:
    """Return the schedule of a learning rate, its values checked."""
    if not callable(learning_rate):
        _check.number(learning_rate, "learning_rate", 0.0, open_high=True)
    at = as_schedule(learning_rate)

    def rate_at(count: int) -> float:
        rate = float(at(count))
        if 0 <= rate < math.inf:
            return rate
        raise ArgumentError(
            f"expected a learning rate in [0, inf), got {rate} from the schedule at step {count}"
        )

    return rate_at


@transform
def add_decayed_weights(weight_decay: float, *, mask: Mask | None = None) -> tuple[Init, Update]:
    """Decay weights: ``u + weight_decay · p``.

    Args:
        weight_decay: how much of the weight is added.
        mask: the weights it applies to; `fcnn.optim.matrices` for kernels alone.

    Raises:
        ArgumentError: if ``weight_decay`` is negative or not finite.

    >>> from fcnn import optim
    >>> t = optim.add_decayed_weights(0.5)
    >>> t.update((1.0,), t.init((4.0,)), (4.0,))[0]
    (3.0,)
    """
    weight_decay = _check.number(weight_decay, "weight_decay", 0.0, open_high=True)

    def decayed(p: Array, u: Array, weight_decay: Array) -> Array:
        new: Array = weight_decay * p
        new += u
        return new

    return restrict(empty, stateless(decayed, weight_decay), mask)


@transform
def clip_by_global_norm(max_norm: float, *, mask: Mask | None = None) -> tuple[Init, Update]:
    """Shorten to a norm: ``u · min(1, max_norm / ‖u‖)``, ‖u‖ over all weights together.

    The norm is right from 1e-300 to 1e300; statistics take no part in it. As in PyTorch and
    Optax, a NaN among the gradients makes all of them NaN, and an infinity becomes NaN and
    makes the others zero.

    Args:
        max_norm: the norm above which gradients are shortened.
        mask: the weights that it is the norm of, and that are shortened.

    Raises:
        ArgumentError: if ``max_norm`` is not greater than 0.

    Source: R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training recurrent
    neural networks", 2013, https://arxiv.org/abs/1211.5063, algorithm 1.

    >>> import numpy as np
    >>> from fcnn import optim
    >>> t = optim.clip_by_global_norm(1.0)
    >>> grads = (np.array([3.0]), np.array([4.0]))
    >>> t.update(grads, t.init(grads), grads)[0]
    (array([0.6]), array([0.8]))
    """
    max_norm = positive(max_norm, "max_norm")

    def update(updates: Tree, state: Any, params: Tree) -> tuple[Tree, Any]:
        expect(state, EmptyState)
        norm = norm_of(*weights_of(updates))
        if is_known(norm <= max_norm):
            return updates, state
        return transformed(_shortening(max_norm, norm), updates, params), state

    return restrict(empty, update, mask)


def weights_of(updates: Tree) -> list[Any]:
    """Return the leaves that are no statistics."""
    return [leaf for _, leaf, is_statistic in walk(updates) if not is_statistic]


def norm_of(*weights: Any) -> float:
    """Return the norm of all weights together."""
    return number(called(_norm, *weights))


def _norm(*weights: Any) -> np.float64:
    return np.float64(tree.norm(weights))


def _shortening(max_norm: float, norm: float) -> Callable[[Any, Array], Array]:
    """Return ``(p, u) -> u · min(1, max_norm / norm)``, right also where the quotient is tiny.

    A float32 gradient may have a norm of 1e39, and 1 / 1e39 is a float32 of few bits: below
    2⁻¹³ the factor is split into a fraction and a power of two, which is applied last.
    """

    def factors(norm: float) -> tuple[bool, float, int]:
        if norm <= max_norm:
            return True, 1.0, 0
        top, top_exponent = math.frexp(max_norm)
        bottom, bottom_exponent = math.frexp(norm)
        exponent = top_exponent - bottom_exponent
        if exponent > -13 or not math.isfinite(norm):
            return True, max_norm / norm, 0
        return False, top / bottom / 2, exponent + 1  # in (1/4, 1), so that nothing overflows

    is_one, factor, exponent = computed(factors, norm)
    is_one = decide(is_one)

    def shorten(p: Any, u: Array) -> Array:
        with np.errstate(invalid="ignore"):  # inf · 0
            shortened: Array = u * factor
        return shortened if is_one else called(np.ldexp, shortened, exponent)

    return shorten
