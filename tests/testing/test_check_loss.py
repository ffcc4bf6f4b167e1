"""`check_loss` is checked: a right loss passes, and each of these mutants must not."""

import itertools
import math

import numpy as np
import pytest

import fcnn
from fcnn.errors import ArgumentError
from fcnn.losses import combine, loss, mean_squared_error, scaled, softmax_cross_entropy
from fcnn.testing import check_loss


def gap_of(prediction, target):
    return prediction - target.astype(prediction.dtype)


def right_value(prediction, target):
    return float(np.square(gap_of(prediction, target), dtype=np.float64).mean() / 2)


def right_slope(prediction, target, dvalue):
    gap = gap_of(prediction, target)
    return gap * (dvalue / gap.size)


@loss
def squares(value=right_value, slope=right_slope, vjp=None):
    """Half the mean square, one of whose parts may be wrong."""

    def right_vjp(prediction, target):
        return value(prediction, target), lambda dvalue: slope(prediction, target, dvalue)

    return value, vjp or right_vjp


PREDICTION = np.array([[0.1, 0.2], [0.3, 0.9], [0.5, 2.6]])
TARGET = np.array([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]])
box = {}


def times(factor, when=lambda p: True):
    """A gradient off by a factor, where ``when(prediction)`` holds."""

    def slope(prediction, target, dvalue):
        off = np.where(when(prediction), factor, 1).astype(prediction.dtype)
        return right_slope(prediction, target, dvalue) * off

    return slope


def valued(change):
    return lambda prediction, target: change(right_value(prediction, target), prediction)


def slip_in_vjp(prediction, target):
    value = right_value(prediction, target) * 1.0000001
    return value, lambda dvalue: right_slope(prediction, target, dvalue)


def always_float64(prediction, target, dvalue):
    return right_slope(prediction, target, dvalue).astype(np.float64)


def another_shape(prediction, target, dvalue):
    return right_slope(prediction, target, dvalue)[None]


def writes_into_the_prediction(prediction, target, dvalue):
    dp = right_slope(prediction, target, dvalue)
    prediction[...] = 0
    return dp


def writes_into_the_target(prediction, target, dvalue):
    dp = right_slope(prediction, target, dvalue)
    if target.flags.writeable:
        target += 1
    return dp


def squares_dvalue(prediction, target, dvalue):
    return right_slope(prediction, target, math.copysign(dvalue**2, dvalue))


def clips_dvalue(prediction, target, dvalue):
    return right_slope(prediction, target, min(max(dvalue, -100), 100))


def reads_the_last_prediction(prediction, target):
    box["last"] = prediction, target
    return right_value(prediction, target), lambda dvalue: right_slope(*box["last"], dvalue)


def reads_the_last_of_that_shape(prediction, target):
    at = prediction.shape, prediction.dtype
    box[at] = prediction, target
    return right_value(prediction, target), lambda dvalue: right_slope(*box[at], dvalue)


def gives_one_buffer(prediction, target, dvalue):
    dp = right_slope(prediction, target, dvalue)
    buffer = box.setdefault(("buffer", dp.shape, dp.dtype), np.empty_like(dp))
    np.copyto(buffer, dp)
    return buffer


def gives_what_it_keeps(prediction, target):
    dp = right_slope(prediction, target, 1.0)

    def pullback(dvalue):
        return dp if dvalue == 1 else dp * dp.dtype.type(dvalue)

    return right_value(prediction, target), pullback


def weighs_examples_by_place(prediction, target):
    each = np.square(gap_of(prediction, target), dtype=np.float64).mean(axis=1)
    weights = 1.0 + np.arange(len(each)) / 10
    return float((each * weights).sum() / weights.sum() / 2)


def slope_by_place(prediction, target, dvalue):
    weights = 1.0 + np.arange(len(prediction)) / 10
    share = (weights / weights.mean()).astype(prediction.dtype)
    return right_slope(prediction, target, dvalue) * share[:, None]


def sum_of_all(prediction, target):
    return right_value(prediction, target) * prediction.size


def slope_of_sum(prediction, target, dvalue):
    return right_slope(prediction, target, dvalue) * prediction.size


def memory_order(prediction, target):
    return right_value(prediction.ravel(order="K").reshape(prediction.shape), target)


def after(calls, wrong):
    counter = itertools.count()
    return valued(lambda value, p: wrong(value) if next(counter) > calls else value)


def nan_in_float32(value, p):
    return math.nan if p.dtype == np.float32 else value


def in_half_precision(prediction, target):
    if prediction.dtype == np.float64:
        return right_value(prediction, target)
    return right_value(prediction.astype(np.float16).astype(np.float32), target)


def is_32(p):
    return p.dtype == np.float32


