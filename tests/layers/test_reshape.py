"""What the layers that only reshape are for, beyond the laws."""

import numpy as np
import pytest

import fcnn
from fcnn import key
from fcnn.errors import ArgumentError, ShapeError


def test_row_major_like_numpy(rng):
    x = rng.normal(size=(2, 3, 4, 5))
    np.testing.assert_array_equal(fcnn.flatten.apply((), x), x.reshape(2, 60))
    np.testing.assert_array_equal(fcnn.reshape(-1, 6).apply((), x), x.reshape(2, 10, 6))


def test_an_empty_batch_keeps_its_shape():
    assert fcnn.flatten.apply((), np.zeros((0, 3, 4))).shape == (0, 12)
    assert fcnn.reshape(2, -1).apply((), np.zeros((0, 3, 4))).shape == (0, 2, 6)


@pytest.mark.parametrize("shape", [(0,), (-2,), (-1, -1), (2, 0), (2.5,), ("3",)])
def test_refuses_axes_that_are_none(shape):
    with pytest.raises(ArgumentError):
        fcnn.reshape(*shape)


@pytest.mark.parametrize("shape", [(3,), (5, -1), (2, 3)])
def test_refuses_another_number_of_elements(shape):
    with pytest.raises(ShapeError, match="got 4 in an example of shape"):
        fcnn.reshape(*shape).init(key(0), (4,))
    with pytest.raises(ShapeError, match="got 4 in an example of shape"):
        fcnn.reshape(*shape).apply((), np.zeros((1, 4)))


def test_transpose_is_numpys_of_each_example(rng):
    x = rng.normal(size=(2, 3, 4, 5))
    y, pullback = fcnn.transpose(2, 0, 1).vjp((), x)
    np.testing.assert_array_equal(y, np.stack([each.transpose(2, 0, 1) for each in x]))
    np.testing.assert_array_equal(pullback(y)[1], x)


@pytest.mark.parametrize("axes", [(0, 0), (1, 2), (0, 2, 3), (-1, 0), (0.0, 1)])
def test_transpose_takes_each_axis_once(axes):
    with pytest.raises(ArgumentError, match="expected"):
        fcnn.transpose(*axes)


def test_transpose_takes_all_axes():
    for run in (
        lambda layer: layer.init(fcnn.key(0), (2, 3)),
        lambda layer: layer.apply((), np.ones((1, 2, 3))),
    ):
        with pytest.raises(ShapeError, match="expected an example of 3 axes, got"):
            run(fcnn.transpose(0, 2, 1))
