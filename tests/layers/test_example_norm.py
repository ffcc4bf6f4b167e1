"""Layer, root mean square, group, instance and response norm against PyTorch's."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fcnn
from fcnn import (
    group_norm,
    instance_norm,
    key,
    layer_norm,
    local_response_norm,
    rms_norm,
    tree,
)
from fcnn.errors import ArgumentError, ShapeError
from fcnn.testing import check_layer

NAN, INF = np.nan, np.inf
PEERS = ["layer", "example", "rms", "group", "instance"]


@pytest.fixture(autouse=True, scope="module")
def rows_of_eight_elements_are_long():
    """Small arrays go both ways: as rows of images, and copied because rows are short."""
    with mock.patch("fcnn._ops.pixels.LONG", 8):
        yield


def innermost(x):
    """The same numbers with the images innermost in memory, as convolutions leave them."""
    axes = (1, 3, 2, 0) if x.ndim == 4 else (x.ndim - 1, *range(1, x.ndim - 1), 0)
    back = np.argsort(axes)
    return np.ascontiguousarray(x.transpose(axes)).transpose(back)


def own(name, groups, eps):
    return {
        "layer": layer_norm(eps=eps),
        "example": layer_norm(axes=None, eps=eps),
        "rms": rms_norm(eps=eps),
        "group": group_norm(groups, eps=eps),
        "instance": instance_norm(eps=eps),
    }[name]


def peer(name, groups, eps, params, x, dy):
    """Return ``(y, dx, *dparams)`` of PyTorch."""
    torch = pytest.importorskip("torch", reason="PyTorch is an oracle", exc_type=ImportError)
    functional = torch.nn.functional
    leaves = [torch.tensor(np.array(each), requires_grad=True) for each in tree.leaves(params)]
    is_first = name in ("group", "instance")  # the channels are PyTorch's second axis
    there, back = ((-1, 1), (1, -1)) if is_first else ((0, 0), (0, 0))
    tx, tdy = (torch.tensor(np.ascontiguousarray(np.moveaxis(a, *there))) for a in (x, dy))
    tx.requires_grad_()
    if name in ("layer", "example"):
        ty = functional.layer_norm(tx, leaves[0].shape, *leaves, eps)
    elif name == "rms":
        ty = functional.rms_norm(tx, leaves[0].shape, leaves[0], eps)
    elif name == "group":
        ty = functional.group_norm(tx, groups, *leaves, eps)
    else:
        ty = functional.instance_norm(tx, weight=leaves[0], bias=leaves[1], eps=eps)
    ty.backward(tdy)
    arrays = [np.moveaxis(each.detach().numpy(), *back) for each in (ty, tx.grad)]
    return [*arrays, *(leaf.grad.numpy() for leaf in leaves)]


def drawn(layer, shape, rng, dtype=np.float64):
    made, _ = layer.init(key(0), shape)
    return tree.astype(tree.map(lambda p: rng.uniform(0.5, 2, p.shape), made), dtype)


def run(layer, params, x, dy):
    y, pullback = layer.vjp(params, x)
    dparams, dx = pullback(dy)
    return [y, dx, *tree.leaves(dparams)]


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("order", [np.ascontiguousarray, innermost, np.asfortranarray])
@settings(max_examples=8)
@given(st.data())
def test_against_pytorch(name, order, data):
    groups, eps = data.draw(st.integers(1, 3)), data.draw(st.sampled_from([1e-5, 0.3]))
    pixels = data.draw(st.lists(st.integers(1, 4), min_size=name == "instance", max_size=3))
    if name == "instance":
        pixels[0] += 1  # PyTorch refuses a single one
    shape = (*pixels, groups * data.draw(st.integers(1 + (name == "group"), 3)))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    size = 2, data.draw(st.integers(1, 4)), *shape
    x, dy = rng.normal(data.draw(st.sampled_from([0, 9])), 2, size)
    layer = own(name, groups, eps)
    params = drawn(layer, shape, rng)
    expected = peer(name, groups, eps, params, x, dy)
    for ours, theirs in zip(run(layer, params, order(x), order(dy)), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-11)


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("shape", [(24, 20, 16, 12), (3, 70, 19, 12), (70, 3, 5, 12), (2000, 12)])
@pytest.mark.parametrize("order", [np.ascontiguousarray, innermost])
def test_many_pieces_in_float32(rng, name, shape, order, monkeypatch):
    """Pieces and blocks of several sizes, the last ones smaller, give what one piece gives."""
    if name == "instance" and len(shape) == 2:
        return
    monkeypatch.setattr("fcnn._ops.blocks.BUDGET", 1 << 14)
    x, dy = rng.standard_normal((2, *shape)).astype(np.float32)
    layer = own(name, 4, 1e-5)
    params = drawn(layer, shape[1:], rng, np.float32)
    found = run(layer, params, order(x), order(dy))
    wide = tree.astype((params, x, dy), np.float64)
    for ours, exact in zip(found, run(layer, *wide), strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, exact, atol=2e-6 * max(1, np.abs(exact).max()))


@pytest.mark.parametrize("offset", [0.0, 3.5, 4.5, 100.0, 3000.0])
@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("order", [np.ascontiguousarray, innermost])
def test_rounding_does_not_grow_with_the_mean(rng, offset, name, order):
    x = (offset + rng.standard_normal((5, 6, 6, 48))).astype(np.float32)
    dy = rng.standard_normal(x.shape).astype(np.float32)
    layer = own(name, 4, 1e-5)
    params = drawn(layer, x.shape[1:], rng, np.float32)
    found = run(layer, params, order(x), order(dy))
    exact = run(layer, *tree.astype((params, x, dy), np.float64))
    for ours, theirs in zip(found, exact, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=3e-6 * max(1, np.abs(theirs).max()))


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("bad", [NAN, INF, -INF])
@pytest.mark.parametrize("order", [np.ascontiguousarray, innermost])
def test_nan_and_infinity_go_where_pytorch_puts_them(rng, name, bad, order):
    x, dy = rng.normal(size=(2, 3, 4, 5, 6))
    layer = own(name, 2, 1e-5)
    params = drawn(layer, x.shape[1:], rng)
    for where in ("x", "dy"):
        bad_x, bad_dy = x.copy(), dy.copy()
        (bad_x if where == "x" else bad_dy)[1, 2, 3, 4] = bad
        expected = peer(name, 2, 1e-5, params, bad_x, bad_dy)
        for ours, theirs in zip(
            run(layer, params, order(bad_x), order(bad_dy)), expected, strict=True
        ):
            np.testing.assert_array_equal(np.isfinite(ours), np.isfinite(theirs))


@settings(max_examples=25)
@given(st.integers(1, 9), st.integers(1, 8), st.floats(0, 2), st.floats(0, 2), st.floats(0.5, 3))
def test_local_response_norm(size, channels, alpha, beta, k):
    torch = pytest.importorskip("torch", reason="PyTorch is an oracle", exc_type=ImportError)
    x, dy = np.random.default_rng(size).normal(0, 2, (2, 3, 4, channels))
    layer = local_response_norm(size, alpha=alpha, beta=beta, k=k)
    tx = torch.tensor(x, requires_grad=True)
    first = torch.movedim(tx, -1, 1)
    ty = torch.movedim(torch.nn.functional.local_response_norm(first, size, alpha, beta, k), 1, -1)
    ty.backward(torch.tensor(dy))
    y, dx = run(layer, (), x, dy)
    np.testing.assert_allclose(y, ty.detach().numpy(), atol=1e-11)
    np.testing.assert_allclose(dx, tx.grad.numpy(), atol=1e-11)


def test_special_cases_of_group_norm(rng):
    x = rng.normal(size=(2, 3, 4, 6))
    params = drawn(group_norm(6), (3, 4, 6), rng)
    np.testing.assert_array_equal(group_norm(6).apply(params, x), instance_norm().apply(params, x))
    one, example = group_norm(1, scale=False, bias=False), layer_norm(axes=None)
    np.testing.assert_allclose(
        one.apply(fcnn.NormParams((), ()), x),
        example.apply(tree.astype(example.init(key(0), (3, 4, 6))[0], np.float64), x),
        atol=1e-12,
    )


def test_params_are_left_out():
    assert layer_norm(scale=False).init(key(0), (4, 3))[0].scale == ()
    assert rms_norm().init(key(0), (4, 3))[0].bias == ()
    assert group_norm(1, bias=False, scale=False).init(key(0), (3,))[0] == fcnn.NormParams((), ())
    assert layer_norm(axes=(-2, -1)).init(key(0), (5, 4, 3))[0].scale.shape == (4, 3)


@pytest.mark.parametrize(
    "make",
    [
        lambda: group_norm(0),
        lambda: layer_norm(eps=-1),
        lambda: layer_norm(axes=0),
        lambda: layer_norm(axes=(-3, -1)),
        lambda: layer_norm(axes=()),
        lambda: local_response_norm(5, k=0),
        lambda: local_response_norm(0),
    ],
)
def test_refuses_hyper_parameters_out_of_range(make):
    with pytest.raises(ArgumentError):
        make()


def test_refuses_what_does_not_fit():
    with pytest.raises(ShapeError, match="multiple of 3 groups, got 4"):
        group_norm(3).init(key(0), (4,))
    with pytest.raises(ShapeError, match="with pixels"):
        instance_norm().init(key(0), (4,))
    with pytest.raises(ShapeError, match="at least 2 axes"):
        layer_norm(axes=(-2, -1)).init(key(0), (4,))
    params, _ = group_norm(1).init(key(0), (4,))
    with pytest.raises(ShapeError, match=r"expected a scale \(6,\)"):
        group_norm(1).apply(params, np.zeros((2, 6), np.float32))


@pytest.mark.parametrize("name", PEERS)
def test_an_empty_batch(name):
    layer = own(name, 2, 1e-5)
    params, _ = layer.init(key(0), (3, 5, 4))
    y, dx, *_ = run(layer, params, *np.zeros((2, 0, 3, 5, 4), np.float32))
    assert y.shape == dx.shape == (0, 3, 5, 4)


@settings(max_examples=6)
@given(st.data())
def test_every_law_where_drawn(data):
    groups = data.draw(st.integers(1, 3))
    pixels = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    layer = own(data.draw(st.sampled_from(PEERS)), groups, data.draw(st.floats(1e-3, 1)))
    shape = (*pixels, groups * data.draw(st.integers(1, 2)))
    check_layer(layer, shape, batch=data.draw(st.integers(1, 3)))


def test_what_they_cost_and_see():
    model = fcnn.serial(layer_norm(), group_norm(2), local_response_norm(5), instance_norm())
    assert {visit.receptive_field for visit in fcnn.walk(model, (3, 4, 6))} == {(1, 1)}
    assert fcnn.summary(model, (3, 4, 6)).multiply_adds == 3 * 4 * 6 * (1 + 1 + 5 + 1)
