"""Losses made of losses: one times a number, and the weighted sum over a model's outputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from fcnn._typing import Tree
from fcnn.errors import ArgumentError, FcnnError, TreeError
from fcnn.losses._loss import Loss, Pair, loss


def _finite(value: Any, what: str) -> float:
    try:
        number = math.nan if isinstance(value, str | bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if math.isfinite(number):
        return number
    raise ArgumentError(f"expected a finite number for {what}, got {value!r}")


def _check_loss(given: Any, what: str) -> None:
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
    _check_loss(loss, "scaled")
    by = _finite(factor, "factor")

    def vjp(prediction: Tree, target: Any) -> tuple[float, Callable[[float], Tree]]:
        value, pullback = loss.vjp(prediction, target)
        return by * value, lambda dvalue: pullback(by * dvalue)

    return lambda prediction, target: by * loss.apply(prediction, target), vjp


class _Part(NamedTuple):
    """One term of `combine`: which item of the trees it reads, its loss and its weight."""

    item: Any
    loss: Loss
    weight: float


def _parts(given: Any) -> list[_Part]:
    """Return the terms in the order of their items, so that equal values have equal bits."""
    if isinstance(given, Mapping):
        items = [(name, given[name]) for name in sorted(given, key=str)]
    elif isinstance(given, tuple | list):
        items = list(enumerate(given))
    else:
        items = []
    if not items:
        raise ArgumentError(
            f"expected a dict or tuple of (loss, weight), got {given!r}; "
            f'write combine({{"name": (loss, 1.0), ...}})'
        )
    parts = []
    for item, term in items:
        if not (isinstance(term, tuple | list) and len(term) == 2):
            raise ArgumentError(f"expected (loss, weight) for part {item!r}, got {term!r}")
        _check_loss(term[0], f"part {item!r}")
        parts.append(_Part(item, term[0], _finite(term[1], f"the weight of part {item!r}")))
    return parts


@loss
def combine(
    parts: Mapping[str, tuple[Loss, float]] | Sequence[tuple[Loss, float]],
) -> Pair:
    """Add a loss for each output of a model: ``Σ weight · loss(prediction[name], target[name])``.

    The gradient is a dict or tuple as the prediction is, with
    ``weight · dloss/dprediction[name]`` for each part.

    Args:
        parts: for each output its loss and weight: a dict where the model's output is a dict
            (see `fcnn.fanout`), a tuple where it is a tuple. A part whose output is itself a
            tuple or dict has a combined loss.

    Raises:
        ArgumentError: if ``parts`` is something else, or a weight is not finite.
        TreeError: if prediction or target lacks a part or has another one.
        FcnnError: whatever a part's loss raises, with the part.

    >>> import numpy as np
    >>> from fcnn.losses import combine, mean_squared_error, softmax_cross_entropy
    >>> loss = combine({"digit": (softmax_cross_entropy, 1.0), "tilt": (mean_squared_error, 0.5)})
    >>> prediction = {"digit": np.array([[9.0, 0.0]]), "tilt": np.array([[1.0]])}
    >>> target = {"digit": np.array([1]), "tilt": np.array([[3.0]])}
    >>> round(loss(prediction, target), 3)
    11.0
    >>> loss(prediction, {"digit": np.array([1])})
    Traceback (most recent call last):
    fcnn.errors.TreeError: expected a target with the parts ['digit', 'tilt'], got ['digit']; ...
    """
    terms = _parts(parts)
    in_dict = isinstance(parts, Mapping)
    names = [term.item for term in terms]

    def check(given: Any, what: str) -> None:
        if in_dict:
            found = sorted(given, key=str) if isinstance(given, dict) else None
        else:
            found = list(range(len(given))) if isinstance(given, tuple | list) else None
        if found == names:
            return
        got = f"{type(given).__name__}; give a {'dict' if in_dict else 'tuple'}"
        if found is not None:
            got = _difference(names, found)
        raise TreeError(f"expected {what} with the parts {names}, got {got}")

    def apply(prediction: Tree, target: Tree) -> float:
        check(prediction, "a prediction")
        check(target, "a target")
        return _sum([w * _called(each.apply, i, prediction, target) for i, each, w in terms])

    def vjp(prediction: Tree, target: Tree) -> tuple[float, Callable[[float], Tree]]:
        check(prediction, "a prediction")
        check(target, "a target")
        done = [_called(each.vjp, i, prediction, target) for i, each, _ in terms]
        pulls = [pull for _, pull in done]

        def pullback(dvalue: float) -> Tree:
            slopes = [pull(each.weight * dvalue) for each, pull in zip(terms, pulls, strict=True)]
            return dict(zip(names, slopes, strict=True)) if in_dict else tuple(slopes)

        values = [each.weight * value for each, (value, _) in zip(terms, done, strict=True)]
        return _sum(values), pullback

    return apply, vjp


def _sum(values: Sequence[float]) -> float:
    """Return the sum in the order of the parts."""
    return float(sum(values))


def _difference(names: list[Any], found: list[Any]) -> str:
    missing = [name for name in names if name not in found]
    extra = [name for name in found if name not in names]
    said = [f"{missing} missing"] * bool(missing) + [f"no loss for {extra}"] * bool(extra)
    return f"{found}; {', '.join(said)}"


def _called(function: Callable[[Any, Any], Any], item: Any, prediction: Any, target: Any) -> Any:
    """Return ``function`` of one part; an error of it says which."""
    try:
        return function(prediction[item], target[item])
    except FcnnError as error:
        raise error.within(f"combine[{item!r}]") from None
