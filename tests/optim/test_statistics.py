"""Running statistics in a training step: mixed by optimizers, refused by anything else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fcnn
from fcnn import optim, tree
from fcnn.errors import DTypeError, TreeError

HIDDEN = fcnn.conv2d(6, 1, bias=False)  # batch norm makes a bias before it zero up to rounding
MODEL = fcnn.serial(HIDDEN, fcnn.batch_norm(), fcnn.tanh, fcnn.flatten, fcnn.dense(3))
LOSS = fcnn.losses.softmax_cross_entropy


def problem(dtype: Any = np.float64) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(0)
    x = rng.normal(2.0, 3.0, size=(60, 1, 1, 4)).astype(dtype)
    labels = (x[:, 0, 0, 0] > 2).astype(int) + (x[:, 0, 0, 1] > 2)
    params, _ = MODEL.init(fcnn.key(0), (1, 1, 4))
    return tree.astype(params, dtype), x, labels


def grads_at(params: Any, x: Any, labels: Any, step: int = 0) -> Any:
    some = slice(step % 3 * 20, step % 3 * 20 + 20)
    f = fcnn.value_and_grad(MODEL, LOSS)
    return f(params, x[some], labels[some], fcnn.training(fcnn.key(step)))[1]


def test_every_optimizer_mixes_statistics_the_same(optimizer: Any, trees: Any) -> None:
    """Three steps see three observations; an accumulation mixes their mean, if it is full."""
    params, seen = trees.params(0), [1.0, -2.0, 4.0]
    state, mean, found = optimizer.init(params), params[0].mean, params
    every = {"accumulate(adam(0.01), 3)": 3, "descend(accumulate(scale(-0.1), 2))": 2}
    every_n = every.get(repr(optimizer), 1)
    shown: list[Any] = []
    for value in seen:
        block, *rest = trees.grads(1)
        observed = tree.Observation(np.full(2, value, np.float32), 0.75)
        grads = (trees.Block(block.weight, block.bias, observed), *rest)
        found, state = optimizer.step(found, grads, state)
        shown.append(value)
        if len(shown) == every_n:
            mean = 0.75 * mean + 0.25 * np.mean(shown)
            shown = []
        assert np.allclose(found[0].mean, mean, rtol=1e-6)


def test_statistics_do_not_touch_weights(optimizer: Any, trees: Any) -> None:
    params, (block, *rest) = trees.params(0), trees.grads(1)
    huge = tree.Observation(block.mean.value * 1e6, 0.1)
    for _ in range(3):
        one, one_state = optimizer.step(params, (block, *rest), optimizer.init(params))
        grads = (trees.Block(block.weight, block.bias, huge), *rest)
        other, other_state = optimizer.step(params, grads, optimizer.init(params))
        assert tree.digest((one[0].weight, one[0].bias, one[1:])) == tree.digest(
            (other[0].weight, other[0].bias, other[1:])
        )
        if optimizer.spec.name not in ("accumulate", "params_ema") and "accum" not in repr(
            optimizer
        ):
            assert one_state == other_state


def test_an_array_in_place_of_an_observation_is_refused_with_the_path(
    optimizer: Any, trees: Any
) -> None:
    params = trees.params(0)
    with pytest.raises(DTypeError, match=r"^\[0\]\.mean: expected an Observation .*, got ndarray"):
        optimizer.step(params, params, optimizer.init(params))
    block, *rest = trees.grads(1)
    for shape in ((3,), (), (1, 2)):
        other = trees.Block(block.weight, block.bias, tree.Observation(np.ones(shape), 0.5))
        with pytest.raises(TreeError, match=r"\[0\]\.mean"):
            optimizer.step(params, (other, *rest), optimizer.init(params))


def test_an_observation_in_place_of_a_gradient_is_refused_with_the_path(
    optimizer: Any, trees: Any
) -> None:
    params, (block, *rest) = trees.params(0), trees.grads(1)
    grads = (trees.Block(block.weight, tree.Observation(block.bias, 0.5), block.mean), *rest)
    with pytest.raises(TypeError, match=r"^\[0\]\.bias: expected a gradient, got an Observation"):
        optimizer.step(params, grads, optimizer.init(params))


def test_a_step_by_hand_raises_and_says_what_to_call() -> None:
    params, x, labels = problem()
    grads = grads_at(params, x, labels)
    with pytest.raises(TypeError, match=r"tree\.map\(step, params, grads, statistic=tree\.mix\)"):
        tree.map(lambda p, g: p - 0.1 * g, params, grads)
    with pytest.raises(TypeError, match=r"got an Observation of a running statistic"):
        tree.map(lambda g: 0.5 * g, grads)


def test_what_the_error_of_a_step_by_hand_says_to_call_is_the_optimizers_step() -> None:
    params, x, labels = problem()
    grads = grads_at(params, x, labels)
    sgd = optim.sgd(0.1)
    expected, _ = sgd.step(params, grads, sgd.init(params))
    by_map = tree.map(lambda p, g: p - 0.1 * g, params, grads, statistic=tree.mix)
    assert tree.allclose(by_map, expected, rtol=1e-13)
    by_update = optim.apply_updates(
        params, tree.map(lambda g: -0.1 * g, grads, statistic=lambda seen: seen)
    )
    assert tree.allclose(by_update, expected, rtol=1e-13)
    assert not np.allclose(expected[1].mean, params[1].mean)


def optax_step(transform: Any, params: Any, grads: Any, state: Any) -> tuple[Any, Any]:
    """Make a step of an Optax optimizer on fcnn's params: the documented way."""
    import optax

    weights, unravel = tree.ravel(params)
    updates, state = transform.update(tree.ravel(grads)[0], state, weights)
    weights = np.asarray(optax.apply_updates(weights, updates))
    return tree.observe(unravel(weights), grads), state


