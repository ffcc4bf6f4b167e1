"""The loss contract, and the checks that every loss of arrays makes of its arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeAlias

import attrs
import numpy as np

from fcnn._signatures import LossVjp
from fcnn._typing import Array, LossPullback, Tree
from fcnn._value import Spec, Value, remember
from fcnn.errors import DTypeError, LabelError, ShapeError

P = ParamSpec("P")
Pair: TypeAlias = tuple[
    Callable[[Any, Any], float], Callable[[Any, Any], tuple[float, Callable[[float], Any]]]
]


@attrs.frozen(eq=False, repr=False, slots=False)
class Loss(Value):
    """A pair ``(apply, vjp)`` that prints as the call that made it; calling it applies it.

    >>> import numpy as np
    >>> from fcnn.losses import mean_squared_error
    >>> mean_squared_error(np.array([[1.0]]), np.array([[3.0]]))
    4.0
    """

    apply: Callable[[Any, Any], float]
    vjp: LossVjp
    spec: Spec

    def __call__(self, prediction: Tree, target: Any) -> float:
        """Return the mean loss of a batch."""
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
    return remember(constructor, lambda pair, spec: Loss(*pair, spec), "Loss")


def pair(
    prepare: Callable[[Array, Any], Any],
    formula: Callable[[Array, Any], tuple[float, Callable[[], Array]]],
) -> Pair:
    """Return the pair of a formula that gives the mean loss and a function for its derivative.

    ``prepare(prediction, target)`` checks the target and gives the formula what it needs.
    """

    def vjp(prediction: Array, target: Any) -> tuple[float, LossPullback]:
        _check_prediction(prediction, target)
        value, slope = formula(prediction, prepare(prediction, target))

        def pullback(dvalue: float) -> Array:
            dprediction = slope()
            if dvalue != 1:
                dprediction *= float(dvalue)
            return dprediction

        return value, pullback

    return lambda prediction, target: vjp(prediction, target)[0], vjp


def _check_prediction(prediction: Any, target: Any) -> None:
    if not isinstance(prediction, np.ndarray):
        hint = "fcnn.losses.combine has a loss for each part of a tuple or dict"
        if not isinstance(prediction, tuple | dict):
            hint = "convert with np.asarray(prediction, np.float32)"
        kind = type(prediction).__name__
        raise DTypeError(f"expected a float32 or float64 prediction, got {kind}; {hint}")
    if prediction.dtype.char not in "fd":
        hint = "convert with prediction.astype(np.float32)"
        if getattr(getattr(target, "dtype", None), "kind", "") == "f":
            hint = "the prediction comes first: loss(prediction, target)"
        raise DTypeError(
            f"expected a float32 or float64 prediction, got {prediction.dtype}; {hint}"
        )
    if prediction.size == 0:
        raise ShapeError(f"expected at least one example, got an empty batch, {prediction.shape}")


def same_shape(prediction: Array, target: Any) -> Array:
    """Return the target in the prediction's dtype, if it has its shape."""
    given = np.asarray(target)
    if given.dtype.kind not in "fiub":
        raise LabelError(f"expected numbers as targets, got {kind_of(given)}")
    if given.shape != prediction.shape:
        raise ShapeError(
            f"expected a target of the prediction's shape {prediction.shape}, got {given.shape}"
            + _hint(prediction.shape, given.shape)
        )
    return given.astype(prediction.dtype, copy=False)


def _hint(expected: tuple[int, ...], got: tuple[int, ...]) -> str:
    if expected == (*got, 1):
        return "; add an axis with target[..., np.newaxis]"
    if got == (*expected, 1):
        return "; drop the last axis with target[..., 0]"
    return ""


def kind_of(given: Array) -> str:
    """Return what an array that holds no numbers does hold, and how to make labels of it."""
    if given.dtype.kind in "USTO":
        held = "objects" if given.dtype.kind == "O" else "strings"
        return f"{held}; number them with classes, labels = np.unique(names, return_inverse=True)"
    return str(given.dtype)


def mean(values: Array, count: int) -> float:
    """Return minus the sum over ``count``, added in float64: a float32 sum may overflow."""
    return -float(np.add.reduce(values, axis=None, dtype=np.float64)) / count
