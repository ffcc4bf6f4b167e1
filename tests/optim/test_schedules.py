from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcnn import optim
from fcnn.errors import ArgumentError


def test_constant() -> None:
    assert {optim.constant(0.1)(i) for i in (0, 1, 10**9)} == {0.1}


def test_step_changes_at_every_multiple() -> None:
    rate = optim.step(1.0, every=3, factor=0.1)
    assert [rate(i) for i in (0, 2, 3, 5, 6)] == pytest.approx([1, 1, 0.1, 0.1, 0.01])


def test_cosine_from_initial_to_final_and_no_further() -> None:
    rate = optim.cosine(1.0, 10, final=0.2)
    assert rate(0) == 1.0
    assert rate(5) == pytest.approx(0.6)
    assert rate(10) == rate(11) == rate(10**6) == 0.2


def test_warmup_starts_above_zero_and_meets_what_follows() -> None:
    assert [optim.warmup(4, 0.8)(i) for i in range(6)] == pytest.approx(
        [0.2, 0.4, 0.6, 0.8, 0.8, 0.8]
    )
    rate = optim.warmup(2, optim.cosine(1.0, 4))
    assert [rate(i) for i in (0, 1, 2, 4, 6)] == pytest.approx([0.5, 1.0, 1.0, 0.5, 0.0])


@given(st.integers(1, 100), st.floats(0, 1), st.floats(0, 1), st.integers(0, 300))
def test_cosine_stays_between_its_ends(steps: int, a: float, b: float, step: int) -> None:
    low, high = min(a, b), max(a, b)
    assert low - 1e-12 <= optim.cosine(a, steps, final=b)(step) <= high + 1e-12


@pytest.mark.parametrize(
    "rate",
    [
        optim.constant(0.1),
        optim.step(0.1, every=2, factor=0.5),
        optim.cosine(0.1, 5),
        optim.warmup(3, optim.cosine(0.1, 5, final=0.01)),
    ],
    ids=repr,
)
def test_schedules_are_values(rate: Any) -> None:
    again = pickle.loads(pickle.dumps(rate))
    assert again == rate
    assert hash(again) == hash(rate)
    assert eval(repr(rate), vars(optim)) == rate
    assert [again(i) for i in range(9)] == [rate(i) for i in range(9)]
    assert all(type(rate(i)) is float for i in range(9))


@pytest.mark.parametrize(
    "call",
    [
        lambda: optim.constant(-1.0),
        lambda: optim.step(0.1, every=0, factor=0.5),
        lambda: optim.step(0.1, every=1, factor=-0.5),
        lambda: optim.cosine(0.1, 0),
        lambda: optim.cosine(0.1, 2.5),  # type: ignore[arg-type]
        lambda: optim.warmup(0, 0.1),
        lambda: optim.warmup(3, -0.1),
    ],
)
def test_values_out_of_range_are_refused(call: Any) -> None:
    with pytest.raises(ArgumentError):
        call()
