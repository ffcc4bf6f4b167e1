"""What dropout is for, beyond the laws."""

import numpy as np
import pytest

from fcnn import add, dropout, key, serial, training
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
    for run in (dropout(0.5).apply, dropout(0.5).vjp):
        with pytest.raises(MissingKeyError, match=r"dropout\(0.5\): expected a key"):
            run((), np.ones((1, 2)), training())


@pytest.mark.parametrize("rate", [-0.1, 1, 1.5, float("nan"), "0.5", True, None])
def test_refuses_a_rate_out_of_range(rate):
    with pytest.raises(ArgumentError, match="rate"):
        dropout(rate)
