"""The checker is checked: a right layer passes, and each of these mutants must not."""

import itertools

import numpy as np
import pytest

import fcnn
from fcnn import EVAL
from fcnn.errors import ArgumentError
from fcnn.testing import check_layer
from fcnn.tree import Observation


@fcnn.tree.node
class Parts:
    weight: object
    bias: object
    seen: object = fcnn.tree.statistic()


def right_init(key, shape):
    weight = fcnn.initializers.he_normal(key, (shape[-1], 3))
    return Parts(weight, np.zeros(3, np.float32), np.zeros(3, np.float32)), (*shape[:-1], 3)


def right_apply(params, x, ctx=EVAL):
    return x @ params.weight + params.bias


def right_pull(params, x, dy, ctx=EVAL):
    rows, drows = x.reshape(-1, x.shape[-1]), dy.reshape(-1, 3)
    seen = Observation(params.seen, 1.0)
    if ctx.train:
        seen = Observation(np.full(3, rows.mean(), x.dtype), 0.75)
    return Parts(rows.T @ drows, drows.sum(axis=0), seen), dy @ params.weight.T


@fcnn.layer
def mutant(init=right_init, apply=right_apply, pull=right_pull, vjp=None):
    """An affine layer with a statistic, one of whose parts may be replaced."""

    def composed(params, x, ctx=EVAL):
        return apply(params, x, ctx), lambda dy: pull(params, x, dy, ctx)

    return init, apply, vjp or composed


def change_leaf(change):
    def pull(params, x, dy, ctx=EVAL):
        grads, dx = right_pull(params, x, dy, ctx)
        fields = {name: getattr(grads, name) for name in ("weight", "bias", "seen")}
        fields = {name: change.get(name, lambda g: g)(g) for name, g in fields.items()}
        return Parts(**fields), change.get("dx", lambda g: g)(dx)

    return pull


def times(factor):
    return lambda g: g * factor


def one_entry_off(g):
    g = g.copy()
    g.flat[-1] *= 1.001
    return g


def keep(array):
    """A copy that the pullback will read, so that y may be written to."""
    return np.array(array)


def forgets_the_bias(params, x, ctx=EVAL):
    return x @ params.weight


def widens(params, x, ctx=EVAL):
    return right_apply(params, x) * np.float64(1)


def writes_into_x(params, x, ctx=EVAL):
    y = right_apply(params, x)
    if x.flags.writeable:
        x *= 2
    return y


def needs_writeable_x(params, x, ctx=EVAL):
    x += 1
    x -= 1
    return right_apply(params, x)


def writes_into_dy(params, x, dy, ctx=EVAL):
    grads = right_pull(params, x, dy, ctx)
    if dy.flags.writeable:
        dy *= 2
    return grads


def clips_dy(params, x, dy, ctx=EVAL):
    return right_pull(params, x, np.clip(dy, -0.5, 0.5), ctx)


def adds_a_constant(params, x, dy, ctx=EVAL):
    grads, dx = right_pull(params, x, dy, ctx)
    return grads, dx + 1e-6


def statistic_of_dy(params, x, dy, ctx=EVAL):
    grads, dx = right_pull(params, x, dy, ctx)
    seen = Observation(grads.seen.value + dy.sum(), grads.seen.weight)
    return Parts(grads.weight, grads.bias, seen), dx


def other_y(params, x, ctx=EVAL):
    y = right_apply(params, x)
    return np.nextafter(y, np.inf), lambda dy: right_pull(params, x, dy, ctx)


calls = itertools.count()


def counts_its_calls(params, x, ctx=EVAL):
    return right_apply(params, x) + x.dtype.type(1e-6 * next(calls))


def new_params_each_time(key, shape):
    params, out_shape = right_init(key, shape)
    return Parts(params.weight, params.bias + np.float32(next(calls) + 1), params.seen), out_shape


def wrong_out_shape(key, shape):
    return right_init(key, shape)[0], (*shape[:-1], 4)


def centres_the_batch(params, x, ctx=EVAL):
    return right_apply(params, x - x.mean(axis=0))


def pull_of_centres(params, x, dy, ctx=EVAL):
    grads, dx = right_pull(params, x - x.mean(axis=0), dy, ctx)
    return grads, dx - dx.mean(axis=0)


