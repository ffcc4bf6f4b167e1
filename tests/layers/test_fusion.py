"""Layers that are taken along give what they give alone."""

import numpy as np
import pytest

import fcnn
from fcnn import tree
from fcnn.errors import DTypeError, ShapeError

LAYERS = [
    fcnn.conv2d(5, 3),
    fcnn.conv2d(5, 3, bias=None, padding="same"),
    fcnn.conv2d(5, 3, bias="untied", stride=2),
    fcnn.conv2d(6, 3, groups=3, flip=True),
    fcnn.conv2d(3, 3, groups=3),
    fcnn.conv2d(1, 6),
    fcnn.conv2d(4, 1),
    fcnn.batch_norm(),
    fcnn.residual(fcnn.conv2d(3, 3, padding="same")),
    fcnn.concat(fcnn.conv2d(2, 3), fcnn.conv2d(3, 3)),
    fcnn.add(fcnn.conv2d(2, 1)),
]
POOLED = [
    (fcnn.conv2d(5, 3), fcnn.relu, fcnn.max_pool2d(2)),
    (fcnn.conv2d(5, 3), fcnn.max_pool2d(2), fcnn.relu),
    (fcnn.conv2d(5, 3, bias=None, padding="same"), fcnn.max_pool2d((3, 2))),
    (fcnn.conv2d(6, 3, groups=3, stride=2, flip=True), fcnn.relu, fcnn.max_pool2d((1, 3))),
    (fcnn.conv2d(5, (3, 2), dilation=2), fcnn.relu, fcnn.max_pool2d(4)),
    (fcnn.conv2d(5, 3, bias="untied"), fcnn.relu, fcnn.max_pool2d(2)),
    (fcnn.conv2d(5, 3), fcnn.relu, fcnn.max_pool2d(3, stride=2)),
]


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
@pytest.mark.parametrize("n", [1, 3, 40])
@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fused_and_unfused_are_equal_to_the_bit(layer, n, train, dtype):
    rng = np.random.default_rng(0)
    together = fcnn.serial(layer, fcnn.relu)
    apart = fcnn.serial(fcnn.serial(layer), fcnn.relu)  # a serial takes no relu along
    params, _ = together.init(fcnn.key(0), (14, 13, 3))
    params = tree.astype(params, dtype)
    x = rng.standard_normal((n, 14, 13, 3)).astype(dtype)
    ctx = fcnn.Context(train=train)
    y, pullback = together.vjp(params, x, ctx)
    wanted, wanted_pullback = apart.vjp(((params[0],), ()), x, ctx)
    dy = rng.standard_normal(y.shape).astype(dtype)
    (grads, _), dx = pullback(dy)
    ((wanted_grads,), _), wanted_dx = wanted_pullback(dy)
    assert tree.equal((y, grads, dx), (wanted, wanted_grads, wanted_dx))
    assert tree.equal(together.apply(params, x, ctx), y)


def test_it_stays_two_layers_for_whoever_looks():
    model = fcnn.serial(fcnn.conv2d(5, 3), fcnn.relu)
    assert repr(model) == "serial(conv2d(5, 3), relu)"
    params, _ = model.init(fcnn.key(0), (8, 8, 1))
    assert len(params) == len(model.spec.args) == 2
    _, pullback = model.vjp(params, np.ones((2, 8, 8, 1), np.float32))
    grads, _ = pullback(np.ones((2, 6, 6, 5), np.float32))
    assert tree.structure(grads) == tree.structure(params)


@pytest.mark.parametrize("layers", POOLED, ids=repr)
@pytest.mark.parametrize("n", [1, 3, 40])
def test_a_pool_taken_along_gives_the_same_but_for_the_rounding_of_sums(layers, n):
    rng = np.random.default_rng(0)
    together = fcnn.serial(*layers)
    apart = fcnn.serial(*(fcnn.serial(layer) for layer in layers))
    params, _ = together.init(fcnn.key(0), (14, 13, 3))
    alone = tuple((each,) for each in params)
    x = rng.standard_normal((n, 14, 13, 3)).astype(np.float32)
    y, pullback = together.vjp(params, x)
    wanted, wanted_pullback = apart.vjp(alone, x)
    assert tree.equal(y, together.apply(params, x))
    np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-5)
    dy = rng.standard_normal(y.shape).astype(np.float32)
    (grads, dx), (wanted_grads, wanted_dx) = pullback(dy), wanted_pullback(dy)
    assert tree.structure(grads) == tree.structure(params)
    found, expected = tree.leaves((grads, dx)), tree.leaves((wanted_grads, wanted_dx))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * np.abs(other).max())