MUTANTS = {
    "the gradient 0.1 % off": (squares(slope=times(1.001)), "gradient"),
    "a tenth of the gradient": (squares(slope=times(0.1)), "gradient"),
    "the gradient's sign": (squares(slope=times(-1)), "gradient"),
    "wrong for one example": (squares(slope=times(1.01, lambda p: len(p) == 1)), "gradient"),
    "wrong for two examples": (squares(slope=times(1.01, lambda p: len(p) == 2)), "gradient"),
    "wrong for five examples": (squares(slope=times(1.01, lambda p: len(p) == 5)), "gradient"),
    "wrong above 16 examples": (squares(slope=times(1.01, lambda p: len(p) > 16)), "gradient"),
    "wrong above 1000 elements": (squares(slope=times(1.01, lambda p: p.size > 1000)), "gradient"),
    "wrong beyond 10": (squares(slope=times(1.01, lambda p: np.abs(p) > 10)), "gradient"),
    "half the gradient in float32": (squares(slope=times(0.5, is_32)), "float32"),
    "the gradient 0.05 % off in float32": (squares(slope=times(1.0005, is_32)), "float32"),
    "twice the value in float32": (
        squares(value=valued(lambda value, p: value * (2 if is_32(p) else 1))),
        "float32",
    ),
    "the value 0.05 % off in float32": (
        squares(value=valued(lambda value, p: value * (1.0005 if is_32(p) else 1))),
        "float32",
    ),
    "the value in float16": (squares(value=in_half_precision), "float32"),
    "NaN in float32": (squares(value=valued(nan_in_float32)), "vjp"),
    "the value of vjp": (squares(vjp=slip_in_vjp), "vjp"),
    "a NumPy number": (squares(value=valued(lambda value, p: np.float64(value))), "vjp"),
    "always float64": (squares(slope=always_float64), "dtype"),
    "another shape": (squares(slope=another_shape), "dtype"),
    "writes into the prediction": (squares(slope=writes_into_the_prediction), "purity"),
    "writes into the target": (squares(slope=writes_into_the_target), "purity"),
    "reads the last prediction": (squares(vjp=reads_the_last_prediction), "purity"),
    "reads the last of that shape": (squares(vjp=reads_the_last_of_that_shape), "purity"),
    "one buffer": (squares(slope=gives_one_buffer), "purity"),
    "reads memory order": (squares(value=memory_order), "purity"),
    "gives what it keeps": (squares(vjp=gives_what_it_keeps), "aliases"),
    "dvalue squared": (squares(slope=squares_dvalue), "linear"),
    "dvalue clipped": (squares(slope=clips_dvalue), "linear"),
    "the sum": (squares(value=sum_of_all, slope=slope_of_sum), "mean"),
    "examples by their place": (
        squares(value=weighs_examples_by_place, slope=slope_by_place),
        "mean",
    ),
    "another value after 300 calls": (squares(value=after(300, lambda v: v + 1)), None),
}


def test_the_loss_that_the_mutants_are_made_of_is_right():
    check_loss(squares(), PREDICTION, TARGET)


@pytest.mark.parametrize("name", MUTANTS)
def test_every_mutant_is_caught(name):
    mutant, law = MUTANTS[name]
    with pytest.raises(AssertionError, match=f"breaks the law '{law or ''}"):
        check_loss(mutant, PREDICTION, TARGET)


def test_a_law_may_be_left_out():
    mutant, law = MUTANTS["the sum"]
    check_loss(mutant, PREDICTION, TARGET, skip=[law])
    with pytest.raises(ArgumentError, match="skip"):
        check_loss(mutant, PREDICTION, TARGET, skip=["sum"])


TWO = combine({"digit": (softmax_cross_entropy, 2.0), "tilt": (mean_squared_error, 0.25)})
PREDICTIONS = {"digit": np.array([[1.0, 2.0, 0.0], [0.0, 5.0, 1.0]]), "tilt": np.ones((2, 1))}
TARGETS = {"digit": np.array([0, 2]), "tilt": np.array([[0.5], [-3.0]])}


def test_predictions_and_targets_that_are_trees():
    check_loss(TWO, PREDICTIONS, TARGETS)
    pair = combine(((squares(), 1.0), (scaled(squares(), 0.5), 1.0)))
    check_loss(pair, (PREDICTION, 2 * PREDICTION), (TARGET, TARGET))


def test_a_tree_with_one_wrong_part_is_caught():
    wrong = combine({"a": (squares(), 1.0), "b": (squares(slope=times(1.001)), 0.01)})
    at = {"a": PREDICTION, "b": PREDICTION}, {"a": TARGET, "b": TARGET}
    with pytest.raises(AssertionError, match=r"'gradient'.*prediction\['b'\]"):
        check_loss(wrong, *at)


@loss
def of_a_list(dp):
    """A loss whose gradient is no tree like the prediction."""

    def vjp(prediction, target):
        one, two = prediction
        value = float(one.mean() + two.mean())
        return value, lambda d: dp(np.full_like(one, d / one.size), np.full_like(two, d / two.size))

    return lambda p, t: vjp(p, t)[0], vjp


def as_it_should(one, two):
    return one, two


def test_another_structure_is_caught():
    at = (PREDICTION, PREDICTION[:, :1]), TARGET
    check_loss(of_a_list(as_it_should), *at)
    with pytest.raises(AssertionError, match="breaks the law 'dtype'"):
        check_loss(of_a_list(lambda one, two: (two, one)), *at)
    with pytest.raises(AssertionError, match="expected a tuple of 2, got a dict of 2"):
        check_loss(of_a_list(lambda one, two: {0: one, 1: two}), *at)


def test_lists_are_arrays():
    check_loss(softmax_cross_entropy, [[1.0, 2.0], [0.0, 5.0]], [0, 1])
    check_loss(fcnn.losses.binary_cross_entropy, [[0.1, 0.9]], [[0.0, 0.25]])