def lazy_without_input_grad(params, x, dy, ctx=EVAL):
    grads, dx = right_pull(params, x, dy, ctx)
    if not ctx.input_grad:
        return fcnn.tree.zeros_like(grads), None
    return grads, dx


def memory_order(params, x, ctx=EVAL):
    return right_apply(params, x.ravel(order="K").reshape(x.shape))


def pull_of_memory_order(params, x, dy, ctx=EVAL):
    return right_pull(params, x.ravel(order="K").reshape(x.shape), dy, ctx)


def a_tuple_of_gradients(params, x, dy, ctx=EVAL):
    grads, dx = right_pull(params, x, dy, ctx)
    return (grads.weight, grads.bias, grads.seen), dx


def starts_from_float64(key, shape):
    params, out_shape = right_init(key, shape)
    return Parts(params.weight.astype(np.float64), params.bias, params.seen), out_shape


def ignores_its_key(key, shape):
    return right_init(fcnn.key(7), shape)


def ignores_its_seed(key, shape):
    return right_init(fcnn.Key(7, key.path), shape)


def ignores_its_path(key, shape):
    return right_init(fcnn.Key(key.seed), shape)


def draws_one_leaf_without_its_key(key, shape):
    params, out_shape = right_init(key, shape)
    return Parts(params.weight, fcnn.prng.normal(fcnn.key(7), (3,)), params.seen), out_shape


def infinite_bias(key, shape):
    params, out_shape = right_init(key, shape)
    return Parts(params.weight, params.bias / 0, params.seen), out_shape


def a_list_as_shape(key, shape):
    params, out_shape = right_init(key, shape)
    return params, list(out_shape)


def refuses_abstract_keys(key, shape):
    key.generator().random(0)
    params, out_shape = right_init(key, shape)
    return (params, out_shape) if params.weight.any() else (params, (*out_shape, 1))


def clips_large_dy(params, x, dy, ctx=EVAL):
    return right_pull(params, x, np.clip(dy, -100, 100), ctx)


box = {}


def reads_the_last_input(params, x, ctx=EVAL):
    box["x"] = keep(x)
    return right_apply(params, x), lambda dy: right_pull(params, box["x"], dy, ctx)


def reads_the_last_input_of_that_shape(params, x, ctx=EVAL):
    box[x.shape, x.dtype] = keep(x)
    y = right_apply(params, x)
    return y, lambda dy: right_pull(params, box[x.shape, x.dtype], dy, ctx)


def reads_the_last_params(params, x, ctx=EVAL):
    box["params", x.dtype] = params
    y = right_apply(params, x)
    return y, lambda dy: right_pull(box["params", x.dtype], x, dy, ctx)


def writes_into_one_buffer(params, x, ctx=EVAL):
    y = right_apply(params, x)
    buffer = box.setdefault(("y", y.shape, y.dtype), np.empty_like(y))
    np.copyto(buffer, y)
    return buffer


def gives_one_buffer_as_dx(params, x, dy, ctx=EVAL):
    grads, dx = right_pull(params, x, dy, ctx)
    buffer = box.setdefault(("dx", dx.shape, dx.dtype), np.empty_like(dx))
    np.copyto(buffer, dx)
    return grads, buffer


def a_weight_observed(params, x, dy, ctx=EVAL):
    grads, dx = right_pull(params, x, dy, ctx)
    return Parts(grads.weight, Observation(grads.bias, 0.5), grads.seen), dx


def a_statistic_as_array(params, x, dy, ctx=EVAL):
    grads, dx = right_pull(params, x, dy, ctx)
    return Parts(grads.weight, grads.bias, grads.seen.value), dx


def without(field):
    """In float32 only, this gradient is half of what it should be."""
    return lambda g: g if g.dtype == np.float64 else g * np.float32(0.5)


def slightly_off_in_float32(g):
    return g if g.dtype == np.float64 else g * np.float32(1.0005)


def y_off_in_float32(params, x, ctx=EVAL):
    y = right_apply(params, x)
    return y if y.dtype == np.float64 else y * np.float32(1.0005)


def half_precision(params, x, ctx=EVAL):
    if x.dtype == np.float64:
        return right_apply(params, x)
    half = x.astype(np.float16).astype(np.float32)
    return right_apply(params, half)


