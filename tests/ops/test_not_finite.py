"""NaN and infinity go where PyTorch puts them."""

import numpy as np
import pytest

import fcnn
from fcnn._ops.conv import correlate, correlate_adjoints
from fcnn._ops.finite import all_finite
from fcnn._ops.relu import relu, relu_adjoint, select
from fcnn._ops.stable import log_softmax
from fcnn._ops.window import slide
from fcnn._ops.winograd import suits

NAN, INF = np.nan, np.inf
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
pytestmark = pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")


def gradient(layer, x, dy):
    _, pullback = layer.vjp((), x, fcnn.training())
    return pullback(dy)[1]


@DTYPES
@pytest.mark.parametrize("count", [1, 3000])  # few and many elements go different ways
def test_relu(dtype, count):
    z = np.tile(np.array([-1, -0.0, 0, 2, INF, -INF, NAN], dtype), count)
    dy = np.tile(np.array([INF, NAN, INF, INF, NAN, -INF, 3], dtype), count)
    y = relu(z)
    np.testing.assert_array_equal(y, np.tile([0, 0, 0, 2, INF, 0, NAN], count))
    expected = np.tile([0, 0, 0, INF, NAN, 0, 3], count)
    dz = relu_adjoint(y, dy)
    assert dz.dtype == dtype
    np.testing.assert_array_equal(dz, expected)
    out = np.empty_like(dy)
    assert relu_adjoint(y, dy, out) is out
    np.testing.assert_array_equal(out, expected)


def test_relu_into_another_order_of_memory():
    z = np.random.default_rng(0).standard_normal((4, 16, 16, 8)).astype(np.float32)
    out = np.empty((16, 8, 16, 4), np.float32).transpose(3, 0, 2, 1)
    assert relu(z, out) is out
    np.testing.assert_array_equal(out, np.maximum(z, 0))
    assert relu(z, z) is z
    np.testing.assert_array_equal(z, out)


def test_a_relu_of_negative_zero_passes_nothing():
    z = np.full(19, -0.0, np.float32)  # NumPy's maximum may leave the sign to the last elements
    assert not relu_adjoint(relu(z), np.ones(19, np.float32)).any()


@DTYPES
def test_a_selection_into_another_precision(dtype):
    out = np.empty(3, np.float32)
    select(np.array([True, False, True]), np.array([1, NAN, -INF], dtype), out)
    np.testing.assert_array_equal(out, [1, 0, -INF])


@DTYPES
def test_an_infinite_gradient_of_a_max_pool(dtype):
    x = np.arange(4, dtype=dtype).reshape(1, 2, 2, 1)
    for dy in (INF, -INF, NAN):
        dx = gradient(fcnn.max_pool2d(2), x, np.full((1, 1, 1, 1), dy, dtype))
        np.testing.assert_array_equal(dx.ravel(), [0, 0, 0, dy])
    row = np.array([3, 1, 2, 5, 4], dtype).reshape(1, 1, 5, 1)
    overlapping = fcnn.max_pool2d((1, 3), stride=1)
    dx = gradient(overlapping, row, np.array([INF, 1, NAN], dtype).reshape(1, 1, 3, 1))
    np.testing.assert_array_equal(dx.ravel(), [INF, 0, 0, NAN, 0])


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        ([0, 0, NAN, 0], [0, 0, 1, 0]),
        ([NAN, 0, 0, 9], [1, 0, 0, 0]),
        ([NAN, 0, NAN, INF], [0, 0, 1, 0]),  # the last NaN, as in PyTorch
        ([INF, INF, 0, 0], [1, 0, 0, 0]),
        ([-INF, -INF, -INF, -INF], [1, 0, 0, 0]),
    ],
)
def test_the_pixel_that_gets_a_gradient(pixels, expected):
    x = np.array(pixels, np.float32).reshape(1, 2, 2, 1)
    one = np.ones((1, 1, 1, 1), np.float32)
    np.testing.assert_array_equal(gradient(fcnn.max_pool2d(2), x, one).ravel(), expected)
    conv = fcnn.conv2d(1, 1)
    for layers in ((conv, fcnn.max_pool2d(2)), (conv, fcnn.relu, fcnn.max_pool2d(2))):
        params = (type(conv.init(fcnn.key(0), (2, 2, 1))[0])(one, one[0, 0, 0]),) + ((),) * 2
        model = fcnn.serial(*layers)
        _, pullback = model.vjp(params[: len(layers)], x, fcnn.training())
        fused = pullback(one)[1].ravel()
        if not (len(layers) == 3 and np.isneginf(pixels).all()):
            np.testing.assert_array_equal(fused, expected)


