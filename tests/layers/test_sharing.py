"""One set of params in several places."""

import numpy as np
import pytest

import fcnn
from fcnn import dense, key, named, relu, serial, shared, tanh, tree
from fcnn.errors import ArgumentError

TIED = shared(dense(4))


def weights(params):
    return [path for path in tree.paths(params) if path.endswith("weight")]


@pytest.mark.parametrize(
    ("model", "where"),
    [
        (serial(TIED, tanh, TIED), ["[0].weight"]),
        (serial(serial(TIED, tanh), TIED), ["[0][0].weight"]),
        (serial(serial(TIED, TIED), tanh, serial(TIED)), ["[0][0].weight"]),
        (serial(tanh, fcnn.add(TIED, serial(tanh, TIED)), TIED), ["[1][0].weight"]),
        (serial(named("first", TIED), TIED), ["[0].weight"]),
        (serial(fcnn.residual(TIED, tanh), TIED), ["[0][1][0].weight"]),
        (fcnn.fanout(a=TIED, b=serial(TIED, tanh)), ["['a'].weight"]),
        (serial(TIED, shared(dense(4), name="other"), TIED), ["[0].weight", "[1].weight"]),
        (serial(shared(serial(dense(4), tanh)), shared(serial(dense(4), tanh))), ["[0][0].weight"]),
    ],
    ids=str,
)
def test_the_first_place_holds_the_params_and_gets_the_sum_of_gradients(model, where, rng):
    params, _ = model.init(key(0), (4,))
    assert weights(params) == where
    fcnn.testing.check_layer(model, (4,))
    # The same model with params of its own in every place, all equal.
    params = tree.astype(params, np.float64)
    x = rng.normal(size=(3, 4))
    y, pullback = model.vjp(params, x)
    dy = tree.map(lambda leaf: rng.normal(size=leaf.shape), y)
    assert weights(pullback(dy)[0]) == where


def test_gradients_are_those_of_copies_added_up(rng):
    model, apart = serial(TIED, tanh, serial(TIED)), serial(dense(4), tanh, serial(dense(4)))
    (own, _, _), _ = model.init(key(0), (4,))
    own = tree.astype(own, np.float64)
    x, dy = rng.normal(size=(2, 3, 4))
    y, pullback = model.vjp((own, (), ((),)), x)
    z, pullback_apart = apart.vjp((own, (), (own,)), x)
    np.testing.assert_array_equal(y, z)
    (total, *_), dx = pullback(dy)
    (one, _, (two,)), expected = pullback_apart(dy)
    np.testing.assert_array_equal(dx, expected)
    assert tree.allclose(total, tree.map(np.add, one, two), rtol=1e-12)


def test_observations_of_all_places_are_averaged(rng):
    norm = shared(fcnn.batch_norm(momentum=0.5))
    model = serial(norm, dense(2), norm)
    params = tree.astype(model.init(key(0), (2,))[0], np.float64)
    x = rng.normal(size=(8, 2))
    y, pullback = model.vjp(params, x, fcnn.training())
    grads, _ = pullback(np.ones_like(y))
    inner = fcnn.serial(fcnn.batch_norm(), dense(2)).apply(params[:2], x, fcnn.training())
    expected = (x.mean(axis=0) + inner.mean(axis=0)) / 2
    np.testing.assert_allclose(grads[0].mean.value, expected, rtol=1e-12)
    assert grads[0].mean.weight == 0.5
    assert grads[2] == ()


def test_a_training_step_keeps_the_places_tied(rng):
    model = serial(TIED, relu, TIED, dense(3))
    params, _ = model.init(key(0), (4,))
    optimizer = fcnn.optim.adam(0.1)
    x, labels = rng.normal(size=(8, 4)).astype(np.float32), rng.integers(0, 3, 8)
    f = fcnn.value_and_grad(model, fcnn.losses.softmax_cross_entropy, shard_size=4)
    state, values = optimizer.init(params), []
    for _ in range(20):
        value, grads = f(params, x, labels)
        params, state = optimizer.step(params, grads, state)
        values.append(value)
    assert values[-1] < 0.5 * values[0]
    assert params[2] == ()


def test_named_changes_no_number(rng):
    plain = serial(dense(3), fcnn.dropout(0.5), serial(dense(2)))
    model = serial(
        named("first", dense(3)), named("drop", fcnn.dropout(0.5)), named("head", serial(dense(2)))
    )
    params, _ = plain.init(key(0), (4,))
    assert tree.equal(params, model.init(key(0), (4,))[0])
    x, ctx = rng.normal(size=(5, 4)).astype(np.float32), fcnn.training(key(3))
    assert tree.equal(plain.apply(params, x, ctx), model.apply(params, x, ctx))
    with pytest.raises(fcnn.errors.ShapeError, match=r"^head.serial\[0\] dense\(2\): expected"):
        model.apply((params[0], (), (params[0],)), x, ctx)
    with pytest.raises(fcnn.errors.ShapeError, match=r"^first dense\(3\): expected an example"):
        model.init(key(0), ())


@pytest.mark.parametrize("name", ["", "a b", 3, "1a"])
def test_a_name_is_an_identifier(name):
    with pytest.raises(ArgumentError, match="expected a name"):
        named(name, dense(2))


@pytest.mark.parametrize("wrap", [shared, lambda layer: named("a", layer)])
def test_only_layers_are_wrapped(wrap):
    with pytest.raises(ArgumentError, match="expected a layer"):
        wrap(dense)


def test_one_set_of_params_needs_inputs_of_one_shape():
    with pytest.raises(fcnn.errors.ShapeError, match="expected inputs of one shape for a shared"):
        serial(TIED, dense(3), TIED).init(key(0), (4,))


@pytest.mark.parametrize("combine", [serial, fcnn.add, fcnn.itemwise])
def test_names_differ_within_a_combinator(combine):
    with pytest.raises(ArgumentError, match="expected names that differ, got 'a' twice"):
        combine(named("a", dense(3)), named("a", dense(3)))
