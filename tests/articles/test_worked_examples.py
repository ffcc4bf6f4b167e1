"""The examples that the articles work by hand, and the formulas that they state."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fcnn
from fcnn import conv2d, key

COUNT = np.arange(1.0, 17).reshape(4, 4)


def correlate(image, kernel, **options):
    layer = conv2d(1, kernel.shape, bias=None, **options)
    params = fcnn.ConvParams(kernel[:, :, None, None], ())
    return layer.apply(params, image[None, :, :, None])[0, :, :, 0]


def test_001_the_first_output_is_7():
    y = correlate(COUNT, np.array([[1.0, -2], [2, 0]]))
    assert y.shape == (3, 3)
    assert y[0, 0] == 7 == 1 * 1 + 2 * -2 + 5 * 2 + 6 * 0
    # In general a - 2 (a + 1) + 2 (a + 4) = a + 6, a the number at the top left of the place.
    np.testing.assert_array_equal(y, COUNT[:3, :3] + 6)


def test_002_the_first_output_is_0():
    image = np.array([[1.0, 2, 3, 0], [0, 1, 2, 3], [3, 2, 1, 0], [0, 1, 2, 1]])
    y = correlate(image, np.array([[1.0, 0], [0, -1]]))
    assert y[0, 0] == 0 == 1 * 1 + 2 * 0 + 0 * 0 + 1 * -1
    np.testing.assert_array_equal(y, image[:3, :3] - image[1:, 1:])


def test_000_convolution_is_correlation_with_the_kernel_rotated_by_180_degrees():
    kernel = np.array([[1.0, -2], [2, 0]])
    flipped = correlate(COUNT, kernel, flip=True)
    np.testing.assert_array_equal(flipped, correlate(COUNT, np.rot90(kernel, 2)))
    assert flipped[0, 0] == 0 * 1 + 2 * 2 - 2 * 5 + 1 * 6


def test_003_the_diagonal_filter_scores_diagonals():
    filter_ = np.eye(3)
    assert correlate(np.eye(3), filter_)[0, 0] == 3
    assert correlate(np.eye(3)[::-1], filter_)[0, 0] == 1
    assert correlate(np.ones((3, 3)), filter_)[0, 0] == 3
    scores = correlate(np.eye(6, k=2), filter_)
    np.testing.assert_array_equal(scores, 3 * np.eye(4, k=2))


def size(image, kernel, **options):
    return conv2d(1, kernel, **options).init(key(0), (image, image, 1))[1][0]


@given(st.integers(1, 40), st.integers(1, 40))
def test_001_output_is_input_minus_kernel_plus_1(image, kernel):
    image = max(image, kernel)
    assert size(image, kernel) == (image - kernel) + 1


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 5), st.integers(0, 5))
def test_002_output_is_input_minus_filter_plus_2_padding_over_stride_plus_1(image, k, stride, pad):
    image = max(image, k)
    expected = (image - k + 2 * pad) / stride + 1
    assert size(image, k, stride=stride, padding=pad) == int(expected)


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 5))
def test_003_output_is_image_minus_filter_floordiv_step_plus_1(image, k, step):
    image = max(image, k)
    assert size(image, k, stride=step) == (image - k) // step + 1


def test_003_padding_can_make_input_and_output_alike():
    assert conv2d(3, 5, padding="same").init(key(0), (28, 28, 1))[1] == (28, 28, 3)


@pytest.mark.parametrize(
    ("model", "shapes"),
    [
        (  # 000
            (conv2d(5, 3, bias="untied"), fcnn.sigmoid, fcnn.reshape(5 * 26 * 26), fcnn.dense(100),
             fcnn.sigmoid, fcnn.dense(2), fcnn.sigmoid),
            [(26, 26, 5), (26, 26, 5), (3380,), (100,), (100,), (2,), (2,)],
        ),
        (  # 001
            (conv2d(5, 3), fcnn.relu, fcnn.reshape(5 * 26 * 26), fcnn.dense(100), fcnn.relu,
             fcnn.dropout(0.05), fcnn.dense(10), fcnn.softmax),
            [(26, 26, 5), (26, 26, 5), (3380,), (100,), (100,), (100,), (10,), (10,)],
        ),
        (  # 002, 004
            (conv2d(1, 6), fcnn.relu, fcnn.max_pool2d(2), fcnn.flatten, fcnn.dense(10),
             fcnn.softmax),
            [(23, 23, 1), (23, 23, 1), (11, 11, 1), (121,), (10,), (10,)],
        ),
        (  # 003
            (conv2d(16, 8), conv2d(8, 4, stride=2), fcnn.flatten, fcnn.dense(10), fcnn.softmax),
            [(21, 21, 16), (9, 9, 8), (648,), (10,), (10,)],
        ),
    ],
    ids=["000", "001", "002", "003"],
)  # fmt: skip
def test_the_articles_networks_have_the_articles_shapes(model, shapes):
    shape = (28, 28, 1)
    for layer, expected in zip(model, shapes, strict=True):
        _, shape = layer.init(key(0), shape)
        assert shape == expected
    assert fcnn.serial(*model).init(key(0), (28, 28, 1))[1] == shapes[-1]
