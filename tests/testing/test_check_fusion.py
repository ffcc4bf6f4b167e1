"""`check_fusion` is checked: fcnn's kernels pass, and each of these wrong kernels must not."""

import numpy as np
import pytest

import fcnn
from fcnn import fusion, tree
from fcnn.errors import ArgumentError
from fcnn.testing import check_fusion
from fcnn.tree import Observation

PLAIN = (fcnn.conv2d(4, 3), fcnn.relu, fcnn.max_pool2d(2))
NORMED = (fcnn.conv2d(4, 3), fcnn.batch_norm(), fcnn.relu)
SHAPE = (9, 8, 2)


def y_changed(change):
    """A kernel whose y is ``change``d, ``(y, ctx) -> y``."""

    def wrong(fused):
        def vjp(params, x, ctx):
            y, pullback = fused.vjp(params, x, ctx)
            return change(y, ctx), pullback

        return fusion.Fused(lambda p, x, ctx: change(fused.apply(p, x, ctx), ctx), vjp)

    return wrong


def grads_changed(change):
    """A kernel whose gradients are ``change``d, ``(dparams, dx, ctx) -> (dparams, dx)``."""

    def wrong(fused):
        def vjp(params, x, ctx):
            y, pullback = fused.vjp(params, x, ctx)
            return y, lambda dy: change(*pullback(dy), ctx)

        return fusion.Fused(fused.apply, vjp)

    return wrong


def apply_changed(change):
    return lambda fused: fusion.Fused(
        lambda params, x, ctx: change(fused.apply(params, x, ctx)), fused.vjp
    )


def dx_times(factor):
    return grads_changed(lambda dparams, dx, ctx: (dparams, None if dx is None else factor(dx)))


def scaled(factor):
    return lambda leaf: (leaf * leaf.dtype.type(factor)).astype(leaf.dtype)


def only_float32(factor):
    return lambda leaf: leaf if leaf.dtype == np.float64 else leaf * np.float32(factor)


def dparams_changed(function, statistic=None):
    def change(dparams, dx, ctx):
        kept = statistic or (lambda leaf: leaf)
        return tree.map(function, dparams, statistic=kept), dx

    return grads_changed(change)


def swapped(dparams, dx, ctx):
    first = dparams[0]
    return (type(first)(first.weight[::-1], first.bias), *dparams[1:]), dx


def wrong_without_dx(dparams, dx, ctx):
    return (dparams if ctx.input_grad else tree.map(scaled(1.01), dparams)), dx


def wrong_for_many(y, ctx):
    return y * y.dtype.type(1.01 if len(y) > 16 else 1)


def wrong_in_training(y, ctx):
    return y * y.dtype.type(1.01 if ctx.train else 1)


def no_floor(y, ctx):
    """relu forgotten: what it made zero stays below."""
    return y - y.dtype.type(0.1) * (y == 0)


KERNELS = {
    "y 0.05 % off": (y_changed(lambda y, ctx: scaled(1.0005)(y)), PLAIN, "y"),
    "y 0.05 % off in float32": (y_changed(lambda y, ctx: only_float32(1.0005)(y)), PLAIN, "y"),
    "y of apply alone": (apply_changed(scaled(1.001)), PLAIN, "y"),
    "y of large batches": (y_changed(wrong_for_many), PLAIN, "y"),
    "y in training": (y_changed(wrong_in_training), PLAIN, "y"),
    "no relu": (y_changed(no_floor), PLAIN, "y"),
    "always float64": (y_changed(lambda y, ctx: y.astype(np.float64)), PLAIN, "y"),
    "dx 0.05 % off": (dx_times(scaled(1.0005)), PLAIN, "gradient"),
    "dx 0.05 % off in float32": (dx_times(only_float32(1.0005)), PLAIN, "gradient"),
    "dx moved by a row": (dx_times(lambda dx: np.roll(dx, 1, axis=1)), PLAIN, "gradient"),
    "dparams 0.05 % off": (dparams_changed(scaled(1.0005)), PLAIN, "gradient"),
    "dparams without dx": (grads_changed(wrong_without_dx), PLAIN, "gradient"),
    "dweight flipped": (grads_changed(swapped), PLAIN, "gradient"),
    "the folded norm's y": (y_changed(lambda y, ctx: scaled(1.0005)(y)), NORMED, "y"),
    "the folded norm's gradient": (dparams_changed(scaled(0.999)), NORMED, "gradient"),
    "observations in evaluation": (
        dparams_changed(lambda g: g, lambda o: Observation(o.value, 0.9)),
        NORMED,
        "observation",
    ),
    "another observation": (
        dparams_changed(lambda g: g, lambda o: Observation(2 * o.value, o.weight)),
        NORMED,
        "observation",
    ),
}


@pytest.mark.parametrize("name", KERNELS)
def test_every_wrong_kernel_is_caught(name, monkeypatch):
    wrong, layers, law = KERNELS[name]

    def made_wrong(rule):
        def make(*run):
            fused = rule.make(*run)
            return None if fused is None else wrong(fused)

        return rule._replace(make=make)

    monkeypatch.setattr(fusion, "_RULES", [made_wrong(rule) for rule in fusion._RULES])
    with pytest.raises(AssertionError, match=f"breaks the law '{law}'"):
        check_fusion(fcnn.serial(*layers), SHAPE)


MODELS = [
    (fcnn.serial(*PLAIN), SHAPE),
    (fcnn.serial(*NORMED), SHAPE),
    (fcnn.serial(*NORMED, fcnn.max_pool2d(2)), SHAPE),
    (fcnn.serial(fcnn.conv2d(4, 3, bias=None, padding="same"), fcnn.max_pool2d(2)), SHAPE),
    (fcnn.serial(fcnn.conv2d(4, 3), fcnn.serial(fcnn.relu, fcnn.max_pool2d(2))), SHAPE),
    (fcnn.serial(fcnn.residual(fcnn.conv2d(2, 3, padding="same")), fcnn.relu), SHAPE),
    (fcnn.serial(fcnn.dense(3), fcnn.batch_norm(), fcnn.relu), (4,)),
    (fcnn.dense(3), (4,)),
]


@pytest.mark.parametrize(("model", "shape"), MODELS, ids=str)
def test_the_kernels_of_fcnn(model, shape):
    check_fusion(model, shape)


def test_an_own_tolerance_and_place():
    params, _ = fcnn.serial(*PLAIN).init(fcnn.key(3), SHAPE)
    x = np.random.default_rng(0).uniform(0, 1, (4, *SHAPE))
    check_fusion(fcnn.serial(*PLAIN), SHAPE, params=params, x=x)
    with pytest.raises(AssertionError, match="breaks the law 'y'"):
        check_fusion(fcnn.serial(*NORMED), SHAPE, tolerance=1e-18)
    with pytest.raises(ArgumentError, match="skip"):
        check_fusion(fcnn.serial(*NORMED), SHAPE, skip=["speed"])
