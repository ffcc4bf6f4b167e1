"""Weight standardization against PyTorch; the separable convolution against its parts."""

import numpy as np
import pytest

import fcnn
from fcnn import (
    conv2d,
    dense,
    depthwise_conv2d,
    key,
    relu,
    separable_conv2d,
    serial,
    tree,
    walk,
    weight_standardized,
)
from fcnn.errors import ArgumentError


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("eps", [1e-5, 0.2])
def test_against_pytorch(rng, groups, eps):
    torch = pytest.importorskip("torch", reason="PyTorch is an oracle", exc_type=ImportError)
    layer = weight_standardized(conv2d(4, 3, groups=groups, padding=1), eps=eps)
    made, _ = layer.init(key(0), (6, 5, 4))
    params = tree.map(lambda p: rng.normal(0.3, 1, p.shape), made)
    x, dy = rng.normal(size=(2, 3, 6, 5, 4))
    y, pullback = layer.vjp(params, x)
    dparams, dx = pullback(dy)

    tx = torch.tensor(x.transpose(0, 3, 1, 2).copy(), requires_grad=True)
    weight = torch.tensor(params.weight.transpose(3, 2, 0, 1).copy(), requires_grad=True)
    bias = torch.tensor(params.bias.copy(), requires_grad=True)
    var, mean = torch.var_mean(weight, dim=(1, 2, 3), keepdim=True, correction=0)
    standard = (weight - mean) / torch.sqrt(var + eps)
    ty = torch.nn.functional.conv2d(tx, standard, bias, padding=1, groups=groups)
    ty.backward(torch.tensor(dy.transpose(0, 3, 1, 2).copy()))
    np.testing.assert_allclose(y, ty.detach().numpy().transpose(0, 2, 3, 1), atol=1e-11)
    np.testing.assert_allclose(dx, tx.grad.numpy().transpose(0, 2, 3, 1), atol=1e-11)
    expected = weight.grad.numpy().transpose(2, 3, 1, 0)
    np.testing.assert_allclose(dparams.weight, expected, atol=1e-11)
    np.testing.assert_allclose(dparams.bias, bias.grad.numpy(), atol=1e-11)


def test_scaling_and_shifting_a_filter_changes_nothing(rng):
    layer = weight_standardized(conv2d(3, 2), eps=0)
    params, _ = layer.init(key(0), (4, 4, 2))
    params = tree.astype(params, np.float64)
    x = rng.normal(size=(2, 4, 4, 2))
    other = type(params)(7 * params.weight + 3, params.bias)
    np.testing.assert_allclose(layer.apply(other, x), layer.apply(params, x), atol=1e-12)


def test_rounding_does_not_grow_with_the_mean(rng):
    layer = weight_standardized(conv2d(3, 3))
    made, _ = layer.init(key(0), (5, 5, 8))
    far = type(made)((made.weight + 1000).astype(np.float32), made.bias)
    x = rng.standard_normal((2, 5, 5, 8)).astype(np.float32)
    exact = layer.apply(*tree.astype((far, x), np.float64))
    np.testing.assert_allclose(layer.apply(far, x), exact, atol=1e-5 * np.abs(exact).max())


def test_in_a_serial_the_weight_is_still_standardised(rng):
    x = rng.standard_normal((2, 5, 5, 2)).astype(np.float32)
    alone = weight_standardized(conv2d(3, 3))
    model = serial(alone, relu)
    params, _ = model.init(key(0), (5, 5, 2))
    np.testing.assert_array_equal(model.apply(params, x), np.maximum(alone.apply(params[0], x), 0))


def test_the_walk_sees_the_convolution():
    model = serial(weight_standardized(conv2d(3, 3)), weight_standardized(conv2d(3, 3, stride=2)))
    found = [(v.path, v.layer, v.params_path, v.receptive_field) for v in walk(model, (9, 8, 2))]
    assert found == [
        ("serial[0].weight_standardized", conv2d(3, 3), "[0]", (3, 3)),
        ("serial[1].weight_standardized", conv2d(3, 3, stride=2), "[1]", (5, 5)),
    ]


def test_refuses_what_has_no_weight():
    with pytest.raises(ArgumentError, match="call the constructor"):
        weight_standardized(conv2d)
    with pytest.raises(ArgumentError, match="params have a weight, got relu"):
        weight_standardized(relu).init(key(0), (3,))
    with pytest.raises(ArgumentError, match="eps"):
        weight_standardized(dense(3), eps=-1)


def test_a_separable_convolution_is_its_two_parts(rng):
    layer = separable_conv2d(5, 3, depth_multiplier=2, stride=2, padding=1, dilation=2)
    parts = serial(
        depthwise_conv2d(3, depth_multiplier=2, stride=2, padding=1, dilation=2, bias=False),
        conv2d(5, 1),
    )
    params, out = layer.init(key(3), (9, 8, 3))
    x, dy = rng.standard_normal((2, 9, 8, 3)), rng.standard_normal((2, *out))
    params = tree.astype(params, np.float64)
    for ours, theirs in zip(
        tree.leaves([layer.vjp(params, x)[0], *layer.vjp(params, x)[1](dy)]),
        tree.leaves([parts.vjp(params, x)[0], *parts.vjp(params, x)[1](dy)]),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_a_separable_convolution_prints_as_its_call_and_is_walked():
    model = serial(separable_conv2d(5, 3), relu, separable_conv2d(2, 3, bias=False))
    assert repr(model[0]) == "separable_conv2d(5, 3)"
    params, _ = model.init(key(0), (8, 8, 3))
    found = [(v.path, v.layer, v.params_path, v.receptive_field) for v in walk(model, (8, 8, 3))]
    assert found == [
        ("serial[0].depthwise", depthwise_conv2d(3, bias=False), "[0][0]", (3, 3)),
        ("serial[0].pointwise", conv2d(5, 1), "[0][1]", (3, 3)),
        ("serial[1]", relu, "[1]", (3, 3)),
        ("serial[2].depthwise", depthwise_conv2d(3, bias=False), "[2][0]", (5, 5)),
        ("serial[2].pointwise", conv2d(2, 1, bias=None), "[2][1]", (5, 5)),
    ]
    assert fcnn.summary(model, (8, 8, 3)).params == 27 + 15 + 5 + 45 + 10
    x = np.random.default_rng(0).standard_normal((2, 8, 8, 3)).astype(np.float32)
    inner = np.maximum(model[0].apply(params[0], x), 0)
    np.testing.assert_allclose(model.apply(params, x), model[2].apply(params[2], inner), atol=1e-6)
