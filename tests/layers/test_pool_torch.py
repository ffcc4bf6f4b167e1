"""Pools against PyTorch's over random hyper-parameters, with many ties, where it is installed."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fcnn

torch = pytest.importorskip(
    "torch", reason="PyTorch is an oracle, no requirement", exc_type=ImportError
)
functional = torch.nn.functional

RANKS = pytest.mark.parametrize("rank", [1, 2, 3])


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


@st.composite
def windows(draw, rank, dilated=True):
    """Window, stride, padding, dilation and an image that they fit, one entry an axis."""
    small = st.integers(1, 3)
    kernel, stride, dilation, extra = ([draw(small) for _ in range(rank)] for _ in range(4))
    dilation = dilation if dilated else [1] * rank
    # PyTorch takes padding up to half a window.
    padding = [draw(st.integers(0, k // 2)) for k in kernel]
    spatial = [
        d * (k - 1) + e - (2 * p if d == 1 else 0)
        for k, p, d, e in zip(kernel, padding, dilation, extra, strict=True)
    ]
    return kernel, stride, padding, dilation, [max(1, each) for each in spatial]


def arguments(rank, kernel, stride, padding, dilation):
    """The arguments as ours."""
    ends = [(p, p) for p in padding]
    if rank == 1:
        return kernel[0], {"stride": stride[0], "padding": ends[0], "dilation": dilation[0]}
    return tuple(kernel), {
        "stride": tuple(stride), "padding": tuple(ends), "dilation": tuple(dilation),
    }  # fmt: skip


@RANKS
@pytest.mark.parametrize("values", ["ties", "normal", "holes"])
@settings(max_examples=15)
@given(st.data())
def test_max_pools(values, rank, data):
    kernel, stride, padding, dilation, spatial = data.draw(windows(rank))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x = rng.normal(size=(2, *spatial, 2))
    if values != "normal":
        x = rng.integers(0, 2, size=x.shape).astype(float)
    if values == "holes":  # the last NaN of a window is its maximum; -inf is one like others
        x = rng.choice([np.nan, -np.inf, 1.0, np.inf], p=[0.2, 0.5, 0.2, 0.1], size=x.shape)
    size, options = arguments(rank, kernel, stride, padding, dilation)
    layer = getattr(fcnn, f"max_pool{rank}d")(size, **options)
    theirs = getattr(functional, f"max_pool{rank}d")
    compare(layer, lambda z: theirs(z, kernel, stride, padding, dilation), x)


@RANKS
@pytest.mark.parametrize("count_include_pad", [False, True])
@settings(max_examples=15)
@given(st.data())
def test_avg_pools(count_include_pad, rank, data):
    kernel, stride, padding, dilation, spatial = data.draw(windows(rank, dilated=False))
    spatial = [max(own, k) for own, k in zip(spatial, kernel, strict=True)]  # PyTorch asks for it
    x = np.random.default_rng(data.draw(st.integers(0, 99))).normal(size=(2, *spatial, 2))
    size, options = arguments(rank, kernel, stride, padding, dilation)
    del options["dilation"]
    make = getattr(fcnn, f"avg_pool{rank}d")
    layer = make(size, **options, count_include_pad=count_include_pad)
    theirs = getattr(functional, f"avg_pool{rank}d")
    compare(layer, lambda z: theirs(z, kernel, stride, padding, False, count_include_pad), x)


@RANKS
@pytest.mark.parametrize("kind", ["avg", "max"])
@settings(max_examples=15)
@given(st.data())
def test_adaptive_pools(kind, rank, data):
    spatial = [data.draw(st.integers(1, 7)) for _ in range(rank)]
    size = tuple(data.draw(st.none() | st.integers(1, 8)) for _ in range(rank))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x = rng.integers(0, 3, size=(2, *spatial, 2)).astype(float)
    if kind == "max" and data.draw(st.booleans()):
        x[rng.random(x.shape) < 0.2] = np.nan
        x[rng.random(x.shape) < 0.5] = -np.inf
    theirs = getattr(functional, f"adaptive_{kind}_pool{rank}d")
    wanted = [own if out is None else out for own, out in zip(spatial, size, strict=True)]
    compare(
        getattr(fcnn, f"adaptive_{kind}_pool")(size),
        lambda z: theirs(z, wanted[0] if rank == 1 else wanted),
        x,
    )


@RANKS
def test_global_pools(rank, rng):
    x = rng.integers(0, 3, size=(2, *(5, 3, 4)[:rank], 3)).astype(float)
    axes = tuple(range(2, 2 + rank))
    compare(fcnn.global_avg_pool(), lambda z: z.mean(axes), x)
    compare(fcnn.global_avg_pool(keepdims=True), lambda z: z.mean(axes, keepdim=True), x)
    # torch.amax shares the gradient among ties; its max over flat axes, like a pool, does not.
    compare(fcnn.global_max_pool(), lambda z: z.flatten(2).max(2).values, x)


@pytest.mark.parametrize("p", [1, 2, 3, 1.5, 4])
def test_lp_pool2d(rng, p):
    signed = p in (1, 2, 4)
    for size, stride in itertools.product([2, (3, 1), (2, 3)], [None, 1, (2, 1)]):
        x = rng.normal(size=(2, 6, 5, 2))
        x = x if signed else np.abs(x)
        compare(
            fcnn.lp_pool2d(p, size, stride=stride),
            lambda z, size=size, stride=stride: functional.lp_pool2d(z, p, size, stride),
            x,
        )


@pytest.mark.parametrize("size", [1, 3, 5])
def test_a_maximum_that_is_not_finite_in_a_volume(size):
    x = np.full((1, size, 2, 2, 1), -np.inf)
    x[0, size // 2, 1, 0] = np.nan
    compare(fcnn.max_pool3d((size, 2, 2)), lambda z: functional.max_pool3d(z, (size, 2, 2)), x)


@pytest.mark.parametrize("values", [[np.inf, 1.0], [np.nan, np.inf, -np.inf, 2.0]])
def test_norms_and_global_means_of_what_is_not_finite(rng, values):
    x = rng.choice(values, size=(2, 4, 4, 3))
    x[rng.random(x.shape) < 0.6] = 1.0
    compare(fcnn.lp_pool2d(2, 2), lambda z: functional.lp_pool2d(z, 2, 2), x)
    compare(fcnn.global_avg_pool(), lambda z: z.mean((2, 3)), x)
    compare(fcnn.adaptive_avg_pool(3), lambda z: functional.adaptive_avg_pool2d(z, 3), x)
