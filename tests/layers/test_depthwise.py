"""The depthwise convolution against PyTorch's and against `conv2d` with groups."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fcnn
from fcnn import conv2d, depthwise_conv2d, key, tree
from fcnn._ops import depthwise as ops
from fcnn._ops.layout import hcwn, rows_of
from fcnn._ops.window import slide
from fcnn.errors import ArgumentError, ShapeError
from fcnn.testing import check_layer

NAN, INF = np.nan, np.inf
small, pairs = st.integers(1, 3), st.tuples(st.integers(1, 3), st.integers(1, 3))


def innermost(x):
    return np.ascontiguousarray(hcwn(x)).transpose(3, 0, 2, 1)


@pytest.fixture(scope="module", autouse=True)
def _by_bands():
    """Let small arrays take the way of large ones, too; few images are computed as groups."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CHANNELS", "SIZE", "TERMS"):
            patch.setattr(ops, name, 0)
        yield


def run(layer, params, x, dy):
    y, pullback = layer.vjp(params, x)
    dparams, dx = pullback(dy)
    return [y, dx, *tree.leaves(dparams)]


@settings(max_examples=40)
@given(st.data())
def test_against_pytorch(data):
    torch = pytest.importorskip("torch", reason="PyTorch is an oracle", exc_type=ImportError)
    kernel, stride, dilation = (data.draw(pairs) for _ in range(3))
    padding = tuple(data.draw(st.integers(0, 2)) for _ in range(2))
    channels, multiplier, n = (data.draw(small) for _ in range(3))
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    h, w = (
        max(1, r - 2 * p) + data.draw(st.integers(0, 9))
        for r, p in zip(reach, padding, strict=True)
    )
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    layer = depthwise_conv2d(
        kernel, depth_multiplier=multiplier, stride=stride, padding=padding, dilation=dilation
    )
    made, out = layer.init(key(0), (h, w, channels))
    params = tree.map(lambda p: rng.normal(size=p.shape), made)
    x, dy = rng.normal(size=(n, h, w, channels)), rng.normal(size=(n, *out))

    tx = torch.tensor(x.transpose(0, 3, 1, 2).copy(), requires_grad=True)
    weight = torch.tensor(params.weight.transpose(3, 2, 0, 1).copy(), requires_grad=True)
    bias = torch.tensor(params.bias.copy(), requires_grad=True)
    ty = torch.nn.functional.conv2d(
        tx, weight, bias, stride=stride, padding=padding, dilation=dilation, groups=channels
    )
    ty.backward(torch.tensor(dy.transpose(0, 3, 1, 2).copy()))
    expected = [
        *(each.detach().numpy().transpose(0, 2, 3, 1) for each in (ty, tx.grad)),
        weight.grad.numpy().transpose(2, 3, 1, 0),
        bias.grad.numpy(),
    ]
    for ours, theirs in zip(run(layer, params, x, dy), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-11)


@pytest.mark.parametrize("options", [{}, {"stride": 2}, {"depth_multiplier": 2}, {"dilation": 3}])
@pytest.mark.parametrize("order", [np.ascontiguousarray, innermost])
def test_many_blocks_in_float32(rng, options, order, monkeypatch):
    """Several parts of the channels, the last one smaller, against `conv2d` in float64."""
    monkeypatch.setattr("fcnn._ops.blocks.BUDGET", 1 << 16)
    layer = depthwise_conv2d(3, padding="same", **options)
    made, out = layer.init(key(0), (19, 18, 11))
    x = rng.standard_normal((10, 19, 18, 11)).astype(np.float32)
    dy = rng.standard_normal((10, *out)).astype(np.float32)
    groups = {k: v for k, v in options.items() if k != "depth_multiplier"}
    peer = conv2d(out[2], 3, padding="same", groups=11, **groups)
    params = fcnn.ConvParams(*tree.astype((made.weight, made.bias), np.float64))
    with monkeypatch.context() as patch:
        patch.setattr(ops, "SIZE", 1 << 62)  # `conv2d` as any number of groups
        exact = run(peer, params, *tree.astype((x, dy), np.float64))
    for ours, theirs in zip(run(layer, made, order(x), order(dy)), exact, strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, theirs, atol=3e-6 * max(1, np.abs(theirs).max()))


@pytest.mark.parametrize("bias", ["tied", "untied", None])
@pytest.mark.parametrize("order", [np.ascontiguousarray, innermost])
def test_a_convolution_of_as_many_groups_as_channels_is_the_same(rng, bias, order, monkeypatch):
    """Also through a rectifier in one kernel with it, and as a transposed convolution."""
    conv = conv2d(10, 3, padding=1, groups=5, bias=bias)
    model = fcnn.serial(conv, fcnn.relu, fcnn.conv_transpose2d(10, 3, groups=10))
    made, out = model.init(key(0), (6, 7, 5))
    params = tree.map(lambda p: rng.normal(size=p.shape), made)
    x, dy = order(rng.normal(size=(4, 6, 7, 5))), order(rng.normal(size=(4, *out)))
    called = []

    def counted(*args):
        called.append(True)
        return ops.depthwise(*args)

    monkeypatch.setattr("fcnn._ops.conv.depthwise", counted)
    found = run(model, params, x, dy)
    assert len(called) == (2 if bias == "untied" else 3)
    called.clear()
    with monkeypatch.context() as patch:
        patch.setattr(ops, "SIZE", 1 << 62)
        expected = run(model, params, x, dy)
    assert not called
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-11)


