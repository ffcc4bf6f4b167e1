"""What draws from a global generator, seeds it or reads it is caught, and the check restores it."""

# ruff: noqa: NPY002 (the legacy functions are what is caught)

import random

import numpy as np
import pytest

import fcnn
from fcnn import EVAL
from fcnn.losses import loss
from fcnn.prng import bernoulli
from fcnn.testing import check_layer, check_loss


@fcnn.layer
def masked(mask):
    """Dropout of ``mask(x, ctx)``."""

    def init(key, shape):
        return (), shape

    def apply(params, x, ctx=EVAL):
        return x * mask(x, ctx).astype(x.dtype) if ctx.train else np.array(x)

    def vjp(params, x, ctx=EVAL):
        if not ctx.train:
            return np.array(x), lambda dy: ((), dy)
        drawn = mask(x, ctx).astype(x.dtype)
        return x * drawn, lambda dy: ((), dy * drawn)

    return init, apply, vjp


def right_mask(x, ctx):
    return bernoulli(ctx.key, 0.5, x.shape)


def seeds_the_global_generator(x, ctx):
    np.random.seed(ctx.key.path[-1])
    return np.random.random(x.shape) < 0.5


def draws_from_the_global_generator(x, ctx):
    return right_mask(x, ctx) * (1 + 0 * np.random.random())


def seeds_pythons_generator(x, ctx):
    random.seed(0)
    return right_mask(x, ctx)


def reads_the_global_generator(x, ctx):
    word = int(np.random.get_state()[1][0])
    return bernoulli(fcnn.fold_in(ctx.key, word % 7), 0.5, x.shape)


def leaves_a_setting(x, ctx):
    np.seterr(under="warn")
    return right_mask(x, ctx)


MASKS = [
    leaves_a_setting,
    seeds_the_global_generator,
    draws_from_the_global_generator,
    seeds_pythons_generator,
    reads_the_global_generator,
]


@fcnn.layer
def initialised(init):
    """The identity plus params."""

    def vjp(params, x, ctx=EVAL):
        return x + params, lambda dy: (dy.sum(axis=0), dy)

    return lambda key, shape: (init(key, shape), shape), lambda p, x, ctx=EVAL: x + p, vjp


def seeded(key, shape):
    np.random.seed(key.seed + len(key.path))
    return np.random.normal(size=shape).astype(np.float32)


def touched(key, shape):
    np.random.random()
    return fcnn.initializers.normal()(key, shape)


@loss
def squares(disturb):
    """The mean square, with a side effect."""

    def apply(prediction, target):
        return float(np.square(prediction - target.astype(prediction.dtype)).mean()) + disturb()

    def vjp(prediction, target):
        gap = prediction - target.astype(prediction.dtype)
        return apply(prediction, target), lambda d: gap * (2 * d / gap.size)

    return apply, vjp


def seeds():
    np.random.seed(0)
    return 0.0


def draws():
    return 0.0 * random.random()


def reads():
    return float(np.random.get_state()[1][0] % 2)


@pytest.mark.parametrize("mask", MASKS, ids=lambda mask: mask.__name__)
def test_layers(mask):
    with pytest.raises(AssertionError, match=r"breaks the law 'globals' .* in training"):
        check_layer(masked(mask), (6,))


@pytest.mark.parametrize("init", [seeded, touched])
def test_init(init):
    with pytest.raises(AssertionError, match="breaks the law 'globals'"):
        check_layer(initialised(init), (6,))


@pytest.mark.parametrize("disturb", [seeds, draws, reads])
def test_losses(disturb):
    with pytest.raises(AssertionError, match="breaks the law 'globals'"):
        check_loss(squares(disturb), np.ones((3, 2)), np.zeros((3, 2)))


def test_the_rest_is_right():
    check_layer(masked(right_mask), (6,))
    check_layer(initialised(fcnn.initializers.normal()), (6,))
    check_loss(squares(float), np.ones((3, 2)), np.zeros((3, 2)))


def test_the_generators_are_left_as_they_were():
    np.random.seed(5)
    random.seed(5)
    expected = np.random.random(), random.random()
    np.random.seed(5)
    random.seed(5)
    for check, subject, *at in (
        (check_layer, masked(seeds_the_global_generator), (6,)),
        (check_layer, masked(seeds_pythons_generator), (6,)),
        (check_layer, initialised(seeded), (6,)),
        (check_loss, squares(seeds), np.ones((3, 2)), np.zeros((3, 2))),
    ):
        with pytest.raises(AssertionError):
            check(subject, *at)
    assert (np.random.random(), random.random()) == expected


def test_the_settings_are_left_as_they_were():
    before = np.geterr()
    with pytest.raises(AssertionError, match=r"np\.seterr's"):
        check_layer(masked(leaves_a_setting), (6,))
    assert np.geterr() == before
