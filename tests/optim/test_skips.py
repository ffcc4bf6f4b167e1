"""Steps that are left out because a gradient is not finite, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fcnn import optim, tree
from fcnn.errors import ArgumentError, DTypeError, TreeError


@pytest.mark.parametrize("most", [0, 2])
def test_after_so_many_in_a_row_the_step_is_made(most: int) -> None:
    optimizer = optim.skip_nonfinite(optim.sgd(0.5), most)
    params: Any = (np.ones(2),)
    state = optimizer.init(params)
    for i in range(most):
        after, state = optimizer.step(params, (np.array([np.nan, 1.0]),), state)
        assert after is params
        assert (state.skipped, state.consecutive) == (i + 1, i + 1)
    after, state = optimizer.step(params, (np.array([np.nan, 1.0]),), state)
    assert np.array_equal(after[0], [np.nan, 0.5], equal_nan=True)
    assert (state.skipped, state.consecutive) == (most, most)
    _, state = optimizer.step(params, (np.ones(2),), state)
    assert (state.skipped, state.consecutive) == (most, 0)


@pytest.mark.parametrize("as_transform", [False, True])
def test_nothing_changes_in_a_step_that_is_left_out(as_transform: bool, trees: Any) -> None:
    """Nor do statistics; an observation that is not finite is a reason too."""
    inner: Any = optim.chain(optim.trace(0.5), optim.scale_by_learning_rate(0.1))
    made: Any = optim.skip_nonfinite(inner if as_transform else optim.descend(inner), 9)
    optimizer = optim.descend(made) if as_transform else made
    params = trees.params(0)
    params, state = optimizer.step(params, trees.grads(1), optimizer.init(params))
    block, *rest = trees.grads(2)
    seen = tree.Observation(np.array([np.nan, 1.0], np.float32), 0.5)
    for bad in (
        (trees.Block(block.weight, block.bias * np.inf, block.mean), *rest),
        (trees.Block(block.weight, block.bias, seen), *rest),
    ):
        after, later = optimizer.step(params, bad, state)
        assert tree.equal(after, params)
        assert tree.equal(later.inner_state, state.inner_state)
        assert later.skipped == state.skipped + 1
        state = later
    found, _ = optimizer.step(params, (block, *rest), state)
    assert not tree.equal(found, params)


def test_gradients_that_do_not_fit_are_refused_even_if_they_are_not_finite(trees: Any) -> None:
    params, optimizer = trees.params(0), optim.skip_nonfinite(optim.sgd(0.1))
    block, *rest = trees.grads(1)
    wrong = (trees.Block(block.weight, np.full(3, np.nan), block.mean), *rest)
    with pytest.raises(TreeError, match=r"\[0\]\.bias"):
        optimizer.step(params, wrong, optimizer.init(params))
    wrong = (trees.Block(block.weight, block.bias, np.full(2, np.nan)), *rest)
    with pytest.raises(DTypeError, match=r"^\[0\]\.mean: expected an Observation"):
        optimizer.step(params, wrong, optimizer.init(params))


@pytest.mark.parametrize(
    "call",
    [
        lambda: optim.skip_nonfinite(optim.sgd(0.1), -1),
        lambda: optim.skip_nonfinite(optim.sgd(0.1), 1.5),  # type: ignore[arg-type]
        lambda: optim.skip_nonfinite(optim.sgd, 2),  # type: ignore[type-var]
    ],
)
def test_arguments_out_of_range_are_refused(call: Any) -> None:
    with pytest.raises(ArgumentError, match=r"^expected .*, got "):
        call()
