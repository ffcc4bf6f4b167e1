"""Schedules: the learning rate at each step, ``step -> float``, counted from 0."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ParamSpec

import attrs

from fcnn import _check
from fcnn._value import Spec, Value, remember

P = ParamSpec("P")


@attrs.frozen(eq=False, repr=False, slots=False)
class Schedule(Value):
    """A function ``step -> float`` that prints as the call that made it.

    >>> from fcnn import optim
    >>> rate = optim.step(0.1, every=10, factor=0.5)
    >>> rate
    step(0.1, every=10, factor=0.5)
    >>> rate(0), rate(10)
    (0.1, 0.05)
    """

    at: Callable[[int], float]
    spec: Spec

    def __call__(self, step: int) -> float:
        """The value at a step; the first step is 0."""
        return self.at(step)


def schedule(constructor: Callable[P, Callable[[int], float]]) -> Callable[P, Schedule]:
    """Make a function that returns ``step -> float`` return a `Schedule`.

    >>> from fcnn import optim
    >>> @optim.schedule
    ... def harmonic(initial):
    ...     return lambda step: initial / (step + 1)
    >>> harmonic(0.5)(4)
    0.1
    """
    return remember(constructor, Schedule)


def as_schedule(rate: float | Callable[[int], float]) -> Callable[[int], float]:
    """A schedule as it is; a number as the schedule that never changes."""
    if callable(rate):
        return rate
    fixed = _check.number(rate, "a learning rate", 0.0, open_high=True)
    return lambda step: fixed


@schedule
def constant(value: float) -> Callable[[int], float]:
    """The same value at every step.

    >>> from fcnn import optim
    >>> optim.constant(0.1)(1000)
    0.1
    """
    return as_schedule(value)


@schedule
def step(initial: float, *, every: int, factor: float) -> Callable[[int], float]:
    """``initial * factor ** floor(step / every)``.

    Raises:
        ArgumentError: if ``every`` is not a whole number of at least 1, or a value is negative.

    >>> from fcnn import optim
    >>> rate = optim.step(1.0, every=2, factor=0.5)
    >>> [rate(i) for i in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """
    initial = _check.number(initial, "initial", 0.0, open_high=True)
    every = _check.whole(every, "every")
    factor = _check.number(factor, "factor", 0.0, open_high=True)
    return lambda step: initial * factor ** (step // every)


@schedule
def cosine(initial: float, steps: int, *, final: float = 0.0) -> Callable[[int], float]:
    """``final + (initial - final) (1 + cos(π step / steps)) / 2``, and ``final`` afterwards.

    Source: I. Loshchilov and F. Hutter, "SGDR: stochastic gradient descent with warm
    restarts", 2017, https://arxiv.org/abs/1608.03983 (one period).

    Raises:
        ArgumentError: if ``steps`` is not a whole number of at least 1, or a value is negative.

    >>> from fcnn import optim
    >>> rate = optim.cosine(1.0, 4)
    >>> rate(0), round(rate(2), 6), rate(4), rate(5)
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
    """Linear from ``then(0) / steps`` to ``then(0)``, and then ``then`` from its step 0.

    ``then(0) * (step + 1) / steps`` for the first ``steps`` steps, so that no step is
    wasted on a rate of zero; ``then(step - steps)`` afterwards.

    Args:
        steps: how many steps the way up takes.
        then: the rate, or the schedule, that follows.

    Raises:
        ArgumentError: if ``steps`` is not a whole number of at least 1.

    Source: P. Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1
    hour", 2017, https://arxiv.org/abs/1706.02677, section 2.2.

    >>> from fcnn import optim
    >>> rate = optim.warmup(4, optim.cosine(1.0, 100))
    >>> [rate(i) for i in range(5)]
    [0.25, 0.5, 0.75, 1.0, 1.0]
    """
    steps = _check.whole(steps, "steps")
    later = as_schedule(then)
    return lambda step: later(0) * (step + 1) / steps if step < steps else later(step - steps)
