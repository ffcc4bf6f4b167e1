"""Schedules that anneal a rate, run in cycles, or follow each other. The first step is step 0."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

from fcnn import _check
from fcnn.errors import ArgumentError
from fcnn.optim.schedules import as_schedule, schedule


@schedule
def exponential(
    initial: float, *, every: int, factor: float, final: float = 0.0
) -> Callable[[int], float]:
    """Multiply by a factor over so many steps, a little at each: ``initial · factor^(step/every)``.

    `fcnn.optim.step_decay` does it all at once.

    Args:
        initial: the value at step 0.
        every: the number of steps in which the value is multiplied by ``factor``.
        factor: what it is multiplied by, in (0, 1].
        final: the value is not less.

    Raises:
        ArgumentError: if ``every`` is not a whole number of at least 1, ``factor`` is not in
            (0, 1], or another argument is negative or not finite.

    >>> from fcnn import optim
    >>> learning_rate = optim.exponential(1.0, every=2, factor=0.25)
    >>> [learning_rate(step) for step in range(4)]
    [1.0, 0.5, 0.25, 0.125]
    """
    initial = _check.number(initial, "initial", 0.0, open_high=True)
    every = _check.whole(every, "every")
    factor = _check.number(factor, "factor", 0.0, 1.0)
    if factor == 0:
        raise ArgumentError("expected a number in (0, 1] for factor, got 0")
    final = _check.number(final, "final", 0.0, open_high=True)
    return lambda step: max(final, initial * math.pow(factor, step / every))


@schedule
def piecewise(values: Sequence[float], boundaries: Sequence[int]) -> Callable[[int], float]:
    """Return ``values[0]`` before the first boundary, ``values[1]`` from there on, and so forth.

    Args:
        values: one more than there are boundaries.
        boundaries: the steps at which the next value begins, increasing.

    Raises:
        ArgumentError: if the numbers do not fit, boundaries do not increase, or a value is
            negative or not finite.

    >>> from fcnn import optim
    >>> learning_rate = optim.piecewise((0.1, 0.01, 0.001), (2, 3))
    >>> [learning_rate(step) for step in range(5)]
    [0.1, 0.1, 0.01, 0.001, 0.001]
    """
    numbers = [_check.number(value, "values", 0.0, open_high=True) for value in values]
    starts = _starts(boundaries, len(numbers), "values")
    return lambda step: numbers[_place(starts, step)]


@schedule
def polynomial(
    initial: float, steps: int, *, power: float = 1.0, final: float = 0.0
) -> Callable[[int], float]:
    """Follow a polynomial from ``initial`` to ``final``, and stay there.

    ``final + (initial - final) (1 - step / steps)^power`` up to step ``steps``; a line for the
    power 1.

    Args:
        initial: the value at step 0.
        steps: the step at which ``final`` is reached.
        power: the exponent.
        final: the value from then on.

    Raises:
        ArgumentError: if ``steps`` is not a whole number of at least 1, or another argument is
            negative or not finite.

    >>> from fcnn import optim
    >>> learning_rate = optim.polynomial(1.0, 4, power=2.0)
    >>> [learning_rate(step) for step in range(6)]
    [1.0, 0.5625, 0.25, 0.0625, 0.0, 0.0]
    """
    initial = _check.number(initial, "initial", 0.0, open_high=True)
    steps = _check.whole(steps, "steps")
    power = _check.number(power, "power", 0.0, open_high=True)
    final = _check.number(final, "final", 0.0, open_high=True)

    def at(step: int) -> float:
        if step >= steps:
            return final
        return final + (initial - final) * math.pow(1 - step / steps, power)

    return at


@schedule
def one_cycle(
    peak: float,
    steps: int,
    *,
    rise: float = 0.3,
    initial: float | None = None,
    final: float | None = None,
) -> Callable[[int], float]:
    """Rise to a peak by half a cosine, then fall far below the start by another (1cycle).

    The peak is at step ``rise · steps - 1``, the end at step ``steps - 1``, the last of a run
    of ``steps`` steps. As ``torch.optim.lr_scheduler.OneCycleLR``, without its cycle of
    momentum.

    Args:
        peak: the largest value.
        steps: the number of steps of the run.
        rise: the part of the steps that rise, in (0, 1).
        initial: the value at step 0; a 25th of the peak if None.
        final: the value at the last step and after it; a 10000th of ``initial`` if None.

    Raises:
        ArgumentError: if ``steps`` is not a whole number, ``rise · steps`` is not between 1
            and ``steps``, or another argument is negative or not finite.

    Source: L. Smith and N. Topin, "Super-convergence: very fast training of neural networks
    using large learning rates", 2018, https://arxiv.org/abs/1708.07120.

    >>> from fcnn import optim
    >>> learning_rate = optim.one_cycle(1.0, 10)
    >>> [round(learning_rate(step), 6) for step in (0, 1, 2, 9)]
    [0.04, 0.52, 1.0, 4e-06]
    """
    peak = _check.number(peak, "peak", 0.0, open_high=True)
    steps = _check.whole(steps, "steps", 2)
    rise = _check.number(rise, "rise", 0.0, 1.0, open_high=True)
    top = rise * steps - 1
    if not 0 < top < steps - 1:
        raise ArgumentError(
            f"expected rise · steps between 1 and {steps}, got {rise * steps:g}; "
            f"pass more steps, or another rise"
        )
    low = peak / 25 if initial is None else initial
    low = _check.number(low, "initial", 0.0, open_high=True)
    end = low / 1e4 if final is None else final
    end = _check.number(end, "final", 0.0, open_high=True)

    def at(step: int) -> float:
        if step >= steps - 1:
            return end
        if step <= top:
            return _half_cosine(low, peak, step / top)
        return _half_cosine(peak, end, (step - top) / (steps - 1 - top))

    return at


@schedule
def cosine_restarts(
    initial: float, steps: int, *, factor: int = 1, final: float = 0.0
) -> Callable[[int], float]:
    """Follow half a cosine from ``initial`` to ``final``, start again, and so forth (SGDR).

    The first period has ``steps`` steps, each later one ``factor`` times those of the one
    before. As ``torch.optim.lr_scheduler.CosineAnnealingWarmRestarts``.

    Args:
        initial: the value at the start of each period.
        steps: the length of the first period.
        factor: how much longer each period is than the one before.
        final: the value that each period approaches.

    Raises:
        ArgumentError: if ``steps`` or ``factor`` is not a whole number of at least 1, or another
            argument is negative or not finite.

    Source: I. Loshchilov and F. Hutter, "SGDR: stochastic gradient descent with warm
    restarts", 2017, https://arxiv.org/abs/1608.03983.

    >>> from fcnn import optim
    >>> learning_rate = optim.cosine_restarts(1.0, 2, factor=2)
    >>> [round(learning_rate(step), 6) for step in (0, 1, 2, 4, 6)]
    [1.0, 0.5, 1.0, 0.5, 1.0]
    """
    initial = _check.number(initial, "initial", 0.0, open_high=True)
    steps = _check.whole(steps, "steps")
    factor = _check.whole(factor, "factor")
    final = _check.number(final, "final", 0.0, open_high=True)

    def at(step: int) -> float:
        step, length = int(step), steps
        if factor == 1:
            step %= steps
        while step >= length:
            step, length = step - length, length * factor
        return _half_cosine(initial, final, step / length)

    return at


@schedule
def join(
    schedules: Sequence[float | Callable[[int], float]], boundaries: Sequence[int]
) -> Callable[[int], float]:
    """Follow schedules one after the other, each from its own step 0.

    Args:
        schedules: numbers or schedules, one more than there are boundaries.
        boundaries: the steps at which the next one begins, increasing.

    Raises:
        ArgumentError: if their numbers do not fit, boundaries do not increase, or something is
            no schedule.

    >>> from fcnn import optim
    >>> rise, fall = optim.polynomial(0.0, 2, final=1.0), optim.cosine(1.0, 4)
    >>> learning_rate = optim.join((rise, fall, 0.125), (2, 4))
    >>> [round(learning_rate(step), 3) for step in range(6)]
    [0.0, 0.5, 1.0, 0.854, 0.125, 0.125]
    """
    parts = [as_schedule(each) for each in schedules]
    starts = _starts(boundaries, len(parts), "schedules")

    def at(step: int) -> float:
        place = _place(starts, step)
        return float(parts[place](step - starts[place]))

    return at


def _half_cosine(start: float, end: float, part: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2


def _starts(boundaries: Sequence[int], n: int, what: str) -> list[int]:
    """Return the steps at which each of n parts begins."""
    starts = [0, *(_check.whole(step, "boundaries") for step in boundaries)]
    if len(starts) != n or any(a >= b for a, b in itertools.pairwise(starts)):
        raise ArgumentError(
            f"expected increasing boundaries, one fewer than {what}, "
            f"got {list(boundaries)} for {n} {what}"
        )
    return starts


def _place(starts: Sequence[int], step: int) -> int:
    """Return which part a step is in."""
    return sum(step >= start for start in starts) - 1
