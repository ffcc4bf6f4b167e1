"""Schedules: a number, such as the learning rate, at each step. The first step is step 0."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ParamSpec

import attrs
import numpy as np

from fcnn import _check
from fcnn._ops.values import computed
from fcnn._value import Spec, Value, remember
from fcnn.errors import ArgumentError

P = ParamSpec("P")


@attrs.frozen(eq=False, repr=False, slots=False)
class Schedule(Value):
    """A function ``step -> float`` that prints as the call that made it.

    >>> from fcnn import optim
    >>> learning_rate = optim.step_decay(0.1, every=10, factor=0.5)
    >>> learning_rate
    step_decay(0.1, every=10, factor=0.5)
    >>> learning_rate(0), learning_rate(10)
    (0.1, 0.05)
    """

    at: Callable[[int], float]
    spec: Spec

    def __call__(self, step: int) -> float:
        """Return the value at a step; the first step is 0.

        A step may be an array of one number, which `fcnn.jit` takes as an argument.
        """
        return computed(self._at, step)  # type: ignore[no-any-return]

    def _at(self, step: Any) -> float:
        return self.at(step.item() if isinstance(step, np.ndarray | np.generic) else step)


def schedule(constructor: Callable[P, Callable[[int], float]]) -> Callable[P, Schedule]:
    """Make a function that returns ``step -> float`` return a `Schedule`.

    >>> from fcnn import optim
    >>> @optim.schedule
    ... def harmonic(initial):
    ...     return lambda step: initial / (step + 1)
    >>> harmonic(0.5)(4)
    0.1
    """
    return remember(constructor, Schedule, "Schedule")


@schedule
def constant_schedule(value: float) -> Callable[[int], float]:
    """Return the same value at every step.

    Raises:
        ArgumentError: if ``value`` is negative or not finite.

    >>> from fcnn import optim
    >>> optim.constant_schedule(0.1)(1000)
    0.1
    """
    value = _check.number(value, "value", 0.0, open_high=True)
    return lambda step: value


@schedule
def step_decay(initial: float, *, every: int, factor: float) -> Callable[[int], float]:
    """Multiply by a factor every so many steps: ``initial · factor ** floor(step / every)``.

    Args:
        initial: the value at step 0.
        every: the number of steps between two changes.
        factor: what the value is multiplied by at each.

    Raises:
        ArgumentError: if ``every`` is not a whole number of at least 1, or another argument is
            negative or not finite.

    >>> from fcnn import optim
    >>> learning_rate = optim.step_decay(1.0, every=2, factor=0.5)
    >>> [learning_rate(step) for step in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """
    initial = _check.number(initial, "initial", 0.0, open_high=True)
    every = _check.whole(every, "every")
    factor = _check.number(factor, "factor", 0.0, open_high=True)
    return lambda step: initial * factor ** (step // every)


@schedule
def cosine(initial: float, steps: int, *, final: float = 0.0) -> Callable[[int], float]:
    """Follow half a cosine from ``initial`` to ``final``, and stay there.

    ``final + (initial - final) (1 + cos(π step / steps)) / 2`` up to step ``steps``.

    Args:
        initial: the value at step 0.
        steps: the step at which ``final`` is reached.
        final: the value from then on.

    Raises:
        ArgumentError: if ``steps`` is not a whole number of at least 1, or another argument is
            negative or not finite.

    Source: I. Loshchilov and F. Hutter, "SGDR: stochastic gradient descent with warm
    restarts", 2017, https://arxiv.org/abs/1608.03983 (one period).

    >>> from fcnn import optim
    >>> learning_rate = optim.cosine(1.0, 4)
    >>> learning_rate(0), round(learning_rate(2), 6), learning_rate(4), learning_rate(5)
    (1.0, 0.5, 0.0, 0.0)
    """
    initial = _check.number(initial, "initial", 0.0, open_high=True)
    steps = _check.whole(steps, "steps")
    final = _check.number(final, "final", 0.0, open_high=True)

    def at(step: int) -> float:
        if step >= steps:
            return final
        return final + (initial - final) * (1 + math.cos(math.pi * step / steps)) / 2

    return at


@schedule
def warmup(steps: int, then: float | Callable[[int], float]) -> Callable[[int], float]:
    """Rise linearly to the first value of a schedule, then follow it from its step 0.

    ``then(0) · (step + 1) / steps`` in the first ``steps`` steps, so that the first step has a
    rate above zero; ``then(step - steps)`` afterwards.

    Args:
        steps: the number of steps of the rise.
        then: the number or the schedule that follows.

    Raises:
        ArgumentError: if ``steps`` is not a whole number of at least 1, or ``then`` is a number
            that is negative or not finite.

    Source: P. Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour",
    2017, https://arxiv.org/abs/1706.02677, section 2.2.

    >>> from fcnn import optim
    >>> learning_rate = optim.warmup(4, optim.cosine(1.0, 100))
    >>> [learning_rate(step) for step in range(5)]
    [0.25, 0.5, 0.75, 1.0, 1.0]
    """
    steps = _check.whole(steps, "steps")
    later = as_schedule(then)
    return lambda step: later(0) * (step + 1) / steps if step < steps else later(step - steps)


def as_schedule(value: float | Callable[[int], float]) -> Callable[[int], float]:
    """Return a schedule as it is, and a number as the schedule that has it at every step.

    Raises:
        ArgumentError: if ``value`` is neither a function nor a finite number of at least 0.

    >>> from fcnn import optim
    >>> optim.as_schedule(0.1)
    constant_schedule(0.1)
    >>> optim.as_schedule(optim.cosine(0.1, 100))
    cosine(0.1, 100)
    """
    if isinstance(value, Schedule) or not callable(value):
        return value if callable(value) else constant_schedule(value)
    if getattr(value, "__annotations__", {}).get("return") == "Schedule":
        raise ArgumentError(
            f"expected a number or a schedule, got the function {value.__name__}; "
            f"call it: {value.__name__}(...)"
        )
    return value
