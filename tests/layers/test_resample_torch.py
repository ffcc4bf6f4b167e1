"""Resampling, shuffles and padding against PyTorch's, where it is installed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fcnn
from fcnn._ops.layout import hcwn, nhwc

torch = pytest.importorskip(
    "torch", reason="PyTorch is an oracle, no requirement", exc_type=ImportError
)
functional = torch.nn.functional

size = st.integers(1, 9)


def compare(layer, theirs, x, atol=1e-11):
    """Compare y, and dx for a random dy, with those of PyTorch, whose channels come first."""
    y, pullback = layer.vjp((), x)
    dy = np.random.default_rng(y.size).normal(size=y.shape)
    tx = torch.tensor(np.moveaxis(x, -1, 1).copy(), requires_grad=True)
    ty = theirs(tx)
    ty.backward(torch.tensor(np.moveaxis(dy, -1, 1).copy()))
    np.testing.assert_allclose(y, np.moveaxis(ty.detach().numpy(), 1, -1), atol=atol)
    dx = np.moveaxis(tx.grad.numpy(), 1, -1)
    np.testing.assert_allclose(pullback(dy)[1], dx, atol=atol)


def draw(data, *shape):
    """Random images, in either order of memory."""
    x = np.random.default_rng(data.draw(st.integers(0, 99))).normal(size=shape)
    return nhwc(np.ascontiguousarray(hcwn(x))) if data.draw(st.booleans()) else x


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
@settings(max_examples=40)
@given(st.data())
def test_upsample2d(mode, data):
    factor = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    x = draw(data, 3, data.draw(size), data.draw(size), 2)
    compare(
        fcnn.upsample2d(factor, mode),
        lambda z: functional.interpolate(z, scale_factor=tuple(map(float, factor)), mode=mode),
        x,
    )


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
@settings(max_examples=40)
@given(st.data())
def test_resize2d(mode, data):
    target = data.draw(st.tuples(st.integers(1, 16), st.integers(1, 16)))
    x = draw(data, 2, data.draw(size), data.draw(size), 2)
    compare(fcnn.resize2d(target, mode), lambda z: functional.interpolate(z, target, mode=mode), x)


@settings(max_examples=20)
@given(st.data())
def test_pixel_shuffles(data):
    factor, h, w, c = (data.draw(st.integers(1, 3)) for _ in range(4))
    channels = draw(data, 2, h, w, c * factor**2)
    compare(fcnn.pixel_shuffle(factor), lambda z: functional.pixel_shuffle(z, factor), channels)
    pixels = draw(data, 2, h * factor, w * factor, c)
    compare(fcnn.pixel_unshuffle(factor), lambda z: functional.pixel_unshuffle(z, factor), pixels)


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
@settings(max_examples=25)
@given(st.data())
def test_padding(mode, data):
    spare = {"reflect": 1, "circular": 0, "replicate": -9, "zeros": -9}[mode]
    sizes = [data.draw(st.integers(1 + spare if spare > 0 else 1, 6)) for _ in range(2)]
    margin = [st.integers(0, min(9, each - spare)) for each in sizes]
    pads = tuple((data.draw(m), data.draw(m)) for m in margin)
    value = data.draw(st.sampled_from([0.0, -1.5])) if mode == "zeros" else 0.0
    theirs = {"mode": "constant", "value": value} if mode == "zeros" else {"mode": mode}
    x = draw(data, 2, *sizes, 2)
    both = (*pads[1], *pads[0])  # PyTorch names the last axis first
    compare(fcnn.pad2d(pads, mode, value=value), lambda z: functional.pad(z, both, **theirs), x)
    compare(
        fcnn.pad1d(pads[0], mode, value=value),
        lambda z: functional.pad(z, pads[0], **theirs),
        np.ascontiguousarray(x[:, :, 0]),
    )
