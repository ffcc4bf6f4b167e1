"""States: named, read-only, found by type, and refused where they are of something else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fcnn import optim, tree
from fcnn.errors import ArgumentError, TreeError


def test_states_have_the_names_of_the_papers() -> None:
    params = (1.0, 2.0)
    assert repr(optim.adam(0.1).init(params)) == (
        "(ScaleByAdamState(count=0, mu=(0.0, 0.0), nu=(0.0, 0.0)), "
        "ScaleByLearningRateState(count=0, learning_rate=0.1))"
    )
    momentum, _ = optim.sgd(0.1, momentum=0.9).init(params)
    assert momentum == optim.TraceState((0.0, 0.0))
    assert optim.scale_by_rms().init(params) == optim.ScaleByRmsState((0.0, 0.0))
    assert optim.ema(0.9).init(params) == optim.EmaState(0, (0.0, 0.0))
    assert optim.scale(1.0).init(params) == optim.EmptyState()
    assert optim.scale_by_schedule(lambda step: 1.0).init(params) == optim.ScaleByScheduleState(0)


def test_moments_have_the_structure_of_the_params_and_are_read_only(trees: Any) -> None:
    params = trees.params(0)
    for optimizer in (optim.adam(0.1), optim.accumulate(optim.sgd(0.1), 3)):
        _, state = trees.run(optimizer, params, optimizer.init(params), range(2))
        moments = state[0].nu if isinstance(state, tuple) else state.acc_grads
        assert tree.structure(moments) == tree.structure(params)
        for leaf in tree.leaves(state):
            array = leaf.value if isinstance(leaf, tree.Observation) else leaf
            assert not (isinstance(array, np.ndarray) and array.flags.writeable)


def test_a_moment_of_a_statistic_stays_zero(trees: Any) -> None:
    params, optimizer = trees.params(0), optim.adam(0.1)
    _, (adam, _) = trees.run(optimizer, params, optimizer.init(params), range(3))
    assert not adam.mu[0].mean.any()
    assert not adam.nu[0].mean.any()
    assert adam.mu[0].bias.any()


def test_every_state_is_refused_by_every_other_optimizer(optimizers: Any, trees: Any) -> None:
    """Unless both keep the same things, as `sgd` with two learning rates does."""
    params, grads = trees.params(0), trees.grads(1)
    refused = 0
    for one in optimizers:
        state = one.init(params)
        for other in optimizers:
            if tree.structure(other.init(params)) == tree.structure(state):
                other.step(params, grads, state)
                continue
            refused += 1
            # Three steps: an accumulation meets its inner state at its third.
            with pytest.raises(TreeError, match=r"^expected .*, got .*; pass the state that init"):
                trees.run(other, params, state, range(3))
    assert refused > 200


@pytest.mark.parametrize(
    ("optimizer", "other", "message"),
    [
        (
            optim.descend(optim.scale_by_adam()),
            optim.descend(optim.scale_by_rms()),
            "expected ScaleByAdamState, got ScaleByRmsState; pass the state that init",
        ),
        (
            optim.descend(optim.trace()),  # one moment each
            optim.descend(optim.scale_by_rms()),
            "expected TraceState, got ScaleByRmsState; ",
        ),
        (
            optim.rmsprop(0.1),
            optim.sgd(0.1, momentum=0.9),
            "expected ScaleByRmsState, got TraceState",
        ),
        (
            optim.adam(0.1),
            optim.sgd(0.1),
            r"expected \(ScaleByAdamState, ScaleByLearningRateState\), "
            r"got \(ScaleByLearningRateState,\); ",
        ),
        (
            optim.sgd(0.1),
            optim.descend(optim.chain(optim.scale(-0.1))),
            "expected ScaleByLearningRateState, got EmptyState",
        ),
        (
            optim.descend(optim.chain(optim.trace(), optim.scale(1.0))),
            optim.sgd(0.1),
            r"expected \(TraceState, EmptyState\), got \(ScaleByLearningRateState,\)",
        ),
        (
            optim.adamw(0.1, mask=optim.matrices),
            optim.adamw(0.1),
            "expected MaskedState, got EmptyState",
        ),
        (
            optim.accumulate(optim.sgd(0.1), 2),
            optim.sgd(0.1),
            r"expected AccumulateState, got \(Sc",
        ),
        (
            optim.params_ema(optim.sgd(0.1), 0.5),
            optim.sgd(0.1),
            r"expected ParamsEmaState, got \(S",
        ),
        (
            optim.partition({"a": optim.sgd(0.1)}, "a"),
            optim.partition({"b": optim.sgd(0.1)}, "b"),
            r"expected states of \['a'\], got states of \['b'\]",
        ),
        (
            optim.descend(optim.ema(0.5)),
            optim.descend(optim.trace()),
            "expected EmaState, got TraceS",
        ),
    ],
)
def test_the_state_of_another_optimizer_is_refused_with_both_names(
    optimizer: Any, other: Any, message: str
) -> None:
    params = (np.ones(2), np.ones(2))
    with pytest.raises(TreeError, match=message):
        optimizer.step(params, params, other.init(params))


def test_what_is_no_state_is_refused(optimizer: Any) -> None:
    params = (np.ones(2), np.ones((2, 2)))
    for wrong in (None, 3, [], {"count": 0}, params, (None, None)):
        with pytest.raises(TreeError, match=r"got .*; pass the state that init"):
            optimizer.step(params, params, wrong)


@pytest.mark.parametrize(
    "optimizer",
    [
        optim.adam(0.1),
        optim.sgd(0.1, momentum=0.9),
        optim.rmsprop(0.1),
        optim.descend(optim.ema(0.9)),
        optim.accumulate(optim.sgd(0.1), 2),
        optim.params_ema(optim.sgd(0.1), 0.9),
        optim.partition({"a": optim.adam(0.1)}, "a"),
        optim.descend(optim.trace(mask=optim.matrices)),
    ],
    ids=repr,
)
def test_the_state_of_other_params_is_refused_with_the_path(optimizer: Any) -> None:
    params = (np.ones((2, 2)), {"b": np.ones((3, 3))})
    for other, path in (
        ((np.ones((2, 2)), {"b": np.ones((3, 4))}), r"\[1\]\['b'\]"),
        ((np.ones((2, 2)), {"b": 1.0}), r"\[1\]\['b'\]"),
        ((np.ones((2, 2)), {"c": np.ones((3, 3))}), r"\[1\]"),
        ((np.ones((2, 2)),), "the root"),
    ):
        with pytest.raises(TreeError, match=path):
            optimizer.step(params, params, optimizer.init(other))


def test_the_state_is_blamed_for_what_is_its_fault() -> None:
    params, others = (np.ones(2), np.ones(3)), (np.ones(2), np.ones(4))
    optimizer = optim.adam(0.1)
    with pytest.raises(TreeError, match=r"\[1\]; the state is of other params, start from init"):
        optimizer.step(params, params, optimizer.init(others))
    with pytest.raises(TreeError, match=r"\[1\]; gradients and params must be of one model"):
        optimizer.step(params, others, optimizer.init(params))


RATE = optim.step_decay(0.4, every=1, factor=0.5)


@pytest.mark.parametrize(
    "optimizer",
    [
        optim.sgd(RATE),
        optim.adamw(RATE, mask=optim.matrices),
        optim.descend(optim.chain(optim.chain(optim.scale_by_learning_rate(RATE), optim.trace()))),
        optim.descend(optim.scale_by_learning_rate(RATE, mask=True)),
        optim.partition({"a": optim.sgd(RATE), "b": optim.adam(RATE)}, ("a", "b")),
        optim.params_ema(optim.rmsprop(RATE), 0.9),
        optim.accumulate(optim.sgd(RATE), 1),
    ],
    ids=repr,
)
def test_the_current_learning_rate_is_that_of_the_last_step(optimizer: Any) -> None:
    params: Any = (1.0, 1.0)
    state = optimizer.init(params)
    assert optim.current_learning_rate(state) == 0.4  # of the first step
    for expected in (0.4, 0.2, 0.1):
        params, state = optimizer.step(params, (1.0, 1.0), state)
        found = optim.current_learning_rate(state)
        assert type(found) is float
        assert found == expected


def test_a_learning_rate_that_is_not_there_or_is_ambiguous_is_refused() -> None:
    params = (1.0, 1.0)
    for state in ((), None, optim.descend(optim.scale_by_adam()).init(params)):
        with pytest.raises(ArgumentError, match="expected the state of an optimizer with a learn"):
            optim.current_learning_rate(state)
    two = optim.partition({"a": optim.sgd(0.1), "b": optim.sgd(0.2)}, ("a", "b")).init(params)
    with pytest.raises(ArgumentError, match=r"expected one learning rate, got \[0\.1, 0\.2\]"):
        optim.current_learning_rate(two)
    assert optim.current_learning_rate(two.inner_states["b"]) == 0.2


def test_an_average_that_is_not_there_or_is_ambiguous_is_refused() -> None:
    params = (1.0, 1.0)
    with pytest.raises(ArgumentError, match=r"got \(ScaleByLearningRateState,\) with 0"):
        optim.current_params_ema(optim.sgd(0.1).init(params))
    each = optim.params_ema(optim.sgd(0.1), 0.5)
    with pytest.raises(ArgumentError, match="got PartitionState with 2"):
        optim.current_params_ema(optim.partition({0: each, 1: each}, (0, 1)).init(params))
    deep = optim.accumulate(each, 2).init(params)
    assert optim.current_params_ema(deep) == params
