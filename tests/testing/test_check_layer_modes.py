"""Mutants of layers with random numbers, statistics, hidden state, shared memory, images, trees."""

import attrs
import numpy as np
import pytest

import fcnn
from fcnn import EVAL
from fcnn.errors import ArgumentError, DTypeError
from fcnn.prng import bernoulli
from fcnn.testing import check_layer
from fcnn.tree import Observation


def caught(layer, shape, law, **options):
    with np.errstate(all="ignore"), pytest.raises(AssertionError) as error:
        check_layer(layer, shape, **options)
    assert f"breaks the law {law!r}" in str(error.value)
    return str(error.value)


def no_params(key, shape):
    return (), shape


# Dropout


@fcnn.layer
def masked(mask, *, in_evaluation=False):
    """Dropout of ``mask(x, ctx)``."""

    def runs(ctx):
        return ctx.train or in_evaluation

    def apply(params, x, ctx=EVAL):
        return x * mask(x, ctx).astype(x.dtype) if runs(ctx) else np.array(x)

    def vjp(params, x, ctx=EVAL):
        if not runs(ctx):
            return np.array(x), lambda dy: ((), dy)
        drawn = mask(x, ctx).astype(x.dtype)
        return x * drawn, lambda dy: ((), dy * drawn)

    return no_params, apply, vjp


def right_mask(x, ctx):
    return bernoulli(ctx.key, 0.5, x.shape)


def same_key_for_all(x, ctx):
    return bernoulli(fcnn.key(0), 0.5, x.shape)


def same_generator_for_all(x, ctx):
    return np.random.default_rng(0).random(x.shape) < 0.5


def same_for_every_example(x, ctx):
    return bernoulli(fcnn.key(0), 0.5, x.shape[1:])


def a_key_of_its_own_without_one(x, ctx):
    return bernoulli(fcnn.key(0) if ctx.key is None else ctx.key, 0.5, x.shape)


def needs_a_key_and_ignores_it(x, ctx):
    right_mask(x, ctx)
    return same_key_for_all(x, ctx)


def the_path_alone(x, ctx):
    right_mask(x, ctx)
    return bernoulli(fcnn.Key(0, ctx.key.path), 0.5, x.shape)


def the_seed_alone(x, ctx):
    return bernoulli(fcnn.Key(ctx.key.seed), 0.5, x.shape)


def alternates_with_the_place(x, ctx):
    place = np.arange(len(x)).reshape(-1, *[1] * (x.ndim - 1))
    return np.broadcast_to(place % 2 == 0, x.shape)


def test_the_dropout_that_the_mutants_are_made_of_is_right():
    check_layer(masked(right_mask), (6,))
    check_layer(masked(right_mask), (4, 4, 2))


def test_dropout_whose_effect_is_not_seen_is_right():
    check_layer(fcnn.serial(fcnn.dropout(0.5), fcnn.softmax), (1,))
    check_layer(fcnn.dropout(1e-9), (3,))


DROPOUTS = {
    same_key_for_all: "key",
    same_generator_for_all: "key",
    same_for_every_example: "key",
    a_key_of_its_own_without_one: "key",
    needs_a_key_and_ignores_it: "key",
    the_path_alone: "key",
    the_seed_alone: "key",
    alternates_with_the_place: "key",
}


@pytest.mark.parametrize("shape", [(6,), (4, 4, 2)])
@pytest.mark.parametrize("mask", DROPOUTS, ids=lambda mask: mask.__name__)
def test_every_dropout_is_caught(mask, shape):
    said = caught(masked(mask), shape, DROPOUTS[mask])
    assert "in training" in said


def test_dropout_in_evaluation_is_caught():
    def mask(x, ctx):
        return bernoulli(ctx.key, 0.5, x.shape) if ctx.key else np.ones(x.shape)

    caught(masked(mask, in_evaluation=True), (6,), "key", ctx=EVAL)


# Statistics


@fcnn.layer
def norm(change, *, momentum=0.9):
    """Batch norm whose observations are ``change``d: ``(params, grads, x, dy, ctx) -> pair``."""
    init, apply, inner = fcnn.batch_norm(momentum=momentum)

    def vjp(params, x, ctx=EVAL):
        y, pullback = inner(params, x, ctx)

        def changed(dy):
            grads, dx = pullback(dy)
            mean, var = change(params, grads, x, dy, ctx)
            return fcnn.BatchNormParams(grads.scale, grads.bias, mean, var), dx

        return y, changed

    return init, apply, vjp


