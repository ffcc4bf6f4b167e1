"""The loss contract, its means over parts of a batch, and the checks of prediction and target."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, ParamSpec, TypeAlias

import attrs
import numpy as np

from fcnn import _batch
from fcnn._ops import memory
from fcnn._ops.values import decide, number
from fcnn._signatures import LossVjp
from fcnn._typing import Array, LossPullback, Tree
from fcnn._value import Spec, Value, remember
from fcnn.errors import ArgumentError, DTypeError, LabelError, ShapeError

P = ParamSpec("P")
Apply: TypeAlias = Callable[[Any, Any], float]
Vjp: TypeAlias = Callable[[Any, Any], tuple[float, Callable[[float], Any]]]
Each: TypeAlias = Callable[[Any, Any], Array]
Weigh: TypeAlias = Callable[[Any], Array]
Shards: TypeAlias = Callable[[Sequence[Any]], Sequence["Loss"]]
Formula: TypeAlias = Callable[[Array, Any], tuple[Array, float, Callable[[], Array]]]


class Pair(NamedTuple):
    """What the constructor of a loss returns: the two functions, and what is known besides.

    Attributes:
        apply: ``(prediction, target) -> value``.
        vjp: ``(prediction, target) -> (value, pullback)``.
        each: ``(prediction, target) -> (n,)``, the loss of each example.
        weigh: ``target -> (n,)``, the weight of each example in the mean; None if all are 1.
        shards: ``targets of shards -> losses of shards``, whose sum is the loss of the batch;
            None if that follows from the weights.
    """

    apply: Apply
    vjp: Vjp
    each: Each | None = None
    weigh: Weigh | None = None
    shards: Shards | None = None


@attrs.frozen(eq=False, repr=False, slots=False)
class Loss(Value):
    """A pair ``(apply, vjp)`` that prints as the call that made it; calling it applies it.

    The value is the mean over the examples, ``Σ wᵢ lᵢ / Σ wᵢ``. A loss may have two functions
    more: ``each(prediction, target)``, which gives the lᵢ, and ``weigh(target)``, which gives
    the wᵢ where they are not all 1. ``shards`` is there where a loss is a sum of several means.

    >>> import numpy as np
    >>> from fcnn.losses import mean_squared_error
    >>> mean_squared_error(np.array([[1.0]]), np.array([[3.0]]))
    4.0
    >>> mean_squared_error.each(np.array([[1.0], [2.0]]), np.array([[3.0], [3.0]]))
    array([4., 1.])
    """

    apply: Apply
    vjp: LossVjp
    spec: Spec
    each: Each | None = None
    weigh: Weigh | None = None
    shards: Shards | None = None

    def __call__(self, prediction: Tree, target: Any) -> float:
        """Return the mean loss of a batch."""
        return self.apply(prediction, target)


def loss(constructor: Callable[P, tuple[Any, ...]]) -> Callable[P, Loss]:
    """Make a function that returns ``apply, vjp`` return a `Loss`.

    The value is the mean over the examples, all of weight 1, unless further functions are
    returned: ``apply, vjp, each, weigh`` (see `Loss`).

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

    def make(made: tuple[Any, ...], spec: Spec) -> Loss:
        apply, vjp, each, weigh, shards = Pair(*made)
        return Loss(apply, vjp, spec, each, weigh, shards)

    return remember(constructor, make, "Loss")


def pair(
    prepare: Callable[[Array, Any], Any], formula: Formula, weigh: Weigh | None = None
) -> Pair:
    """Return the functions of a loss whose value is a sum of terms over their count.

    ``prepare(prediction, target)`` checks the target and gives the formula what it needs.
    ``formula(prediction, prepared)`` returns the terms, of an example beside each other, their
    count, and the function for the derivative of the value. With ``weigh`` the terms are
    weighted already, and the count is the sum of the weights.
    """

    def measured(prediction: Any, target: Any) -> tuple[Array, float, Callable[[], Array]]:
        _check_prediction(prediction, target)
        return formula(prediction, prepare(prediction, target))

    def vjp(prediction: Array, target: Any) -> tuple[float, LossPullback]:
        terms, count, slope = measured(prediction, target)

        def pullback(dvalue: float) -> Array:
            if not decide(count):
                return memory.zeros_like(prediction)
            dprediction = slope()
            if dvalue != 1:
                dprediction *= float(dvalue)
            return dprediction

        return total(terms) / count if decide(count) else 0.0, pullback

    def each(prediction: Array, target: Any) -> Array:
        terms, count, _ = measured(prediction, target)
        n = len(prediction)
        sums: Array = np.add.reduce(terms.reshape(n, -1), axis=1, dtype=np.float64)
        if weigh is None:
            return sums / (count / n)
        return divided(sums, weigh(target))

    return Pair(lambda prediction, target: vjp(prediction, target)[0], vjp, each, weigh)


