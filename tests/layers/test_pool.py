"""What pooling is for, beyond the laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import fcnn
from fcnn import key
from fcnn.errors import ArgumentError, ShapeError


def image(rows):
    return np.array(rows, float)[None, :, :, None]


@given(arrays(np.float64, (2, 5, 6, 2), elements=st.integers(-1, 1).map(float)))
def test_a_tie_sends_its_gradient_to_one_place(x):
    y, pullback = fcnn.max_pool2d(2).vjp((), x)
    dy = np.arange(1.0, y.size + 1).reshape(y.shape)
    _, dx = pullback(dy)
    assert dx.sum() == dy.sum()
    assert np.count_nonzero(dx) == dy.size


def test_a_tie_sends_its_gradient_to_the_first_place_in_row_major_order():
    x = image([[0, 1, 2, 0], [1, 1, 2, 2], [3, 3, 0, 0], [0, 3, 0, 0]])
    _, pullback = fcnn.max_pool2d(2).vjp((), x)
    _, dx = pullback(image([[10, 20], [30, 40]]))
    expected = [[0, 10, 20, 0], [0, 0, 0, 0], [30, 0, 40, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(dx[0, :, :, 0], expected)


def test_overlapping_windows_add_their_gradients():
    x = image([[0, 0, 0], [0, 9, 0], [0, 0, 0]])
    _, pullback = fcnn.max_pool2d(2, stride=1).vjp((), x)
    _, dx = pullback(image([[1, 2], [3, 4]]))
    np.testing.assert_array_equal(dx[0, :, :, 0], [[0, 0, 0], [0, 10, 0], [0, 0, 0]])


def test_what_is_left_over_falls_away():
    layer = fcnn.max_pool2d(2)
    assert layer.init(key(0), (23, 23, 1))[1] == (11, 11, 1)
    _, pullback = layer.vjp((), np.ones((1, 23, 23, 1)))
    _, dx = pullback(np.ones((1, 11, 11, 1)))
    assert dx.shape == (1, 23, 23, 1)
    assert not dx[:, 22].any()
    assert not dx[:, :, 22].any()


def test_padding_never_wins():
    y = fcnn.max_pool2d(2, padding=1, stride=2).apply((), -np.ones((1, 2, 2, 1)))
    np.testing.assert_array_equal(y, -np.ones((1, 2, 2, 1)))


def test_padding_is_not_counted_in_a_mean():
    y = fcnn.avg_pool2d(3, stride=1, padding="same").apply((), np.ones((1, 4, 4, 1)))
    np.testing.assert_allclose(y, np.ones((1, 4, 4, 1)), rtol=1e-15)


@pytest.mark.parametrize("make", [fcnn.max_pool2d, fcnn.avg_pool2d])
def test_refuses_what_does_not_fit(make):
    with pytest.raises(ArgumentError, match="expected padding smaller than the window"):
        make(2, padding=2)
    with pytest.raises(ArgumentError, match="pool_size"):
        make(0)
    with pytest.raises(ShapeError, match="larger than its image"):
        make(3).init(key(0), (2, 5, 1))
    with pytest.raises(ShapeError, match="images"):
        make(2).apply((), np.zeros((2, 4)))
