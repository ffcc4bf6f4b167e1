"""What frozen layers are for, beyond the laws."""

import attrs
import numpy as np
import pytest

import fcnn
from fcnn import (
    FrozenParams,
    batch_norm,
    conv2d,
    dense,
    dropout,
    flatten,
    frozen,
    optim,
    relu,
    serial,
    shared,
    tanh,
    tree,
)
from fcnn.errors import ArgumentError, TreeError
from fcnn.losses import mean_squared_error

BODY = serial(conv2d(3, 3), batch_norm(), relu, dropout(0.5), flatten)
FRONT = serial(frozen(BODY), dense(4), tanh, dense(2))
MIDDLE = serial(conv2d(1, 1), relu, frozen(BODY), dense(2))
OPTIMIZERS = [
    optim.adamw(0.1, weight_decay=0.3),
    optim.sgd(0.1, momentum=0.9, nesterov=True),
    optim.descend(optim.chain(optim.add_decayed_weights(0.5), optim.clip_by_global_norm(1.0))),
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize("model", [FRONT, MIDDLE], ids=["front", "middle"])
@pytest.mark.parametrize("shard_size", [None, 4])
def test_no_optimizer_moves_a_bit(rng, model, optimizer, shard_size):
    x = rng.normal(size=(11, 6, 5, 1)).astype(np.float32)
    target = rng.normal(size=(11, 2)).astype(np.float32)
    start, _ = model.init(fcnn.key(0), x.shape[1:])
    step = fcnn.value_and_grad(model, mean_squared_error, shard_size=shard_size)
    params, state = start, optimizer.init(start)
    for i in range(5):
        _, grads = step(params, x, target, fcnn.training(fcnn.key(i)))
        params, state = optimizer.step(params, grads, state)
    at = 0 if model is FRONT else 2
    assert type(params[at]) is FrozenParams
    assert tree.digest(params[at]) == tree.digest(start[at])  # batch-norm statistics too
    assert not np.allclose(params[-1].weight, start[-1].weight, atol=1e-3)


def test_the_rest_learns_as_on_the_body_s_output(rng):
    """To the bit: what trains before a fixed function is what trains on its output."""
    x = rng.normal(size=(7, 6, 5, 1)).astype(np.float32)
    target = rng.normal(size=(7, 2)).astype(np.float32)
    params, _ = FRONT.init(fcnn.key(0), x.shape[1:])
    ctx = fcnn.training(fcnn.key(3))
    _, grads = fcnn.value_and_grad(FRONT, mean_squared_error)(params, x, target, ctx)
    features = BODY.apply(params[0].params, x)
    head = serial(dense(4), tanh, dense(2))
    _, expected = fcnn.value_and_grad(head, mean_squared_error)(params[1:], features, target)
    assert tree.digest(grads[1:]) == tree.digest(expected)


def test_runs_as_in_evaluation(rng):
    x = rng.normal(size=(7, 6, 5, 1)).astype(np.float32)
    params, _ = BODY.init(fcnn.key(0), x.shape[1:])
    expected = BODY.apply(params, x)
    layer = frozen(BODY)
    for ctx in (fcnn.EVAL, fcnn.training(), fcnn.training(fcnn.key(0))):
        np.testing.assert_array_equal(layer.apply(FrozenParams(params), x, ctx), expected)
        y, pullback = layer.vjp(FrozenParams(params), x, ctx)
        np.testing.assert_array_equal(y, expected)
        np.testing.assert_array_equal(pullback(y)[1], BODY.vjp(params, x)[1](y)[1])


def test_in_front_nothing_is_kept_and_no_pullback_runs(rng):
    """And what follows computes no gradient of its input."""
    seen = []

    @fcnn.layer
    def watched(name):
        def vjp(params, x, ctx=fcnn.EVAL):
            seen.append((name, ctx.input_grad))
            return x, lambda dy: ((), dy)

        return (lambda key, shape: ((), shape)), (lambda params, x, ctx=fcnn.EVAL: x), vjp

    model = serial(watched("a"), frozen(serial(dense(3), watched("b"))), watched("c"), dense(2))
    params, _ = model.init(fcnn.key(0), (3,))
    x = rng.normal(size=(5, 3)).astype(np.float32)
    _, pullback = model.vjp(params, x, attrs.evolve(fcnn.training(), input_grad=False))
    grads, dx = pullback(np.ones((5, 2), np.float32))
    assert dx is None
    assert seen == [("a", False), ("c", False)]
    assert tree.structure(grads) == tree.structure(
        model.vjp(params, x)[1](np.ones((5, 2), np.float32))[0]
    )


def test_weights_are_counted_and_raveled_without_it():
    params, _ = FRONT.init(fcnn.key(0), (6, 5, 1))
    assert tree.ravel(params)[0].size == tree.ravel(params[1:])[0].size
    assert all(tree.statistics(params[0]))


def test_hand_written_arithmetic_on_its_gradient_is_refused(rng):
    model = serial(dense(2), frozen(dense(2)))
    params, _ = model.init(fcnn.key(0), (3,))
    _, pullback = model.vjp(params, np.ones((1, 3), np.float32))
    grads, _ = pullback(np.ones((1, 2), np.float32))
    with pytest.raises(TypeError, match="Observation of a running statistic"):
        tree.map(lambda p, g: p - g, params, grads)


def test_walk_and_summary_show_what_is_inside():
    paths = [(v.path, repr(v.layer), v.params_path) for v in fcnn.walk(FRONT, (6, 5, 1))]
    assert paths[0] == ("serial[0].serial[0]", "conv2d(3, 3)", "[0].params[0]")
    params, _ = FRONT.init(fcnn.key(0), (6, 5, 1))
    assert "[0].params[0].weight" in tree.paths(params)
    found = fcnn.summary(FRONT, (6, 5, 1))
    learnt = sum(leaf.size for leaf in tree.leaves(params[1:]))
    assert found.params == learnt
    assert found.statistics == sum(leaf.size for leaf in tree.leaves(params[0]))


def test_a_shared_layer_is_frozen_in_all_its_places_or_in_none():
    both = shared(dense(3))
    with pytest.raises(ArgumentError, match="frozen in all of its places, or in none"):
        serial(both, frozen(both))
    model = serial(frozen(both), tanh, frozen(both))
    params, _ = model.init(fcnn.key(0), (3,))
    assert params[2] == FrozenParams(())


def test_params_that_are_not_frozen_are_refused():
    params, _ = dense(2).init(fcnn.key(0), (3,))
    with pytest.raises(TreeError, match=r"expected FrozenParams, got DenseParams; wrap"):
        frozen(dense(2)).apply(params, np.ones((1, 3), np.float32))
    with pytest.raises(ArgumentError, match="expected a layer to freeze"):
        frozen(dense)


def test_errors_name_the_layer_inside():
    with pytest.raises(fcnn.errors.ShapeError, match=r"serial\[0\].serial\[0\] conv2d\(3, 3\): "):
        FRONT.init(fcnn.key(0), (2, 5, 1))


def test_its_plan_is_that_of_evaluation():
    rows = str(fcnn.fusion.plan(FRONT, train=True))
    assert "conv2d(3, 3) + batch_norm() + relu" in rows
    assert "conv2d(3, 3) +" not in str(fcnn.fusion.plan(BODY, train=True))


def test_the_summary_says_what_is_wrapped():
    model = serial(frozen(dense(2)), fcnn.checkpointed(dense(3)), fcnn.repeat(dense(3), 2))
    rows = [(row.layer, row.params, row.statistics) for row in fcnn.summary(model, (4,)).rows]
    assert rows == [
        ("frozen dense(2)", 0, 10),
        ("checkpointed dense(3)", 9, 0),
        ("repeat", 0, 0),
        ("dense(3)", 12, 0),
        ("dense(3)", 12, 0),
    ]
