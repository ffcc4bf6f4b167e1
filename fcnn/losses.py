"""Losses: how far a prediction is from its target, averaged over the examples.

A loss is two pure functions::

    apply(prediction, target) -> value
    vjp(prediction, target)   -> (value, pullback),   pullback(dvalue) -> dprediction

Each is the mean over the examples of the batch (the first axis) of what is said
in its own formula. ``NAME`` from logits is exact where ``softmax`` or ``sigmoid``
and a logarithm one after the other are not: prefer it for training.

Source of the stable forms: I. Goodfellow, Y. Bengio and A. Courville, "Deep
Learning", 2016, sections 4.1 and 6.2.2, https://www.deeplearningbook.org.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeAlias

import attrs
import numpy as np

from fcnn._ops import stable
from fcnn._typing import Array, LossPullback
from fcnn._value import Spec, Value, as_value, remember
from fcnn.errors import DTypeError, LabelError, ShapeError

__all__ = [
    "Loss",
    "binary_cross_entropy",
    "categorical_cross_entropy",
    "loss",
    "mean_squared_error",
    "scaled",
    "sigmoid_cross_entropy",
    "softmax_cross_entropy",
]

P = ParamSpec("P")
Pair: TypeAlias = tuple[
    Callable[[Array, Any], float], Callable[[Array, Any], tuple[float, LossPullback]]
]


@attrs.frozen(eq=False, repr=False, slots=False)
class Loss(Value):
    """A pair ``(apply, vjp)`` that prints as the call that made it; calling it applies it.

    >>> import numpy as np
    >>> from fcnn.losses import mean_squared_error
    >>> mean_squared_error(np.array([[1.0]]), np.array([[3.0]]))
    4.0
    """

    apply: Callable[[Array, Any], float]
    vjp: Callable[[Array, Any], tuple[float, LossPullback]]
    spec: Spec

    def __call__(self, prediction: Array, target: Any) -> float:
        """The mean loss of a batch."""
        return self.apply(prediction, target)


def loss(constructor: Callable[P, Pair]) -> Callable[P, Loss]:
    """Make a function that returns ``apply, vjp`` return a `Loss`.

    >>> import numpy as np
    >>> from fcnn.losses import loss
    >>> @loss
    ... def linear(factor):
    ...     def apply(prediction, target):
    ...         return factor * float(prediction.mean())
    ...     def vjp(prediction, target):
    ...         slope = factor / prediction.size
    ...         return apply(prediction, target), lambda d: np.full_like(prediction, d * slope)
    ...     return apply, vjp
    >>> linear(2.0)
    linear(2.0)
    """
    return remember(constructor, lambda pair, spec: Loss(*pair, spec))


def _pair(
    prepare: Callable[[Array, Any], Any],
    formula: Callable[[Array, Any], tuple[float, Callable[[], Array]]],
) -> Pair:
    """The pair of a formula that gives the mean loss and a function for its derivative.

    ``prepare(prediction, target)`` checks the target and gives the formula what it needs.
    """

    def vjp(prediction: Array, target: Any) -> tuple[float, LossPullback]:
        _check_prediction(prediction)
        value, slope = formula(prediction, prepare(prediction, target))

        def pullback(dvalue: float) -> Array:
            dprediction = slope()
            if dvalue != 1:
                dprediction *= float(dvalue)
            return dprediction

        return value, pullback

    return lambda prediction, target: vjp(prediction, target)[0], vjp


def _check_prediction(prediction: Array) -> None:
    if not isinstance(prediction, np.ndarray) or prediction.dtype.char not in "fd":
        kind = getattr(prediction, "dtype", type(prediction).__name__)
        raise DTypeError(f"a prediction is an array of float32 or float64, and {kind} came")
    if prediction.size == 0:
        raise ShapeError(f"the mean loss of an empty batch, {prediction.shape}, is not defined")


def _same_shape(prediction: Array, target: Any) -> Array:
    wanted: Array = np.asarray(target, prediction.dtype)
    if wanted.shape != prediction.shape:
        raise ShapeError(
            f"the target must have the prediction's shape {prediction.shape}, "
            f"and {wanted.shape} came"
        )
    return wanted


def _fractions(prediction: Array, target: Any) -> Array:
    fractions = _same_shape(prediction, target)
    if not (fractions.min() >= 0 and fractions.max() <= 1):
        raise LabelError(
            f"targets must lie in [0, 1], and they go from {fractions.min()} to {fractions.max()}"
        )
    return fractions


def _classes(prediction: Array, target: Any) -> Array:
    """Integer labels (n,) as they are; one-hot or soft labels (n, classes) as floats."""
    if prediction.ndim != 2:
        raise ShapeError(f"a prediction must be (n, classes), and {prediction.shape} came")
    labels: Array = np.asarray(target)
    if labels.ndim == 2:
        return _same_shape(prediction, labels)
    n, classes = prediction.shape
    if labels.shape != (n,):
        raise ShapeError(
            f"the target of a prediction {(n, classes)} is {(n,)} labels or {(n, classes)} "
            f"probabilities, and {labels.shape} came"
        )
    if labels.dtype.kind not in "iu":
        raise LabelError(f"labels must be whole numbers, and an array of {labels.dtype} came")
    known = labels.tolist()  # for the few labels of a batch, faster than two reductions
    if min(known) < 0 or max(known) >= classes:
        raise LabelError(
            f"labels must be from 0 to {classes - 1}, since there are {classes} classes, "
            f"and they go from {labels.min()} to {labels.max()}"
        )
    return labels


def _true_places(scores: Array, labels: Array) -> Array:
    """Where the true classes' scores stand in the scores seen as one row."""
    n, classes = scores.shape
    places: Array = np.arange(0, n * classes, classes) + labels
    return places


