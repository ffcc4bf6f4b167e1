"""Metrics of the order of scores: the areas under the ROC and the precision-recall curve."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np

from fcnn._typing import Array
from fcnn.errors import ArgumentError, LabelError
from fcnn.metrics._inputs import scores_of

Mean: TypeAlias = Literal["macro", "weighted"] | None


def roc_auc(prediction: Any, target: Any, *, average: Mean = "macro") -> Any:
    """Return the area under the receiver operating characteristic: ``P(s₁ > s₀) + P(s₁ = s₀) / 2``.

    s₁ is the score of an example of the class, s₀ that of another. For two classes, prediction is
    the scores ``(n,)`` or ``(n, 1)`` of class 1 and target 0 and 1. For more, it is probabilities
    ``(n, classes)`` and labels ``(n,)``, each class against the rest; for several labels an
    example, scores ``(n, labels)`` and targets ``(n, labels)`` of 0 and 1.

    Args:
        prediction: scores; only their order in a column counts, so that logits of one column will
            do, while the columns of softmax classes are to be probabilities.
        target: as above.
        average: of columns: ``"macro"`` is the mean, ``"weighted"`` weighted by how often each
            occurs, both over the columns that have examples of both kinds; None gives each
            column's, NaN where it has not.

    Raises:
        ShapeError: if the shapes do not fit, or there are no examples.
        LabelError: if a target is out of its range, or no column has examples of both kinds.
        NonFiniteError: if a score is NaN.
        ArgumentError: if ``average`` is none of these.

    Source: J. A. Hanley and B. J. McNeil, "The meaning and use of the area under a receiver
    operating characteristic (ROC) curve", 1982, https://doi.org/10.1148/radiology.143.1.7063747.

    >>> from fcnn.metrics import roc_auc
    >>> roc_auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    0.75
    """
    return _of_columns(_area, prediction, target, average)


def average_precision(prediction: Any, target: Any, *, average: Mean = "macro") -> Any:
    """Return the mean precision over the thresholds: ``Σ_k (R_k - R_{k-1}) P_k``.

    P_k and R_k are precision and recall where a yes is a score from the k-th highest on, equal
    scores together. Arguments and errors are those of `roc_auc`.

    Source: M. Zhu, "Recall, precision and average precision", 2004, University of Waterloo; the
    step-wise sum is that of scikit-learn.

    >>> from fcnn.metrics import average_precision
    >>> round(average_precision([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]), 4)
    0.8333
    """
    return _of_columns(_mean_precision, prediction, target, average)


def _of_columns(
    measure: Callable[[Array, Array], float], prediction: Any, target: Any, average: Mean
) -> Any:
    if average not in (None, "macro", "weighted"):
        raise ArgumentError(f'expected average to be None, "macro" or "weighted", got {average!r}')
    scores, yes = scores_of(prediction, target)
    support = yes.sum(axis=0)
    known = (support > 0) & (support < len(yes))
    if not known.any():
        raise LabelError(
            f"expected examples of two kinds, got {len(yes)} that are all alike; "
            f"measure more examples at once, such as with fcnn.metrics.streaming"
        )
    values = np.full(len(known), np.nan)
    for column in np.flatnonzero(known):
        values[column] = measure(scores[:, column], yes[:, column])
    if len(values) == 1:
        return float(values[0])
    if average is None:
        return values
    weights = support[known] if average == "weighted" else None
    return float(np.average(values[known], weights=weights))


def _by_score(scores: Array, yes: Array) -> tuple[Array, Array]:
    """Return for each different score, from the lowest, how many yeses and noes have it."""
    kinds, place = np.unique(scores, return_inverse=True)
    positive = np.bincount(place[yes], minlength=len(kinds))
    return positive, np.bincount(place[~yes], minlength=len(kinds))


def _area(scores: Array, yes: Array) -> float:
    positive, negative = _by_score(scores, yes)
    below = np.cumsum(negative) - negative
    pairs = int(positive.sum()) * int(negative.sum())
    return int((positive * (2 * below + negative)).sum()) / (2 * pairs)


def _mean_precision(scores: Array, yes: Array) -> float:
    positive, negative = (counts[::-1] for counts in _by_score(scores, yes))
    true = np.cumsum(positive)
    precision = true / (true + np.cumsum(negative))
    return float(np.add.reduce(positive * precision) / true[-1])
