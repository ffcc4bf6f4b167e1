import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import special

import fcnn
from fcnn import losses
from fcnn.errors import DTypeError, LabelError, ShapeError
from fcnn.losses import (
    binary_cross_entropy,
    categorical_cross_entropy,
    mean_squared_error,
    sigmoid_cross_entropy,
    softmax_cross_entropy,
)
from fcnn.testing import check_loss

ELEMENTWISE = [binary_cross_entropy, sigmoid_cross_entropy, mean_squared_error]
BY_CLASS = [categorical_cross_entropy, softmax_cross_entropy]
DTYPES = [np.float32, np.float64]

shapes = st.tuples(st.integers(1, 5), st.integers(1, 5))
probabilities = st.floats(0.05, 0.95)
fractions = st.floats(0, 1, width=32)
extreme = st.floats(width=32, allow_nan=False, allow_infinity=False)
# The difference of two logits overflows beyond: to inf, as in PyTorch.
wide = st.floats(-1.5 * 2.0**126, 1.5 * 2.0**126, width=32)


def pairs(elements, targets, dtype=np.float64):
    return shapes.flatmap(
        lambda shape: st.tuples(
            arrays(dtype, shape, elements=elements), arrays(dtype, shape, elements=targets)
        )
    )


def labelled(elements, dtype=np.float64):
    return shapes.flatmap(
        lambda shape: st.tuples(
            arrays(dtype, shape, elements=elements),
            arrays(np.int64, shape[0], elements=st.integers(0, shape[1] - 1)),
        )
    )


def test_the_tables_have_every_loss():
    """Those here, and those of test_every_loss.py."""
    public = {name for name in losses.__all__ if isinstance(getattr(losses, name), losses.Loss)}
    others = {"mean_absolute_error", "kl_divergence", "softmax_kl_divergence"}
    assert public == {loss.spec.name for loss in ELEMENTWISE + BY_CLASS} | others


class TestLaws:
    @given(pairs(probabilities, fractions))
    def test_binary_cross_entropy(self, drawn):
        check_loss(binary_cross_entropy, *drawn, calls=20)

    @given(pairs(st.floats(-20, 20), fractions))
    def test_sigmoid_cross_entropy(self, drawn):
        check_loss(sigmoid_cross_entropy, *drawn, calls=20)

    @given(pairs(st.floats(-20, 20), st.floats(-20, 20)))
    def test_mean_squared_error(self, drawn):
        check_loss(mean_squared_error, *drawn, calls=20)

    @given(labelled(probabilities))
    def test_categorical_cross_entropy(self, drawn):
        check_loss(categorical_cross_entropy, *drawn, calls=20)

    @given(labelled(st.floats(-20, 20)))
    def test_softmax_cross_entropy(self, drawn):
        check_loss(softmax_cross_entropy, *drawn, calls=20)

    @given(pairs(probabilities, fractions))
    def test_categorical_cross_entropy_of_soft_labels(self, drawn):
        check_loss(categorical_cross_entropy, *drawn, calls=20)

    @given(pairs(st.floats(-20, 20), fractions))
    def test_softmax_cross_entropy_of_soft_labels(self, drawn):
        check_loss(softmax_cross_entropy, *drawn, calls=20)

    def test_elementwise_losses_take_any_number_of_axes(self, rng):
        for loss in ELEMENTWISE:
            p, t = rng.uniform(0.1, 0.9, size=(2, 3, 2, 2, 2))
            check_loss(loss, p, t)
            check_loss(loss, p[:, 0, 0, 0], t[:, 0, 0, 0])