def right(params, grads, x, dy, ctx):
    return grads.mean, grads.var


def of_value(function):
    """Change what is observed in training."""

    def change(params, grads, x, dy, ctx):
        if not ctx.train:
            return grads.mean, grads.var
        pairs = ((grads.mean, params.mean), (grads.var, params.var))
        return [function(seen, stored, x, dy) for seen, stored in pairs]

    return change


def valued(seen, value):
    return Observation(value, seen.weight)


def first_only(function):
    def change(seen, stored, x, dy):
        return function(seen, stored, x, dy)

    def both(params, grads, x, dy, ctx):
        if not ctx.train:
            return grads.mean, grads.var
        return change(grads.mean, params.mean, x, dy), grads.var

    return both


def weighed(weight):
    return of_value(lambda seen, stored, x, dy: Observation(seen.value, weight(seen, x)))


OBSERVATIONS = {
    "the mean's sign": first_only(lambda s, old, x, dy: valued(s, -s.value)),
    "the mean in another order": first_only(lambda s, old, x, dy: valued(s, s.value[::-1])),
    "mixed already": of_value(lambda s, old, x, dy: valued(s, 0.9 * old + 0.1 * s.value)),
    "the difference": of_value(lambda s, old, x, dy: valued(s, old - s.value)),
    "the stored one": of_value(lambda s, old, x, dy: valued(s, old)),
    "zero": of_value(lambda s, old, x, dy: valued(s, 0 * s.value)),
    "the sum": of_value(lambda s, old, x, dy: valued(s, len(x) * s.value)),
    "twice": of_value(lambda s, old, x, dy: valued(s, 2 * s.value)),
    "the root": of_value(lambda s, old, x, dy: valued(s, np.sqrt(np.abs(s.value)))),
    "the weight of the new value": weighed(lambda s, x: 1 - s.weight),
    "a weight above 1": weighed(lambda s, x: 1.5),
    "a negative weight": weighed(lambda s, x: -0.1),
    "a weight by length": weighed(lambda s, x: 1 / len(x)),
}


@pytest.mark.parametrize("shape", [(4,), (3, 5, 4)])
@pytest.mark.parametrize("name", OBSERVATIONS)
def test_every_observation_is_caught(name, shape):
    caught(norm(OBSERVATIONS[name]), shape, "observation")


def test_the_norm_that_the_mutants_are_made_of_is_right():
    check_layer(norm(right), (4,))
    check_layer(norm(right), (3, 5, 4))
    check_layer(norm(right, momentum=0.0), (4,))
    check_layer(norm(right, momentum=1.0), (4,))


def test_variances_over_one_less_are_right_in_deep_models():
    def normed():
        return fcnn.batch_norm(momentum=0.5)

    model = fcnn.serial(normed(), fcnn.serial(normed()), fcnn.relu, fcnn.add(normed()))
    check_layer(model, (6,), key=fcnn.Key(0, (1, 0)))


def test_an_observation_that_depends_on_dy_is_caught():
    change = of_value(lambda s, old, x, dy: valued(s, s.value + dy.sum()))
    caught(norm(change), (4,), "linear")


def test_an_observation_that_is_not_finite_is_caught():
    change = of_value(lambda s, old, x, dy: valued(s, s.value / 0))
    caught(norm(change), (4,), "dtype")


def test_an_observation_in_evaluation_is_caught():
    def change(params, grads, x, dy, ctx):
        if ctx.train:
            return grads.mean, grads.var
        return [Observation(x.reshape(-1, 4).mean(axis=0), 0.9) for _ in range(2)]

    assert "in evaluation" in caught(norm(change), (4,), "observation")


def test_statistics_deep_in_a_model_are_checked():
    def model(change):
        return fcnn.serial(fcnn.dense(4), norm(change), fcnn.relu, fcnn.dense(2))

    check_layer(model(right), (3,))
    caught(model(OBSERVATIONS["the mean's sign"]), (3,), "observation")


# Bare triples, whose results nothing protects


def bare(y_of, pull_of):
    """The square: ``y_of(x)`` and ``pull_of(x, y, dy)``."""

    def apply(params, x, ctx=EVAL):
        return x * x

    def vjp(params, x, ctx=EVAL):
        y = y_of(x)
        return y, lambda dy: ((), pull_of(x, y, dy))

    return no_params, apply, vjp


def in_place(array, factor):
    array *= factor
    return array


def identity(copied):
    def vjp(params, x, ctx=EVAL):
        return x, lambda dy: ((), np.array(dy) if copied else dy)

    return no_params, lambda params, x, ctx=EVAL: x, vjp


