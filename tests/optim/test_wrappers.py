"""Accumulated gradients and averaged params, each against a computation by hand."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import fcnn
from fcnn import optim, tree
from fcnn.errors import ArgumentError, DTypeError, TreeError


def draws(n: int) -> list[Any]:
    rng = np.random.default_rng(0)
    return [(rng.normal(size=(2, 3)), {"b": rng.normal(size=2)}) for _ in range(n)]


@pytest.mark.parametrize("every", [1, 2, 3])
@pytest.mark.parametrize("make", [lambda: optim.adam(0.1), lambda: optim.sgd(0.1, momentum=0.9)])
def test_accumulate_is_the_optimizer_on_mean_gradients(make: Any, every: int) -> None:
    inner, optimizer = make(), optim.accumulate(make(), every)
    params, *grads = draws(10)
    expected, state, inner_state = params, optimizer.init(params), inner.init(params)
    for i, g in enumerate(grads):
        before = params
        params, state = optimizer.step(params, g, state)
        if (i + 1) % every:
            assert params is before
            assert state.mini_step == (i + 1) % every
            continue
        group = grads[i + 1 - every : i + 1]
        mean = tree.map(lambda *leaves: np.mean(leaves, axis=0), *group)
        expected, inner_state = inner.step(expected, mean, inner_state)
        assert tree.allclose(params, expected, rtol=1e-12)
        assert tree.allclose(state.inner_state, inner_state, rtol=1e-12)
        assert not any(leaf.any() for leaf in tree.leaves(state.acc_grads))


def test_accumulate_of_a_transform_gives_zero_updates_in_between(trees: Any) -> None:
    params, grads = trees.params(0), [trees.grads(seed) for seed in (1, 2, 3, 4)]
    chain = optim.chain(optim.trace(0.5), optim.scale_by_learning_rate(0.1))
    one = optim.descend(optim.accumulate(chain, 2))
    other = optim.accumulate(optim.descend(chain), 2)
    assert type(optim.accumulate(chain, 2)) is optim.Transform
    one_params, one_state = params, one.init(params)
    other_params, other_state = params, other.init(params)
    for i, g in enumerate(grads):
        before = one_params
        one_params, one_state = one.step(one_params, g, one_state)
        other_params, other_state = other.step(other_params, g, other_state)
        assert tree.equal(one_params, other_params)
        assert tree.equal(one_params, before) == (i % 2 == 0)
    assert tree.equal(one_state, other_state)


def test_accumulate_mixes_the_mean_of_the_observations_once(trees: Any) -> None:
    params = (trees.Block(np.zeros(1), np.zeros(1), np.array([10.0])),)
    optimizer: Any = optim.accumulate(optim.sgd(0.1), 3)
    state = optimizer.init(params)
    for value, weight in ((1.0, 0.9), (4.0, 0.6), (7.0, 0.9)):
        assert params[0].mean == 10.0
        seen = tree.Observation(np.array([value]), weight)
        grads = (trees.Block(np.ones(1), np.ones(1), seen),)
        params, state = optimizer.step(params, grads, state)
    # Mean of the values 4, mean of the weights 0.8.
    assert params[0].mean == pytest.approx([0.8 * 10 + 0.2 * 4])


def test_accumulated_batches_are_one_batch_in_shards() -> None:
    """Batch norm included: three batches of 4 are one of 12 in shards of 4."""
    model = fcnn.serial(fcnn.dense(5), fcnn.batch_norm(), fcnn.relu, fcnn.dense(2))
    loss = fcnn.losses.mean_squared_error
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 3)), rng.normal(size=(12, 2))
    start = tree.astype(model.init(fcnn.key(0), (3,))[0], np.float64)
    ctx = fcnn.training(fcnn.key(1))

    sgd = optim.sgd(0.1)
    _, grads = fcnn.value_and_grad(model, loss, shard_size=4)(start, x, y, ctx)
    whole, _ = sgd.step(start, grads, sgd.init(start))

    optimizer = optim.accumulate(sgd, 3)
    params, state = start, optimizer.init(start)
    for i in range(0, 12, 4):
        _, grads = fcnn.value_and_grad(model, loss)(params, x[i : i + 4], y[i : i + 4], ctx)
        params, state = optimizer.step(params, grads, state)
    assert tree.allclose(params, whole, rtol=1e-10, atol=1e-12)
    assert not np.allclose(params[1].mean, start[1].mean)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9])
def test_params_ema_is_the_weighted_mean_of_all_params(decay: float, trees: Any) -> None:
    inner = optim.adam(0.1)
    optimizer = optim.params_ema(inner, decay)
    params = expected = trees.params(0, np.float64)
    state, inner_state = optimizer.init(params), inner.init(params)
    assert tree.equal(optim.current_params_ema(state), params)
    seen: list[Any] = []
    for t in range(1, 6):
        g = trees.grads(t, np.float64)
        params, state = optimizer.step(params, g, state)
        expected, inner_state = inner.step(expected, g, inner_state)
        assert tree.equal(params, expected)  # the steps are those of the optimizer alone
        seen.append(params)
        average = functools.partial(np.average, axis=0, weights=decay ** np.arange(t - 1, -1, -1.0))
        mean = tree.map(lambda *leaves, average=average: average(leaves), *seen)
        assert tree.allclose(optim.current_params_ema(state), mean, rtol=1e-12, atol=1e-14)
    assert tree.equal(state.inner_state, inner_state)
    assert state.count == 5


def test_params_ema_keeps_dtypes(trees: Any) -> None:
    optimizer = optim.params_ema(optim.sgd(0.1), 0.9)
    params, state = trees.run(optimizer, trees.params(0), optimizer.init(trees.params(0)), range(3))
    average = optim.current_params_ema(state)
    assert tree.structure(average) == tree.structure(params)
    assert all(leaf.dtype == np.float32 for leaf in tree.leaves(average))


@pytest.mark.parametrize(
    "call",
    [
        lambda: optim.accumulate(optim.sgd(0.1), 0),
        lambda: optim.accumulate(optim.sgd(0.1), 2.0),  # type: ignore[arg-type]
        lambda: optim.accumulate(optim.sgd, 2),  # type: ignore[type-var]
        lambda: optim.accumulate(None, 2),  # type: ignore[type-var]
        lambda: optim.params_ema(optim.scale(1.0), 0.9),  # type: ignore[arg-type]
        lambda: optim.params_ema(optim.sgd(0.1), 1.0),
        lambda: optim.params_ema(optim.sgd(0.1), -0.1),
    ],
)
def test_arguments_out_of_range_are_refused(call: Any) -> None:
    with pytest.raises(ArgumentError, match=r"^expected .*, got "):
        call()


def test_accumulate_refuses_gradients_that_do_not_fit_at_once(trees: Any) -> None:
    params, optimizer = trees.params(0), optim.accumulate(optim.sgd(0.1), 4)
    block, *rest = trees.grads(1)
    with pytest.raises(DTypeError, match=r"^\[0\]\.mean: expected an Observation"):
        optimizer.step(params, params, optimizer.init(params))
    wrong = (trees.Block(block.weight, np.ones(3), block.mean), *rest)
    with pytest.raises(TreeError, match=r"at \[0\]\.bias; gradients and params"):
        optimizer.step(params, wrong, optimizer.init(params))