class TestFormulas:
    @given(pairs(probabilities, fractions))
    def test_binary_cross_entropy(self, drawn):
        p, t = drawn
        expected = -(special.xlogy(t, p) + special.xlog1py(1 - t, -p)).mean()
        assert binary_cross_entropy(p, t) == pytest.approx(expected, rel=1e-12)

    @given(pairs(st.floats(-30, 30), fractions))
    def test_sigmoid_cross_entropy(self, drawn):
        z, t = drawn
        expected = -(t * special.log_expit(z) + (1 - t) * special.log_expit(-z)).mean()
        assert sigmoid_cross_entropy(z, t) == pytest.approx(expected, rel=1e-12, abs=1e-15)
        _, pullback = sigmoid_cross_entropy.vjp(z, t)
        np.testing.assert_allclose(pullback(1.0), (special.expit(z) - t) / z.size, atol=1e-15)

    @given(labelled(probabilities))
    def test_categorical_cross_entropy(self, drawn):
        p, labels = drawn
        expected = -np.mean([math.log(p[i, label]) for i, label in enumerate(labels)])
        assert categorical_cross_entropy(p, labels) == pytest.approx(expected, rel=1e-12)

    @given(labelled(st.floats(-1000, 1000)))
    def test_softmax_cross_entropy(self, drawn):
        z, labels = drawn
        log_p = special.log_softmax(z, axis=1)
        rows = np.arange(len(z))
        expected = -log_p[rows, labels].mean()
        assert softmax_cross_entropy(z, labels) == pytest.approx(expected, rel=1e-12, abs=1e-15)
        _, pullback = softmax_cross_entropy.vjp(z, labels)
        slope = special.softmax(z, axis=1)
        slope[rows, labels] -= 1
        np.testing.assert_allclose(pullback(1.0), slope / len(z), rtol=1e-9, atol=1e-13)

    @given(pairs(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)))
    def test_mean_squared_error(self, drawn):
        p, t = drawn
        expected = np.mean([(a - b) ** 2 for a, b in zip(p.flat, t.flat, strict=True)])
        assert mean_squared_error(p, t) == pytest.approx(expected, rel=1e-12)

    @given(labelled(st.floats(-9, 9)))
    def test_from_logits_is_from_probabilities_of_softmax(self, drawn):
        z, labels = drawn
        p = fcnn.softmax.apply((), z)
        from_p = categorical_cross_entropy(p, labels)
        assert softmax_cross_entropy(z, labels) == pytest.approx(from_p, rel=1e-9, abs=1e-12)

    @given(pairs(st.floats(-9, 9), fractions))
    def test_from_logits_is_from_probabilities_of_sigmoid(self, drawn):
        z, t = drawn
        from_p = binary_cross_entropy(fcnn.sigmoid.apply((), z), t)
        assert sigmoid_cross_entropy(z, t) == pytest.approx(from_p, rel=1e-9, abs=1e-12)


class TestLabels:
    @given(labelled(probabilities))
    @pytest.mark.parametrize("loss", BY_CLASS, ids=str)
    def test_whole_numbers_one_hot_and_soft_labels_agree(self, loss, drawn):
        p, labels = drawn
        one_hot = np.eye(p.shape[1])[labels]
        value, pullback = loss.vjp(p, labels)
        for target in (one_hot, one_hot.astype(np.int64), one_hot.astype(bool), one_hot.tolist()):
            other, other_pullback = loss.vjp(p, target)
            assert other == pytest.approx(value, rel=1e-12, abs=1e-300)
            np.testing.assert_allclose(other_pullback(1.0), pullback(1.0), rtol=1e-12, atol=1e-16)
        for same in (labels.tolist(), labels.astype(np.uint8), labels.astype(np.int16)):
            assert loss(p, same) == value

    @pytest.mark.parametrize("loss", BY_CLASS, ids=str)
    def test_refuses_labels_that_are_no_class(self, loss):
        p = np.full((2, 3), 1 / 3)
        with pytest.raises(LabelError, match=r"from 0 to 2 for .* 3 classes, got 0 to 3"):
            loss(p, np.array([0, 3]))
        with pytest.raises(LabelError, match="-1 to 0"):
            loss(p, np.array([0, -1]))
        with pytest.raises(LabelError, match="whole numbers"):
            loss(p, np.array([0.0, 1.0]))
        with pytest.raises(LabelError, match="whole numbers"):
            loss(p, np.array([True, False]))

    @pytest.mark.parametrize("loss", BY_CLASS, ids=str)
    def test_refuses_labels_of_another_shape(self, loss):
        p = np.full((2, 3), 1 / 3)
        for target in (np.array([0]), np.zeros((2, 2)), np.zeros((2, 1)), np.array(0)):
            with pytest.raises(ShapeError, match=r"\(2, 3\)"):
                loss(p, target)
        with pytest.raises(ShapeError, match=r"a prediction \(n, classes\)"):
            loss(p[0], np.array([0]))

    @pytest.mark.parametrize("loss", [binary_cross_entropy, sigmoid_cross_entropy], ids=str)
    @pytest.mark.parametrize("bad", [-0.1, 1.1, float("nan")])
    def test_refuses_targets_that_are_no_fraction(self, loss, bad):
        with pytest.raises(LabelError, match=r"\[0, 1\]"):
            loss(np.full((1, 2), 0.5), np.array([[0.5, bad]]))


