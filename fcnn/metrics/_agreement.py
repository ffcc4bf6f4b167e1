"""One number for a whole confusion matrix: Matthews correlation, intersection over union."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fcnn._ops.memory import asarray
from fcnn._typing import Array, IntArray
from fcnn.errors import LabelError
from fcnn.metrics._counts import matrix_of
from fcnn.metrics._inputs import Classes, decided
from fcnn.metrics._streaming import ratio, sums


def _count(prediction: Any, target: Any, threshold: float | None = None) -> IntArray:
    if threshold is None:
        return matrix_of(prediction, target)
    return _binary_matrix(prediction, target, threshold)


def _binary_matrix(prediction: Any, target: Any, threshold: float) -> IntArray:
    predicted, true = decided(prediction, target, threshold)
    return matrix_of(predicted.ravel().astype(np.int64), true.ravel().astype(np.int64), 2)


def _matthews(matrix: IntArray, threshold: float | None = None) -> float:
    # Python's whole numbers: products of counts of millions pass 2**63.
    predicted = [int(n) for n in matrix.sum(axis=0)]
    true = [int(n) for n in matrix.sum(axis=1)]
    right, n = int(np.trace(matrix)), int(matrix.sum())
    above = right * n - sum(p * t for p, t in zip(predicted, true, strict=True))
    below = (n * n - sum(p * p for p in predicted)) * (n * n - sum(t * t for t in true))
    return above / math.sqrt(below) if below else 0.0


@sums(_count, _matthews)
def matthews(prediction: Any, target: Any, *, threshold: float | None = None) -> float:
    """Return Matthews correlation of predicted and true classes, from -1 to 1.

    With s of n examples right, and p_c predicted and t_c true examples of class c, it is
    ``(s n - Σ p_c t_c) / √((n² - Σ p_c²) (n² - Σ t_c²))``; 0 where only one class is predicted or
    only one occurs.

    Args:
        prediction: labels ``(n,)`` or scores ``(n, classes)``.
        target: labels ``(n,)``.
        threshold: prediction is scores of yes or no, as in `accuracy`.

    Raises:
        ShapeError: if the shapes do not fit, or there are no examples.
        LabelError: if a label is not a whole number from 0, or beyond the scores' classes.
        NonFiniteError: if a score is NaN.

    Source: J. Gorodkin, "Comparing two K-category assignments by a K-category correlation
    coefficient", 2004, https://doi.org/10.1016/j.compbiolchem.2004.09.006.

    >>> from fcnn.metrics import matthews
    >>> round(matthews([0, 1, 1, 1], [0, 1, 1, 0]), 4)
    0.5774
    """
    return _matthews(_count(prediction, target, threshold))


def _kept_matrix(
    prediction: Any, target: Any, classes: Classes = None, ignore_index: int | None = None
) -> IntArray:
    if ignore_index is None:
        return matrix_of(prediction, target, classes)
    predicted, true = asarray(prediction), asarray(target)
    kept = true != ignore_index
    if true.shape not in (predicted.shape, predicted.shape[:-1]) or kept.all():
        return matrix_of(predicted, true, classes)
    if not kept.any():
        raise LabelError(f"expected labels other than ignore_index={ignore_index}, got none")
    return matrix_of(predicted[kept], true[kept], classes)


def _iou(matrix: IntArray, **options: Any) -> Array:
    right = np.diagonal(matrix)
    return ratio(right, matrix.sum(axis=0) + matrix.sum(axis=1) - right)


def _mean_iou(matrix: IntArray, **options: Any) -> float:
    there = (matrix.sum(axis=0) + matrix.sum(axis=1)) > 0
    return float(_iou(matrix)[there].mean())


@sums(_kept_matrix, _iou)
def iou(
    prediction: Any, target: Any, *, classes: Classes = None, ignore_index: int | None = None
) -> Array:
    """Return intersection over union (Jaccard's index) of each class: ``tp / (tp + fp + fn)``.

    The counts are over all pixels of all examples; a class that is nowhere has 0.0.

    Args:
        prediction: labels ``(n, ...)`` or scores ``(n, ..., classes)``.
        target: labels ``(n, ...)``.
        classes: the number of classes, or their names.
        ignore_index: a label, of any value, whose pixels do not count.

    Raises:
        ShapeError: if the shapes do not fit, or there are no examples.
        LabelError: if a label is not a whole number from 0 to classes - 1, or all are ignored.
        NonFiniteError: if a score is NaN.

    Source: P. Jaccard, "The distribution of the flora in the alpine zone", 1912,
    https://doi.org/10.1111/j.1469-8137.1912.tb05611.x.

    >>> from fcnn.metrics import iou
    >>> iou([[0, 1], [1, 1]], [[0, 1], [0, 1]])
    array([0.5       , 0.66666667])
    """
    return _iou(_kept_matrix(prediction, target, classes, ignore_index))


@sums(_kept_matrix, _mean_iou)
def mean_iou(
    prediction: Any, target: Any, *, classes: Classes = None, ignore_index: int | None = None
) -> float:
    """Return the mean of `iou` over the classes that are predicted or true somewhere.

    Arguments and errors are those of `iou`.

    >>> from fcnn.metrics import mean_iou
    >>> mean_iou([[0, 1], [1, 1]], [[0, 1], [0, 0]], classes=9)
    0.3333333333333333
    """
    return _mean_iou(_kept_matrix(prediction, target, classes, ignore_index))
