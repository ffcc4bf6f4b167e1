"""NaN and infinity go where PyTorch puts them: by hand, and against PyTorch itself."""

import numpy as np
import pytest

from fcnn.losses import (
    binary_cross_entropy,
    categorical_cross_entropy,
    combine,
    mean_squared_error,
    scaled,
    sigmoid_cross_entropy,
    softmax_cross_entropy,
)

INF, NAN = np.inf, np.nan
DTYPES = [np.float32, np.float64]

# loss, prediction, target, value, gradient
TABLE = [
    (softmax_cross_entropy, [NAN, 0], 1, NAN, [NAN, NAN]),
    (softmax_cross_entropy, [INF, 0], 0, NAN, [NAN, NAN]),
    (softmax_cross_entropy, [-INF, 0], 0, INF, [-1, 1]),
    (softmax_cross_entropy, [-INF, 0], 1, 0, [0, 0]),
    (categorical_cross_entropy, [NAN, 0.5], 0, NAN, [NAN, 0]),
    (categorical_cross_entropy, [NAN, 0.5], 1, np.log(2), [0, -2]),
    (sigmoid_cross_entropy, [NAN], [1], NAN, [NAN]),
    (sigmoid_cross_entropy, [INF], [0], INF, [1]),
    (sigmoid_cross_entropy, [INF], [0.25], INF, [0.75]),
    (sigmoid_cross_entropy, [INF], [1], NAN, [0]),
    (sigmoid_cross_entropy, [-INF], [1], NAN, [-1]),
    (binary_cross_entropy, [NAN], [1], NAN, [NAN]),
    (mean_squared_error, [NAN, 1], [0, 1], NAN, [NAN, 0]),
    (mean_squared_error, [INF, 1], [0, 0], INF, [INF, 1]),
    (mean_squared_error, [-INF, 1], [0, 1], INF, [-INF, 0]),
    (mean_squared_error, [INF], [INF], NAN, [NAN]),
    (mean_squared_error, [0], [-INF], INF, [INF]),
]


@pytest.fixture(autouse=True)
def _quiet():
    with np.errstate(all="ignore"):
        yield


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("loss", "prediction", "target", "value", "slope"), TABLE, ids=str)
def test_by_hand(loss, prediction, target, value, slope, dtype):
    p = np.array([prediction], dtype)
    t = np.array([target]) if isinstance(target, int) else np.array([target], dtype)
    seen, pullback = loss.vjp(p, t)
    assert seen == pytest.approx(value, nan_ok=True)
    assert loss(p, t) == pytest.approx(value, nan_ok=True)
    np.testing.assert_allclose(pullback(1.0), np.array([slope], dtype), rtol=1e-6)


def test_combined_and_scaled_losses_pass_them_on():
    p, t = np.array([[NAN]]), np.array([[0.0]])
    value, pullback = scaled(mean_squared_error, 0.5).vjp(p, t)
    assert np.isnan(value)
    assert np.isnan(pullback(1.0)).all()
    both = combine(((mean_squared_error, 1.0), (mean_squared_error, 1.0)))
    value, pullback = both.vjp((p, 0 * t), (t, t))
    assert np.isnan(value)
    assert [bool(np.isnan(each).all()) for each in pullback(1.0)] == [True, False]


def test_the_largest_finite_numbers_have_finite_gradients():
    most = np.finfo(np.float32).max
    value, pullback = mean_squared_error.vjp(np.array([[most]]), np.array([[-most]]))
    assert np.isfinite(value)
    assert pullback(1.0) == most


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bad", [INF, -INF, NAN])
@pytest.mark.parametrize("label", [0, 1, 2])
def test_against_torch(bad, label, dtype):
    torch = pytest.importorskip("torch", reason="PyTorch is an oracle, no requirement")
    functional = torch.nn.functional
    scores = np.array([[bad, 1.0, 2.0], [0.5, -1.0, 0.0]], dtype)
    labels = np.array([label, 1])
    soft = np.array([[0.25, 0.5, 0.25], [0.0, 1.0, 0.0]], dtype)
    soft[0] = np.roll(soft[0], label)
    for mine, theirs, target in (
        (softmax_cross_entropy, functional.cross_entropy, labels),
        (softmax_cross_entropy, functional.cross_entropy, soft),
        (sigmoid_cross_entropy, functional.binary_cross_entropy_with_logits, soft),
        (mean_squared_error, functional.mse_loss, soft),
    ):
        at = torch.tensor(scores, requires_grad=True)
        expected = theirs(at, torch.tensor(target))
        expected.backward()
        value, pullback = mine.vjp(scores, target)
        np.testing.assert_allclose(value, expected.item(), rtol=1e-5)
        np.testing.assert_allclose(pullback(1.0), at.grad.numpy(), rtol=1e-5, atol=1e-7)
