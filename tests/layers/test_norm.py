"""What batch normalisation is for, beyond the laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fcnn
from fcnn import key, training
from fcnn.errors import ArgumentError, ShapeError


def test_training_normalises_each_channel(rng):
    layer = fcnn.batch_norm(eps=0)
    x = 5 + 3 * rng.normal(size=(8, 6, 6, 2))
    params = fcnn.tree.astype(layer.init(key(0), (6, 6, 2))[0], np.float64)
    y = layer.apply(params, x, training())
    np.testing.assert_allclose(y.mean(axis=(0, 1, 2)), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(axis=(0, 1, 2)), 1, rtol=1e-12)


def test_evaluation_uses_what_is_stored(rng):
    x = rng.normal(size=(4, 3))
    scale, shift, mean, variance = rng.uniform(0.5, 2, size=(4, 3))
    params = fcnn.BatchNormParams(scale, shift, mean, variance)
    expected = scale * (x - mean) / np.sqrt(variance + 1e-5) + shift
    np.testing.assert_allclose(fcnn.batch_norm().apply(params, x), expected, rtol=1e-13)


@given(st.floats(0, 1), st.integers(2, 9))
def test_mixing_an_observation_in_gives_the_running_statistic(momentum, n):
    rng = np.random.default_rng(n)
    x = rng.normal(2, size=(n, 3))  # positive means, as those stored: no sum near 0
    params = fcnn.BatchNormParams(*rng.uniform(0.5, 2, size=(4, 3)))
    layer = fcnn.batch_norm(momentum=momentum)
    _, pullback = layer.vjp(params, x, training())
    grads, _ = pullback(rng.normal(size=x.shape))
    mean = momentum * params.mean + (1 - momentum) * x.mean(axis=0)
    variance = momentum * params.var + (1 - momentum) * x.var(axis=0, ddof=1)
    np.testing.assert_allclose(fcnn.tree.mix(params.mean, grads.mean), mean, rtol=1e-12)
    np.testing.assert_allclose(fcnn.tree.mix(params.var, grads.var), variance, rtol=1e-12)


def test_evaluation_moves_no_statistic(rng):
    params = fcnn.BatchNormParams(*rng.uniform(0.5, 2, size=(4, 3)))
    _, pullback = fcnn.batch_norm().vjp(params, rng.normal(size=(5, 3)))
    grads, _ = pullback(rng.normal(size=(5, 3)))
    np.testing.assert_array_equal(fcnn.tree.mix(params.mean, grads.mean), params.mean)
    np.testing.assert_array_equal(fcnn.tree.mix(params.var, grads.var), params.var)


def test_a_thousand_steps_find_the_data(rng):
    layer = fcnn.batch_norm(momentum=0.9)
    params = fcnn.tree.astype(layer.init(key(0), (1,))[0], np.float64)
    for _ in range(1000):
        _, pullback = layer.vjp(params, 7 + 2 * rng.normal(size=(64, 1)), training())
        grads, _ = pullback(np.zeros((64, 1)))
        params = fcnn.tree.observe(params, grads)
    assert params.mean[0] == pytest.approx(7, abs=0.3)
    assert params.var[0] == pytest.approx(4, abs=0.8)


def test_refuses_a_single_element_in_training():
    layer = fcnn.batch_norm()
    params, _ = layer.init(key(0), (2,))
    with pytest.raises(ShapeError, match="two elements or more"):
        layer.apply(params, np.ones((1, 2), np.float32), training())


@pytest.mark.parametrize("options", [{"momentum": 1.1}, {"momentum": -1}, {"eps": -1e-5}])
def test_refuses_hyper_parameters_out_of_range(options):
    with pytest.raises(ArgumentError):
        fcnn.batch_norm(**options)
