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


def test_repeat_is_a_serial_of_copies(rng):
    block = fcnn.serial(fcnn.conv2d(3, 3, padding="same"), fcnn.batch_norm(), fcnn.relu)
    model, plain = fcnn.repeat(block, 3), fcnn.serial(block, block, block)
    assert repr(model) == f"repeat({block!r}, 3)"
    params, out_shape = model.init(fcnn.key(0), (5, 4, 3))
    assert out_shape == (5, 4, 3)
    assert fcnn.tree.equal(params, plain.init(fcnn.key(0), (5, 4, 3))[0])
    assert not np.array_equal(params[0][0].weight, params[1][0].weight)
    x = rng.normal(size=(2, 5, 4, 3)).astype(np.float32)
    for ctx in (fcnn.EVAL, fcnn.training(fcnn.key(1))):
        (y, pull), (its_y, its_pull) = (each.vjp(params, x, ctx) for each in (model, plain))
        np.testing.assert_array_equal(y, its_y)
        assert fcnn.tree.digest(pull(y)) == fcnn.tree.digest(its_pull(y))


def test_repeats_fuse_into_their_surroundings_and_show_their_layers():
    model = fcnn.serial(fcnn.conv2d(3, 1), fcnn.repeat(fcnn.relu, 2))
    assert [len(stage.layers) for stage in fcnn.fusion.plan(model, train=True)] == [2, 1]
    paths = [visit.path for visit in fcnn.walk(model, (4, 4, 1))]
    assert paths == ["serial[0]", "serial[1].repeat[0]", "serial[1].repeat[1]"]
    named = fcnn.repeat(fcnn.named("block", fcnn.dense(2)), 2)
    assert [v.path for v in fcnn.walk(named, (2,))] == ["repeat[0]", "repeat[1]"]
    assert [v.params_path for v in fcnn.walk(named, (2,))] == ["[0]", "[1]"]


def test_repeats_draw_apart():
    twice = fcnn.repeat(fcnn.dropout(0.5), 2)
    y = twice.apply(((), ()), np.ones((1, 1000)), fcnn.training(fcnn.key(0)))
    assert (y > 0).mean() == pytest.approx(0.25, abs=0.05)


def test_errors_name_the_repeat():
    model = fcnn.serial(fcnn.repeat(fcnn.conv2d(2, 3), 3))
    with pytest.raises(ShapeError, match=r"serial\[0\].repeat\[2\] conv2d\(2, 3\)"):
        model.init(fcnn.key(0), (6, 6, 1))


def test_repeat_refuses_what_it_cannot_repeat():
    with pytest.raises(ArgumentError, match="expected a layer to repeat"):
        fcnn.repeat(fcnn.dense, 2)
    with pytest.raises(ArgumentError, match="whole number of at least 0 for n"):
        fcnn.repeat(fcnn.relu, -1)
