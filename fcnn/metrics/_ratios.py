"""Precision, recall and F1, of classes or of yes and no, and the report of all three."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np

from fcnn import _check
from fcnn._typing import IntArray
from fcnn.errors import ArgumentError
from fcnn.metrics._counts import matrix_of
from fcnn.metrics._inputs import Classes, decided, names_of
from fcnn.metrics._streaming import ratio, sums

Average: TypeAlias = Literal["macro", "micro", "weighted"] | None


def _cells(
    prediction: Any,
    target: Any,
    classes: Classes = None,
    average: Average = None,
    threshold: float | None = None,
) -> tuple[IntArray, IntArray, IntArray]:
    """Return for each class how often it was predicted, how often it was true, and both."""
    if threshold is None:
        matrix = matrix_of(prediction, target, classes)
        return matrix.sum(axis=0), matrix.sum(axis=1), np.diagonal(matrix).copy()
    predicted, true = decided(prediction, target, threshold)
    return predicted.sum(axis=0), true.sum(axis=0), (predicted & true).sum(axis=0)


def _ratio(of: int) -> Any:
    """Return the function of the counts that gives precision (0), recall (1) or F1 (2)."""

    def finish(cells: Any, average: Average = None, threshold: Any = None, **options: Any) -> Any:
        found = averaged(cells, of, average)
        if average is None and threshold is not None and len(found) == 1:
            return float(found[0])
        return found

    return finish


@sums(_cells, _ratio(0))
def precision(
    prediction: Any,
    target: Any,
    *,
    classes: Classes = None,
    average: Average = None,
    threshold: float | None = None,
) -> Any:
    """Return the fraction of the examples predicted as a class that are of it: ``tp / (tp + fp)``.

    Args:
        prediction: labels ``(n,)`` or scores ``(n, classes)``; with any axes between, of pixels.
        target: labels ``(n,)``.
        classes: the number of classes, or their names.
        average: None gives a number for each class; ``"macro"`` their mean, ``"weighted"``
            their mean weighted by how often each class occurs, ``"micro"`` the ratio of
            the sums over all classes.
        threshold: prediction is scores of yes or no, ``(n,)`` or ``(n, labels)``, and target 0
            and 1 in the same shape; scores above the threshold are a yes. The result is of the
            yeses: a number, or one for each label.

    Raises:
        ArgumentError: if ``average`` is none of these; and all that `confusion_matrix` raises.

    >>> from fcnn.metrics import precision
    >>> precision([0, 1, 1, 2], [0, 1, 2, 2])
    array([1. , 0.5, 1. ])
    >>> precision([0.9, 0.8, 0.3], [1, 0, 0], threshold=0.5)
    0.5
    """
    return _ratio(0)(_cells(prediction, target, classes, None, threshold), average, threshold)


@sums(_cells, _ratio(1))
def recall(
    prediction: Any,
    target: Any,
    *,
    classes: Classes = None,
    average: Average = None,
    threshold: float | None = None,
) -> Any:
    """Return the fraction of the examples of a class predicted as it: ``tp / (tp + fn)``.

    Arguments and errors are those of `precision`.

    >>> from fcnn.metrics import recall
    >>> recall([0, 1, 1, 2], [0, 1, 2, 2])
    array([1. , 1. , 0.5])
    """
    return _ratio(1)(_cells(prediction, target, classes, None, threshold), average, threshold)


@sums(_cells, _ratio(2))
def f1(
    prediction: Any,
    target: Any,
    *,
    classes: Classes = None,
    average: Average = None,
    threshold: float | None = None,
) -> Any:
    """Return the harmonic mean of precision and recall: ``2 tp / (2 tp + fp + fn)``.

    Arguments and errors are those of `precision`.

    >>> from fcnn.metrics import f1
    >>> round(f1([0, 1, 1, 2], [0, 1, 2, 2], average="macro"), 4)
    0.7778
    """
    return _ratio(2)(_cells(prediction, target, classes, None, threshold), average, threshold)


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
    matrix = matrix_of(prediction, target, classes)
    cells = matrix.sum(axis=0), matrix.sum(axis=1), np.diagonal(matrix)
    names = names_of(classes) or [str(i) for i in range(len(matrix))]
    width = max(len(name) for name in [*names, "weighted avg"])
    support = matrix.sum(axis=1)
    total = int(support.sum())

    def row(name: str, *values: Any) -> str:
        texts = [f"{each:.{digits}f}" if isinstance(each, float) else str(each) for each in values]
        return f"{name:>{width}} " + "".join(f" {text:>9}" for text in texts)

    columns = [averaged(cells, of, None) for of in range(3)]
    lines = [row("", "precision", "recall", "f1-score", "support"), ""]
    lines += [row(*values) for values in zip(names, *columns, support, strict=True)]
    lines += ["", row("accuracy", "", "", float(np.trace(matrix) / total), total)]
    for average in ("macro", "weighted"):
        means = [averaged(cells, of, average) for of in range(3)]
        lines += [row(f"{average} avg", *means, total)]
    return "\n".join(lines)


def averaged(cells: tuple[IntArray, IntArray, IntArray], of: int, average: Any) -> Any:
    """Return precision (0), recall (1) or F1 (2) of how often classes are predicted and true."""
    predicted, support, right = cells
    above = 2 * right if of == 2 else right
    below = (predicted, support, predicted + support)[of]
    if average == "micro":
        return float(above.sum() / below.sum()) if below.sum() else 0.0
    ratios = ratio(above, below)
    if average is None:
        return ratios
    if average == "macro":
        return float(ratios.mean())
    if average == "weighted":
        return float(np.dot(ratios, support) / support.sum()) if support.sum() else 0.0
    raise ArgumentError(
        f'expected average to be None, "macro", "micro" or "weighted", got {average!r}'
    )
