"""Schedule-free optimizers by hand; test_against_peers has their trajectories."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fcnn
from fcnn import optim, tree
from fcnn.errors import ArgumentError, TreeError


def test_the_average_is_that_of_the_iterates_with_equal_weights(trees: Any) -> None:
    optimizer = optim.schedule_free_sgd(0.3, b1=0.8)
    params = trees.params(0, np.float64)
    state, iterates = optimizer.init(params), []
    for step in range(6):
        params, state = optimizer.step(params, trees.grads(step, np.float64), state)
        iterates.append(state.z)
    average = optim.schedule_free_params(params, state)
    mean = tree.map(lambda *leaves: np.mean(leaves, axis=0), *iterates)
    for i, (path, is_statistic) in enumerate(
        zip(tree.paths(params), tree.statistics(params), strict=True)
    ):
        found, expected = tree.leaves(average)[i], tree.leaves(mean)[i]
        if is_statistic:
            expected = tree.leaves(params)[i]
        assert np.allclose(found, expected, rtol=1e-12, atol=1e-13), path


def test_the_average_in_float32_is_that_in_float64(trees: Any) -> None:
    found = []
    for dtype in (np.float32, np.float64):
        optimizer = optim.schedule_free_adamw(0.01)
        params = trees.params(0, dtype)
        state = optimizer.init(params)
        for step in range(100):
            grads = tree.astype(trees.grads(step), dtype)
            params, state = optimizer.step(params, grads, state)
        found.append(optim.schedule_free_params(params, state))
        assert all(leaf.dtype == dtype for leaf in tree.leaves(found[-1]))
    assert tree.allclose(found[0], found[1], rtol=2e-4, atol=2e-5)


def test_its_learning_rate_and_its_state_are_found_inside_of_wrappers() -> None:
    optimizer = optim.skip_nonfinite(optim.accumulate(optim.schedule_free_sgd(0.25), 1))
    params: Any = (1.0,)
    params, state = optimizer.step(params, (1.0,), optimizer.init(params))
    assert optim.current_learning_rate(state) == 0.25
    assert optim.schedule_free_params(params, state) == (0.75,)


def test_what_is_wrong_is_refused(trees: Any) -> None:
    for call in (
        lambda: optim.schedule_free(optim.sgd(0.1), 0.1),  # type: ignore[arg-type]
        lambda: optim.schedule_free_sgd(0.1, b1=0.0),
        lambda: optim.schedule_free_sgd(-0.1),
        lambda: optim.schedule_free_params((1.0,), optim.sgd(0.1).init((1.0,))),
    ):
        with pytest.raises(ArgumentError, match=r"^expected "):
            call()
    optimizer, params = optim.schedule_free_sgd(0.1), trees.params(0)
    with pytest.raises(TreeError, match=r"\[2\]; .*the state is of other params"):
        optimizer.step(params, trees.grads(1), optimizer.init((*params[:2], 1.0, params[3])))


def test_the_documented_loop_over_epochs_evaluates_the_average() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4)).astype(np.float32)
    data = fcnn.data.Dataset(x, (x[:, 0] > x[:, 1]).astype(int))
    model = fcnn.serial(fcnn.dense(8), fcnn.tanh, fcnn.dense(2))
    loss, optimizer = fcnn.losses.softmax_cross_entropy, optim.schedule_free_sgd(2.0)
    state = fcnn.train.init(model, optimizer, data, fcnn.key(0))
    losses = []
    for epoch in fcnn.train.epochs(model, loss, optimizer, data, state, epochs=6, progress=False):
        params = optim.schedule_free_params(epoch.state.params, epoch.state.opt_state)
        losses.append(fcnn.evaluate(model, loss, params, data).loss)
    assert losses[-1] < 0.75 * losses[0]
