"""Counts of predicted and true classes: accuracy and the confusion matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

from fcnn import _check
from fcnn._ops.memory import asarray
from fcnn._typing import IntArray
from fcnn.errors import ShapeError
from fcnn.metrics._inputs import Classes, decided, labels_of
from fcnn.metrics._streaming import sums


def _count_right(prediction: Any, target: Any, threshold: float | None = None) -> tuple[int, int]:
    if threshold is not None:
        predicted, true = decided(prediction, target, threshold)
    else:
        predicted, true, _ = labels_of(prediction, target, None)
    return int(np.count_nonzero(predicted == true)), true.size


def _share(counts: tuple[int, int], **options: Any) -> float:
    right, total = counts
    return right / total


@sums(_count_right, _share)
def accuracy(prediction: Any, target: Any, *, threshold: float | None = None) -> float:
    """Return the fraction of examples (or pixels) whose predicted class is the true one.

    With a threshold, prediction is one score for each yes or no, ``(n,)`` or ``(n, labels)``, and
    target 0 and 1 in the same shape: it is the fraction of all of them that are on the right side
    of it, yes being above. `exact_match` counts examples that are right in all labels.

    Raises:
        ShapeError: if the shapes do not fit, or there are no examples.
        LabelError: if a label is not a whole number from 0, or beyond the scores' classes.
        NonFiniteError: if a score is NaN.

    >>> from fcnn.metrics import accuracy
    >>> accuracy([0, 1, 1, 2], [0, 1, 2, 2])
    0.75
    """
    return _share(_count_right(prediction, target, threshold))


def _count_exact(prediction: Any, target: Any, threshold: float = 0.5) -> tuple[int, int]:
    predicted, true = decided(prediction, target, threshold)
    return int(np.count_nonzero((predicted == true).all(axis=1))), len(true)


@sums(_count_exact, _share)
def exact_match(prediction: Any, target: Any, *, threshold: float = 0.5) -> float:
    """Return the fraction of examples all of whose labels are on the right side of a threshold.

    scikit-learn's ``accuracy_score`` of several labels an example.

    Args:
        prediction: scores ``(n, labels)``.
        target: 0 and 1, in the same shape.
        threshold: scores above are a yes.

    Raises:
        ShapeError: if the shapes differ, or there are no examples.
        LabelError: if a target is neither 0 nor 1.
        NonFiniteError: if a score is NaN.

    >>> from fcnn.metrics import exact_match
    >>> exact_match([[0.9, 0.2], [0.8, 0.7]], [[1, 0], [1, 0]])
    0.5
    """
    return _share(_count_exact(prediction, target, threshold))


def _count_top_k(scores: Any, target: Any, k: int = 5) -> tuple[int, int]:
    k = _check.whole(k, "k")
    values = asarray(scores)
    if values.ndim < 2:
        raise ShapeError(f"expected scores (n, classes), got {values.shape}")
    _, true, _ = labels_of(values, target, None)
    values = values.reshape(-1, values.shape[-1])
    own = np.take_along_axis(values, true[:, None], axis=1)
    before = np.arange(values.shape[1]) < true[:, None]
    rank = np.sum((values > own) | ((values == own) & before), axis=1)
    return int(np.count_nonzero(rank < k)), len(true)


@sums(_count_top_k, _share)
def top_k_accuracy(scores: Any, target: Any, k: int = 5) -> float:
    """Return the fraction of examples whose true class is among the k highest scores.

    Equal scores rank in the order of the classes, so that ``k=1`` is `accuracy`.

    Raises:
        ShapeError: if ``scores`` is not ``(n, classes)``, or the target does not fit.
        NonFiniteError: if a score is NaN.
        ArgumentError: if k is not a whole number from 1.

    >>> from fcnn.metrics import top_k_accuracy
    >>> top_k_accuracy([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]], [1, 2], k=2)
    0.5
    """
    return _share(_count_top_k(scores, target, k))


def matrix_of(prediction: Any, target: Any, classes: Classes = None, **options: Any) -> IntArray:
    """Return the confusion matrix."""
    predicted, true, count = labels_of(prediction, target, classes)
    cells: IntArray = np.bincount(true * count + predicted, minlength=count * count)
    return cells.reshape(count, count)


@sums(matrix_of, lambda matrix, **options: matrix)
def confusion_matrix(prediction: Any, target: Any, classes: Classes = None) -> IntArray:
    """Count how often each class (row) was predicted as each class (column).

    Raises:
        ShapeError: if the shapes do not fit, or there are no examples.
        LabelError: if a label is not a whole number from 0 to classes - 1.
        NonFiniteError: if a score is NaN.

    >>> from fcnn.metrics import confusion_matrix
    >>> confusion_matrix([0, 1, 1, 2], [0, 1, 2, 2])
    array([[1, 0, 0],
           [0, 1, 0],
           [0, 1, 1]])
    """
    return matrix_of(prediction, target, classes)
