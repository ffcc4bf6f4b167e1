"""Observations: what a pullback returns for a statistic, in place of a gradient.

A running mean follows the data and not the loss, so it has no gradient. What a batch showed
is an `Observation`: the value seen and the weight of the old value. `mix` makes the new
statistic of the stored one and an observation; arithmetic on an observation raises a
TypeError, so that no hand-written step trains a statistic as if it were a weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from fcnn._typing import Array


def _refuse(*args: Any, **kwargs: Any) -> NoReturn:
    raise TypeError(
        "expected a gradient, got an Observation of a running statistic; it is mixed into the "
        "params by an optimizer's step, by tree.observe(params, grads), or in your own step by "
        "tree.map(step, params, grads, statistic=tree.mix); gradients of several batches are "
        "averaged with statistic=lambda *seen: tree.average(seen, weights)"
    )


class Observation:
    """What a batch showed of a statistic, and the weight of the old value.

    ``new = weight · stored + (1 - weight) · value`` (see `fcnn.tree.mix`). Compares by
    content. Any arithmetic, comparison by size or conversion to an array raises TypeError.

    Attributes:
        value: an array of the statistic's shape, read-only.
        weight: the weight of the stored value, in [0, 1]; batch norm's momentum.

    >>> import numpy as np
    >>> from fcnn import tree
    >>> seen = tree.Observation(np.array([4.0]), 0.75)
    >>> tree.mix(np.array([0.0]), seen)
    array([1.])
    >>> 0.1 * seen
    Traceback (most recent call last):
    TypeError: expected a gradient, got an Observation of a running statistic; ...
    """

    __slots__ = ("value", "weight")

    value: Array
    weight: float

    def __init__(self, value: Array, weight: float) -> None:
        held = (value if isinstance(value, np.ndarray) else np.asarray(value)).view()
        held.setflags(write=False)
        object.__setattr__(self, "value", held)
        object.__setattr__(self, "weight", float(weight))

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"cannot set {name!r}: an Observation is frozen")

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the statistic."""
        shape: tuple[int, ...] = self.value.shape
        return shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the statistic."""
        return self.value.dtype

    def __repr__(self) -> str:
        return f"Observation({self.value!r}, {self.weight!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Observation):
            return NotImplemented
        return (
            self.weight == other.weight
            and self.dtype == other.dtype
            and np.array_equal(self.value, other.value, equal_nan=True)
        )

    def __hash__(self) -> int:
        return hash((self.shape, self.weight))

    def __reduce__(self) -> Any:
        return Observation, (self.value, self.weight)

    __array__ = __array_ufunc__ = __array_function__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _refuse
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = _refuse
    __pow__ = __rpow__ = __matmul__ = __rmatmul__ = __neg__ = __pos__ = __abs__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = __float__ = __int__ = __bool__ = _refuse
    __getitem__ = __iter__ = __len__ = _refuse


def mix(stored: Any, observation: Observation) -> Any:
    """Return a statistic's new value: ``weight · stored + (1 - weight) · value``.

    Computed as ``stored - (1 - weight) · (stored - value)``, in the stored dtype.

    Raises:
        TypeError: if ``observation`` is not an `Observation`.

    >>> import numpy as np
    >>> from fcnn import tree
    >>> tree.mix(np.array([1.0]), tree.Observation(np.array([2.0]), 0.5))
    array([1.5])
    """
    if type(observation) is not Observation:
        raise TypeError(
            f"expected an Observation for a running statistic, got {type(observation).__name__}; "
            f"a layer's pullback returns fcnn.tree.Observation(value, weight) in its place"
        )
    step = np.asarray((1 - observation.weight) * (stored - observation.value))
    if not isinstance(stored, np.ndarray):
        return type(stored)(stored - step)
    new: Array = stored - step.astype(stored.dtype, copy=False)
    return new


def average(observations: Sequence[Observation], weights: Sequence[float]) -> Observation:
    """Return the mean of observations of one statistic, summed in the order given.

    Values and weights of the old value are both averaged with ``weights``, which sum to 1.

    >>> import numpy as np
    >>> from fcnn import tree
    >>> one, two = tree.Observation(np.array([1.0]), 0.9), tree.Observation(np.array([4.0]), 0.9)
    >>> tree.average([one, two], [2 / 3, 1 / 3]).value
    array([2.])
    """
    first, *others = zip(observations, weights, strict=True)
    value = first[0].value * first[1]
    for seen, weight in others:
        value += seen.value * weight
    olds = {seen.weight for seen in observations}
    old = (
        olds.pop()
        if len(olds) == 1
        else sum(seen.weight * weight for seen, weight in zip(observations, weights, strict=True))
    )
    return Observation(value, old)