class TestErrors:
    @pytest.mark.parametrize("loss", ELEMENTWISE, ids=str)
    def test_refuses_shapes_that_differ(self, loss):
        # (2, 1) against (2,) would broadcast to (2, 2) and be wrong without a word.
        with pytest.raises(ShapeError, match=r"\(2, 1\).*\(2,\)"):
            loss(np.full((2, 1), 0.5), np.array([0.0, 1.0]))

    @pytest.mark.parametrize("loss", ELEMENTWISE + BY_CLASS, ids=str)
    def test_refuses_an_empty_batch(self, loss):
        target = np.zeros(0, int) if loss in BY_CLASS else np.zeros((0, 3))
        with pytest.raises(ShapeError, match="empty batch"):
            loss(np.zeros((0, 3)), target)

    @pytest.mark.parametrize("loss", ELEMENTWISE + BY_CLASS, ids=str)
    @pytest.mark.parametrize(
        "prediction", [[[0.5]], np.array([[1]]), np.array([[0.5]], np.float16)]
    )
    def test_refuses_predictions_that_are_no_floats(self, loss, prediction):
        with pytest.raises(DTypeError, match="float32 or float64"):
            loss(prediction, np.array([0]) if loss in BY_CLASS else np.array([[0.5]]))


@pytest.mark.parametrize("dtype", DTYPES)
class TestExactAtAThousand:
    def test_sigmoid_cross_entropy(self, dtype):
        z, t = np.array([[1000, -1000, 1000, -1000]], dtype), np.array([[1, 0, 0, 1]], dtype)
        value, pullback = sigmoid_cross_entropy.vjp(z, t)
        assert value == 500
        np.testing.assert_array_equal(pullback(1.0), [[0, 0, 0.25, -0.25]])

    def test_softmax_cross_entropy(self, dtype):
        z = np.array([[1000, 0, -1000], [1000, 0, -1000]], dtype)
        value, pullback = softmax_cross_entropy.vjp(z, np.array([0, 2]))
        assert value == 1000
        np.testing.assert_array_equal(pullback(1.0), [[0, 0, 0], [0.5, 0, -0.5]])

    def test_tiny_losses_are_not_lost(self, dtype):
        value = sigmoid_cross_entropy(np.array([[50]], dtype), np.array([[1]], dtype))
        assert value == pytest.approx(math.exp(-50), rel=1e-6)

    def test_from_probabilities_at_the_edges(self, dtype):
        p = np.array([[0, 1], [1, 0]], dtype)
        worst = -math.log(np.finfo(dtype).tiny)
        assert binary_cross_entropy(p, p) == 0
        assert binary_cross_entropy(p, 1 - p) == pytest.approx(worst, rel=1e-6)
        assert categorical_cross_entropy(p, np.array([1, 0])) == 0
        assert categorical_cross_entropy(p, np.array([0, 1])) == pytest.approx(worst, rel=1e-6)


class TestFinite:
    """No NaN, no infinity and no warning (which would be an error here) for any float32."""

    @staticmethod
    def check(loss, prediction, target):
        value, pullback = loss.vjp(prediction, target)
        slope = pullback(1.0)
        assert slope.dtype == np.float32
        assert math.isfinite(value)
        assert np.isfinite(slope).all()

    @given(pairs(extreme, fractions, np.float32))
    @pytest.mark.parametrize("loss", [binary_cross_entropy, sigmoid_cross_entropy], ids=str)
    def test_binary(self, loss, drawn):
        self.check(loss, *drawn)

    @given(pairs(extreme, extreme, np.float32))
    def test_mean_squared_error(self, drawn):
        self.check(mean_squared_error, *drawn)

    @given(labelled(wide, np.float32))
    @pytest.mark.parametrize("loss", BY_CLASS, ids=str)
    def test_by_class(self, loss, drawn):
        self.check(loss, *drawn)

    @given(pairs(wide, fractions, np.float32))
    @pytest.mark.parametrize("loss", BY_CLASS, ids=str)
    def test_by_class_of_soft_labels(self, loss, drawn):
        self.check(loss, *drawn)

    def test_the_largest_of_all(self):
        most = np.finfo(np.float32).max
        p = np.array([[most, -most], [-most, most]], np.float32)
        for loss in ELEMENTWISE:
            self.check(loss, p, np.array([[0, 1], [0, 1]], np.float32))
        for loss in BY_CLASS:
            self.check(loss, p / 2, np.array([1, 1]))
        self.check(mean_squared_error, p, -p)


def test_losses_are_values():
    for loss in ELEMENTWISE + BY_CLASS:
        assert pickle.loads(pickle.dumps(loss)) is loss
        assert repr(loss) == loss.spec.name
    assert softmax_cross_entropy != categorical_cross_entropy
    assert len({*ELEMENTWISE, *BY_CLASS}) == 5