def _mean(values: Array, count: int) -> float:
    """Minus their sum over ``count``, added in float64: a sum of float32 may exceed float32."""
    return -float(np.add.reduce(values, axis=None, dtype=np.float64)) / count


@as_value
@loss
def binary_cross_entropy() -> Pair:
    """``-(t log p + (1 - t) log(1 - p))`` of probabilities p, the mean over all elements.

    ``dp = (p - t) / (p (1 - p)) / size``. p and 1 - p are kept from below by the
    smallest normal number of the dtype: the value stays finite, and no gradient is
    damped before the probability itself has underflowed. From logits, use
    `sigmoid_cross_entropy`, which is exact everywhere.

    Shapes: prediction and target the same; targets in [0, 1].

    Raises:
        ShapeError: if the shapes differ or the batch is empty.
        LabelError: if a target is outside [0, 1].

    >>> import numpy as np
    >>> from fcnn.losses import binary_cross_entropy
    >>> round(binary_cross_entropy(np.array([[0.5, 0.5]]), np.array([[0.0, 1.0]])), 4)
    0.6931
    """

    def formula(p: Array, t: Array) -> tuple[float, Callable[[], Array]]:
        tiny = np.finfo(p.dtype).tiny
        yes, no = np.maximum(p, tiny), np.maximum(1 - p, tiny)
        value = _mean(t * np.log(yes) + (1 - t) * np.log(no), p.size)
        return value, lambda: ((1 - t) / no - t / yes) / p.size

    return _pair(_fractions, formula)


@as_value
@loss
def sigmoid_cross_entropy() -> Pair:
    """`binary_cross_entropy` of ``p = sigmoid(z)``, from the logits z.

    ``max(z, 0) - t z + log(1 + exp(-|z|))``, the mean over all elements;
    ``dz = (sigmoid(z) - t) / size``.

    Shapes: prediction and target the same; targets in [0, 1].

    Raises:
        ShapeError: if the shapes differ or the batch is empty.
        LabelError: if a target is outside [0, 1].

    >>> import numpy as np
    >>> from fcnn.losses import sigmoid_cross_entropy
    >>> sigmoid_cross_entropy(np.array([[1000.0, -1000.0]]), np.array([[0.0, 0.0]]))
    500.0
    """

    def formula(z: Array, t: Array) -> tuple[float, Callable[[], Array]]:
        values = np.maximum(z, 0) - t * z + np.log1p(np.exp(-np.abs(z)))
        return -_mean(values, z.size), lambda: (stable.sigmoid(z) - t) / z.size

    return _pair(_fractions, formula)


