"""What the combinators are for, beyond the laws."""

import numpy as np
import pytest

import fcnn
from fcnn import add, conv2d, dense, key, residual, serial
from fcnn.errors import ArgumentError, FcnnError, ShapeError, TreeError


def test_serial_of_nothing_is_the_identity(rng):
    x = rng.normal(size=(2, 3))
    params, out_shape = serial().init(key(0), (3,))
    y, pullback = serial().vjp(params, x)
    assert (params, out_shape) == ((), (3,))
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(pullback(x)[1], x)


def test_serial_is_composition(rng):
    model = serial(dense(3), fcnn.tanh, dense(2))
    params, _ = model.init(key(0), (4,))
    x = rng.normal(size=(5, 4)).astype(np.float32)
    by_hand = np.tanh(x @ params[0].weight + params[0].bias) @ params[2].weight
    np.testing.assert_allclose(model.apply(params, x), by_hand + params[2].bias, rtol=1e-5)


def test_nesting_does_not_change_the_function(rng):
    flat, nested = (
        serial(dense(3), fcnn.tanh, dense(2)),
        serial(serial(dense(3), fcnn.tanh), dense(2)),
    )
    (a, b, c), _ = flat.init(key(0), (4,))
    x = rng.normal(size=(5, 4)).astype(np.float32)
    np.testing.assert_array_equal(flat.apply((a, b, c), x), nested.apply(((a, b), c), x))


def test_residual_is_add_of_shortcut_and_serial(rng):
    body = (dense(4), fcnn.relu)
    short, long = residual(*body), add(serial(), serial(*body))
    params, _ = short.init(key(0), (4,))
    assert fcnn.tree.equal(params, long.init(key(0), (4,))[0])
    x = rng.normal(size=(5, 4)).astype(np.float32)
    np.testing.assert_array_equal(short.apply(params, x), long.apply(params, x))


def test_concat_puts_its_branches_side_by_side(rng):
    x = rng.normal(size=(2, 4, 4, 3))
    y = fcnn.concat(fcnn.max_pool2d(2), fcnn.avg_pool2d(2)).apply(((), ()), x)
    np.testing.assert_array_equal(y[..., :3], fcnn.max_pool2d(2).apply((), x))
    np.testing.assert_array_equal(y[..., 3:], fcnn.avg_pool2d(2).apply((), x))


def test_every_layer_draws_from_a_key_of_its_own():
    params, _ = serial(dense(4), dense(4)).init(key(0), (4,))
    assert not np.array_equal(params[0].weight, params[1].weight)
    params, _ = add(dense(4), dense(4)).init(key(0), (4,))
    assert not np.array_equal(params[0].weight, params[1].weight)


def test_without_input_grad_no_dx_comes_back(rng):
    x = rng.normal(size=(2, 4)).astype(np.float32)
    for model in (serial(dense(3)), serial(fcnn.relu, dense(3)), add(dense(4), fcnn.relu)):
        params, _ = model.init(key(0), (4,))
        y, pullback = model.vjp(params, x, fcnn.Context(input_grad=False))
        assert pullback(y)[1] is None


def test_params_may_be_bare_arrays(rng):
    @fcnn.layer
    def shift():
        def init(key, shape):
            return np.zeros(shape), shape

        def apply(params, x, ctx=fcnn.EVAL):
            return x + params

        def vjp(params, x, ctx=fcnn.EVAL):
            return x + params, lambda dy: (dy.sum(axis=0), dy)

        return init, apply, vjp

    for model in (serial(shift()), serial(fcnn.relu, shift()), add(shift(), shift())):
        params, _ = model.init(key(0), (3,))
        _, pullback = model.vjp(params, np.ones((2, 3)), fcnn.Context(input_grad=False))
        grads, _ = pullback(np.ones((2, 3)))
        assert fcnn.tree.structure(grads) == fcnn.tree.structure(params)
        np.testing.assert_array_equal(fcnn.tree.leaves(grads)[0], [2, 2, 2])


@pytest.mark.parametrize("combine", [serial, add, fcnn.concat, residual])
@pytest.mark.parametrize(
    "intruder",
    [dense, 3, None, np.tanh],
    ids=["a constructor", "a number", "None", "a function"],
)
def test_refuses_what_is_no_layer(combine, intruder):
    with pytest.raises(ArgumentError, match=r"expected a layer as \w+\[1\]"):
        combine(fcnn.relu, intruder)


@pytest.mark.parametrize("combine", [fcnn.fanout, fcnn.itemwise])
def test_refuses_to_join_nothing(combine):
    with pytest.raises(ArgumentError, match="at least 1 layer"):
        combine()
    with pytest.raises(ArgumentError, match="all with names or none"):
        combine(fcnn.relu, other=fcnn.relu)
    with pytest.raises(ArgumentError, match=r"expected a layer as \w+\[0\]"):
        combine(a=3)


def test_refuses_branches_that_do_not_fit():
    with pytest.raises(ShapeError, match=r"add.*: expected outputs of one shape to add"):
        add(dense(3), dense(4)).init(key(0), (2,))
    with pytest.raises(ShapeError, match=r"concat.*agree in all axes but the last"):
        fcnn.concat(fcnn.max_pool2d(2), serial()).init(key(0), (4, 4, 1))
    with pytest.raises(ShapeError, match="one shape"):
        residual(conv2d(2, 3)).init(key(0), (5, 5, 2))


@pytest.mark.parametrize("params", [(), ((), (), ()), [(), ()], None])
def test_refuses_params_of_another_model(params):
    for combine in (serial, add, fcnn.concat):
        with pytest.raises(TreeError, match="a tuple of 2"):
            combine(fcnn.relu, fcnn.tanh).apply(params, np.ones((1, 2)))


@pytest.mark.parametrize("stride", [1, 2])
def test_an_empty_batch_is_no_error_to_a_layer(stride):
    first = conv2d(2, 3, stride=stride, padding="same")
    model = serial(first, fcnn.relu, fcnn.max_pool2d(2), fcnn.flatten, dense(3), fcnn.softmax)
    params, _ = model.init(key(0), (6, 6, 1))
    x = np.zeros((0, 6, 6, 1), np.float32)
    assert model.apply(params, x).shape == (0, 3)
    y, pullback = model.vjp(params, x)
    grads, dx = pullback(y)
    assert dx.shape == x.shape
    assert fcnn.tree.equal(grads, fcnn.tree.zeros_like(params))


def test_every_error_is_an_fcnn_error():
    with pytest.raises(FcnnError):
        serial(dense(3)).init(key(0), ())
