"""The laws that a schedule obeys."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from typing import Any

import attrs
import numpy as np

from fcnn._check import whole
from fcnn._value import Value
from fcnn.testing._globals import global_problem
from fcnn.testing._law import Law, enforce, findings
from fcnn.testing._value import copy_of, importable, value_problem


def check_schedule(
    schedule: Callable[[int], float], steps: int = 1000, *, skip: Collection[str] = ()
) -> None:
    """Hold a schedule to everything that fcnn relies on in a schedule.

    - *number*: at steps 0 to ``steps`` it gives a float, finite and not negative.
    - *purity*: the same float for the same step, in whatever order steps are asked for.
    - *globals*: no global generator is drawn from, seeded or read; NumPy's settings stay.
    - *integer*: a NumPy integer is the step that an int is.
    - *value*: the schedule pickles, equals its copy, and prints as the call that makes it.

    Args:
        schedule: ``step -> float``.
        steps: the last step to check.
        skip: names of laws to leave out.

    Raises:
        AssertionError: naming the schedule, the law and what was seen.
        ArgumentError: if ``skip`` names no law.

    >>> from fcnn import optim
    >>> from fcnn.testing import check_schedule
    >>> check_schedule(optim.cosine(0.1, 100))
    >>> check_schedule(lambda step: 1 / step)
    Traceback (most recent call last):
    AssertionError: <function <lambda> ...> breaks the law 'number': ZeroDivisionError: ...
    """
    case = ScheduleCase(schedule, whole(steps, "steps"))
    enforce(schedule, findings(LAWS, [("", case)], skip))


@attrs.frozen
class ScheduleCase:
    """A schedule and the last step."""

    schedule: Any
    steps: int

    def values(self, schedule: Any = None) -> list[float]:
        """Return the floats from step 0 on."""
        at = self.schedule if schedule is None else schedule
        return [at(step) for step in range(self.steps + 1)]


def _number_problems(case: ScheduleCase) -> Iterator[str]:
    for step, value in enumerate(case.values()):
        if not isinstance(value, float):
            yield f"expected a float at step {step}, got {type(value).__name__}"
        if not math.isfinite(value):
            yield f"step {step} gives {value}"
        if value < 0:
            yield f"step {step} gives {value}, which is negative"


def _purity_problems(case: ScheduleCase) -> Iterator[str]:
    forward = case.values()
    backward = [case.schedule(step) for step in reversed(range(case.steps + 1))][::-1]
    strides = range(0, 7 * (case.steps + 1), 7)
    jumping = {step % (case.steps + 1): case.schedule(step % (case.steps + 1)) for step in strides}
    for step, value in enumerate(forward):
        for other in (backward[step], jumping.get(step, value)):
            if other != value:
                yield f"step {step} gives {value!r}, and {other!r} where steps come otherwise"
    if case.values() != forward:
        yield "asked a second time, it gives other numbers"


def _global_problems(case: ScheduleCase) -> Iterator[str]:
    yield global_problem(lambda: repr(case.values()))


def _integer_problems(case: ScheduleCase) -> Iterator[str]:
    for step in {0, 1, case.steps // 2, case.steps}:
        for kind in (np.int64, np.int32):
            if case.schedule(kind(step)) != case.schedule(step):
                yield f"{kind.__name__}({step}) is another step than {step}"


def _value_problems(case: ScheduleCase) -> Iterator[str]:
    yield value_problem(case.schedule)
    is_copied = isinstance(case.schedule, Value) and importable(case.schedule)
    if is_copied and case.values(copy_of(case.schedule)) != case.values():
        yield "its copy by pickle gives other numbers"


LAWS = (
    Law("number", "finite floats, not negative", _number_problems),
    Law("purity", "the step alone decides", _purity_problems),
    Law("globals", "no global generator is used", _global_problems),
    Law("integer", "NumPy integers are steps", _integer_problems),
    Law("value", "pickles, compares, prints as its call", _value_problems),
)