def exponential(copied):
    def vjp(params, x, ctx=EVAL):
        y = np.exp(x)
        kept = np.array(y) if copied else y
        return y, lambda dy: ((), dy * kept)

    return no_params, lambda params, x, ctx=EVAL: np.exp(x), vjp


def gradient_of_its_own(copied):
    """The sum, whose gradient to each input is one array that it keeps."""

    def apply(params, x, ctx=EVAL):
        return x.sum(axis=-1, keepdims=True)

    def vjp(params, x, ctx=EVAL):
        kept = {}

        def pullback(dy):
            if "dx" not in kept:
                kept["dx"], kept["dy"] = np.array(np.broadcast_to(dy, x.shape)), np.array(dy)
            if not np.array_equal(kept["dy"], dy):
                return (), np.array(np.broadcast_to(dy, x.shape))
            return (), np.array(kept["dx"]) if copied else kept["dx"]

        return apply(params, x), pullback

    return lambda key, shape: ((), (*shape[:-1], 1)), apply, vjp


def row_sums(copied):
    """``x @ 1 + bias``; for one example, the bias's gradient may be a view of dy."""

    def vjp(params, x, ctx=EVAL):
        def pullback(dy):
            dbias = dy.sum(axis=0) if copied or len(dy) > 1 else dy[0]
            return dbias, np.array(np.broadcast_to(dy, x.shape))

        return x.sum(axis=1, keepdims=True) + params, pullback

    def apply(params, x, ctx=EVAL):
        return x.sum(axis=1, keepdims=True) + params

    return lambda key, shape: (np.zeros(1, np.float32), (1,)), apply, vjp


@pytest.mark.parametrize("make", [identity, exponential, gradient_of_its_own, row_sums])
def test_shared_memory_is_caught(make):
    check_layer(make(True), (4,))
    caught(make(False), (4,), "aliases")


def test_the_square_is_right_and_writes_nowhere():
    check_layer(bare(lambda x: x * x, lambda x, y, dy: 2 * x * dy), (4,))
    caught(bare(lambda x: x * x, lambda x, y, dy: in_place(dy, 2 * x)), (4,), "purity")


def test_another_default_context_is_caught():
    def apply(params, x, ctx=None):
        return x if ctx is not None else 2 * x

    caught((no_params, apply, identity(True)[2]), (4,), "vjp")


def test_a_bare_triple_without_a_context_is_caught():
    def apply(params, x):
        return x

    assert "TypeError" in caught((no_params, apply, identity(True)[2]), (4,), "structure")


# Images


@fcnn.layer
def turned(fault):
    """Each channel of an image transposed twice, or once: right for square ones alone."""

    def flip(x):
        return np.ascontiguousarray(x.swapaxes(1, 2))

    def apply(params, x, ctx=EVAL):
        return 2 * flip(flip(x))

    def vjp(params, x, ctx=EVAL):
        def pullback(dy):
            if fault == "pullback" and dy.shape[1] != dy.shape[2]:
                return (), (2 * flip(dy)).reshape(dy.shape)
            return (), 2 * dy

        return apply(params, x), pullback

    def init(key, shape):
        return (), shape if fault != "init" else (shape[1], shape[0], shape[2])

    return init, apply, vjp


def test_only_square_images_are_right():
    check_layer(turned(None), (4, 4, 2))
    caught(turned("pullback"), (4, 4, 2), "square")
    caught(turned("init"), (4, 4, 2), "square")


def test_a_layer_may_refuse_other_images():
    model = fcnn.serial(fcnn.reshape(8, 2), fcnn.dense(3))
    check_layer(model, (4, 4, 1))


# Trees


@fcnn.layer(inputs="any")
def scaled_pair(factor=1.0, order=("a", "b")):
    """``{"a": x["b"] · w, "b": x["a"]}``, where dx may be off or in another place."""

    def init(key, shape):
        weight = fcnn.initializers.normal()(key, shape["b"])
        return {"w": weight}, {"a": shape["b"], "b": shape["a"]}

    def apply(params, x, ctx=EVAL):
        return {"a": x["b"] * params["w"], "b": x["a"] * 1}

    def vjp(params, x, ctx=EVAL):
        kept = np.array(x["b"])

        def pullback(dy):
            dx = dict(zip(order, (np.array(dy["b"]), factor * dy["a"] * params["w"]), strict=True))
            return {"w": (dy["a"] * kept).sum(axis=0)}, dx

        return apply(params, x), pullback

    return init, apply, vjp


