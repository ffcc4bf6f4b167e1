"""Checks of predictions and targets: labels, scores, probabilities, yes or no, and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from fcnn import _check
from fcnn._ops.memory import asarray
from fcnn._typing import Array, IntArray
from fcnn.errors import LabelError, NonFiniteError, ShapeError

Classes: TypeAlias = int | Sequence[str] | Array | None


def labels_of(prediction: Any, target: Any, classes: Classes) -> tuple[IntArray, IntArray, int]:
    """Return predicted labels, true labels and the number of classes, all checked and flat."""
    predicted, true = asarray(prediction), asarray(target)
    if true.ndim == 0 or true.shape not in (predicted.shape, predicted.shape[:-1]):
        raise ShapeError(
            f"expected a prediction of (n,) labels or (n, classes) scores and a target of (n,) "
            f"labels, got {predicted.shape} and {true.shape}{_hint(true)}"
        )
    refuse_none(predicted)
    count = count_of(classes)
    if predicted.ndim == true.ndim + 1:
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
    return predicted.astype(np.int64).ravel(), true.astype(np.int64).ravel(), count


def refuse_none(predicted: Array) -> None:
    """Refuse an empty prediction.

    Raises:
        ShapeError: with its shape.
    """
    if predicted.size == 0:
        raise ShapeError(f"expected at least one example, got a prediction of {predicted.shape}")


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
    columns = scores.shape[-1]
    if count not in (None, columns):
        raise ShapeError(f"expected scores of {count} classes, got {scores.shape}")
    if columns < 2:
        raise ShapeError(
            f"expected scores of two classes or more, got {scores.shape}; "
            f"for one probability an example pass threshold=0.5, or (p[:, 0] > 0.5)"
            f".astype(np.int64)"
        )
    refuse_nan(scores)
    return scores.argmax(axis=-1), columns


def refuse_nan(scores: Array) -> None:
    """Refuse scores that are not numbers.

    Raises:
        LabelError: if they are of another kind.
        NonFiniteError: with the first example that has a NaN.
    """
    if scores.dtype.kind not in "fiu":
        raise LabelError(f"expected numbers as scores, got {scores.dtype}")
    nan = np.isnan(scores)
    if nan.any():
        first = int(np.argwhere(nan)[0][0])
        raise NonFiniteError(f"expected scores that are numbers, got NaN for example {first}")


def names_of(classes: Classes) -> list[str]:
    """Return the names of the classes; none where their number is given."""
    if isinstance(classes, np.ndarray) and classes.ndim == 1:
        return [str(name) for name in classes]
    if isinstance(classes, Sequence) and not isinstance(classes, str):
        return [str(name) for name in classes]
    return []


def count_of(classes: Classes) -> int | None:
    """Return the number of classes, if it is given."""
    if classes is None:
        return None
    return _check.whole(len(names_of(classes)) or classes, "classes")


def scores_of(prediction: Any, target: Any) -> tuple[Array, Array]:
    """Return scores ``(n, columns)`` in float64, and for each whether it should be high.

    Scores ``(n,)`` or ``(n, 1)`` with targets of 0 and 1 of the same number are one column;
    ``(n, classes)`` with labels ``(n,)`` are a column a class; with targets ``(n, classes)`` of 0
    and 1 a column a label.
    """
    scores, true = asarray(prediction), asarray(target)
    refuse_none(scores)
    if scores.ndim == 2 and scores.shape[1] > 1 and true.shape == scores.shape[:1]:
        _, labels, classes = labels_of(scores, true, None)
        return scores.astype(np.float64), labels[:, None] == np.arange(classes)
    scores, yes = yes_of(scores, true)
    refuse_nan(scores)
    columns = scores.reshape(len(scores), -1)
    return columns.astype(np.float64), yes.reshape(columns.shape)


def yes_of(prediction: Array, target: Any) -> tuple[Array, Array]:
    """Return a prediction and a target of 0 and 1, of one shape; the target as bools.

    A prediction ``(n, 1)`` may have a target ``(n,)``.
    """
    true = asarray(target)
    if prediction.shape == (*true.shape, 1):
        prediction = prediction[..., 0]
    if true.ndim == 0 or prediction.shape != true.shape:
        raise ShapeError(
            f"expected a target of 0 and 1 of the prediction's shape {prediction.shape}, "
            f"got {true.shape}"
        )
    if true.dtype.kind not in "fiub" or not ((true == 0) | (true == 1)).all():
        raise LabelError("expected targets of 0 and 1, got others among them")
    return prediction, true.astype(bool)


def decided(prediction: Any, target: Any, threshold: float) -> tuple[Array, Array]:
    """Return which scores are above the threshold, and which should be: ``(n, columns)``."""
    least = _check.number(threshold, "threshold", -np.inf, open_high=True)
    scores = asarray(prediction)
    refuse_none(scores)
    scores, yes = yes_of(scores, target)
    refuse_nan(scores)
    n = len(scores)
    return (scores > least).reshape(n, -1), yes.reshape(n, -1)


def probabilities_of(prediction: Any, target: Any) -> tuple[Array, IntArray, float]:
    """Return probabilities ``(n, classes)`` in float64, labels, and the precision they came in.

    Probabilities ``(n,)`` or ``(n, 1)`` of class 1 become two columns.
    """
    given, true = asarray(prediction), asarray(target)
    refuse_none(given)
    precision = float(np.finfo(given.dtype if given.dtype.kind == "f" else np.float64).eps)
    if given.shape in (true.shape, (*true.shape, 1)):
        one, yes = yes_of(given, true)
        refuse_nan(one)
        p = np.stack([1 - one.astype(np.float64), one.astype(np.float64)], axis=-1)
        labels: IntArray = yes.astype(np.int64)
    else:
        _, labels, _ = labels_of(given, true, None)
        p = given.astype(np.float64)
    p = p.reshape(-1, p.shape[-1])
    if p.min() < 0 or p.max() > 1 + precision or np.abs(p.sum(axis=1) - 1).max() > 1e-3:
        raise LabelError(
            f"expected probabilities, from 0 to 1 and of sum 1, got scores from {given.min():g} to "
            f"{given.max():g}; apply a softmax or sigmoid to logits"
        )
    return p, labels.ravel(), precision


def numbers_of(prediction: Any, target: Any) -> tuple[Array, Array]:
    """Return prediction and target as ``(n, outputs)`` in float64."""
    predicted, true = asarray(prediction), asarray(target)
    refuse_none(predicted)
    if predicted.ndim == 0 or predicted.shape != true.shape:
        hint = "; pass prediction[:, 0]" if predicted.shape == (*true.shape, 1) else ""
        raise ShapeError(
            f"expected a target of the prediction's shape {predicted.shape}, got {true.shape}{hint}"
        )
    refuse_nan(predicted)
    if true.dtype.kind not in "fiub":
        raise LabelError(f"expected numbers as targets, got {true.dtype}")
    n = len(true)
    return predicted.astype(np.float64).reshape(n, -1), true.astype(np.float64).reshape(n, -1)
