from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcnn import metrics
from fcnn.errors import ArgumentError, FcnnError, LabelError, NonFiniteError, ShapeError

# Six examples of three classes, worked by hand: class 0 is right twice and missed
# once (as 1), class 1 right once, class 2 right once and missed once (as 1).
TRUE = [0, 0, 0, 1, 2, 2]
GUESS = [0, 0, 1, 1, 2, 1]


def test_the_worked_example() -> None:
    assert metrics.accuracy(GUESS, TRUE) == 4 / 6
    assert metrics.confusion_matrix(GUESS, TRUE).tolist() == [[2, 1, 0], [0, 1, 0], [0, 1, 1]]
    np.testing.assert_allclose(metrics.precision(GUESS, TRUE), [1, 1 / 3, 1])
    np.testing.assert_allclose(metrics.recall(GUESS, TRUE), [2 / 3, 1, 1 / 2])
    np.testing.assert_allclose(metrics.f1(GUESS, TRUE), [4 / 5, 1 / 2, 2 / 3])
    assert metrics.recall(GUESS, TRUE, average="macro") == pytest.approx((2 / 3 + 1 + 1 / 2) / 3)
    assert metrics.precision(GUESS, TRUE, average="weighted") == pytest.approx((3 + 1 / 3 + 2) / 6)


def test_the_report_of_the_worked_example() -> None:
    found = metrics.classification_report(GUESS, TRUE, classes=["shirt", "bag", "ankle boot"])
    assert found.splitlines() == [
        "              precision    recall  f1-score   support",
        "",
        "       shirt       1.00      0.67      0.80         3",
        "         bag       0.33      1.00      0.50         1",
        "  ankle boot       1.00      0.50      0.67         2",
        "",
        "    accuracy                           0.67         6",
        "   macro avg       0.78      0.72      0.66         6",
        "weighted avg       0.89      0.67      0.71         6",
    ]


def test_a_ratio_over_nothing_is_zero() -> None:
    assert metrics.precision([0, 0], [0, 1]).tolist() == [0.5, 0.0]  # 1 was never predicted
    assert metrics.recall([0, 1], [0, 0]).tolist() == [0.5, 0.0]  # 1 never occurred
    assert metrics.f1([0, 0], [0, 0], classes=3).tolist() == [1.0, 0.0, 0.0]


def test_scores_count_as_their_highest_and_the_first_of_equals() -> None:
    scores = np.array([[0.1, 0.9, 0.0], [0.5, 0.5, 0.0]], np.float32)
    assert metrics.accuracy(scores, [1, 0]) == 1.0
    assert metrics.confusion_matrix(scores, [1, 0]).shape == (3, 3)
    assert metrics.top_k_accuracy(scores, [1, 1], k=1) == 0.5
    assert metrics.top_k_accuracy(scores, [1, 1], k=2) == 1.0


def test_labels_of_any_whole_type_do_not_overflow() -> None:
    labels = np.array([0, 200, 100], np.uint8)
    matrix = metrics.confusion_matrix(labels, labels)
    assert matrix.shape == (201, 201)
    assert matrix[200, 200] == 1


labels_of = st.integers(1, 5).flatmap(
    lambda classes: st.tuples(
        st.just(classes),
        st.lists(
            st.tuples(st.integers(0, classes - 1), st.integers(0, classes - 1)),
            min_size=1,
            max_size=30,
        ),
    )
)


@given(labels_of)
def test_everything_is_what_counting_one_by_one_gives(drawn: Any) -> None:
    classes, pairs = drawn
    guess, true = [list(side) for side in zip(*pairs, strict=True)]
    matrix = metrics.confusion_matrix(guess, true, classes)
    supports, f1s = [], []
    for c in range(classes):
        for d in range(classes):
            assert matrix[c, d] == sum(t == c and g == d for g, t in pairs)
        tp = sum(t == c and g == c for g, t in pairs)
        fp = sum(t != c and g == c for g, t in pairs)
        fn = sum(t == c and g != c for g, t in pairs)
        p, r = tp / max(1, tp + fp), tp / max(1, tp + fn)
        supports.append(tp + fn)
        f1s.append(2 * p * r / (p + r) if p + r else 0.0)
        assert metrics.precision(guess, true, classes=classes)[c] == pytest.approx(p)
        assert metrics.recall(guess, true, classes=classes)[c] == pytest.approx(r)
        assert metrics.f1(guess, true, classes=classes)[c] == pytest.approx(f1s[c])
    share = sum(g == t for g, t in pairs) / len(pairs)
    assert metrics.accuracy(guess, true) == pytest.approx(share)
    for ratio in (metrics.precision, metrics.recall, metrics.f1):
        assert ratio(guess, true, classes=classes, average="micro") == pytest.approx(share)
    weighted = np.dot(f1s, supports) / len(pairs)
    assert metrics.f1(guess, true, classes=classes, average="macro") == pytest.approx(np.mean(f1s))
    assert metrics.f1(guess, true, classes=classes, average="weighted") == pytest.approx(weighted)


