"""Values against SciPy's, which has its own way to each of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import signal, special

import fcnn

finite = st.floats(-1e3, 1e3, width=32)


def one_filter(image, kernel, **options):
    layer = fcnn.conv2d(1, kernel.shape, bias=None, **options)
    params = fcnn.ConvParams(kernel[:, :, None, None], ())
    return layer.apply(params, image[None, :, :, None])[0, :, :, 0]


@given(st.data())
def test_default_is_correlate2d(data):
    kernel = data.draw(
        arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 4)), elements=finite)
    )
    sizes = st.tuples(*(st.integers(k, k + 4) for k in kernel.shape))
    image = data.draw(arrays(np.float64, sizes, elements=finite))
    expected = signal.correlate2d(image, kernel, "valid")
    np.testing.assert_allclose(one_filter(image, kernel), expected, rtol=1e-9, atol=1e-6)


@given(st.data())
def test_flip_is_convolve2d(data):
    kernel = data.draw(
        arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 4)), elements=finite)
    )
    sizes = st.tuples(*(st.integers(k, k + 4) for k in kernel.shape))
    image = data.draw(arrays(np.float64, sizes, elements=finite))
    expected = signal.convolve2d(image, kernel, "valid")
    np.testing.assert_allclose(one_filter(image, kernel, flip=True), expected, rtol=1e-9, atol=1e-6)


@given(
    st.integers(1, 3).map(lambda k: 2 * k - 1),
    st.integers(1, 8),
    st.integers(1, 8),
    st.integers(0, 99),
)
def test_same_with_an_odd_kernel_is_scipys_same(k, h, w, seed):
    rng = np.random.default_rng(seed)
    image, kernel = rng.normal(size=(h, w)), rng.normal(size=(k, k))
    full = signal.correlate2d(image, kernel, "full")  # scipy's "same" swaps a larger kernel
    middle = full[k // 2 : k // 2 + h, k // 2 : k // 2 + w]
    np.testing.assert_allclose(one_filter(image, kernel, padding="same"), middle, atol=1e-12)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("stride", [(1, 1), (2, 3)])
@pytest.mark.parametrize("dilation", [(1, 1), (2, 3)])
@pytest.mark.parametrize("bias", ["tied", "untied", None])
@pytest.mark.parametrize(
    ("padding", "margin"),
    [
        ("valid", ((0, 0), (0, 0))),
        (2, ((2, 2), (2, 2))),
        ((1, 2), ((1, 1), (2, 2))),
        (((0, 3), (2, 1)), ((0, 3), (2, 1))),
    ],
)
def test_every_option_is_a_sum_of_correlate2d(
    rng, flip, groups, stride, dilation, bias, padding, margin
):
    layer = fcnn.conv2d(
        4,
        (3, 2),
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        bias=bias,
        flip=flip,
    )
    made, out_shape = layer.init(fcnn.key(0), (9, 8, 6))
    params = fcnn.tree.map(lambda p: rng.normal(size=p.shape), made)
    x = rng.normal(size=(2, 9, 8, 6))
    padded = np.pad(x, ((0, 0), *margin, (0, 0)))
    width = 6 // groups
    for n, f in np.ndindex(2, 4):
        total = 0.0
        for c in range(width):
            spread = np.zeros((2 * dilation[0] + 1, dilation[1] + 1))
            spread[:: dilation[0], :: dilation[1]] = params.weight[:, :, c, f]
            image = padded[n, :, :, (f // (4 // groups)) * width + c]
            operate = signal.convolve2d if flip else signal.correlate2d
            total = total + operate(image, spread, "valid")[:: stride[0], :: stride[1]]
        if bias == "tied":
            total = total + params.bias[f]
        elif bias == "untied":
            total = total + params.bias[:, :, f]
        assert total.shape == out_shape[:2]
        np.testing.assert_allclose(layer.apply(params, x)[n, :, :, f], total, atol=1e-12)


@given(arrays(np.float64, (2, 5), elements=finite))
def test_sigmoid(x):
    np.testing.assert_allclose(fcnn.sigmoid.apply((), x), special.expit(x), rtol=1e-14, atol=1e-300)


@given(arrays(np.float64, (2, 5), elements=finite))
def test_softmax(x):
    np.testing.assert_allclose(fcnn.softmax.apply((), x), special.softmax(x, axis=-1), rtol=1e-12)


@given(arrays(np.float64, (2, 3, 5), elements=finite))
def test_log_softmax(x):
    expected = special.log_softmax(x, axis=-1)
    np.testing.assert_allclose(fcnn.log_softmax.apply((), x), expected, rtol=1e-12, atol=1e-300)


extreme = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(arrays(np.float32, (2, 3), elements=extreme))
@pytest.mark.parametrize(
    "layer", [fcnn.relu, fcnn.sigmoid, fcnn.tanh, fcnn.softmax, fcnn.log_softmax], ids=str
)
def test_activations_are_finite_for_every_finite_float32(layer, x):
    y, pullback = layer.vjp((), x)
    _, dx = pullback(np.ones_like(y))
    assert y.dtype == dx.dtype == np.float32
    assert np.isfinite(y).all()
    assert np.isfinite(dx).all()