def test_ties_go_to_the_first_place_row_by_row():
    """All four windows of ones tie; the kernel of one tap says where each gradient went."""
    model = fcnn.serial(fcnn.conv2d(1, 1, bias=None), fcnn.relu, fcnn.max_pool2d(2))
    params, _ = model.init(fcnn.key(0), (4, 4, 1))
    params = (type(params[0])(np.ones((1, 1, 1, 1), np.float32), ()), *params[1:])
    x = np.ones((1, 4, 4, 1), np.float32)
    x[0, :2, :2, 0] = [[0, 1], [1, 0]]
    _, pullback = model.vjp(params, x)
    _, dx = pullback(np.array([[1.0, 2.0], [3.0, 4.0]], np.float32).reshape(1, 2, 2, 1))
    wanted = [[0, 1, 2, 0], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(dx[0, :, :, 0], wanted)


@pytest.mark.parametrize("with_relu", [False, True])
def test_an_error_names_the_layer_it_comes_from(with_relu):
    layers = (fcnn.conv2d(2, 3), *([fcnn.relu] if with_relu else []), fcnn.max_pool2d(5))
    model = fcnn.serial(*layers)
    params, _ = model.init(fcnn.key(0), (9, 9, 1))
    for run in (model.apply, model.vjp):
        with pytest.raises(ShapeError, match=rf"serial\[{len(layers) - 1}\] max_pool2d\(5\): "):
            run(params, np.ones((1, 6, 6, 1), np.float32))
        with pytest.raises(ShapeError, match=r"serial\[0\] conv2d\(2, 3\): the weight"):
            run(params, np.ones((1, 6, 6, 4), np.float32))


NORMED = [
    (fcnn.conv2d(5, 3, padding="same"), fcnn.batch_norm(), fcnn.relu),
    (fcnn.conv2d(5, 3, bias=None), fcnn.batch_norm(eps=0.1)),
    (fcnn.conv2d(6, 3, groups=3, stride=2, flip=True), fcnn.batch_norm(), fcnn.relu),
    (fcnn.conv2d(5, (3, 2), bias="untied"), fcnn.batch_norm(), fcnn.relu, fcnn.max_pool2d(2)),
]


def trained(layers, dtype):
    """Params with statistics as after training."""
    rng = np.random.default_rng(1)
    params, _ = fcnn.serial(*layers).init(fcnn.key(0), (14, 13, 3))
    conv, norm, *rest = tree.map(
        lambda leaf: leaf + rng.random(leaf.shape, np.float32), params, statistic=lambda s: s + 0.5
    )
    return tree.astype((conv, norm, *rest), dtype)


@pytest.mark.parametrize("layers", NORMED, ids=repr)
@pytest.mark.parametrize(("dtype", "close"), [(np.float32, 1e-5), (np.float64, 1e-13)])
def test_a_batch_norm_folds_into_the_convolution_in_evaluation_alone(layers, dtype, close):
    rng = np.random.default_rng(0)
    together = fcnn.serial(*layers)
    apart = fcnn.serial(*(fcnn.serial(layer) for layer in layers))
    params = trained(layers, dtype)
    alone = tuple((each,) for each in params)
    x = rng.standard_normal((4, 14, 13, 3)).astype(dtype)
    for ctx in (fcnn.EVAL, fcnn.training()):
        y, pullback = together.vjp(params, x, ctx)
        wanted, wanted_pullback = apart.vjp(alone, x, ctx)
        assert tree.equal(y, together.apply(params, x, ctx))
        np.testing.assert_allclose(y, wanted, rtol=close, atol=close * np.abs(wanted).max())
        assert ctx.train or not tree.equal(y, wanted), "nothing was folded"
        dy = rng.standard_normal(y.shape).astype(dtype)
        (grads, dx), (wanted_grads, wanted_dx) = pullback(dy), wanted_pullback(dy)
        assert tree.structure(grads) == tree.structure(params)
        found, expected = tree.leaves((grads, dx)), tree.leaves((wanted_grads, wanted_dx))
        for one, other in zip(found, expected, strict=True):
            near = 10 * close * np.abs(other).max() + close
            np.testing.assert_allclose(one, other, rtol=10 * close, atol=near)
    f = fcnn.grad(together, fcnn.losses.mean_squared_error)  # without an input gradient
    assert tree.structure(f(params, x, np.zeros_like(y))) == tree.structure(params)


def test_an_error_in_a_folded_stage_names_the_layer_it_comes_from():
    model = fcnn.serial(fcnn.conv2d(2, 3), fcnn.batch_norm(), fcnn.relu)
    params, _ = model.init(fcnn.key(0), (9, 9, 1))
    x = np.ones((1, 9, 9, 1), np.float32)
    other, _ = fcnn.batch_norm().init(fcnn.key(0), (9, 9, 1))
    for run in (model.apply, model.vjp):
        with pytest.raises(ShapeError, match=r"serial\[0\] conv2d\(2, 3\): the weight"):
            run(params, np.ones((1, 6, 6, 4), np.float32))
        with pytest.raises(ShapeError, match=r"serial\[1\] batch_norm\(\): 1 channels wanted"):
            run((params[0], other, params[2]), x)
        one = type(params[1])(*([np.ones(1, np.float32)] * 4))
        with pytest.raises(ShapeError, match=r"serial\[1\] batch_norm\(\): 1 channels wanted"):
            run((params[0], one, params[2]), x)
        with pytest.raises(DTypeError, match=r"serial\[1\] batch_norm\(\): the input is float32"):
            run((params[0], tree.astype(params[1], np.float64), params[2]), x)


def test_statistics_of_another_precision_go_their_own_way():
    layers = (fcnn.conv2d(2, 3), fcnn.batch_norm())
    params, _ = fcnn.serial(*layers).init(fcnn.key(0), (9, 9, 1))
    norm = params[1]
    wide = type(norm)(norm.scale, norm.bias, norm.mean.astype(np.float64), norm.var)
    x = np.ones((1, 9, 9, 1), np.float32)
    y = fcnn.serial(*layers).apply((params[0], wide), x)
    wanted = fcnn.serial(fcnn.serial(layers[0]), layers[1]).apply(((params[0],), wide), x)
    assert tree.equal(y, wanted)
