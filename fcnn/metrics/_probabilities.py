"""Metrics of probabilities: log loss, Brier score and calibration error."""

from __future__ import annotations

from typing import Any

import numpy as np

from fcnn import _check
from fcnn._typing import Array
from fcnn.metrics._inputs import probabilities_of
from fcnn.metrics._streaming import sums


def _mean(counts: tuple[float, int], **options: Any) -> float:
    total, n = counts
    return total / n


def _count_logs(prediction: Any, target: Any) -> tuple[float, int]:
    p, labels, precision = probabilities_of(prediction, target)
    p /= p.sum(axis=1, keepdims=True)
    own = np.clip(p[np.arange(len(p)), labels], precision, 1 - precision)
    return -float(np.add.reduce(np.log(own))), len(p)


@sums(_count_logs, _mean)
def log_loss(prediction: Any, target: Any) -> float:
    """Return the mean of ``-log p`` of the true classes.

    Probabilities are kept from 0 and 1 by the machine epsilon of their dtype, as in scikit-learn.

    Args:
        prediction: probabilities ``(n, classes)``, or of class 1, ``(n,)`` or ``(n, 1)``.
        target: labels ``(n,)``; 0 and 1 for the latter.

    Raises:
        ShapeError: if the shapes do not fit, or there are no examples.
        LabelError: if a label is out of its range, or the prediction is no probabilities.
        NonFiniteError: if a probability is NaN.

    >>> from fcnn.metrics import log_loss
    >>> round(log_loss([[0.5, 0.5], [0.25, 0.75]], [0, 1]), 4)
    0.4904
    """
    return _mean(_count_logs(prediction, target))


def _count_squares(prediction: Any, target: Any) -> tuple[float, int]:
    p, labels, _ = probabilities_of(prediction, target)
    gap = p - (labels[:, None] == np.arange(p.shape[1]))
    half = 2 if p.shape[1] == 2 else 1
    return float(np.add.reduce(gap * gap, axis=None)) / half, len(p)


@sums(_count_squares, _mean)
def brier_score(prediction: Any, target: Any) -> float:
    """Return the mean of ``Σ_c (p_c - [c = y])²``; half of it for two classes, ``(p₁ - y)²``.

    Arguments and errors are those of `log_loss`.

    Source: G. W. Brier, "Verification of forecasts expressed in terms of probability", 1950,
    https://doi.org/10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2; the half for two classes is
    that of scikit-learn.

    >>> from fcnn.metrics import brier_score
    >>> round(brier_score([0.75, 0.5], [1, 0]), 5)
    0.15625
    """
    return _mean(_count_squares(prediction, target))


def _count_bins(prediction: Any, target: Any, bins: int = 15) -> tuple[Array, Array, Array]:
    count = _check.whole(bins, "bins")
    p, labels, _ = probabilities_of(prediction, target)
    confidence = p.max(axis=1)
    edges = np.arange(1, count) / count  # bin k is (k / bins, (k + 1) / bins]
    place = np.searchsorted(edges, confidence, side="left")
    right = p.argmax(axis=1) == labels
    return (
        np.bincount(place, minlength=count),
        np.bincount(place, right, minlength=count),
        np.bincount(place, confidence, minlength=count),
    )


def _gap(counts: tuple[Array, Array, Array], **options: Any) -> float:
    n, right, confidence = counts
    return float(np.add.reduce(np.abs(right - confidence)) / n.sum())


@sums(_count_bins, _gap)
def calibration_error(prediction: Any, target: Any, *, bins: int = 15) -> float:
    """Return the expected calibration error: ``Σ_b |right_b - confidence_b| / n``.

    An example's confidence is the probability of its predicted class. The bins b cut ``(0, 1]``
    into equal parts of confidence; right_b is the number of right examples in one, and
    confidence_b the sum of their confidences.

    Args:
        prediction: probabilities, as in `log_loss`.
        target: labels, as in `log_loss`.
        bins: their number.

    Raises:
        ArgumentError: if ``bins`` is no whole number from 1; and all that `log_loss` raises.

    Source: C. Guo et al., "On calibration of modern neural networks", 2017,
    https://arxiv.org/abs/1706.04599, equation 3.

    >>> from fcnn.metrics import calibration_error
    >>> round(calibration_error([[0.9, 0.1], [0.9, 0.1]], [0, 1]), 4)
    0.4
    """
    return _gap(_count_bins(prediction, target, bins))
