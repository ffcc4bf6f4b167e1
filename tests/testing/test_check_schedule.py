"""`check_schedule` is checked: right schedules pass, and each of these mutants must not."""

# ruff: noqa: NPY002 (the legacy functions are what is caught)

import functools
import itertools
import math
import random

import numpy as np
import pytest

from fcnn import optim
from fcnn.errors import ArgumentError
from fcnn.testing import check_schedule

calls = itertools.count()
last = {}


def right(step):
    return 0.1 / (1 + step)


def once_a_step(step):
    """Counts its calls instead of reading the step."""
    return 0.1 / (1 + next(calls))


def remembers(step):
    """Halves the rate when the step went up since it was last asked."""
    value = last.get("value", 0.1) * (0.999 if step > last.get("step", 0) else 1.0)
    last.update(step=step, value=value)
    return value


def draws(step):
    return right(step) + 1e-3 * random.random()


def seeds(step):
    np.random.seed(step)
    return right(step) * (1 + 0.01 * float(np.random.random()))


def reads(step):
    return right(step) + float(np.random.get_state()[1][0] % 2)


@functools.cache
def table():
    return [0.1 / (1 + step) for step in range(2000)]


def by_type(step):
    """Knows ints alone."""
    return right(step) if isinstance(step, int) else 0.1


MUTANTS = {
    "infinite at 0": (lambda step: math.inf if step == 0 else 1 / step, "number"),
    "a division by zero": (lambda step: 1 / step, "number"),
    "NaN at the end": (lambda step: math.nan if step == 1000 else 0.1, "number"),
    "negative late": (lambda step: 0.1 - step / 9000, "number"),
    "an int": (lambda step: 1, "number"),
    "a float32": (lambda step: np.float32(0.1), "number"),
    "an array": (lambda step: np.array([0.1]), "number"),
    "None": (lambda step: None, "number"),
    "a complex number": (lambda step: (-0.1 - step) ** 0.5, "number"),
    "it counts its calls": (once_a_step, "purity"),
    "it remembers the last step": (remembers, "purity"),
    "it draws": (draws, "purity"),
    "it seeds": (seeds, "globals"),
    "it reads a generator": (reads, "globals"),
    "it wants an int": (by_type, "integer"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_every_mutant_is_caught(name):
    mutant, law = MUTANTS[name]
    with pytest.raises(AssertionError, match=f"breaks the law '{law}'"):
        check_schedule(mutant)


RIGHT = [
    right,
    lambda step: table()[step],
    optim.cosine(0.1, 100, final=0.01),
    optim.warmup(10, optim.cosine(0.1, 100)),
]


@pytest.mark.parametrize("schedule", RIGHT, ids=lambda made: getattr(made, "__name__", repr(made)))
def test_what_is_right_passes(schedule):
    check_schedule(schedule)


@optim.schedule
def harmonic(*parts):
    return right


class Sly:
    """Prints as if it were None."""

    def __repr__(self):
        return "None"


def test_schedules_are_values():
    check_schedule(harmonic(1.0))
    with pytest.raises(AssertionError, match="breaks the law 'value'"):
        check_schedule(harmonic(Sly()))
    with pytest.raises(AssertionError, match=r"breaks the law 'value': it does not pickle"):
        check_schedule(harmonic(lambda: 0))


def test_the_number_of_steps_may_be_given():
    late, _ = MUTANTS["NaN at the end"]
    check_schedule(late, 999)
    with pytest.raises(ArgumentError, match="steps"):
        check_schedule(right, 0)


def test_a_law_may_be_left_out():
    check_schedule(by_type, skip=["integer"])