def only_when(condition, factor=1.01):
    """dx is wrong for inputs that meet the condition."""

    def pull(params, x, dy, ctx=EVAL):
        grads, dx = right_pull(params, x, dy, ctx)
        return grads, dx * np.asarray(np.where(condition(x), factor, 1), dx.dtype)

    return pull


def wrong_dparams_for_many(params, x, dy, ctx=EVAL):
    grads, dx = right_pull(params, x, dy, ctx)
    slip = 1.01 if x.size > 1000 else 1.0
    return Parts(grads.weight * slip, grads.bias, grads.seen), dx


def after(calls, wrong):
    """An apply that goes wrong after so many calls."""
    counter = itertools.count()

    def apply(params, x, ctx=EVAL):
        y = right_apply(params, x)
        return wrong(y) if next(counter) > calls else y

    return apply


def pull_after(calls):
    counter = itertools.count()

    def pull(params, x, dy, ctx=EVAL):
        grads, dx = right_pull(params, x, dy, ctx)
        return grads, 2 * dx if next(counter) > calls else dx

    return pull


def wrong_for_large_dy(params, x, dy, ctx=EVAL):
    grads, dx = right_pull(params, x, dy, ctx)
    return grads, dx * dx.dtype.type(1.01 if dy.size > 1000 else 1)


def noise_in_y(params, x, ctx=EVAL):
    y = right_apply(params, x)
    return y + np.random.default_rng().normal(size=y.shape).astype(y.dtype) * y.dtype.type(1e-3)


def y_with_nan(params, x, ctx=EVAL):
    y = right_apply(params, x)
    return np.where(np.abs(x).max() > 10, y.dtype.type(np.nan), y)


def dx_with_nan(g):
    g = g.copy()
    g.flat[0] = np.nan
    return g


def other_bits_without_dx(params, x, ctx=EVAL):
    y = right_apply(params, x)
    y = y if ctx.input_grad else np.nextafter(y, np.inf)
    return y, lambda dy: right_pull(params, x, dy, ctx)


def reads_dy_backwards_unless_contiguous(params, x, dy, ctx=EVAL):
    if not dy.flags.c_contiguous:
        dy = np.ascontiguousarray(dy[::-1])
    return right_pull(params, x, dy, ctx)


