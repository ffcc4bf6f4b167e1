"""What the activations are for, beyond the laws."""

import re

import numpy as np
import pytest

import fcnn
from fcnn._ops.pieces import PIECE
from fcnn.errors import ArgumentError, DTypeError, ShapeError


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_exact_at_a_thousand(dtype):
    x = np.array([[-1000, 0, 1000]], dtype)
    np.testing.assert_array_equal(fcnn.sigmoid.apply((), x), [[0, 0.5, 1]])
    np.testing.assert_array_equal(fcnn.softmax.apply((), x), [[0, 0, 1]])
    np.testing.assert_array_equal(fcnn.log_softmax.apply((), x), [[-2000, -1000, 0]])
    np.testing.assert_array_equal(fcnn.tanh.apply((), x), [[-1, 0, 1]])
    np.testing.assert_array_equal(fcnn.relu.apply((), x), [[0, 0, 1000]])


def test_relus_derivative_at_zero_is_zero():
    _, pullback = fcnn.relu.vjp((), np.array([[-1.0, -0.0, 0.0, 1.0]]))
    np.testing.assert_array_equal(pullback(np.ones((1, 4)))[1], [[0, 0, 0, 1]])


def test_softmax_over_the_last_axis_is_softmax(rng):
    x, dy = rng.normal(size=(2, 3, 4, 5)).astype(np.float32)
    for one, other in [
        (fcnn.softmax, fcnn.softmax_over(-1)),
        (fcnn.softmax, fcnn.softmax_over(1)),
        (fcnn.log_softmax, fcnn.log_softmax_over(-1)),
    ]:
        (y, pull), (its_y, its_pull) = one.vjp((), x), other.vjp((), x)
        np.testing.assert_array_equal(y, its_y)
        np.testing.assert_array_equal(pull(dy)[1], its_pull(dy)[1])


@pytest.mark.parametrize("make", [fcnn.softmax_over, fcnn.log_softmax_over, fcnn.glu])
def test_an_axis_that_is_not_there(make):
    for axis in (2, -3):
        with pytest.raises(ShapeError, match=f"expected an example with an axis {axis}, got"):
            make(axis).init(fcnn.key(0), (2, 2))
        with pytest.raises(ShapeError, match=f"expected an example with an axis {axis}, got"):
            make(axis).apply((), np.ones((2, 2, 2)))
    with pytest.raises(ArgumentError, match="axis"):
        make(1.5)


def test_glu_needs_halves():
    with pytest.raises(ShapeError, match="even length to halve, got 3"):
        fcnn.glu().init(fcnn.key(0), (2, 3))


@pytest.mark.parametrize(
    ("make", "wrong"),
    [
        (fcnn.leaky_relu, -0.1),
        (fcnn.elu, -1),
        (fcnn.celu, 0),
        (fcnn.softplus, 0),
        (fcnn.hard_shrink, -1),
        (fcnn.soft_shrink, float("nan")),
        (lambda high: fcnn.hard_tanh(0, high), 0),
        (fcnn.gelu, "erf"),
    ],
)
def test_arguments_out_of_range(make, wrong):
    with pytest.raises(ArgumentError, match="expected"):
        make(wrong)


def test_the_tail_of_gelu_keeps_its_digits():
    scipy_special = pytest.importorskip("scipy.special")
    x = np.linspace(-12, 12, 2001)[None]
    exact = x * scipy_special.ndtr(x)
    np.testing.assert_allclose(fcnn.gelu().apply((), x), exact, rtol=1e-13)
    single = x.astype(np.float32)
    exact = single * scipy_special.ndtr(single.astype(float))
    np.testing.assert_allclose(fcnn.gelu().apply((), single), exact, rtol=1e-5, atol=1e-37)


