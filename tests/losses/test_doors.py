"""Wrong arguments are refused in one sentence that says what to do."""

import numpy as np
import pytest

from fcnn.errors import ArgumentError, DTypeError, LabelError, ShapeError
from fcnn.losses import (
    binary_cross_entropy,
    categorical_cross_entropy,
    mean_squared_error,
    scaled,
    sigmoid_cross_entropy,
    softmax_cross_entropy,
)

SCORES = np.full((4, 3), 1 / 3, np.float32)
ONE = np.full((4, 1), 0.5, np.float32)
LABELS = np.array([0, 2, 1, 0])
BY_CLASS = [softmax_cross_entropy, categorical_cross_entropy]
ELEMENTWISE = [sigmoid_cross_entropy, binary_cross_entropy, mean_squared_error]


def said(error, loss, prediction, target):
    messages = []
    for call in (loss, loss.vjp):
        with pytest.raises(error) as caught:
            call(prediction, target)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert "\n" not in messages[0]
    assert messages[0].startswith("expected ")
    return messages[0]


@pytest.mark.parametrize("loss", ELEMENTWISE, ids=str)
def test_one_score_an_example_and_flat_targets(loss):
    assert said(ShapeError, loss, ONE, np.ones(4)) == (
        "expected a target of the prediction's shape (4, 1), got (4,); "
        "add an axis with target[..., np.newaxis]"
    )
    assert "drop the last axis with target[..., 0]" in said(ShapeError, loss, ONE[:, 0], ONE)
    assert said(ShapeError, loss, SCORES, ONE).endswith("got (4, 1)")


@pytest.mark.parametrize("loss", BY_CLASS, ids=str)
class TestByClass:
    def test_one_score_an_example(self, loss):
        assert "use sigmoid_cross_entropy" in said(LabelError, loss, ONE, LABELS % 2)
        assert "use sigmoid_cross_entropy" in said(ShapeError, loss, ONE[:, 0], LABELS % 2)

    def test_a_column_of_labels(self, loss):
        assert said(ShapeError, loss, SCORES, LABELS[:, None]) == (
            "expected (4,) labels or (4, 3) probabilities for a prediction (4, 3), got (4, 1); "
            "drop the last axis with target[:, 0]"
        )

    def test_an_image_as_prediction(self, loss):
        assert "flatten the model's output" in said(ShapeError, loss, SCORES[:, None], LABELS)

    @pytest.mark.parametrize("kind", [np.str_, np.bytes_, object])
    def test_strings_as_labels(self, loss, kind):
        names = np.array(["cat", "dog", "cat", "cow"]).astype(kind)
        assert "np.unique(names, return_inverse=True)" in said(LabelError, loss, SCORES, names)
        assert "return_inverse" in said(LabelError, loss, SCORES, names.tolist())

    def test_floats_as_labels(self, loss):
        assert said(LabelError, loss, SCORES, LABELS.astype(np.float32)) == (
            "expected whole numbers as labels, got float32; convert with labels.astype(np.int64)"
        )

    def test_labels_out_of_range(self, loss):
        assert said(LabelError, loss, SCORES, LABELS + 1) == (
            "expected labels from 0 to 2 for a prediction of 3 classes, got 1 to 3"
        )

    def test_swapped_arguments(self, loss):
        for target in (LABELS, np.eye(3, dtype=int)[LABELS]):
            message = said(DTypeError, loss, target, SCORES)
            assert message.endswith("the prediction comes first: loss(prediction, target)")

    @pytest.mark.parametrize("kind", ["u1", "i1", "u2", "u4", "i8", "u8"])
    def test_whole_numbers_of_every_dtype_are_labels(self, loss, kind):
        value, pullback = loss.vjp(SCORES, LABELS)
        other, its = loss.vjp(SCORES, LABELS.astype(kind))
        assert other == value
        np.testing.assert_array_equal(its(1.0), pullback(1.0))


@pytest.mark.parametrize("loss", [*BY_CLASS, *ELEMENTWISE], ids=str)
class TestPredictions:
    def test_a_tree(self, loss):
        assert "use combine" in said(DTypeError, loss, {"a": SCORES}, {"a": LABELS}).replace(
            "fcnn.losses.combine has a loss for each part of a tuple or dict", "use combine"
        )

    def test_a_list(self, loss):
        assert said(DTypeError, loss, SCORES.tolist(), LABELS) == (
            "expected a float32 or float64 prediction, got list; "
            "convert with np.asarray(prediction, np.float32)"
        )

    def test_half_precision(self, loss):
        assert said(DTypeError, loss, SCORES.astype(np.float16), LABELS) == (
            "expected a float32 or float64 prediction, got float16; "
            "convert with prediction.astype(np.float32)"
        )

    def test_no_example(self, loss):
        assert "an empty batch, (0, 3)" in said(ShapeError, loss, SCORES[:0], LABELS[:0])


@pytest.mark.parametrize("loss", ELEMENTWISE, ids=str)
def test_strings_as_targets(loss):
    assert "got strings" in said(LabelError, loss, ONE, np.array([["a"]] * 4))


def test_targets_that_are_no_fractions():
    assert said(LabelError, binary_cross_entropy, ONE, 2 * ONE + 1) == (
        "expected targets in [0, 1], got 2.0 to 2.0"
    )


def test_scaled_takes_a_loss_and_a_finite_number():
    with pytest.raises(ArgumentError, match=r"expected a loss for scaled, got 0\.1"):
        scaled(0.1, mean_squared_error)
    for factor in ("1", float("inf"), None):
        with pytest.raises(ArgumentError, match="expected a finite number for factor"):
            scaled(mean_squared_error, factor)