MUTANTS = {
    "dx 0.1 % wrong": (mutant(pull=change_leaf({"dx": times(1.001)})), "gradient"),
    "dweight 0.1 % wrong": (mutant(pull=change_leaf({"weight": times(0.999)})), "gradient"),
    "dbias 0.1 % wrong": (mutant(pull=change_leaf({"bias": times(1.001)})), "gradient"),
    "one entry of dx 0.1 % wrong": (mutant(pull=change_leaf({"dx": one_entry_off})), "gradient"),
    "one entry of dweight 0.1 % wrong": (
        mutant(pull=change_leaf({"weight": one_entry_off})),
        "gradient",
    ),
    "the sign of dx": (mutant(pull=change_leaf({"dx": times(-1.0)})), "gradient"),
    "apply forgets the bias": (mutant(apply=forgets_the_bias), "gradient"),
    "the pullback forgets the bias": (mutant(pull=change_leaf({"bias": times(0.0)})), "gradient"),
    "dx is transposed": (mutant(pull=change_leaf({"dx": lambda g: g.T})), "structure"),
    "dbias has another shape": (mutant(pull=change_leaf({"bias": lambda g: g[None]})), "structure"),
    "dbias is a number": (mutant(pull=change_leaf({"bias": np.sum})), "structure"),
    "dparams is a tuple": (mutant(pull=a_tuple_of_gradients), "structure"),
    "no dx": (mutant(pull=change_leaf({"dx": lambda g: None})), "structure"),
    "y is always float64": (mutant(apply=widens), "dtype"),
    "dweight is always float64": (
        mutant(pull=change_leaf({"weight": lambda g: g.astype(np.float64)})),
        "dtype",
    ),
    "dx is always float32": (
        mutant(pull=change_leaf({"dx": lambda g: g.astype(np.float32)})),
        "dtype",
    ),
    "a statistic is always float64": (
        mutant(pull=change_leaf({"seen": lambda g: Observation(g.value.astype(float), g.weight)})),
        "dtype",
    ),
    "x is written into": (mutant(apply=writes_into_x), None),
    "x must be writeable": (mutant(apply=needs_writeable_x), "purity"),
    "dy is written into": (mutant(pull=writes_into_dy), "purity"),
    "apply counts its calls": (mutant(apply=counts_its_calls), None),
    "init draws from a hidden state": (mutant(init=new_params_each_time), "init"),
    "the pullback clips dy": (mutant(pull=clips_dy), "linear"),
    "the pullback clips large dy": (mutant(pull=clips_large_dy), "linear"),
    "the pullback adds a constant": (mutant(pull=adds_a_constant), "linear"),
    "a statistic depends on dy": (mutant(pull=statistic_of_dy), "linear"),
    "out_shape is wrong": (mutant(init=wrong_out_shape), "structure"),
    "vjp's y is one bit off": (mutant(vjp=other_y), "vjp"),
    "examples see each other": (mutant(apply=centres_the_batch, pull=pull_of_centres), "batch"),
    "dparams depends on input_grad": (mutant(pull=lazy_without_input_grad), "input_grad"),
    "numbers are read in memory order": (
        mutant(apply=memory_order, pull=pull_of_memory_order),
        "purity",
    ),
    "init gives a float64 weight": (mutant(init=starts_from_float64), "init"),
    "init ignores its key": (mutant(init=ignores_its_key), "init"),
    "init ignores its key's seed": (mutant(init=ignores_its_seed), "init"),
    "init ignores its key's path": (mutant(init=ignores_its_path), "init"),
    "init ignores its key for one leaf": (mutant(init=draws_one_leaf_without_its_key), "init"),
    "init gives an infinite bias": (mutant(init=infinite_bias), "init"),
    "out_shape is a list": (mutant(init=a_list_as_shape), "init"),
    "init fails for abstract keys": (mutant(init=refuses_abstract_keys), "init"),
    "the pullback reads the last input": (mutant(vjp=reads_the_last_input), "purity"),
    "the pullback reads the last input of that shape": (
        mutant(vjp=reads_the_last_input_of_that_shape),
        "purity",
    ),
    "the pullback reads the last params": (mutant(vjp=reads_the_last_params), "purity"),
    "y is one buffer": (mutant(apply=writes_into_one_buffer), "purity"),
    "dx is one buffer": (mutant(pull=gives_one_buffer_as_dx), "purity"),
    "dy is read otherwise if strided": (
        mutant(pull=reads_dy_backwards_unless_contiguous),
        "purity",
    ),
    "a weight gets an observation": (mutant(pull=a_weight_observed), "structure"),
    "a statistic gets an array": (mutant(pull=a_statistic_as_array), "structure"),
    "dx is half in float32": (mutant(pull=change_leaf({"dx": without("dx")})), "float32"),
    "dbias is half in float32": (mutant(pull=change_leaf({"bias": without("bias")})), "float32"),
    "dx is 0.05 % off in float32": (
        mutant(pull=change_leaf({"dx": slightly_off_in_float32})),
        "float32",
    ),
    "dweight is 0.05 % off in float32": (
        mutant(pull=change_leaf({"weight": slightly_off_in_float32})),
        "float32",
    ),
    "y is 0.05 % off in float32": (mutant(apply=y_off_in_float32), "float32"),
    "y is computed in float16": (mutant(apply=half_precision), "float32"),
    "dx is wrong for one example": (mutant(pull=only_when(lambda x: len(x) == 1)), "gradient"),
    "dx is wrong for two examples": (mutant(pull=only_when(lambda x: len(x) == 2)), "gradient"),
    "dx is wrong for five examples": (mutant(pull=only_when(lambda x: len(x) == 5)), "gradient"),
    "dx is wrong above 16 examples": (mutant(pull=only_when(lambda x: len(x) > 16)), "gradient"),
    "dx is wrong beyond 10": (mutant(pull=only_when(lambda x: np.abs(x) > 10)), "gradient"),
    "dx is wrong above 1000 elements": (
        mutant(pull=only_when(lambda x: x.size > 1000)),
        "gradient",
    ),
    "dweight is wrong above 1000 elements": (mutant(pull=wrong_dparams_for_many), "gradient"),
    "dx is wrong above 1000 elements of dy": (mutant(pull=wrong_for_large_dy), "gradient"),
    "y changes after 499 calls": (mutant(apply=after(499, lambda y: y + 1)), None),
    "the pullback changes after 499 calls": (mutant(pull=pull_after(499)), None),
    "y changes after 400 calls": (mutant(apply=after(400, lambda y: y + 1)), None),
    "y is noisy": (mutant(apply=noise_in_y), None),
    "y is NaN beyond 10": (mutant(apply=y_with_nan), None),
    "dx has a NaN": (mutant(pull=change_leaf({"dx": dx_with_nan})), None),
    "vjp's y is another one without dx": (mutant(vjp=other_bits_without_dx), "input_grad"),
}


