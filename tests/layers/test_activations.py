"""What the activations are for, beyond the laws."""

import numpy as np
import pytest

import fcnn


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
