"""Activations against PyTorch's, where it is installed."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fcnn

torch = pytest.importorskip(
    "torch", reason="PyTorch is an oracle, no requirement", exc_type=ImportError
)
F = torch.nn.functional

some = st.floats(0.125, 3)
# PyTorch rounds 1 / alpha of celu to float32, and takes softplus from a threshold on to be x.
exact = st.sampled_from([0.25, 0.5, 1.0, 2.0])
HYPER = {
    "leaky_relu": (fcnn.leaky_relu, F.leaky_relu, st.floats(0, 3)),
    "elu": (fcnn.elu, F.elu, some),
    "celu": (fcnn.celu, F.celu, exact),
    "softplus": (fcnn.softplus, lambda x, b: F.softplus(x, beta=b, threshold=700), some),
    "hard_shrink": (fcnn.hard_shrink, F.hardshrink, some),
    "soft_shrink": (fcnn.soft_shrink, F.softshrink, some),
    "hard_tanh": (lambda v: fcnn.hard_tanh(-v, 2 * v), lambda x, v: F.hardtanh(x, -v, 2 * v), some),
}
PLAIN = {
    "relu6": (fcnn.relu6, F.relu6),
    "selu": (fcnn.selu, F.selu),
    "gelu": (fcnn.gelu(), F.gelu),
    "gelu by tanh": (fcnn.gelu("tanh"), lambda x: F.gelu(x, approximate="tanh")),
    "silu": (fcnn.silu, F.silu),
    "mish": (fcnn.mish, F.mish),
    "softplus": (fcnn.softplus(), lambda x: F.softplus(x, threshold=700)),
    "log_sigmoid": (fcnn.log_sigmoid, F.logsigmoid),
    "softsign": (fcnn.softsign, F.softsign),
    "hard_sigmoid": (fcnn.hard_sigmoid, F.hardsigmoid),
    "hard_swish": (fcnn.hard_swish, F.hardswish),
    "leaky_relu": (fcnn.leaky_relu(), F.leaky_relu),
    "elu": (fcnn.elu(), F.elu),
    "hard_shrink": (fcnn.hard_shrink(), F.hardshrink),
    "soft_shrink": (fcnn.soft_shrink(), F.softshrink),
    "hard_tanh": (fcnn.hard_tanh(), F.hardtanh),
}


def run(layer, x, dy, params=()):
    y, pullback = layer.vjp(params, x)
    return y, *pullback(dy)


def peer(function, x, dy, *weights):
    at = torch.tensor(x, requires_grad=True)
    y = function(at, *weights)
    y.backward(torch.tensor(dy))
    return y.detach().numpy(), at.grad.numpy()


@settings(max_examples=60)
@given(st.sampled_from(sorted(HYPER)), st.data(), st.floats(0.1, 20), st.integers(0, 999))
def test_of_every_hyper_parameter(name, data, size, seed):
    make, theirs, values = HYPER[name]
    value = data.draw(values)
    x, dy = np.random.default_rng(seed).standard_normal((2, 3, 7))
    x *= size
    y, _, dx = run(make(value), x, dy)
    expected, expected_dx = peer(lambda t: theirs(t, value), x, dy)
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(dx, expected_dx, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", PLAIN)
def test_from_a_thousandth_to_ten_thousand(name):
    layer, theirs = PLAIN[name]
    half = np.geomspace(1e-3, 1e4, 300)
    x = np.concatenate([-half, half])[None]
    dy = np.random.default_rng(0).standard_normal(x.shape)
    y, _, dx = run(layer, x, dy)
    expected, expected_dx = peer(theirs, x, dy)
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-13)
    # PyTorch multiplies by 1 / 6 in float32.
    np.testing.assert_allclose(
        dx, expected_dx, rtol=1e-7 if name == "hard_sigmoid" else 1e-12, atol=1e-13
    )


@pytest.mark.parametrize("name", PLAIN)
def test_float32_is_float64_rounded(name):
    """To a few units in the last place, of the number itself where it is not a difference."""
    layer, _ = PLAIN[name]
    half = np.geomspace(1e-3, 1e4, 3000).astype(np.float32)
    x = np.concatenate([-half, half])[None]
    ones = np.ones_like(x)
    y, _, dx = run(layer, x, ones)
    exact, _, exact_dx = run(layer, x.astype(np.float64), ones.astype(np.float64))
    assert y.dtype == dx.dtype == np.float32
    tiny = 1e-36  # below it float32 loses digits
    relative = {"gelu": 2e-5, "gelu by tanh": math.inf, "hard_swish": math.inf}.get(name, 1e-5)
    known = np.abs(exact) > tiny
    if relative < math.inf:
        np.testing.assert_allclose(y[known], exact[known], rtol=relative)
    np.testing.assert_allclose(y, exact, rtol=1e-6, atol=5e-7)
    np.testing.assert_allclose(dx, exact_dx, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", PLAIN)
def test_not_a_number_and_infinity(name, dtype):
    """Outputs as PyTorch's; gradients too, where it does not lose them in inf · 0 or inf / inf."""
    layer, theirs = PLAIN[name]
    x = np.array([[np.nan, -np.inf, np.inf, 1.0]] * 8, dtype)  # long: PyTorch's vector code
    y, _, dx = run(layer, x, np.ones_like(x))
    expected, expected_dx = peer(theirs, x, np.ones_like(x))
    if (name, dtype) == ("gelu", np.float32):  # its vector code gives NaN, in float64 inf
        expected[:, 2] = np.inf
    np.testing.assert_allclose(y, expected, rtol=1e-6)
    known = np.isfinite(expected_dx)
    known[:, 0] = False  # at NaN PyTorch's gradients differ between dtypes
    np.testing.assert_allclose(dx[known], expected_dx[known], rtol=1e-6)


