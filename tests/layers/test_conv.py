"""What a convolution is for, beyond the laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fcnn
from fcnn import conv2d, key
from fcnn.errors import ArgumentError, ShapeError


@given(
    st.integers(1, 20),
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(0, 4),
    st.integers(1, 3),
)
def test_output_size_is_the_formula(size, k, stride, padding, dilation):
    room = size + 2 * padding - (dilation * (k - 1) + 1)
    layer = conv2d(1, k, stride=stride, padding=padding, dilation=dilation)
    if room < 0:
        with pytest.raises(ShapeError, match="larger than its image"):
            layer.init(key(0), (size, size, 1))
    else:
        out = room // stride + 1
        assert layer.init(key(0), (size, size, 1))[1] == (out, out, 1)


@given(st.integers(1, 20), st.integers(1, 5), st.integers(1, 4), st.integers(1, 3))
def test_same_gives_the_image_over_the_stride_rounded_up(size, k, stride, dilation):
    layer = conv2d(1, k, stride=stride, padding="same", dilation=dilation)
    assert layer.init(key(0), (size, 1, 1))[1] == (-(-size // stride), -(-1 // stride), 1)


def test_same_puts_the_odd_padding_below_and_to_the_right():
    layer = conv2d(1, 2, padding="same", bias=None)
    params = fcnn.ConvParams(np.array([[1.0, 0], [0, 10]]).reshape(2, 2, 1, 1), ())
    y = layer.apply(params, np.array([[1.0, 2], [3, 4]])[None, :, :, None])
    np.testing.assert_array_equal(y[0, :, :, 0], [[41, 2], [3, 4]])


def test_flip_rotates_the_kernel_by_180_degrees(rng):
    x, weight = rng.normal(size=(2, 5, 5, 2)), rng.normal(size=(3, 2, 2, 4))
    flipped = conv2d(4, (3, 2), bias=None, flip=True)
    plain = conv2d(4, (3, 2), bias=None)
    y = flipped.apply(fcnn.ConvParams(weight, ()), x)
    np.testing.assert_array_equal(y, plain.apply(fcnn.ConvParams(weight[::-1, ::-1], ()), x))


def test_depthwise_sees_its_own_channel_only(rng):
    layer = conv2d(2, 3, groups=2)
    params, _ = layer.init(key(0), (5, 5, 2))
    assert params.weight.shape == (3, 3, 1, 2)
    x = rng.normal(size=(1, 5, 5, 2)).astype(np.float32)
    other = x.copy()
    other[..., 1] += 1
    y, changed = layer.apply(params, x), layer.apply(params, other)
    np.testing.assert_array_equal(y[..., 0], changed[..., 0])
    assert not np.allclose(y[..., 1], changed[..., 1])


def test_bias_shapes():
    shapes = {
        bias: np.shape(conv2d(5, 3, bias=bias).init(key(0), (28, 28, 1))[0].bias)
        for bias in ("tied", "untied", None)
    }
    assert shapes == {"tied": (5,), "untied": (26, 26, 5), None: (0,)}


@pytest.mark.parametrize(
    "options",
    [
        {"filters": 0},
        {"filters": 2.5},
        {"filters": True},
        {"kernel_size": 0},
        {"kernel_size": (3, 3, 3)},
        {"kernel_size": "3"},
        {"stride": 0},
        {"dilation": (1, 0)},
        {"padding": "full"},
        {"padding": -1},
        {"padding": (1, 2, 3)},
        {"padding": 1.5},
        {"groups": 0},
        {"groups": 3},
        {"bias": 1},
        {"bias": "none"},
    ],
    ids=str,
)
def test_refuses_hyper_parameters_out_of_range(options):
    with pytest.raises(ArgumentError):
        conv2d(**{"filters": 4, "kernel_size": 3, **options})


@pytest.mark.parametrize("padding", ["SAME", "Valid"])
def test_padding_in_capitals_is_told_the_name(padding):
    with pytest.raises(ArgumentError, match=f"got '{padding}'; use '{padding.lower()}'"):
        conv2d(4, 3, padding=padding)


def test_refuses_channels_that_do_not_divide():
    with pytest.raises(ShapeError, match="expected channels in a multiple of 2 groups, got 3"):
        conv2d(4, 3, groups=2).init(key(0), (5, 5, 3))


def test_refuses_an_untied_bias_of_another_image_size():
    layer = conv2d(2, 3, bias="untied")
    params, _ = layer.init(key(0), (5, 5, 1))
    with pytest.raises(ShapeError, match=r"untied bias \(3, 3, 2\)"):
        layer.apply(params, np.zeros((1, 6, 6, 1), np.float32))
