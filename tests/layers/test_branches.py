"""What layers side by side compute, beyond the laws."""

import numpy as np
import pytest

import fcnn
from fcnn import add, concat, dense, fanout, itemwise, key, multiply, relu, serial, tree
from fcnn.errors import DTypeError, ShapeError, TreeError


def init(layer, shape):
    return tree.astype(layer.init(key(0), shape)[0], np.float64)


@pytest.fixture
def pair(rng):
    return rng.normal(size=(4, 3)), rng.normal(size=(4, 3))


def test_fanout_gives_each_layer_the_same_input(rng):
    x = rng.normal(size=(4, 3))
    model = fanout(relu, serial())
    y, pullback = model.vjp(((), ()), x)
    np.testing.assert_array_equal(y[0], np.maximum(x, 0))
    np.testing.assert_array_equal(y[1], x)
    _, dx = pullback((np.ones((4, 3)), 2 * np.ones((4, 3))))
    np.testing.assert_array_equal(dx, (x > 0) + 2)


def test_names_make_dicts_of_outputs_and_params(rng):
    model = fanout(tilt=dense(1), digit=dense(3))
    params, out_shape = model.init(key(0), (5,))
    assert out_shape == {"digit": (3,), "tilt": (1,)}
    assert set(params) == {"digit", "tilt"}
    y = model.apply(params, rng.normal(size=(2, 5)).astype(np.float32))
    assert {name: array.shape for name, array in y.items()} == {"digit": (2, 3), "tilt": (2, 1)}
    with pytest.raises(TreeError, match=r"a dict of \['digit', 'tilt'\]"):
        model.apply((params["digit"], params["tilt"]), np.ones((2, 5), np.float32))


def test_itemwise_gives_each_item_its_own_layer(pair):
    model = itemwise(relu, fcnn.tanh)
    y, pullback = model.vjp(((), ()), pair)
    np.testing.assert_array_equal(y[0], np.maximum(pair[0], 0))
    np.testing.assert_array_equal(y[1], np.tanh(pair[1]))
    _, dx = pullback((np.ones((4, 3)), np.ones((4, 3))))
    np.testing.assert_array_equal(dx[0], pair[0] > 0)
    np.testing.assert_allclose(dx[1], 1 - np.tanh(pair[1]) ** 2, rtol=1e-12)


@pytest.mark.parametrize("as_dict", [False, True])
@pytest.mark.parametrize(
    ("join", "value", "gradients"),
    [
        (add(), lambda a, b: a + b, lambda a, b, d: (d, d)),
        (multiply(), lambda a, b: a * b, lambda a, b, d: (d * b, d * a)),
        (
            concat(),
            lambda a, b: np.concatenate([a, b], axis=1),
            lambda a, b, d: (d[:, :3], d[:, 3:]),
        ),
    ],
    ids=["add", "multiply", "concat"],
)
def test_without_branches_a_join_takes_the_items(pair, join, value, gradients, as_dict, rng):
    x = {"a": pair[0], "b": pair[1]} if as_dict else pair
    shape = {"a": (3,), "b": (3,)} if as_dict else ((3,), (3,))
    y, pullback = join.vjp((), x)
    np.testing.assert_array_equal(y, value(*pair))
    assert join.init(key(0), shape) == ((), y.shape[1:])
    dy = rng.normal(size=y.shape)
    _, dx = pullback(dy)
    dx = (dx["a"], dx["b"]) if as_dict else dx
    for found, expected in zip(dx, gradients(*pair, dy), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_multiply_broadcasts_a_gate_and_sums_its_gradient(rng):
    x, gate = rng.normal(size=(2, 4, 5, 3)), rng.normal(size=(2, 1, 1, 3))
    y, pullback = multiply().vjp((), (x, gate))
    np.testing.assert_allclose(y, x * gate, rtol=1e-14)
    dy = rng.normal(size=y.shape)
    _, (dx, dgate) = pullback(dy)
    np.testing.assert_allclose(dx, dy * gate, rtol=1e-14)
    np.testing.assert_allclose(dgate, (dy * x).sum(axis=(1, 2), keepdims=True), rtol=1e-12)
    assert multiply().init(key(0), ((4, 5, 3), (1, 1, 3)))[1] == (4, 5, 3)
    with pytest.raises(ShapeError, match="of as many axes that broadcast"):
        multiply().init(key(0), ((4, 5, 3), (3,)))


def test_multiply_of_three_branches_is_their_product(rng):
    model = multiply(dense(2), dense(2), fcnn.serial(dense(2), fcnn.tanh))
    fcnn.testing.check_layer(model, (3,))


@pytest.mark.parametrize("join", [add, concat, multiply])
def test_a_join_of_items_refuses_an_array(join):
    with pytest.raises(ShapeError, match=r"expected a tuple or dict of arrays for \w+\(\), got"):
        join().apply((), np.ones((2, 3)))
    with pytest.raises(ShapeError, match=r"expected a tuple or dict of arrays for \w+\(\), got"):
        join().init(key(0), (3, 4))


def test_inputs_of_another_structure_are_refused():
    model = itemwise(relu, relu)
    for x in (np.ones((2, 3)), (np.ones((2, 3)),), {"a": np.ones((2, 3))}):
        with pytest.raises(ShapeError, match=r"expected a tuple of \[0, 1\] for itemwise, got"):
            model.apply(((), ()), x)
    with pytest.raises(DTypeError, match=r"got float at \[1\]"):
        model.apply(((), ()), (np.ones((2, 3)), 1.0))
    with pytest.raises(DTypeError, match=r"itemwise\[0\] relu: expected .* got int64"):
        model.apply(((), ()), (np.ones((2, 3), int), np.ones((2, 3))))
    _, pullback = model.vjp(((), ()), (np.ones((2, 3)), np.ones((2, 4))))
    with pytest.raises(ShapeError, match=r"expected dy of y's shape \(\(2, 3\), \(2, 4\)\)"):
        pullback((np.ones((2, 3)), np.ones((2, 3))))


def test_a_model_of_two_inputs_has_the_gradients_of_its_parts(rng):
    image = serial(fcnn.conv2d(2, 3), relu, fcnn.flatten)
    model = serial(itemwise(image=image, other=dense(4)), concat(), dense(3))
    x = {"image": rng.normal(size=(2, 5, 5, 1)), "other": rng.normal(size=(2, 6))}
    params = init(model, {"image": (5, 5, 1), "other": (6,)})
    y, pullback = model.vjp(params, x)
    dy = rng.normal(size=y.shape)
    grads, dx = pullback(dy)
    h = 1e-6
    for name in x:
        v = rng.normal(size=x[name].shape)
        ahead, behind = ({**x, name: x[name] + s * v} for s in (h, -h))
        change = (model.apply(params, ahead) - model.apply(params, behind)) / (2 * h)
        assert np.sum(dx[name] * v) == pytest.approx(np.sum(change * dy), rel=1e-6)
    _, without = model.vjp(params, x, fcnn.Context(input_grad=False))
    assert without(dy)[1] is None
    assert tree.allclose(without(dy)[0], grads)


def test_a_product_of_one_array_with_itself(rng):
    """Both factors are the same array in memory: the input."""
    square = fcnn.multiply(fcnn.serial(), fcnn.serial())
    x, dy = rng.normal(size=(2, 3, 4))
    y, pullback = square.vjp(((), ()), x)
    np.testing.assert_array_equal(y, x * x)
    np.testing.assert_allclose(pullback(dy)[1], 2 * x * dy, rtol=1e-15)