def total(values: Array) -> float:
    """Return the sum, added in float64: a float32 sum may overflow."""
    return number(np.add.reduce(values, axis=None, dtype=np.float64))


def divided(sums: Array, counts: Array) -> Array:
    """Return the quotient; 0 where there is nothing to divide by."""
    return np.divide(sums, counts, out=memory.zeros(len(sums)), where=counts > 0)


def finite(value: Any, what: str) -> float:
    """Return a finite number.

    Raises:
        ArgumentError: if it is something else.
    """
    try:
        number = math.nan if isinstance(value, str | bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if math.isfinite(number):
        return number
    raise ArgumentError(f"expected a finite number for {what}, got {value!r}")


def check_loss(given: Any, what: str) -> None:
    """Refuse what is not a loss.

    Raises:
        ArgumentError: with what it is for.
    """
    if not (callable(getattr(given, "apply", None)) and callable(getattr(given, "vjp", None))):
        raise ArgumentError(f"expected a loss for {what}, got {given!r}; fcnn.losses has them")


@loss
def scaled(loss: Loss, factor: float) -> Pair:
    """Multiply a loss and its gradient by a number.

    Article 001 prints a tenth of the cross-entropy: ``scaled(categorical_cross_entropy, 0.1)``.

    Raises:
        ArgumentError: if ``loss`` is not a loss, or ``factor`` no finite number.

    >>> import numpy as np
    >>> from fcnn.losses import mean_squared_error, scaled
    >>> scaled(mean_squared_error, 0.5)(np.array([[0.0]]), np.array([[2.0]]))
    2.0
    """
    check_loss(loss, "scaled")
    by = finite(factor, "factor")
    its_each, its_shards = getattr(loss, "each", None), getattr(loss, "shards", None)

    def vjp(prediction: Tree, target: Any) -> tuple[float, Callable[[float], Tree]]:
        value, pullback = loss.vjp(prediction, target)
        return by * value, lambda dvalue: pullback(by * dvalue)

    def each(prediction: Tree, target: Any) -> Array:
        values: Array = by * its_each(prediction, target)  # type: ignore[misc]
        return values

    def shards(targets: Sequence[Any]) -> list[Loss]:
        return [scaled(one, by) for one in its_shards(targets)]  # type: ignore[misc]

    return Pair(
        lambda prediction, target: by * loss.apply(prediction, target),
        vjp,
        each if its_each else None,
        getattr(loss, "weigh", None),
        shards if its_shards else None,
    )


def shard_losses(loss: Any, targets: Sequence[Any]) -> list[Any] | None:
    """Return losses for the shards of a batch whose sum is the loss of the batch.

    None if each shard counts by its number of examples.
    """
    if getattr(loss, "shards", None) is not None:
        return list(loss.shards(targets))
    if getattr(loss, "weigh", None) is None:
        return None
    weights = [total(loss.weigh(target)) for target in targets]
    whole = sum(weights)
    return [scaled(loss, weight / whole if whole else 0.0) for weight in weights]


def sharded(loss: Any, targets: Sequence[Any]) -> list[Any]:
    """Return losses for the shards of a batch whose sum is the loss of the batch."""
    losses = shard_losses(loss, targets)
    if losses is not None:
        return losses
    lengths = [_batch.length(target) for target in targets]
    return [scaled(loss, length / sum(lengths)) for length in lengths]


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
    given = memory.asarray(target)
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
