"""`combine`: a weighted sum over the parts of a tree of predictions."""

import pickle

import numpy as np
import pytest

import fcnn
from fcnn.errors import ArgumentError, LabelError, ShapeError, TreeError
from fcnn.losses import combine, mean_squared_error, scaled, softmax_cross_entropy

TWO = combine({"tilt": (mean_squared_error, 0.25), "digit": (softmax_cross_entropy, 2.0)})
PREDICTION = {
    "digit": np.array([[1.0, 2.0, 0.0], [0.0, 5.0, 1.0]]),
    "tilt": np.array([[0.5], [-1.0]]),
}
TARGET = {"digit": np.array([0, 2]), "tilt": np.array([[1.0], [1.0]])}


def test_the_value_is_the_weighted_sum():
    digit = softmax_cross_entropy(PREDICTION["digit"], TARGET["digit"])
    tilt = (0.5**2 + 2.0**2) / 2
    assert TWO(PREDICTION, TARGET) == pytest.approx(2 * digit + 0.25 * tilt, rel=1e-15)
    value, _ = TWO.vjp(PREDICTION, TARGET)
    assert value == TWO(PREDICTION, TARGET)


def test_the_pullback_gives_each_part_its_weighted_gradient():
    _, pullback = TWO.vjp(PREDICTION, TARGET)
    slopes = pullback(3.0)
    assert list(slopes) == ["digit", "tilt"]
    np.testing.assert_allclose(slopes["tilt"], 3 * 0.25 * np.array([[-0.5], [-2.0]]), rtol=1e-15)
    _, alone = softmax_cross_entropy.vjp(PREDICTION["digit"], TARGET["digit"])
    np.testing.assert_allclose(slopes["digit"], 6 * alone(1.0), rtol=1e-15)


def test_a_tuple_of_parts_takes_tuples():
    loss = combine(((mean_squared_error, 1.0), (mean_squared_error, 10.0)))
    p, t = (np.array([1.0]), np.array([2.0])), (np.array([0.0]), np.array([0.0]))
    assert loss(p, t) == 41.0
    _, pullback = loss.vjp(p, t)
    assert fcnn.tree.equal(pullback(1.0), (np.array([2.0]), np.array([40.0])))


def test_combined_losses_nest():
    inner = combine(((mean_squared_error, 1.0), (mean_squared_error, 2.0)))
    loss = combine({"a": (scaled(mean_squared_error, 0.5), 1.0), "b": (inner, 3.0)})
    one = np.ones((2, 1))
    value, pullback = loss.vjp({"a": one, "b": (one, one)}, {"a": 0 * one, "b": (0 * one, 0 * one)})
    assert value == 0.5 + 3 * (1 + 2)
    slopes = pullback(1.0)
    assert type(slopes["b"]) is tuple
    np.testing.assert_array_equal(slopes["b"][1], np.full((2, 1), 6.0))


def test_the_order_of_the_parts_does_not_count():
    other = combine({"digit": (softmax_cross_entropy, 2.0), "tilt": (mean_squared_error, 0.25)})
    assert other == TWO
    assert hash(other) == hash(TWO)
    assert other(PREDICTION, TARGET) == TWO(PREDICTION, TARGET)
    assert combine({"digit": (softmax_cross_entropy, 2.0)}) != TWO


def test_prints_and_pickles_as_its_call():
    assert repr(TWO) == (
        "combine({'tilt': (mean_squared_error, 0.25), 'digit': (softmax_cross_entropy, 2.0)})"
    )
    copy = pickle.loads(pickle.dumps(TWO))
    assert copy == TWO
    assert copy(PREDICTION, TARGET) == TWO(PREDICTION, TARGET)


def test_trains_a_model_of_two_heads():
    model = fcnn.fanout(digit=fcnn.dense(3), tilt=fcnn.dense(1))
    params, _ = model.init(fcnn.key(0), (4,))
    x = np.ones((2, 4), np.float32)
    step = fcnn.value_and_grad(model, TWO)
    before, grads = step(params, x, TARGET)
    params = fcnn.tree.map(lambda p, g: p - 0.01 * g, params, grads)
    assert step(params, x, TARGET)[0] < before


class TestErrors:
    def test_a_missing_part_is_named(self):
        with pytest.raises(TreeError, match=r"a prediction .*\['digit', 'tilt'\].*\['tilt'\] miss"):
            TWO({"digit": PREDICTION["digit"]}, TARGET)
        with pytest.raises(TreeError, match=r"a target .*\['digit'\] missing"):
            TWO.vjp(PREDICTION, {"tilt": TARGET["tilt"]})

    def test_a_part_without_a_loss_is_named(self):
        with pytest.raises(TreeError, match=r"no loss for \['size'\]"):
            TWO({**PREDICTION, "size": np.ones(2)}, TARGET)
        with pytest.raises(TreeError, match=r"\[1\] missing"):
            combine(((mean_squared_error, 1.0),) * 2)((np.ones(1),), (np.ones(1),))

    def test_something_else_than_a_tree_is_named(self):
        with pytest.raises(TreeError, match="got ndarray; give a dict"):
            TWO(PREDICTION["digit"], TARGET)
        with pytest.raises(TreeError, match="got dict; give a tuple"):
            combine(((mean_squared_error, 1.0),))(PREDICTION, TARGET)

    def test_an_error_of_a_part_names_it(self):
        with pytest.raises(LabelError, match=r"^combine\['digit'\]: expected labels from 0 to 2"):
            TWO(PREDICTION, {**TARGET, "digit": np.array([0, 3])})
        with pytest.raises(ShapeError, match=r"^combine\['tilt'\]: expected a target of"):
            TWO.vjp(PREDICTION, {**TARGET, "tilt": np.ones(2)})

    @pytest.mark.parametrize(
        ("parts", "said"),
        [
            (softmax_cross_entropy, "expected a dict or tuple"),
            ({}, "expected a dict or tuple"),
            ({"a": softmax_cross_entropy}, r"expected \(loss, weight\) for part 'a'"),
            ({"a": (1.0, softmax_cross_entropy)}, "expected a loss for part 'a', got 1.0"),
            (((softmax_cross_entropy, "1"),), "expected a finite number for the weight of part 0"),
            (((softmax_cross_entropy, float("nan")),), "expected a finite number .*, got nan"),
        ],
    )
    def test_parts_that_are_none(self, parts, said):
        with pytest.raises(ArgumentError, match=said):
            combine(parts)