def test_padding_gets_no_gradient():
    x = np.full((1, 4, 4, 1), -INF, np.float32)
    dx = gradient(fcnn.max_pool2d(3, stride=2, padding=1), x, np.ones((1, 2, 2, 1), np.float32))
    expected = [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(dx[0, :, :, 0], expected)


@DTYPES
def test_log_softmax_of_minus_infinity(dtype):
    y = log_softmax(np.array([[0, -INF], [1, 1], [0, 800]], dtype))
    np.testing.assert_allclose(y, [[0, -INF], [-np.log(2)] * 2, [-800, 0]], rtol=1e-6)
    x = np.array([[0, -INF]], dtype)
    dx = gradient(fcnn.log_softmax, x, np.ones((1, 2), dtype))
    np.testing.assert_array_equal(dx, [[-1, 1]])
    largest = np.finfo(dtype).max
    np.testing.assert_array_equal(log_softmax(np.array([[largest, -largest]], dtype)), [[0, -INF]])


def wide(n=16):
    """A shape for Winograd's algorithm, with single elements that are not finite."""
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((n, 12, 13, 16)), rng.standard_normal((3, 3, 16, 16))
    window = slide((12, 13), (3, 3), (1, 1), (1, 1), "valid")
    assert suits(x, weight, window, 1)
    return x, weight, rng.standard_normal((n, *window.out, 16)), window


@pytest.mark.parametrize("value", [NAN, INF])
@pytest.mark.parametrize("n", [16, 4])
def test_a_pixel_spoils_only_the_windows_that_hold_it(value, n):
    x, weight, _, window = wide(n)
    x[2, 5, 6, 3] = value
    y, _ = correlate(x, weight, window)
    spoilt = np.zeros(y.shape, bool)
    spoilt[2, 3:6, 4:7] = True
    np.testing.assert_array_equal(~np.isfinite(y), spoilt)
    x[2, 5, 6, 3] = 0
    np.testing.assert_allclose(y[~spoilt], correlate(x, weight, window)[0][~spoilt], atol=1e-9)


@pytest.mark.parametrize("value", [NAN, INF])
@pytest.mark.parametrize("n", [16, 4])
def test_a_weight_spoils_only_its_channel(value, n):
    x, weight, _, window = wide(n)
    weight[0, 1, 2, 7] = value
    y, _ = correlate(x, weight, window)
    np.testing.assert_array_equal(y[..., 7], value * x[:, :-2, 1:-1, 2])
    assert np.isfinite(np.delete(y, 7, axis=3)).all()


@pytest.mark.parametrize("value", [NAN, INF])
@pytest.mark.parametrize("n", [16, 4])
def test_a_gradient_spoils_only_what_it_reaches(value, n):
    x, weight, dy, window = wide(n)
    dy[2, 5, 6, 3] = value
    dweight, dbias, dx = correlate_adjoints(x, weight, dy, window)
    spoilt = np.zeros(x.shape, bool)
    spoilt[2, 5:8, 6:9] = True
    np.testing.assert_array_equal(~np.isfinite(dx), spoilt)
    assert np.flatnonzero(~np.isfinite(dbias)).tolist() == [3]
    assert not np.isfinite(dweight[..., 3]).any()
    assert np.isfinite(np.delete(dweight, 3, axis=3)).all()


def test_a_weight_spoils_the_gradient_of_only_what_it_multiplies():
    x, weight, dy, window = wide()
    weight[0, 1, 2, 7] = INF
    _, _, dx = correlate_adjoints(x, weight, dy, window)
    spoilt = np.zeros(x.shape, bool)
    spoilt[:, :-2, 1:-1, 2] = True
    np.testing.assert_array_equal(dx[spoilt], (INF * dy[..., 7]).ravel())
    assert np.isfinite(np.delete(dx, 2, axis=3)).all()


def test_a_corner_reaches_one_weight():
    x, weight, dy, window = wide()
    x[4, 0, 0, 5] = NAN
    dweight, _, _ = correlate_adjoints(x, weight, dy, window, input_grad=False)
    spoilt = np.zeros(weight.shape, bool)
    spoilt[0, 0, 5] = True
    np.testing.assert_array_equal(np.isnan(dweight), spoilt)


@pytest.mark.parametrize("at", [0, 700, 1023])
@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_all_finite(at, value):
    x = np.full((4, 16, 16), 1e30, np.float32)  # whose squares overflow
    assert all_finite(x)
    assert all_finite(x[:, ::2].T)
    y = x.copy()
    assert all_finite(x, y)
    y.reshape(-1)[at] = value
    assert not all_finite(y)
    assert not all_finite(x, y)
    assert not all_finite(y, x)
    assert not all_finite(np.zeros_like(x), y)


def poisoned(rng, shape, count):
    x = rng.standard_normal(shape).astype(np.float32)
    x.reshape(-1)[rng.integers(x.size, size=count)] = rng.choice([NAN, INF, -INF], size=count)
    return x


@pytest.mark.parametrize("counts", [(0, 3), (3, 0), (3, 3)])
@pytest.mark.parametrize("channels", [3, 16])
@pytest.mark.parametrize("kinds", ["r", "p", "o", "c", "cr", "cp", "crp", "cro"])
def test_against_torch(kinds, channels, counts):
    torch = pytest.importorskip("torch")
    functional, rng = torch.nn.functional, np.random.default_rng(len(kinds) + channels)
    layers = {
        "c": (fcnn.conv2d(16, 3), None),
        "r": (fcnn.relu, torch.relu),
        "p": (fcnn.max_pool2d(2), lambda z: functional.max_pool2d(z, 2)),
        "o": (fcnn.max_pool2d(3, stride=2, padding=1), lambda z: functional.max_pool2d(z, 3, 2, 1)),
    }
    model = fcnn.serial(*(layers[kind][0] for kind in kinds))
    params, _ = model.init(fcnn.key(0), (12, 14, channels))
    x = poisoned(rng, (16, 12, 14, channels), counts[0])
    y, pullback = model.vjp(params, x, fcnn.training())
    dy = poisoned(rng, y.shape, counts[1])
    grads, dx = pullback(dy)

    first = torch.tensor(np.moveaxis(x, 3, 1).copy(), requires_grad=True)
    z, leaves = first, []
    for kind, own in zip(kinds, params, strict=True):
        if kind == "c":
            weight = torch.tensor(own.weight.transpose(3, 2, 0, 1).copy(), requires_grad=True)
            bias = torch.tensor(own.bias.copy(), requires_grad=True)
            z, leaves = functional.conv2d(z, weight, bias), [weight, bias]
        else:
            z = layers[kind][1](z)
    z.backward(torch.tensor(np.moveaxis(dy, 3, 1).copy()))
    close = {"rtol": 1e-3, "atol": 1e-3}
    np.testing.assert_allclose(y, np.moveaxis(z.detach().numpy(), 1, 3), **close)
    np.testing.assert_allclose(dx, np.moveaxis(first.grad.numpy(), 1, 3), **close)
    if leaves:
        weight, bias = (leaf.grad.numpy() for leaf in leaves)
        np.testing.assert_allclose(grads[0].weight, weight.transpose(2, 3, 1, 0), **close)
        np.testing.assert_allclose(grads[0].bias, bias, **close)