@pytest.mark.parametrize(
    ("shape", "kernel", "expected"),
    [((64, 32, 32, 64), 3, True), ((1, 64, 64, 64), 3, False), ((64, 8, 8, 16), 3, False)],
)
def test_which_way_is_taken(shape, kernel, expected, monkeypatch):
    x, weight = np.empty(shape, np.float32), np.empty((kernel, kernel, 1, shape[3]), np.float32)
    for name, value in (("CHANNELS", 8), ("SIZE", 1 << 17), ("TERMS", 72)):
        monkeypatch.setattr(ops, name, value)
    assert ops.is_depthwise(x, weight, shape[3]) is expected
    assert not ops.is_depthwise(x, weight, 1)


@pytest.mark.parametrize("bad", [NAN, INF])
@pytest.mark.parametrize("where", ["x", "dy", "weight"])
@pytest.mark.parametrize("options", [{}, {"stride": 2}, {"depth_multiplier": 2}])
def test_nan_and_infinity_stay_where_they_belong(rng, bad, where, options):
    layer = depthwise_conv2d(3, padding=1, **options)
    made, out = layer.init(key(0), (9, 8, 3))
    arrays = {
        "x": rng.normal(size=(2, 9, 8, 3)),
        "dy": rng.normal(size=(2, *out)),
        "weight": made.weight.astype(np.float64),
    }
    arrays[where][(1, 2, 1, -1) if where != "weight" else (1, 2, 0, -1)] = bad
    params = type(made)(arrays["weight"], made.bias.astype(np.float64))
    window = slide((9, 8), (3, 3), (options.get("stride", 1),) * 2, (1, 1), ((1, 1), (1, 1)))
    kernel, y = arrays["weight"][:, :, 0], np.empty((*hcwn(arrays["dy"]).shape,))
    dx = np.empty(hcwn(arrays["x"]).shape)
    ops._direct(hcwn(arrays["x"]), kernel, window, params.bias, y)
    ops._direct_adjoint(hcwn(arrays["dy"]), kernel, window, dx)
    found = run(layer, params, arrays["x"], arrays["dy"])
    for ours, direct in zip(found[:2], (y, dx), strict=True):
        np.testing.assert_array_equal(np.isfinite(hcwn(ours)), np.isfinite(direct))
        finite = np.isfinite(direct)
        np.testing.assert_allclose(hcwn(ours)[finite], direct[finite], atol=1e-12)
    assert np.isfinite(found[2]).all(axis=(0, 1, 2))[: -options.get("depth_multiplier", 1)].all()


@pytest.mark.parametrize(
    "shape", [(9, 3, 4, 8), (24, 4, 8, 8), (24, 2, 32, 4), (3, 4, 5, 6), (64, 2, 2, 64)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_copy_with_images_innermost(rng, shape, dtype):
    x = rng.standard_normal(shape).astype(dtype)
    x[0, 0, 0, 0] = NAN
    for each in (x, innermost(x), np.asfortranarray(x), x[::-1]):
        rows = rows_of(each)
        assert rows.flags.c_contiguous
        np.testing.assert_array_equal(rows, hcwn(each))


def test_refuses_what_does_not_fit():
    with pytest.raises(ArgumentError, match="depth_multiplier"):
        depthwise_conv2d(3, depth_multiplier=0)
    with pytest.raises(ShapeError, match=r"an image \(h, w, c\)"):
        depthwise_conv2d(3).init(key(0), (4, 4))
    params, _ = depthwise_conv2d(3, depth_multiplier=2).init(key(0), (4, 4, 3))
    with pytest.raises(ShapeError, match=r"images \(n, h, w, 3\)"):
        depthwise_conv2d(3, depth_multiplier=2).apply(params, np.zeros((1, 4, 4, 6), np.float32))


def test_what_it_costs_and_sees():
    model = fcnn.serial(depthwise_conv2d(3, depth_multiplier=2, dilation=2), depthwise_conv2d(3))
    (first, second) = fcnn.walk(model, (9, 8, 3))
    assert (first.receptive_field, second.receptive_field) == ((5, 5), (7, 7))
    assert fcnn.summary(model, (9, 8, 3)).multiply_adds == 5 * 4 * 6 * 9 + 3 * 2 * 6 * 9


@settings(max_examples=6)
@given(st.data())
def test_every_law_where_drawn(data):
    kernel, stride, dilation = (data.draw(pairs) for _ in range(3))
    padding = data.draw(st.sampled_from(["valid", "same", 1, (0, 2), ((2, 0), (0, 1))]))
    layer = depthwise_conv2d(
        kernel,
        depth_multiplier=data.draw(st.integers(1, 2)),
        stride=stride,
        padding=padding,
        dilation=dilation,
        bias=data.draw(st.booleans()),
    )
    size = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    check_layer(layer, (*size, data.draw(small)), batch=data.draw(small))
