"""A loss, and where the laws look at it."""

from __future__ import annotations

import itertools
import math
from typing import Any

import attrs
import numpy as np

from fcnn import _batch, tree
from fcnn._typing import Tree
from fcnn.prng import Key
from fcnn.testing._compare import is_float, numbers
from fcnn.testing._layer_case import LARGE
from fcnn.testing._memory import fresh
from fcnn.testing._points import ELEMENTS, MANY


@attrs.frozen
class LossCase:
    """A loss and where to look at it."""

    loss: Any
    prediction: Tree
    target: Tree
    key: Key
    step: float
    rtol: float
    calls: int

    @property
    def n(self) -> int:
        """The number of examples that were given."""
        return _batch.length(self.prediction)

    @property
    def sizes(self) -> list[int]:
        """The batch lengths to check."""
        size = max(array.size for array in numbers(self.prediction)) // self.n
        return sorted({1, 2, 5, self.n, max(MANY, math.ceil(ELEMENTS / max(1, size)))})

    @property
    def scales(self) -> tuple[float, ...]:
        """What to multiply the prediction by: probabilities are left as they are."""
        arrays = [array for array in numbers(self.prediction) if array.size]
        bounded = all(np.min(array) >= 0 and np.max(array) <= 1 for array in arrays)
        return (1.0,) if bounded else (1.0, LARGE)

    def at(self, dtype: Any, n: int | None = None, scale: float = 1.0) -> tuple[Tree, Tree]:
        """Return n examples, repeated in turn, in memory of their own."""
        index = np.arange(self.n if n is None else n) % self.n
        p = tree.map(lambda a: scale * a if is_float(a) else a, _batch.take(self.prediction, index))
        return fresh(p, dtype), fresh(_batch.take(self.target, index))

    def moved(self, dtype: Any) -> Tree:
        """Return another prediction for the same target."""
        counter = itertools.count()

        def move(a: Any) -> Any:
            mixed = a[::-1] if len(a) > 1 else a * (1 - 0.01 * (1 + next(counter)))
            return np.array(mixed)

        return tree.astype(tree.map(move, self.prediction), dtype)
