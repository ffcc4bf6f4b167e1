"""Metrics of examples that come in parts: batch by batch, or from the shards of several workers.

A metric of which a few sums are enough is registered beside its function, by `sums`: how to get
the sums of a part, how to add those of two parts, and how to make the number of them. For every
other function the examples themselves are kept, which costs their memory and is exact.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple, ParamSpec, TypeAlias, TypeVar

import attrs
import numpy as np

from fcnn import _batch, tree
from fcnn._typing import Array
from fcnn._value import Spec, Value, remember
from fcnn.errors import ArgumentError, DataError

P = ParamSpec("P")
F = TypeVar("F", bound=Callable[..., Any])
State: TypeAlias = Any
"""What was seen so far: None, an array that cannot be written, or a tuple of such and numbers."""


class Sums(NamedTuple):
    """How a metric is made of sums over examples; each takes the metric's options."""

    count: Callable[..., Any]
    finish: Callable[..., Any]
    merge: Callable[[Any, Any], Any]


_KNOWN: dict[Callable[..., Any], Sums] = {}


def sums(
    count: Callable[..., Any],
    finish: Callable[..., Any],
    merge: Callable[[Any, Any], Any] | None = None,
) -> Callable[[F], F]:
    """Register that ``metric(p, t, **options)`` is ``finish(count(p, t, **options), **options)``.

    ``merge`` makes of the counts of two parts that of both; by default it adds them.
    """

    def register(metric: F) -> F:
        _KNOWN[metric] = Sums(count, finish, merge or _plus)
        return metric

    return register


def _plus(a: Any, b: Any) -> Any:
    """Add tuples of numbers and arrays; where shapes differ, the smaller is filled with zeros."""
    if isinstance(a, tuple):
        return tuple([_plus(x, y) for x, y in zip(a, b, strict=True)])
    if np.shape(a) == np.shape(b):
        return a + b
    shape = np.maximum(np.shape(a), np.shape(b))
    total = np.zeros(shape, np.result_type(a, b))
    for part in (a, b):
        total[tuple([slice(length) for length in part.shape])] += part
    return total


@attrs.frozen(eq=False, repr=False, slots=False)
class Streaming(Value):
    """A metric of examples that come in parts; its four functions are pure.

    Calling it measures all examples at once, so that it stands where a metric does.

    - ``init() -> state`` of no examples;
    - ``update(state, prediction, target) -> state`` with those of a part;
    - ``merge(state, state) -> state`` of both, the first's examples first;
    - ``result(state)``, the metric of all of them.

    >>> from fcnn.metrics import accuracy, streaming
    >>> s = streaming(accuracy)
    >>> a = s.update(s.init(), [0, 1], [0, 1])
    >>> b = s.update(s.init(), [2, 2], [2, 0])
    >>> s.result(s.merge(a, b))
    0.75
    """

    init: Callable[[], State]
    update: Callable[[State, Any, Any], State]
    merge: Callable[[State, State], State]
    result: Callable[[State], Any]
    spec: Spec

    def __call__(self, prediction: Any, target: Any) -> Any:
        """Return the metric of examples that are all there."""
        return self.result(self.update(self.init(), prediction, target))


def _streaming(constructor: Callable[P, Any]) -> Callable[P, Streaming]:
    def make(made: Any, spec: Spec) -> Streaming:
        init, update, merge, result = made
        return Streaming(init, update, merge, result, spec)

    return remember(constructor, make, "Streaming")


@_streaming
def streaming(metric: Callable[..., Any], **options: Any) -> Any:
    """Return a metric for examples that come in parts.

    The metrics of `fcnn.metrics` that are made of sums keep only these, however many examples
    there are; ranking metrics, the median and functions of one's own keep the predictions and
    targets. The result is that of the metric for all examples at once, up to the rounding of
    sums of floats. A state is an array, a tuple of arrays and numbers, or None: it pickles.

    Args:
        metric: a function ``(prediction, target, **options)``.
        options: the metric's own.

    Raises:
        ArgumentError: if ``metric`` is no function, or has not such options.
        DataError: from ``result``, if there was no example.

    >>> import numpy as np
    >>> from fcnn.metrics import f1, streaming
    >>> s = streaming(f1, average="macro", classes=3)
    >>> s
    streaming(f1, average='macro', classes=3)
    >>> state = s.init()
    >>> for scores, labels in [(np.eye(3), [0, 1, 2]), (np.eye(3), [0, 1, 1])]:
    ...     state = s.update(state, scores, labels)
    >>> round(s.result(state), 4)
    0.8222
    """
    if not callable(metric):
        raise ArgumentError(f"expected a function (prediction, target), got {metric!r}")
    _check_options(metric, options)
    known = _KNOWN.get(metric)
    count, finish, merge_two = known or Sums(_examples, _of_examples(metric), _both)

    def update(state: State, prediction: Any, target: Any) -> State:
        return merge(state, _sealed(count(prediction, target, **options)))

    def merge(state: State, other: State) -> State:
        if state is None or other is None:
            return other if state is None else state
        return _sealed(merge_two(state, other))

    def result(state: State) -> Any:
        if state is None:
            raise DataError("expected at least one example, got none; update the state first")
        return finish(state, **options)

    return lambda: None, update, merge, result


def _check_options(metric: Callable[..., Any], options: dict[str, Any]) -> None:
    try:
        inspect.signature(metric).bind(None, None, **options)
    except TypeError as error:
        name = getattr(metric, "__name__", repr(metric))
        raise ArgumentError(f"expected options of {name}, got {sorted(options)}; {error}") from None
    except ValueError:  # a function that shows no signature
        return


def _examples(prediction: Any, target: Any, **options: Any) -> Any:
    """Return prediction and target of a part, in memory of their own."""
    copy = tree.map(np.array, (_as_array(prediction), _as_array(target)))
    return (copy,)


def _as_array(given: Any) -> Any:
    return np.asarray(given) if isinstance(given, list) else given


def _both(a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*a, *b)


def _of_examples(metric: Callable[..., Any]) -> Callable[..., Any]:
    def finish(parts: tuple[Any, ...], **options: Any) -> Any:
        prediction, target = _batch.concatenate(parts) if len(parts) > 1 else parts[0]
        return metric(prediction, target, **options)

    return finish


def _sealed(state: Any) -> Any:
    """Return a state whose arrays cannot be written."""
    for leaf in tree.leaves(state):
        if isinstance(leaf, np.ndarray):
            leaf.setflags(write=False)
    return state


def ratio(above: Array, below: Array) -> Array:
    """Return the quotient, 0 where there is nothing to divide by."""
    quotient: Array = np.divide(above, below, out=np.zeros(np.shape(above)), where=below > 0)
    return quotient
