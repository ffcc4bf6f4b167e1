"""Convolutions and their transposes along any number of axes, against PyTorch's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fcnn

torch = pytest.importorskip(
    "torch", reason="PyTorch is an oracle, no requirement", exc_type=ImportError
)

CONV = {1: fcnn.conv1d, 2: fcnn.conv2d, 3: fcnn.conv3d}
TRANSPOSED = {1: fcnn.conv_transpose1d, 2: fcnn.conv_transpose2d, 3: fcnn.conv_transpose3d}
small = st.integers(1, 3)


def axes(numbers, rank):
    return st.tuples(*[numbers] * rank)


def as_torch(array):
    """Channels last to channels first."""
    return torch.tensor(np.moveaxis(array, -1, 1).copy(), requires_grad=True)


def from_torch(tensor):
    return np.moveaxis(tensor.detach().numpy(), 1, -1)


def filters_to_torch(weight):
    return torch.tensor(np.moveaxis(weight, (-1, -2), (0, 1)).copy(), requires_grad=True)


def filters_from_torch(tensor):
    return np.moveaxis(tensor.numpy(), (0, 1), (-1, -2))


def drawn_params(layer, shape, rng):
    made, _ = layer.init(fcnn.key(0), shape)
    return fcnn.tree.map(lambda p: rng.normal(size=p.shape), made)


def compare(layer, shape, batch, rng, peer):
    """Compare with ``peer(x, weight, bias) -> y`` in the value and in all three gradients."""
    params, x = drawn_params(layer, shape, rng), rng.normal(size=(batch, *shape))
    y, pullback = layer.vjp(params, x)
    dy = rng.normal(size=y.shape)
    dparams, dx = pullback(dy)
    tx, weight = as_torch(x), filters_to_torch(params.weight)
    bias = torch.tensor(params.bias.copy(), requires_grad=True)
    ty = peer(tx, weight, bias)
    ty.backward(as_torch(dy).detach())
    np.testing.assert_allclose(y, from_torch(ty), atol=1e-11)
    np.testing.assert_allclose(layer.apply(params, x), from_torch(ty), atol=1e-11)
    np.testing.assert_allclose(dx, from_torch(tx.grad), atol=1e-11)
    np.testing.assert_allclose(dparams.weight, filters_from_torch(weight.grad), atol=1e-11)
    np.testing.assert_allclose(dparams.bias, bias.grad.numpy(), atol=1e-11)


@pytest.mark.parametrize("rank", [1, 3])
@settings(max_examples=30)
@given(st.data())
def test_convolution(rank, data):
    groups, batch = data.draw(small), data.draw(st.sampled_from([1, 2, 17]))
    kernel, stride, dilation = (data.draw(axes(small, rank)) for _ in range(3))
    padding = data.draw(axes(st.integers(0, 2), rank))
    c, f = groups * data.draw(st.integers(1, 2)), groups * data.draw(st.integers(1, 2))
    reach = [d * (k - 1) + 1 - 2 * p for k, d, p in zip(kernel, dilation, padding, strict=True)]
    shape = tuple(max(1, r) + data.draw(st.integers(0, 3)) for r in reach)
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    function = getattr(torch.nn.functional, f"conv{rank}d")
    compare(
        CONV[rank](f, kernel, **options), (*shape, c), batch, rng,
        lambda x, weight, bias: function(x, weight, bias, **options),
    )  # fmt: skip


@pytest.mark.parametrize("rank", [1, 2, 3])
@settings(max_examples=30)
@given(st.data())
def test_transposed_convolution(rank, data):
    groups, batch = data.draw(small), data.draw(st.sampled_from([1, 2, 17]))
    kernel, stride, dilation = (data.draw(axes(small, rank)) for _ in range(3))
    c, f = groups * data.draw(st.integers(1, 2)), groups * data.draw(st.integers(1, 2))
    shape = data.draw(axes(small, rank))
    more = tuple(data.draw(st.integers(0, s - 1)) for s in stride)
    full = [
        (i - 1) * s + d * (k - 1) + m
        for i, s, d, k, m in zip(shape, stride, dilation, kernel, more, strict=True)
    ]
    padding = tuple(data.draw(st.integers(0, min(2, room // 2))) for room in full)
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    options = {
        "stride": stride, "padding": padding, "output_padding": more, "dilation": dilation,
        "groups": groups,
    }  # fmt: skip
    layer = TRANSPOSED[rank](f, kernel, **options)
    function = getattr(torch.nn.functional, f"conv_transpose{rank}d")
    compare(
        layer, (*shape, c), batch, rng,
        lambda x, weight, bias: function(x, weight, bias, **options),
    )  # fmt: skip


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@settings(max_examples=8)
@given(st.data())
def test_padding_that_is_not_zeros(rank, mode, data):
    kernel, stride = (data.draw(axes(small, rank)) for _ in range(2))
    pads = data.draw(axes(st.tuples(st.integers(0, 3), st.integers(0, 3)), rank))
    shape = tuple(
        max(k, 1, *(p + (mode == "reflect") for p in both)) + data.draw(st.integers(0, 2))
        for k, both in zip(kernel, pads, strict=True)
    )
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    padding = pads[0] if rank == 1 else pads
    layer = CONV[rank](2, kernel, stride=stride, padding=padding, padding_mode=mode)
    function = getattr(torch.nn.functional, f"conv{rank}d")
    ends = [p for both in reversed(pads) for p in both]

    def peer(x, weight, bias):
        return function(torch.nn.functional.pad(x, ends, mode=mode), weight, bias, stride=stride)

    compare(layer, (*shape, 2), 2, rng, peer)


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_same_is_pytorchs(rank, mode, rng):
    layer = CONV[rank](3, 3, padding="same", padding_mode=mode)
    peer = getattr(torch.nn, f"Conv{rank}d")(
        2, 3, 3, padding="same", padding_mode=mode, dtype=torch.float64
    )

    def functional(x, weight, bias):
        return torch.func.functional_call(peer, {"weight": weight, "bias": bias}, x)

    compare(layer, (*(4, 5, 3)[:rank], 2), 3, rng, functional)