@pytest.mark.parametrize("n", [30, 300])
def test_pieces_and_layouts_give_the_same_bits(n, rng):
    x = rng.normal(size=(n, 10, 10, 5)).astype(np.float32)
    assert (x.nbytes > PIECE) == (n == 300)
    for layer in (fcnn.gelu(), fcnn.mish, fcnn.leaky_relu(), fcnn.elu(), fcnn.hard_swish):
        y, pullback = layer.vjp((), x)
        dx = pullback(x)[1]
        turned = x.transpose(1, 3, 2, 0).copy().transpose(3, 0, 2, 1)
        its_y, its_pullback = layer.vjp((), turned)
        assert its_y.strides == turned.strides
        np.testing.assert_array_equal(its_y, y)
        np.testing.assert_array_equal(its_pullback(x)[1], dx)
        np.testing.assert_array_equal(np.concatenate([layer.apply((), x[:7]), y[7:]]), y)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_slopes_of_hard_activations_change_at_three(dtype):
    half = np.array([3 - 1e-6, 3, 3 + 1e-6], dtype)
    x = np.concatenate([-half, half])[None]
    for layer, slopes in [
        (fcnn.hard_swish, [-0.5, 0, 0, 1.5, 1, 1]),
        (fcnn.hard_sigmoid, [1 / 6, 0, 0, 1 / 6, 0, 0]),
    ]:
        dx = layer.vjp((), x)[1](np.ones_like(x))[1]
        np.testing.assert_allclose(dx, [slopes], rtol=1e-6)


def test_prelus_sum_over_many_rows_is_accurate_in_float32(rng):
    x = -rng.random((400, 16, 16, 2), np.float32)
    params = fcnn.PreluParams(np.full(2, 0.25, np.float32))
    exact = x.astype(float).sum(axis=(0, 1, 2))
    for layer, expected in [(fcnn.prelu(), exact), (fcnn.prelu(tied=True), [exact.sum()])]:
        own = fcnn.PreluParams(params.weight[: len(expected)])
        _, pullback = layer.vjp(own, x)
        np.testing.assert_allclose(pullback(np.ones_like(x))[0].weight, expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_prelus_gradient_of_any_number(dtype):
    x = np.array([[-1.0, 1, np.nan, 0, -1, 1, -1, 1]], dtype)
    dy = np.array([[8.0, 8, 8, -8, -1e30, 1e30, -0.0, np.nan]], dtype)
    _, pullback = fcnn.prelu(tied=True).vjp(fcnn.PreluParams(np.full(1, 0.25, dtype)), x)
    dx = pullback(dy)[1]
    np.testing.assert_array_equal(dx, np.array([[2, 8, 2, -2, -0.25e30, 1e30, 0, np.nan]], dtype))
    assert dx.dtype == dtype


@pytest.mark.parametrize(
    ("f", "derivative", "error", "said"),
    [
        (np.sum, np.cos, ShapeError, "expected an array of x's shape (2, 3) from sum, got float64"),
        (np.sin, lambda x: x[0], ShapeError, "x's shape (2, 3) from <lambda>, got shape (3,)"),
        (lambda x: x.astype(np.float32), np.cos, DTypeError, "got float32; cast it"),
        (np.sin, lambda x: x > 0, DTypeError, "got bool; cast it"),
    ],
)
def test_elementwise_refuses_what_does_not_fit(f, derivative, error, said):
    with pytest.raises(error, match=re.escape(said)):
        fcnn.elementwise(f, derivative).vjp((), np.ones((2, 3)))
    with pytest.raises(ArgumentError, match="expected two functions"):
        fcnn.elementwise(np.sin, 1.0)


def test_elementwise_keeps_a_users_function_from_writing():
    def write(x):
        x += 1
        return x

    with pytest.raises(ValueError, match="read-only"):
        fcnn.elementwise(write, np.cos).apply((), np.ones((2, 3)))
    y = fcnn.elementwise(lambda x: x, np.ones_like).apply((), x := np.ones((2, 3)))
    assert not np.may_share_memory(x, y)