def test_inputs_and_outputs_that_are_trees():
    shape = {"a": (3, 2), "b": (4,)}
    check_layer(scaled_pair(), shape)
    assert "x['b']" in caught(scaled_pair(1.001), shape, "gradient")
    caught(scaled_pair(order=("b", "a")), shape, "structure")
    check_layer(fcnn.serial(fcnn.itemwise(fcnn.dense(2), fcnn.relu), fcnn.concat()), ((3,), (4,)))
    check_layer(fcnn.fanout(digit=fcnn.dense(2), tilt=fcnn.softmax), (3,))


# Whole numbers


@fcnn.layer(inputs="integers")
def table(rows, units, factor=1.0, dx=None):
    """``y = weight[x]``."""

    def init(key, shape):
        return fcnn.initializers.normal()(key, (rows, units)), (*shape, units)

    def apply(params, x, ctx=EVAL):
        return params[x]

    def vjp(params, x, ctx=EVAL):
        def pullback(dy):
            dweight = np.zeros_like(params)
            np.add.at(dweight, x, factor * dy)
            return dweight, None if dx is None else np.full(x.shape, dx)

        return params[x], pullback

    return init, apply, vjp


def test_whole_numbers_have_no_gradient():
    check_layer(table(2, 3), (5,))
    check_layer(table(7, 3), (5,), x=np.array([[0, 6, 3, 3, 1], [5, 2, 4, 0, 0]]))
    check_layer(table(2, 3, dx=0), (5,))
    caught(table(2, 3, dx=1.0), (5,), "structure")
    caught(table(2, 3, factor=1.001), (5,), "gradient")
    check_layer(fcnn.serial(table(2, 3), fcnn.flatten, fcnn.dense(2)), (4,))


def test_a_layer_that_takes_no_negative_numbers_is_checked_where_it_is_told():
    @fcnn.layer
    def root(factor):
        def apply(params, x, ctx=EVAL):
            return np.sqrt(x)

        def vjp(params, x, ctx=EVAL):
            kept = np.array(x)
            return np.sqrt(x), lambda dy: ((), factor * dy / np.sqrt(kept))

        return no_params, apply, vjp

    x = np.array([[0.5, 2.0], [0.1, 30.0], [4.0, 1.0]])
    check_layer(root(0.5), (2,), x=x)
    caught(root(0.501), (2,), "gradient", x=x)


# The check itself


def test_laws_may_be_left_out():
    layer = masked(same_for_every_example)
    caught(layer, (4,), "key")
    check_layer(layer, (4,), skip=["key"])
    with pytest.raises(ArgumentError, match="skip"):
        check_layer(layer, (4,), skip=["keys"])
    with pytest.raises(ArgumentError, match="skip"):
        check_layer(layer, (4,), skip="key")


def test_a_shape_that_init_refuses_is_the_callers_mistake():
    with pytest.raises(fcnn.errors.ShapeError):
        check_layer(fcnn.conv2d(2, 5), (3, 3, 1))


def test_an_error_inside_a_law_is_its_finding():
    def apply(params, x, ctx=EVAL):
        if x.dtype == np.float32:
            raise DTypeError("expected float64, got float32")
        return x

    layer = (no_params, apply, identity(True)[2])
    said = caught(layer, (4,), "vjp")
    assert "DTypeError: expected float64, got float32" in said


def test_an_argument_that_does_not_pickle_is_caught():
    layer = fcnn.dense(2, bias_init=lambda key, shape: np.zeros(shape, np.float32))
    assert "does not pickle" in caught(layer, (3,), "value")


def test_fixed_numbers_are_no_random_ones():
    fixed = fcnn.initializers.constant(np.linspace(0.1, 0.7, 6).reshape(2, 3))
    check_layer(fcnn.dense(3, weight_init=fixed), (2,))


def test_arrays_as_arguments():
    @fcnn.layer
    def times(vector):
        def apply(params, x, ctx=EVAL):
            return x * vector.astype(x.dtype)

        def vjp(params, x, ctx=EVAL):
            return apply(params, x), lambda dy: ((), dy * vector.astype(dy.dtype))

        return no_params, apply, vjp

    check_layer(times(np.array([1 / 3, 2.0])), (2,))
    check_layer(times(np.arange(2000) / 7), (2000,))


def test_a_context_may_be_given():
    ctx = attrs.evolve(EVAL, fuse=False)
    check_layer(fcnn.serial(fcnn.conv2d(2, 3), fcnn.relu), (4, 5, 1), ctx=ctx)