@as_value
@loss
def categorical_cross_entropy() -> Pair:
    """``- sum of t log p`` over the classes, of probabilities p, the mean over examples.

    ``dp = -t / p / n``, with p kept from below by the smallest normal number of the
    dtype. From logits, use `softmax_cross_entropy`, which is exact everywhere.

    Shapes: prediction ``(n, classes)``; target ``(n,)`` whole numbers, or ``(n, classes)``
    one-hot or soft labels.

    Raises:
        ShapeError: if the shapes do not fit or the batch is empty.
        LabelError: if a label is not a whole number from 0 to classes - 1.

    >>> import numpy as np
    >>> from fcnn.losses import categorical_cross_entropy
    >>> p = np.array([[0.5, 0.25, 0.25]])
    >>> round(categorical_cross_entropy(p, np.array([0])), 4)
    0.6931
    """

    def formula(p: Array, t: Array) -> tuple[float, Callable[[], Array]]:
        n = len(p)
        kept = np.maximum(p, np.finfo(p.dtype).tiny)
        if t.ndim == 2:
            return _mean(t * np.log(kept), n), lambda: -t / kept / n
        true = _true_places(p, t)
        likely = kept.take(true)

        def slope() -> Array:
            dp = np.zeros(p.shape, p.dtype)
            dp.reshape(-1)[true] = -1 / likely / n
            return dp

        return _mean(np.log(likely), n), slope

    return _pair(_classes, formula)


@as_value
@loss
def softmax_cross_entropy() -> Pair:
    """`categorical_cross_entropy` of ``p = softmax(z)``, from the logits z.

    ``- sum of t · log_softmax(z)`` over the classes, the mean over examples;
    ``dz = (softmax(z) · sum of t - t) / n``.

    Shapes: prediction ``(n, classes)``; target ``(n,)`` whole numbers, or ``(n, classes)``
    one-hot or soft labels.

    Raises:
        ShapeError: if the shapes do not fit or the batch is empty.
        LabelError: if a label is not a whole number from 0 to classes - 1.

    >>> import numpy as np
    >>> from fcnn.losses import softmax_cross_entropy
    >>> softmax_cross_entropy(np.array([[1000.0, 0.0]]), np.array([1]))
    1000.0
    """

    def formula(z: Array, t: Array) -> tuple[float, Callable[[], Array]]:
        n = len(z)
        # 0 · -inf has no number: the loss of a one-hot target is finite.
        log_p: Array = np.maximum(stable.log_softmax(z), np.finfo(z.dtype).min)
        if t.ndim == 2:
            value = _mean(t * log_p, n)
            return value, lambda: (np.exp(log_p) * t.sum(axis=1, keepdims=True) - t) / n
        true = _true_places(z, t)

        def slope() -> Array:
            dz = np.exp(log_p, order="C")
            dz.reshape(-1)[true] -= 1
            dz /= n
            return dz

        return _mean(log_p.take(true), n), slope

    return _pair(_classes, formula)


@as_value
@loss
def mean_squared_error() -> Pair:
    """``(p - t)²``, the mean over all elements; ``dp = 2 (p - t) / size``.

    The gap is taken in float64, where the square of any float32 is finite, and dp is
    kept within the dtype's range.

    Shapes: prediction and target the same.

    Raises:
        ShapeError: if the shapes differ or the batch is empty.

    >>> import numpy as np
    >>> from fcnn.losses import mean_squared_error
    >>> mean_squared_error(np.array([[0.0, 1.0]]), np.array([[0.0, 3.0]]))
    2.0
    """

    def formula(p: Array, t: Array) -> tuple[float, Callable[[], Array]]:
        gap = np.subtract(p, t, dtype=np.float64)
        most = np.finfo(p.dtype).max

        def slope() -> Array:
            return np.clip(gap * (2 / p.size), -most, most).astype(p.dtype)

        return float(np.square(gap).mean()), slope

    return _pair(_same_shape, formula)


@loss
def scaled(loss: Loss, factor: float) -> Pair:
    """Another loss times a number: ``factor · loss``, and its gradient likewise.

    Article 001 prints a tenth of the cross-entropy: ``scaled(categorical_cross_entropy, 0.1)``.

    >>> import numpy as np
    >>> from fcnn.losses import mean_squared_error, scaled
    >>> scaled(mean_squared_error, 0.5)(np.array([[0.0]]), np.array([[2.0]]))
    2.0
    """
    factor = float(factor)

    def vjp(prediction: Array, target: Any) -> tuple[float, LossPullback]:
        value, pullback = loss.vjp(prediction, target)
        return factor * value, lambda dvalue: pullback(factor * dvalue)

    return lambda prediction, target: factor * loss.apply(prediction, target), vjp
