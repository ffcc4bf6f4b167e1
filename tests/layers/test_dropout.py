"""What dropout is for, beyond the laws."""

import numpy as np
import pytest

from fcnn import (
    add,
    alpha_dropout,
    dense,
    dropout,
    gaussian_noise,
    key,
    residual,
    selu,
    serial,
    spatial_dropout,
    stochastic_depth,
    training,
)
from fcnn.errors import ArgumentError, MissingKeyError


def test_evaluation_is_the_identity(rng):
    x = rng.normal(size=(3, 4))
    np.testing.assert_array_equal(dropout(0.9).apply((), x), x)


def test_rate_is_the_fraction_dropped_and_the_rest_is_scaled_up():
    x = np.ones((100, 100))
    y = dropout(0.2).apply((), x, training(key(0)))
    assert set(np.unique(y)) == {0.0, 1 / 0.8}
    assert (y == 0).mean() == pytest.approx(0.2, abs=0.01)
    assert y.mean() == pytest.approx(1, abs=0.02)


def test_backward_uses_the_same_mask_with_the_same_scale(rng):
    x = np.ones((20, 20))
    y, pullback = dropout(0.4).vjp((), x, training(key(3)))
    np.testing.assert_array_equal(pullback(x)[1], y)


def test_precision_does_not_change_the_mask():
    single, double = (
        dropout(0.5).apply((), np.ones((9, 9), dtype), training(key(0)))
        for dtype in (np.float32, np.float64)
    )
    np.testing.assert_array_equal(single, double)


def test_keys_decide():
    x = np.ones((1, 200))
    one, same, other = (dropout(0.5).apply((), x, training(key(i))) for i in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_two_dropouts_in_a_row_do_not_share_a_mask():
    x = np.ones((1, 1000))
    y = serial(dropout(0.5), dropout(0.5)).apply(((), ()), x, training(key(0)))
    assert (y > 0).mean() == pytest.approx(0.25, abs=0.05)
    branches = add(dropout(0.5), dropout(0.5)).apply(((), ()), x, training(key(0)))
    assert set(np.unique(branches)) == {0.0, 2.0, 4.0}


def test_needs_a_key_in_training():
    for make in (dropout, spatial_dropout, stochastic_depth, alpha_dropout, gaussian_noise):
        for run in (make(0.5).apply, make(0.5).vjp):
            name = make.__name__
            with pytest.raises(MissingKeyError, match=rf"{name}\(0.5\): expected a key for {name}"):
                run((), np.ones((1, 2)), training())


@pytest.mark.parametrize("rate", [-0.1, 1, 1.5, float("nan"), "0.5", True, None])
def test_refuses_a_rate_out_of_range(rate):
    for make in (dropout, spatial_dropout, stochastic_depth, alpha_dropout):
        with pytest.raises(ArgumentError, match="rate"):
            make(rate)


@pytest.mark.parametrize(
    ("layer", "together"), [(spatial_dropout(0.2), (1, 2)), (stochastic_depth(0.2), (1, 2, 3))]
)
def test_one_draw_for_a_channel_or_an_example(layer, together):
    x = np.ones((200, 4, 5, 30))
    y, pullback = layer.vjp((), x, training(key(0)))
    first = y.mean(axis=together)
    assert set(np.unique(first)) == set(np.unique(y)) == {0.0, 1 / 0.8}
    assert (first == 0).mean() == pytest.approx(0.2, abs=0.06)
    np.testing.assert_array_equal(pullback(x)[1], y)
    if first.ndim == 2:  # examples, and channels of an example, are drawn apart
        assert len(np.unique(first, axis=0)) > 190
        assert len(np.unique(first, axis=1).T) == 30


def test_a_dropped_body_leaves_the_shortcut(rng):
    block = residual(dense(3), stochastic_depth(0.5))
    params, _ = block.init(key(0), (3,))
    x = rng.normal(size=(40, 3)).astype(np.float32)
    body = block.apply(params, x) - x
    y = block.apply(params, x, training(key(1)))
    dropped = (y == x).all(axis=1)
    assert 10 < dropped.sum() < 30
    np.testing.assert_allclose(y[~dropped], (x + 2 * body)[~dropped], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_alpha_dropout_has_the_two_values_of_pytorch(rate):
    torch = pytest.importorskip("torch", exc_type=ImportError)
    x = np.full((30, 40), 0.7)
    y, pullback = alpha_dropout(rate).vjp((), x, training(key(0)))
    at = torch.tensor(x, requires_grad=True)
    expected = torch.nn.functional.alpha_dropout(at, rate, training=True)
    expected.sum().backward()
    for ours, theirs in [(y, expected.detach().numpy()), (pullback(x / x)[1], at.grad.numpy())]:
        # PyTorch computes with constants of float32.
        np.testing.assert_allclose(np.unique(ours), np.unique(theirs), rtol=1e-6, atol=1e-9)
    assert (pullback(x)[1] == 0).mean() == pytest.approx(rate, abs=0.05)
    np.testing.assert_array_equal(pullback(x)[1] == 0, y == y.min())


def test_alpha_dropout_drops_to_the_limit_of_selu():
    limit = selu.apply((), np.array([[-1000.0]])).item()
    y = alpha_dropout(0.5).apply((), np.array([[limit] * 50]), training(key(0)))
    assert len(np.unique(y.round(12))) == 1  # kept and dropped are the same


def test_gaussian_noise_is_normal_and_of_the_key():
    x = np.zeros((100, 100), np.float32)
    y, pullback = gaussian_noise(0.5).vjp((), x, training(key(0)))
    assert y.dtype == np.float32
    assert y.std() == pytest.approx(0.5, rel=0.02)
    assert abs(y.mean()) < 0.02
    assert (np.abs(y) < 0.5).mean() == pytest.approx(0.683, abs=0.02)
    assert not np.array_equal(y, gaussian_noise(0.5).apply((), x, training(key(1))))
    np.testing.assert_array_equal(pullback(y)[1], y)
    with pytest.raises(ArgumentError, match="std"):
        gaussian_noise(-1)
