"""Penalties: value, gradient by differences, masks, statistics, and their way into a run."""

import pickle

import numpy as np
import pytest

import fcnn
from fcnn import optim, tree
from fcnn.errors import ArgumentError
from fcnn.testing import check_vjp

RNG = np.random.default_rng(2)
PARAMS = {"weight": RNG.normal(size=(3, 2)), "bias": RNG.normal(size=2)}
PENALTIES = [
    optim.l1_penalty(0.3),
    optim.l2_penalty(0.3),
    optim.l2_penalty(0.3, mask=optim.matrices),
    optim.l1_penalty(2.0, mask={"weight": False, "bias": True}),
]


@pytest.mark.parametrize("penalty", PENALTIES, ids=str)
def test_the_gradient_is_the_derivative(penalty):
    def vjp(params):
        value, pullback = penalty.vjp(params)
        return value, lambda dvalue: (pullback(dvalue),)

    check_vjp(penalty.apply, vjp, PARAMS, names=("params",))
    value, pullback = penalty.vjp(PARAMS)
    assert value == penalty(PARAMS)
    assert tree.allclose(pullback(3.0), tree.map(lambda d: 3 * d, pullback(1.0)))


def test_values_by_hand():
    w, b = PARAMS["weight"], PARAMS["bias"]
    one, two, kernels, biases = [penalty(PARAMS) for penalty in PENALTIES]
    assert one == pytest.approx(0.3 * (np.abs(w).sum() + np.abs(b).sum()))
    assert two == pytest.approx(0.15 * ((w**2).sum() + (b**2).sum()))
    assert kernels == pytest.approx(0.15 * (w**2).sum())
    assert biases == pytest.approx(2 * np.abs(b).sum())


@pytest.mark.parametrize("penalty", PENALTIES, ids=str)
def test_is_a_pure_value(penalty):
    assert pickle.loads(pickle.dumps(penalty))(PARAMS) == penalty(PARAMS)
    before = tree.digest(PARAMS)
    single = tree.astype(PARAMS, np.float32)
    slopes = penalty.vjp(single)[1](1.0)
    assert {leaf.dtype for leaf in tree.leaves(slopes)} == {np.dtype(np.float32)}
    for slope, leaf in zip(tree.leaves(slopes), tree.leaves(single), strict=True):
        assert not np.shares_memory(slope, leaf)
    assert tree.digest(PARAMS) == before


def test_statistics_are_not_penalised():
    model = fcnn.serial(fcnn.dense(3), fcnn.batch_norm())
    params, _ = model.init(fcnn.key(0), (2,))
    penalty = optim.l2_penalty(1.0)
    weights, _ = tree.ravel(params)
    assert penalty(params) == pytest.approx(float(weights @ weights) / 2)
    x, labels = RNG.normal(size=(8, 2)).astype(np.float32), np.arange(8) % 3
    f = fcnn.value_and_grad(model, fcnn.losses.softmax_cross_entropy)
    value, grads = f(params, x, labels, fcnn.training(fcnn.key(0)))
    more, with_penalty = optim.penalized(f, penalty)(params, x, labels, fcnn.training(fcnn.key(0)))
    assert more == pytest.approx(value + penalty(params))
    assert isinstance(with_penalty[1].mean, tree.Observation)
    np.testing.assert_allclose(
        with_penalty[0].weight, grads[0].weight + params[0].weight, rtol=1e-6
    )
    sgd = optim.descend(optim.chain(optim.add_penalty(penalty), optim.scale_by_learning_rate(0.1)))
    stepped, _ = sgd.step(params, grads, sgd.init(params))
    expected, _ = optim.sgd(0.1).step(params, with_penalty, optim.sgd(0.1).init(params))
    assert tree.allclose(stepped, expected, rtol=1e-6)


def test_beside_a_prediction():
    model = fcnn.dense(2)
    params, _ = model.init(fcnn.key(0), (2,))
    f = fcnn.value_and_grad(model, fcnn.losses.mean_squared_error, has_aux=True)
    x = np.ones((3, 2), np.float32)
    (value, prediction), _ = f(params, x, x)
    (more, same), _ = optim.penalized(f, PENALTIES[1])(params, x, x)
    assert more == pytest.approx(value + PENALTIES[1](params))
    np.testing.assert_array_equal(prediction, same)


def test_l2_is_weight_decay_and_l1_makes_zeros_rare_weights():
    decay, l2 = optim.add_decayed_weights(0.2), optim.add_penalty(optim.l2_penalty(0.2))
    grads = tree.map(np.ones_like, PARAMS)
    one, _ = decay.update(grads, decay.init(PARAMS), PARAMS)
    two, _ = l2.update(grads, l2.init(PARAMS), PARAMS)
    assert tree.allclose(one, two, rtol=1e-15)
    x = RNG.normal(size=(64, 6)).astype(np.float32)
    data = fcnn.data.Dataset(x, x[:, :1] * 2)
    lasso = optim.chain(optim.add_penalty(optim.l1_penalty(0.5)), optim.scale_by_learning_rate(0.1))
    run = fcnn.fit(fcnn.dense(1), fcnn.losses.mean_squared_error, optim.descend(lasso), data,
                   key=fcnn.key(0), epochs=60, batch_size=64, log=None)  # fmt: skip
    weight = run.params.weight[:, 0]
    assert weight[0] > 1.5
    assert np.abs(weight[1:]).max() < 0.12


@pytest.mark.parametrize(
    "make",
    [
        lambda: optim.l1_penalty(-1.0),
        lambda: optim.l2_penalty(float("inf")),
        lambda: optim.add_penalty(0.1),
        lambda: optim.add_penalty(optim.sgd(0.1)),
        lambda: optim.penalized(3, PENALTIES[0]),
        lambda: optim.penalized(len, len),
    ],
)
def test_refuses_what_is_none(make):
    with pytest.raises(ArgumentError, match="expected a"):
        make()