@given(st.integers(1, 6), st.integers(2, 6), st.integers(1, 8), st.integers(0, 99))
def test_top_k_is_what_a_stable_sort_gives(n: int, classes: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, true = rng.integers(0, 4, (n, classes)).astype(float), rng.integers(0, classes, n)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    expected = np.mean([t in row for t, row in zip(true, order, strict=True)])
    assert metrics.top_k_accuracy(scores, true, k) == pytest.approx(expected)
    assert metrics.top_k_accuracy(scores, true, 1) == metrics.accuracy(scores, true)


@given(labels_of.filter(lambda drawn: drawn[0] > 1))  # scikit-learn warns of one class
def test_the_numbers_and_the_report_are_scikit_learns(drawn: Any) -> None:
    sklearn = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    classes, pairs = drawn
    guess, true = [list(side) for side in zip(*pairs, strict=True)]
    options = {"labels": range(classes), "zero_division": 0}
    names = [f"a class called {i}" for i in range(classes)]
    theirs = sklearn.classification_report(true, guess, target_names=names, digits=4, **options)
    ours = metrics.classification_report(guess, true, classes=names, digits=4)
    # It prints "micro avg" where a label is missing, and supports as 2.0 where nothing is right.
    if len(set(guess) | set(true)) == classes and metrics.accuracy(guess, true) > 0:
        assert ours == theirs.removesuffix("\n")
    for average in (None, "macro", "weighted", "micro"):
        for name in ("precision", "recall", "f1"):
            expected = getattr(sklearn, f"{name}_score")(true, guess, average=average, **options)
            found = getattr(metrics, name)(guess, true, classes=classes, average=average)
            np.testing.assert_allclose(found, expected)
    expected = sklearn.confusion_matrix(true, guess, labels=range(classes))
    assert np.array_equal(metrics.confusion_matrix(guess, true, classes), expected)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: metrics.accuracy([0, 1], [0]), ShapeError, r"\(2,\) and \(1,\)"),
        (lambda: metrics.accuracy([], []), ShapeError, "at least one example"),
        (lambda: metrics.accuracy(np.zeros((0, 3)), []), ShapeError, "at least one example"),
        (lambda: metrics.accuracy([0], [[1.0, 0.0]]), ShapeError, "labels"),
        (lambda: metrics.accuracy(0, 0), ShapeError, "labels"),
        (lambda: metrics.accuracy([0.5], [0]), LabelError, "float64"),
        (lambda: metrics.accuracy([0], [0.0]), LabelError, "true labels"),
        (lambda: metrics.accuracy([0], [-1]), LabelError, "-1"),
        (lambda: metrics.accuracy([[0.1, 0.9]], [2]), LabelError, "from 0 to 1"),
        (lambda: metrics.accuracy([[np.nan, 0.9]], [0]), NonFiniteError, "NaN"),
        (lambda: metrics.accuracy([[0.9], [0.1]], [0, 0]), ShapeError, "two classes or more"),
        (lambda: metrics.top_k_accuracy([[0.9]], [0], 1), ShapeError, "two classes or more"),
        (lambda: metrics.top_k_accuracy([[np.nan, 1.0]], [0], 1), NonFiniteError, "example 0"),
        (lambda: metrics.f1([[0.0, 1.0], [np.nan, 0.0]], [1, 0]), NonFiniteError, "example 1"),
        (lambda: metrics.accuracy([0, 1], [[0], [1]]), ShapeError, r"target\[:, 0\]"),
        (lambda: metrics.accuracy([0], [[1.0, 0.0]]), ShapeError, r"argmax\(axis=1\)"),
        (lambda: metrics.accuracy(["a"], ["b"]), LabelError, "strings; number them with np.unique"),
        (lambda: metrics.accuracy([True], [1]), LabelError, "got bool; convert with"),
        (lambda: metrics.confusion_matrix([3], [0], 3), LabelError, "predicted"),
        (lambda: metrics.confusion_matrix([3], [0], 0), ArgumentError, "classes"),
        (lambda: metrics.confusion_matrix([3], [0], "digits"), ArgumentError, "classes"),
        (
            lambda: metrics.confusion_matrix([[0.5, 0.5]], [0], ["a"]),
            ShapeError,
            r"of 1 classes, got \(1, 2\)",
        ),
        (lambda: metrics.f1([0], [0], average="mean"), ArgumentError, "mean"),
        (lambda: metrics.top_k_accuracy([0], [0]), ShapeError, "scores"),
        (lambda: metrics.top_k_accuracy([[1.0]], [0], k=0), ArgumentError, "1 for k, got 0"),
        (lambda: metrics.classification_report([0], [0], digits=-1), ArgumentError, "digits"),
    ],
)
def test_what_cannot_be_measured_is_refused(call: Any, error: type[FcnnError], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
