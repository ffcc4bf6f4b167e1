"""Values and gradients against PyTorch's, where it is installed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fcnn

torch = pytest.importorskip(
    "torch", reason="PyTorch is an oracle, no requirement", exc_type=ImportError
)

small = st.integers(1, 3)
pairs = st.tuples(small, small)


def as_torch(array):
    """Channels last to channels first."""
    moved = np.ascontiguousarray(np.moveaxis(array, -1, 1))
    return torch.tensor(moved, requires_grad=True)


def from_torch(tensor):
    return np.moveaxis(tensor.detach().numpy(), 1, -1)


@settings(max_examples=60)
@given(st.data())
def test_conv2d(data):
    groups, kernel, stride, dilation = (data.draw(s) for s in (small, pairs, pairs, pairs))
    padding = tuple(data.draw(st.integers(0, 2)) for _ in range(2))
    c, f = groups * data.draw(st.integers(1, 2)), groups * data.draw(st.integers(1, 2))
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    h, w = (max(1, r - 2 * p) + data.draw(small) for r, p in zip(reach, padding, strict=True))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))

    layer = fcnn.conv2d(f, kernel, stride=stride, padding=padding, dilation=dilation, groups=groups)
    made, _ = layer.init(fcnn.key(0), (h, w, c))
    params = fcnn.tree.map(lambda p: rng.normal(size=p.shape), made)
    x = rng.normal(size=(2, h, w, c))
    y, pullback = layer.vjp(params, x)
    dy = rng.normal(size=y.shape)
    dparams, dx = pullback(dy)

    tx = as_torch(x)
    weight = torch.tensor(params.weight.transpose(3, 2, 0, 1).copy(), requires_grad=True)
    bias = torch.tensor(params.bias.copy(), requires_grad=True)
    ty = torch.nn.functional.conv2d(
        tx, weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    ty.backward(as_torch(dy).detach())
    np.testing.assert_allclose(y, from_torch(ty), atol=1e-11)
    np.testing.assert_allclose(dx, from_torch(tx.grad), atol=1e-11)
    expected = weight.grad.numpy().transpose(2, 3, 1, 0)
    np.testing.assert_allclose(dparams.weight, expected, atol=1e-11)
    np.testing.assert_allclose(dparams.bias, bias.grad.numpy(), atol=1e-11)


@pytest.mark.parametrize(
    ("window", "stride", "padding"), [(2, 2, 0), (3, 2, 1), ((2, 3), 1, (0, 1))]
)
def test_max_pool2d(rng, window, stride, padding):
    x = rng.integers(0, 3, size=(3, 7, 8, 2)).astype(float)  # many ties
    layer = fcnn.max_pool2d(window, stride=stride, padding=padding)
    y, pullback = layer.vjp((), x)
    dy = rng.normal(size=y.shape)
    tx = as_torch(x)
    ty = torch.nn.functional.max_pool2d(tx, window, stride=stride, padding=padding)
    ty.backward(as_torch(dy).detach())
    np.testing.assert_array_equal(y, from_torch(ty))
    np.testing.assert_allclose(pullback(dy)[1], from_torch(tx.grad), atol=1e-12)


@pytest.mark.parametrize(
    ("window", "stride", "padding"), [(2, 2, 0), (3, 2, 1), ((2, 3), 1, (0, 1))]
)
def test_avg_pool2d(rng, window, stride, padding):
    x = rng.normal(size=(3, 7, 8, 2))
    layer = fcnn.avg_pool2d(window, stride=stride, padding=padding)
    y, pullback = layer.vjp((), x)
    dy = rng.normal(size=y.shape)
    tx = as_torch(x)
    ty = torch.nn.functional.avg_pool2d(
        tx, window, stride=stride, padding=padding, count_include_pad=False
    )
    ty.backward(as_torch(dy).detach())
    np.testing.assert_allclose(y, from_torch(ty), atol=1e-12)
    np.testing.assert_allclose(pullback(dy)[1], from_torch(tx.grad), atol=1e-12)


def test_batch_norm(rng):
    x, dy = rng.normal(size=(2, 4, 5, 5, 3))
    layer = fcnn.batch_norm(momentum=0.9, eps=1e-5)
    params = fcnn.BatchNormParams(*rng.uniform(0.5, 2, size=(4, 3)))
    y, pullback = layer.vjp(params, x, fcnn.training())
    dparams, dx = pullback(dy)

    peer = torch.nn.BatchNorm2d(3, eps=1e-5, momentum=0.1, dtype=torch.float64)
    for name, value in [("weight", params.scale), ("bias", params.bias)]:
        getattr(peer, name).data.copy_(torch.tensor(value.copy()))
    peer.running_mean.copy_(torch.tensor(params.mean.copy()))
    peer.running_var.copy_(torch.tensor(params.var.copy()))
    tx = as_torch(x)
    ty = peer(tx)
    ty.backward(as_torch(dy).detach())
    np.testing.assert_allclose(y, from_torch(ty), atol=1e-12)
    np.testing.assert_allclose(dx, from_torch(tx.grad), atol=1e-12)
    np.testing.assert_allclose(dparams.scale, peer.weight.grad.numpy(), atol=1e-12)
    np.testing.assert_allclose(dparams.bias, peer.bias.grad.numpy(), atol=1e-12)
    stepped = fcnn.tree.observe(params, dparams)
    np.testing.assert_allclose(stepped.mean, peer.running_mean.numpy(), atol=1e-12)
    np.testing.assert_allclose(stepped.var, peer.running_var.numpy(), atol=1e-12)
    peer.eval()
    expected = from_torch(peer(as_torch(x)))
    np.testing.assert_allclose(layer.apply(stepped, x), expected, atol=1e-12)


@pytest.mark.parametrize("labels", ["whole", "soft"])
def test_softmax_cross_entropy(rng, labels):
    logits = 10 * rng.normal(size=(6, 4))
    target = rng.integers(0, 4, 6) if labels == "whole" else rng.dirichlet(np.ones(4), 6)
    value, pullback = fcnn.losses.softmax_cross_entropy.vjp(logits, target)
    tz = torch.tensor(logits, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(tz, torch.tensor(target))
    expected.backward()
    assert value == pytest.approx(expected.item(), rel=1e-12)
    np.testing.assert_allclose(pullback(1.0), tz.grad.numpy(), atol=1e-14)
