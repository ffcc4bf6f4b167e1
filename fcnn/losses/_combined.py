"""Losses made of losses: the weighted sum over a model's outputs, and the sum over one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from fcnn import tree
from fcnn._ops.values import number
from fcnn._typing import Array, Tree
from fcnn.errors import ArgumentError, FcnnError, TreeError
from fcnn.losses._loss import Loss, Pair, check_loss, finite, loss, sharded


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
        check_loss(term[0], f"part {item!r}")
        parts.append(_Part(item, term[0], finite(term[1], f"the weight of part {item!r}")))
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

    def shards(targets: Sequence[Any]) -> list[Loss]:
        each = [sharded(term.loss, [target[term.item] for target in targets]) for term in terms]
        weights = [term.weight for term in terms]
        pieces = [list(zip(losses, weights, strict=True)) for losses in zip(*each, strict=True)]
        return [combine(dict(zip(names, p, strict=True)) if in_dict else p) for p in pieces]

    plain = all(_is_plain(term.loss) for term in terms)
    return Pair(apply, vjp, shards=None if plain else shards)


def _is_plain(loss: Loss) -> bool:
    """Return whether a loss is the mean over its examples, all of weight 1."""
    return getattr(loss, "shards", None) is None and getattr(loss, "weigh", None) is None


@loss
def added(*losses: Loss) -> Pair:
    """Add losses of the same prediction and target: ``Σ lossₖ(prediction, target)``.

    For weights, scale the losses: ``added(softmax_cross_entropy, scaled(softmax_dice(), 0.5))``.

    Raises:
        ArgumentError: if there is no loss, or one is something else.

    >>> import numpy as np
    >>> from fcnn.losses import added, mean_absolute_error, mean_squared_error
    >>> both = added(mean_squared_error, mean_absolute_error)
    >>> both(np.array([[0.0]]), np.array([[3.0]]))
    12.0
    """
    if not losses:
        raise ArgumentError("expected at least one loss, got none")
    for each in losses:
        check_loss(each, "added")

    def apply(prediction: Tree, target: Any) -> float:
        return _sum([one.apply(prediction, target) for one in losses])

    def vjp(prediction: Tree, target: Any) -> tuple[float, Callable[[float], Tree]]:
        done = [one.vjp(prediction, target) for one in losses]

        def pullback(dvalue: float) -> Tree:
            return tree.map(_add, *[pull(dvalue) for _, pull in done])

        return _sum([value for value, _ in done]), pullback

    def each_of(prediction: Tree, target: Any) -> Array:
        return _add(*[one.each(prediction, target) for one in losses])  # type: ignore[misc]

    def shards(targets: Sequence[Any]) -> list[Loss]:
        columns = [sharded(one, targets) for one in losses]
        return [added(*pieces) for pieces in zip(*columns, strict=True)]

    if not all(_is_plain(one) for one in losses):
        return Pair(apply, vjp, shards=shards)
    known = all(getattr(one, "each", None) is not None for one in losses)
    return Pair(apply, vjp, each_of if known else None)


def _add(*arrays: Array) -> Array:
    """Return the sum in the order given."""
    first: Array = arrays[0].copy()
    for array in arrays[1:]:
        first += array
    return first


def _sum(values: Sequence[float]) -> float:
    """Return the sum in the order of the parts."""
    return number(sum(values))


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