def test_optax_on_raveled_gradients_trains_as_our_own_optimizer() -> None:
    optax = pytest.importorskip("optax", reason="Optax is not installed")
    import jax

    with jax.enable_x64(True):
        params, x, labels = problem()
        ours, theirs = optim.adamw(0.05, weight_decay=0.1), optax.adamw(0.05, weight_decay=0.1)
        mine, state = params, ours.init(params)
        its, its_state = params, theirs.init(tree.ravel(params)[0])
        for step in range(30):
            mine, state = ours.step(mine, grads_at(mine, x, labels, step), state)
            its, its_state = optax_step(theirs, its, grads_at(its, x, labels, step), its_state)
    assert tree.structure(mine) == tree.structure(its)
    assert tree.allclose(mine, its, rtol=1e-9, atol=1e-12)
    # It has learned, and the statistics are those of the data.
    assert fcnn.evaluate(MODEL, LOSS, its, fcnn.data.Dataset(x, labels)).loss < 0.5
    hidden = HIDDEN.apply(mine[0], x)
    assert np.allclose(mine[1].mean, hidden.mean((0, 1, 2)), atol=0.5 * hidden.std())
    assert not np.allclose(mine[1].var, 1.0, atol=0.5)


@pytest.mark.parametrize("name", ["sgd", "adam", "rmsprop"])
def test_optax_on_the_gradients_themselves_raises(name: str) -> None:
    """As nodes, which JAX does not know, and as the list of their leaves."""
    optax = pytest.importorskip("optax", reason="Optax is not installed")
    params, x, labels = problem(np.float32)
    grads = grads_at(params, x, labels)
    optimizer = getattr(optax, name)(0.1)
    with pytest.raises((TypeError, ValueError)):
        optimizer.update(grads, optimizer.init(params), params)
    leaves = tree.leaves(params)
    state = optimizer.init(leaves)
    with pytest.raises(TypeError, match=r"expected a gradient, got an Observation"):
        optimizer.update(tree.leaves(grads), state, leaves)


def test_lbfgs_over_raveled_params_reaches_the_minimum_of_a_convex_problem() -> None:
    """Multinomial logistic regression with weight decay; SciPy finds its minimum."""
    from scipy.optimize import minimize

    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(80, 4)), rng.integers(0, 3, 80)
    model, decay = fcnn.dense(3), 0.1
    params = tree.astype(model.init(fcnn.key(0), (4,))[0], np.float64)
    value_and_grad = fcnn.value_and_grad(model, LOSS)
    start, unravel = tree.ravel(params)

    def objective(vector: Any) -> tuple[float, Any]:
        value, grads = value_and_grad(unravel(vector), x, labels)
        return value + decay / 2 * vector @ vector, tree.ravel(grads)[0] + decay * vector

    found = minimize(
        objective, start, jac=True, method="L-BFGS-B", options={"gtol": 1e-9, "ftol": 0.0}
    )

    def by_hand(vector: Any) -> float:
        logits = x @ vector[:12].reshape(4, 3) + vector[12:]
        log_sums = np.log(np.exp(logits).sum(1))
        own = logits[np.arange(80), labels]
        return float(np.mean(log_sums - own) + decay / 2 * vector @ vector)

    expected = minimize(by_hand, np.zeros(15), method="BFGS", options={"gtol": 1e-7})
    assert found.fun == pytest.approx(expected.fun, rel=1e-8)
    assert found.x == pytest.approx(expected.x, abs=1e-4)


def test_lbfgs_trains_weights_alone_and_keeps_float32() -> None:
    from scipy.optimize import minimize

    params, x, labels = problem(np.float32)
    start, unravel = tree.ravel(params)
    assert start.dtype == np.float32
    assert start.size == sum(
        leaf.size
        for leaf, is_statistic in zip(tree.leaves(params), tree.statistics(params), strict=True)
        if not is_statistic
    )
    value_and_grad = fcnn.value_and_grad(MODEL, LOSS)

    def objective(vector: Any) -> tuple[float, Any]:
        value, grads = value_and_grad(unravel(vector), x, labels, fcnn.training())
        assert unravel(vector)[0].weight.dtype == np.float32
        return value, tree.ravel(grads)[0].astype(np.float64)

    found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 60})
    trained = unravel(found.x)
    assert [leaf.dtype for leaf in tree.leaves(trained)] == [np.float32] * 7
    assert tree.equal((trained[1].mean, trained[1].var), (params[1].mean, params[1].var))
    assert found.fun < 0.1 < objective(start)[0]
    # The statistics of the trained weights, from one pass over the data.
    calibrated = fcnn.train.calibrate(MODEL, trained, x, key=fcnn.key(0))
    report = fcnn.evaluate(MODEL, LOSS, calibrated, fcnn.data.Dataset(x, labels))
    assert report.loss == pytest.approx(found.fun, abs=0.1)
