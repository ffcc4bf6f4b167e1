"""Metrics of numbers: predictions ``(n,)`` or ``(n, outputs)``, targets of the same shape."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fcnn._typing import Array
from fcnn.metrics._inputs import numbers_of
from fcnn.metrics._streaming import sums


def _mean(counts: tuple[float, int]) -> float:
    total, n = counts
    return total / n


def _count_squares(prediction: Any, target: Any) -> tuple[float, int]:
    predicted, true = numbers_of(prediction, target)
    return float(np.add.reduce(np.square(predicted - true), axis=None)), true.size


@sums(_count_squares, _mean)
def mean_squared_error(prediction: Any, target: Any) -> float:
    """Return the mean of ``(p - t)²`` over all elements.

    Raises:
        ShapeError: if the shapes differ, or there are no examples.
        LabelError: if there are other things than numbers.
        NonFiniteError: if a prediction is NaN.

    >>> from fcnn.metrics import mean_squared_error
    >>> mean_squared_error([1.0, 2.0], [1.0, 5.0])
    4.5
    """
    return _mean(_count_squares(prediction, target))


def _root(counts: tuple[float, int]) -> float:
    return math.sqrt(_mean(counts))


@sums(_count_squares, _root)
def root_mean_squared_error(prediction: Any, target: Any) -> float:
    """Return the square root of `mean_squared_error`, whose errors it has.

    >>> from fcnn.metrics import root_mean_squared_error
    >>> root_mean_squared_error([1.0, 2.0], [3.0, 0.0])
    2.0
    """
    return _root(_count_squares(prediction, target))


def _count_sizes(prediction: Any, target: Any) -> tuple[float, int]:
    predicted, true = numbers_of(prediction, target)
    return float(np.add.reduce(np.abs(predicted - true), axis=None)), true.size


@sums(_count_sizes, _mean)
def mean_absolute_error(prediction: Any, target: Any) -> float:
    """Return the mean of ``|p - t|`` over all elements; errors as of `mean_squared_error`.

    >>> from fcnn.metrics import mean_absolute_error
    >>> mean_absolute_error([1.0, 2.0], [1.0, 5.0])
    1.5
    """
    return _mean(_count_sizes(prediction, target))


def median_absolute_error(prediction: Any, target: Any) -> float:
    """Return the median of ``|p - t|`` over the examples, averaged over the outputs.

    Errors are those of `mean_squared_error`.

    >>> from fcnn.metrics import median_absolute_error
    >>> median_absolute_error([1.0, 2.0, 9.0], [1.0, 3.0, 0.0])
    1.0
    """
    predicted, true = numbers_of(prediction, target)
    return float(np.median(np.abs(predicted - true), axis=0).mean())


Moments = tuple[int, Array, Array, Array, Array]
"""n, and for each output: mean and squared deviations of the target, and of the error."""


def _moments(prediction: Any, target: Any) -> Moments:
    predicted, true = numbers_of(prediction, target)
    error = true - predicted
    n, mean, bias = len(true), true.mean(axis=0), error.mean(axis=0)
    spread, rest = np.square(true - mean).sum(axis=0), np.square(error - bias).sum(axis=0)
    return n, mean, spread, bias, rest


def _joined(a: Moments, b: Moments) -> Moments:
    """Merge moments as T. F. Chan, G. H. Golub and R. J. LeVeque, 1979, equation 2.1, do.

    Sums of squares would lose the deviations of a target that is far from 0.
    """
    n, m = a[0], b[0]
    both, share = n + m, n * m / (n + m)
    gap, other = b[1] - a[1], b[3] - a[3]
    return (
        both,
        a[1] + gap * (m / both),
        a[2] + b[2] + gap**2 * share,
        a[3] + other * (m / both),
        a[4] + b[4] + other**2 * share,
    )


def _explained(left: Array, spread: Array) -> float:
    """Return the mean over the outputs of ``1 - left / spread``.

    Where the target is constant it is 1 for a perfect prediction and else 0, as in scikit-learn.
    """
    share = np.divide(left, spread, out=(left > 0).astype(np.float64), where=spread > 0)
    return float((1 - share).mean())


def _r2(counts: Moments) -> float:
    n, _, spread, bias, rest = counts
    return _explained(rest + n * bias**2, spread)


@sums(_moments, _r2, _joined)
def r2(prediction: Any, target: Any) -> float:
    """Return the coefficient of determination: ``1 - Σ (t - p)² / Σ (t - mean t)²``.

    It is averaged over the outputs. Where the targets are all the same it is 1 if the prediction
    is them, and else 0. Errors are those of `mean_squared_error`.

    >>> from fcnn.metrics import r2
    >>> r2([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])
    0.7857142857142857
    """
    return _r2(_moments(prediction, target))


def _variance(counts: Moments) -> float:
    _, _, spread, _, rest = counts
    return _explained(rest, spread)


@sums(_moments, _variance, _joined)
def explained_variance(prediction: Any, target: Any) -> float:
    """Return ``1 - var(t - p) / var(t)``: `r2` without what a constant would put right.

    >>> from fcnn.metrics import explained_variance
    >>> explained_variance([1.0, 2.0, 3.0], [2.0, 3.0, 4.0])
    1.0
    """
    return _variance(_moments(prediction, target))