def test_the_layer_that_the_mutants_are_made_of_is_right():
    check_layer(mutant(), (4,))
    check_layer(mutant(), (2, 5, 4))


@pytest.mark.parametrize("name", MUTANTS)
@pytest.mark.parametrize("shape", [(4,), (2, 5, 4)])
def test_every_mutant_is_caught(name, shape):
    layer, law = MUTANTS[name]
    with np.errstate(all="ignore"), pytest.raises(AssertionError) as caught:
        check_layer(layer, shape)
    assert f"breaks the law '{law or ''}" in str(caught.value)


@fcnn.layer
def pool_that_counts_ties(factor):
    """2×2 max-pooling that hands its gradient to every place that ties, times ``factor``."""
    init, apply, _ = fcnn.max_pool2d(2)

    def vjp(params, x, ctx=EVAL):
        y = apply(params, x, ctx)

        def pullback(dy):
            up = np.repeat(np.repeat(y, 2, axis=1), 2, axis=2)
            mask = x == up
            if factor is None:  # shared out evenly: a subgradient too
                ties = mask.reshape(len(x), y.shape[1], 2, y.shape[2], 2, -1).sum(axis=(2, 4))
                dy = dy / ties.astype(dy.dtype)
            return (), mask * np.repeat(np.repeat(dy, 2, axis=1), 2, axis=2)

        return y, pullback

    return init, apply, vjp


def test_a_tie_that_is_counted_more_than_once_is_caught():
    with pytest.raises(AssertionError, match="constant over each channel"):
        check_layer(pool_that_counts_ties(1), (4, 4, 2))


def test_a_tie_that_is_shared_out_is_right():
    check_layer(pool_that_counts_ties(None), (4, 4, 2))


@fcnn.layer
def forgets_its_shape(*shape):
    """Prints as a call that makes something else, because it keeps no argument."""
    del shape
    return fcnn.relu.init, fcnn.relu.apply, fcnn.relu.vjp


class Sly:
    """Prints as if it were None."""

    def __repr__(self):
        return "None"


def test_a_layer_that_prints_as_another_is_caught():
    with pytest.raises(AssertionError, match="breaks the law 'value'"):
        check_layer(forgets_its_shape(Sly()), (2,))


def test_dropout_that_keeps_its_mask_but_not_its_scale_is_caught_in_training_only():
    @fcnn.layer
    def unscaled(rate):
        init, apply, vjp = fcnn.dropout(rate)

        def wrong(params, x, ctx=EVAL):
            y, pullback = vjp(params, x, ctx)
            return y, lambda dy: ((), pullback(dy)[1] * (1 - rate if ctx.train else 1))

        return init, apply, wrong

    check_layer(unscaled(0.05), (20,), ctx=EVAL)
    with pytest.raises(AssertionError, match=r"'gradient' on \(20,\) in training"):
        check_layer(unscaled(0.05), (20,))


def test_a_bare_triple_may_be_checked():
    check_layer(tuple(fcnn.dense(2)), (3,))


def test_where_to_check_may_be_given():
    params = fcnn.DenseParams(np.ones((2, 1)), np.ones(1))
    check_layer(fcnn.dense(1), (2,), params=params, x=np.array([[1.0, 2.0]]))


def test_needs_an_example():
    with pytest.raises(ArgumentError, match="batch"):
        check_layer(fcnn.relu, (2,), batch=0)


def test_the_same_key_makes_the_same_check():
    messages = []
    for _ in range(2):
        with pytest.raises(AssertionError) as caught:
            check_layer(mutant(pull=change_leaf({"dx": times(1.001)})), (4,), key=fcnn.key(5))
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
