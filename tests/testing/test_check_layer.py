"""The checker is checked: a right layer passes, and each of these mutants must not."""

import itertools

import numpy as np
import pytest

import fcnn
from fcnn import EVAL
from fcnn.errors import ArgumentError
from fcnn.testing import check_layer


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
    seen = params.seen - rows.mean()
    return Parts(rows.T @ drows, drows.sum(axis=0), seen), dy @ params.weight.T


@fcnn.layer
def mutant(init=right_init, apply=right_apply, pull=right_pull, vjp=None):
    """An affine layer with a statistic, one of whose parts may be replaced."""

    def composed(params, x, ctx=EVAL):
        return apply(params, x, ctx), lambda dy: pull(params, x, dy, ctx)

    return init, apply, vjp or composed


def change_leaf(change):
    def pull(params, x, dy, ctx=EVAL):
        grads, dx = right_pull(params, x, dy)
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
    grads = right_pull(params, x, dy)
    if dy.flags.writeable:
        dy *= 2
    return grads


def clips_dy(params, x, dy, ctx=EVAL):
    return right_pull(params, x, np.clip(dy, -0.5, 0.5))


def adds_a_constant(params, x, dy, ctx=EVAL):
    grads, dx = right_pull(params, x, dy)
    return grads, dx + 1e-6


def statistic_of_dy(params, x, dy, ctx=EVAL):
    grads, dx = right_pull(params, x, dy)
    return Parts(grads.weight, grads.bias, grads.seen + dy.sum()), dx


def other_y(params, x, ctx=EVAL):
    y = right_apply(params, x)
    return np.nextafter(y, np.inf), lambda dy: right_pull(params, x, dy)


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
    grads, dx = right_pull(params, x - x.mean(axis=0), dy)
    return grads, dx - dx.mean(axis=0)


def lazy_without_input_grad(params, x, dy, ctx=EVAL):
    grads, dx = right_pull(params, x, dy)
    if not ctx.input_grad:
        return fcnn.tree.zeros_like(grads), None
    return grads, dx


def memory_order(params, x, ctx=EVAL):
    return right_apply(params, x.ravel(order="K").reshape(x.shape))


def pull_of_memory_order(params, x, dy, ctx=EVAL):
    return right_pull(params, x.ravel(order="K").reshape(x.shape), dy)


def a_tuple_of_gradients(params, x, dy, ctx=EVAL):
    grads, dx = right_pull(params, x, dy)
    return (grads.weight, grads.bias, grads.seen), dx


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
        mutant(pull=change_leaf({"seen": lambda g: g.astype(np.float64)})),
        "dtype",
    ),
    "x is written into": (mutant(apply=writes_into_x), None),
    "x must be writeable": (mutant(apply=needs_writeable_x), "purity"),
    "dy is written into": (mutant(pull=writes_into_dy), "purity"),
    "apply counts its calls": (mutant(apply=counts_its_calls), None),
    "init draws from a hidden state": (mutant(init=new_params_each_time), "init"),
    "the pullback clips dy": (mutant(pull=clips_dy), "linear"),
    "the pullback adds a constant": (mutant(pull=adds_a_constant), "linear"),
    "a statistic depends on dy": (mutant(pull=statistic_of_dy), "linear"),
    "out_shape is wrong": (mutant(init=wrong_out_shape), "init"),
    "vjp's y is one bit off": (mutant(vjp=other_y), "vjp"),
    "examples see each other": (mutant(apply=centres_the_batch, pull=pull_of_centres), "batch"),
    "dparams depends on input_grad": (mutant(pull=lazy_without_input_grad), "input_grad"),
    "numbers are read in memory order": (
        mutant(apply=memory_order, pull=pull_of_memory_order),
        "purity",
    ),
}


def test_the_layer_that_the_mutants_are_made_of_is_right():
    check_layer(mutant(), (4,))
    check_layer(mutant(), (2, 5, 4))


@pytest.mark.parametrize("name", MUTANTS)
@pytest.mark.parametrize("shape", [(4,), (2, 5, 4)])
def test_every_mutant_is_caught(name, shape):
    layer, law = MUTANTS[name]
    with pytest.raises(AssertionError, match=f"breaks the law '{law or ''}"):
        check_layer(layer, shape)


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