@settings(max_examples=30)
@given(st.booleans(), st.integers(1, 3), st.integers(0, 999))
def test_prelu(tied, channels, seed):
    rng = np.random.default_rng(seed)
    x, dy = rng.standard_normal((2, 4, 5, channels))
    weight = rng.standard_normal(1 if tied else channels)
    layer = fcnn.prelu(tied=tied)
    y, dparams, dx = run(layer, x, dy, fcnn.PreluParams(weight))
    its = torch.tensor(weight, requires_grad=True)
    expected, expected_dx = peer(lambda t: F.prelu(t.movedim(-1, 1), its).movedim(1, -1), x, dy)
    np.testing.assert_allclose(y, expected, atol=1e-13)
    np.testing.assert_allclose(dx, expected_dx, atol=1e-13)
    np.testing.assert_allclose(dparams.weight, its.grad.numpy(), atol=1e-12)


@settings(max_examples=40)
@given(st.integers(1, 3), st.data())
def test_along_an_axis(ndim, data):
    axis = data.draw(st.integers(-ndim, ndim - 1))
    shape = [data.draw(st.integers(1, 4)) for _ in range(ndim)]
    shape[axis] *= 2
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x = 3 * rng.standard_normal((2, *shape))
    dim = axis + 1 if axis >= 0 else axis
    for layer, theirs in [
        (fcnn.softmax_over(axis), torch.softmax),
        (fcnn.log_softmax_over(axis), torch.log_softmax),
        (fcnn.glu(axis), F.glu),
    ]:
        dy = rng.standard_normal((2, *layer.init(fcnn.key(0), tuple(shape))[1]))
        y, _, dx = run(layer, x, dy)
        expected, expected_dx = peer(lambda t, f=theirs: f(t, dim), x, dy)
        np.testing.assert_allclose(y, expected, atol=1e-13)
        np.testing.assert_allclose(dx, expected_dx, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", PLAIN)
def test_huge_numbers_overflow_nowhere(name, dtype):
    layer, _ = PLAIN[name]
    x = np.array([[-1e30, 1e30, -1e18, 1e18]], dtype)
    y, _, dx = run(layer, x, np.ones_like(x))
    for at, got, slope in zip(x[0], y[0], dx[0], strict=True):
        bounded = abs(got) <= 6
        assert bounded or got == pytest.approx(at, rel=0.06) or got == leaky(at)
        assert 0 <= slope <= 1.06
        assert slope <= 0.011 if bounded else slope > 0.009


def leaky(x):
    return pytest.approx(0.01 * x, rel=1e-6)


def test_a_slope_of_zero_is_relu():
    x = np.array([[-np.inf, -1.0, 0.0, 2.0, np.inf, np.nan]])
    expected, _ = peer(lambda t: F.leaky_relu(t, 0.0), x, np.ones_like(x))
    np.testing.assert_array_equal(run(fcnn.leaky_relu(0.0), x, np.ones_like(x))[0], expected)
