"""Metrics of classification: how good predictions are, from labels or from scores.

Every function takes ``(prediction, target)``, the order of the losses. A prediction
is labels ``(n,)``, or scores ``(n, classes)``, of which the highest (the first, if
several are equal) is the predicted class; a target is labels ``(n,)``. Labels are
whole numbers from 0. ``classes`` is the number of classes, or their names; without it,
the scores' columns are counted, or else the largest label decides. NaN among the scores
is refused, since it has no place in their order.

A ratio whose denominator is zero (the precision of a class that was never predicted,
the recall of one that never occurred) is 0.0.

Source of the definitions: M. Sokolova and G. Lapalme, "A systematic analysis of
performance measures for classification tasks", Information Processing & Management
45(4), 2009, https://doi.org/10.1016/j.ipm.2009.03.002.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from fcnn import _check
from fcnn._typing import Array, IntArray
from fcnn.errors import ArgumentError, LabelError, NonFiniteError, ShapeError

__all__ = [
    "accuracy",
    "classification_report",
    "confusion_matrix",
    "f1",
    "precision",
    "recall",
    "top_k_accuracy",
]

Classes: TypeAlias = int | Sequence[str] | Array | None
Average: TypeAlias = Literal["macro", "micro", "weighted"] | None


def accuracy(prediction: Any, target: Any) -> float:
    """Return the fraction of examples whose predicted class is the true one.

    Raises:
        ShapeError: if the shapes do not fit, or there are no examples.
        LabelError: if a label is not a whole number from 0, or beyond the scores' classes.
        NonFiniteError: if a score is NaN.

    >>> from fcnn.metrics import accuracy
    >>> accuracy([0, 1, 1, 2], [0, 1, 2, 2])
    0.75
    """
    predicted, true, _ = _labels(prediction, target, None)
    return float(np.mean(predicted == true))


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
    k = _check.whole(k, "k")
    values = np.asarray(scores)
    if values.ndim != 2:
        raise ShapeError(f"expected scores (n, classes), got {values.shape}")
    _, true, _ = _labels(values, target, None)
    own = np.take_along_axis(values, true[:, None], axis=1)
    before = np.arange(values.shape[1]) < true[:, None]
    rank = np.sum((values > own) | ((values == own) & before), axis=1)
    return float(np.mean(rank < k))


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
    predicted, true, count = _labels(prediction, target, classes)
    cells: IntArray = np.bincount(true * count + predicted, minlength=count * count)
    return cells.reshape(count, count)


def precision(
    prediction: Any, target: Any, *, classes: Classes = None, average: Average = None
) -> Any:
    """Return the fraction of the examples predicted as a class that are of it: ``tp / (tp + fp)``.

    Args:
        prediction: labels ``(n,)`` or scores ``(n, classes)``.
        target: labels ``(n,)``.
        classes: the number of classes, or their names.
        average: None gives a number for each class; ``"macro"`` their mean, ``"weighted"``
            their mean weighted by how often each class occurs, ``"micro"`` the ratio of
            the sums over all classes.

    Raises:
        ArgumentError: if ``average`` is none of these; and all that `confusion_matrix` raises.

    >>> from fcnn.metrics import precision
    >>> precision([0, 1, 1, 2], [0, 1, 2, 2])
    array([1. , 0.5, 1. ])
    """
    return _average(confusion_matrix(prediction, target, classes), 0, average)


def recall(
    prediction: Any, target: Any, *, classes: Classes = None, average: Average = None
) -> Any:
    """Return the fraction of the examples of a class predicted as it: ``tp / (tp + fn)``.

    Arguments and errors are those of `precision`.

    >>> from fcnn.metrics import recall
    >>> recall([0, 1, 1, 2], [0, 1, 2, 2])
    array([1. , 1. , 0.5])
    """
    return _average(confusion_matrix(prediction, target, classes), 1, average)


def f1(prediction: Any, target: Any, *, classes: Classes = None, average: Average = None) -> Any:
    """Return the harmonic mean of precision and recall: ``2 tp / (2 tp + fp + fn)``.

    Arguments and errors are those of `precision`.

    >>> from fcnn.metrics import f1
    >>> round(f1([0, 1, 1, 2], [0, 1, 2, 2], average="macro"), 4)
    0.7778
    """
    return _average(confusion_matrix(prediction, target, classes), 2, average)


def classification_report(
    prediction: Any, target: Any, *, classes: Classes = None, digits: int = 2
) -> str:
    """Return precision, recall, F1 and support of each class, and their means, as a table.

    The layout is that of scikit-learn's report of the same name; a class of ``classes``
    that does not occur has a row of zeros.

    Raises:
        ArgumentError: if ``digits`` is not a whole number; and all that
            `confusion_matrix` raises.

    >>> from fcnn.metrics import classification_report
    >>> print(classification_report([0, 1, 1, 1], [0, 1, 1, 0], classes=["zero", "one"]))
                  precision    recall  f1-score   support
    <BLANKLINE>
            zero       1.00      0.50      0.67         2
             one       0.67      1.00      0.80         2
    <BLANKLINE>
        accuracy                           0.75         4
       macro avg       0.83      0.75      0.73         4
    weighted avg       0.83      0.75      0.73         4
    """
    digits = _check.whole(digits, "digits", 0)
    matrix = confusion_matrix(prediction, target, classes)
    names = _names(classes) or [str(i) for i in range(len(matrix))]
    width = max(len(name) for name in [*names, "weighted avg"])
    support = matrix.sum(axis=1)
    total = int(support.sum())

    def row(name: str, *cells: Any) -> str:
        texts = [f"{cell:.{digits}f}" if isinstance(cell, float) else str(cell) for cell in cells]
        return f"{name:>{width}} " + "".join(f" {text:>9}" for text in texts)

    columns = [_average(matrix, of, None) for of in range(3)]
    lines = [row("", "precision", "recall", "f1-score", "support"), ""]
    lines += [row(*cells) for cells in zip(names, *columns, support, strict=True)]
    lines += ["", row("accuracy", "", "", float(np.trace(matrix) / total), total)]
    for average in ("macro", "weighted"):
        means = [_average(matrix, of, average) for of in range(3)]
        lines += [row(f"{average} avg", *means, total)]
    return "\n".join(lines)


def _average(matrix: IntArray, of: int, average: Any) -> Any:
    """Precision (0), recall (1) or F1 (2) of a confusion matrix."""
    predicted, support, right = matrix.sum(axis=0), matrix.sum(axis=1), np.diagonal(matrix)
    above = 2 * right if of == 2 else right
    below = (predicted, support, predicted + support)[of]
    if average == "micro":
        return float(above.sum() / below.sum())
    ratios: Array = np.divide(above, below, out=np.zeros(len(matrix)), where=below > 0)
    if average is None:
        return ratios
    if average == "macro":
        return float(ratios.mean())
    if average == "weighted":
        return float(np.dot(ratios, support) / support.sum())
    raise ArgumentError(
        f'expected average to be None, "macro", "micro" or "weighted", got {average!r}'
    )


def _labels(prediction: Any, target: Any, classes: Classes) -> tuple[IntArray, IntArray, int]:
    """Return predicted labels, true labels and the number of classes, all checked."""
    predicted, true = np.asarray(prediction), np.asarray(target)
    if true.ndim != 1 or predicted.ndim not in (1, 2) or len(predicted) != len(true):
        raise ShapeError(
            f"expected a prediction of (n,) labels or (n, classes) scores and a target of (n,) "
            f"labels, got {predicted.shape} and {true.shape}{_hint(true)}"
        )
    if predicted.size == 0:
        raise ShapeError(f"expected at least one example, got a prediction of {predicted.shape}")
    count = _count(classes)
    if predicted.ndim == 2:
        predicted, count = _highest(predicted, count)
    for what, labels in (("predicted", predicted), ("true", true)):
        if labels.dtype.kind not in "iu":
            raise LabelError(f"expected whole numbers as {what} labels, got {_kind(labels)}")
        if labels.min() < 0 or (count is not None and labels.max() >= count):
            bounds = "from 0" if count is None else f"from 0 to {count - 1}"
            raise LabelError(
                f"expected {what} labels {bounds}, got {labels.min()} to {labels.max()}"
            )
    if count is None:
        count = int(max(predicted.max(), true.max())) + 1
    return predicted.astype(np.int64), true.astype(np.int64), count


def _hint(true: Array) -> str:
    if true.ndim != 2:
        return ""
    return f"; pass target{'[:, 0]' if true.shape[1] == 1 else '.argmax(axis=1)'}"


def _kind(labels: Array) -> str:
    if labels.dtype.kind in "USO":
        return "strings; number them with np.unique(labels, return_inverse=True)"
    if labels.dtype.kind == "b":
        return "bool; convert with labels.astype(np.int64)"
    return f"{labels.dtype}; scores are (n, classes)"


def _highest(scores: Array, count: int | None) -> tuple[IntArray, int]:
    """Return the class of the highest score, and the number of classes."""
    columns = scores.shape[1]
    if count not in (None, columns):
        raise ShapeError(f"expected scores of {count} classes, got {scores.shape}")
    if columns < 2:
        raise ShapeError(
            f"expected scores of two classes or more, got {scores.shape}; "
            f"for one probability an example pass (p[:, 0] > 0.5).astype(np.int64)"
        )
    if scores.dtype.kind not in "fiu":
        raise LabelError(f"expected numbers as scores, got {scores.dtype}")
    nan = np.isnan(scores)
    if nan.any():
        first = int(np.argwhere(nan)[0][0])
        raise NonFiniteError(f"expected scores that are numbers, got NaN for example {first}")
    return scores.argmax(axis=1), columns


def _names(classes: Classes) -> list[str]:
    """Return the names of the classes; none where their number is given."""
    if isinstance(classes, np.ndarray) and classes.ndim == 1:
        return [str(name) for name in classes]
    if isinstance(classes, Sequence) and not isinstance(classes, str):
        return [str(name) for name in classes]
    return []


def _count(classes: Classes) -> int | None:
    if classes is None:
        return None
    return _check.whole(len(_names(classes)) or classes, "classes")
