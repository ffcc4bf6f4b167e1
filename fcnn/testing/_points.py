"""Where a layer is checked: inputs of every batch length, and params away from their start."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import attrs
import numpy as np

from fcnn import _batch, tree
from fcnn._layer import is_shape
from fcnn._typing import Array, Shape, Tree
from fcnn.prng import Key, fold_in
from fcnn.testing._compare import is_float
from fcnn.testing._law import normal

MANY = 17
"""A batch length above 16."""
ELEMENTS = 1001
"""More elements than a thousand."""
CHEAP = 20_000
"""As many elements as a batch may have for the sake of y."""


@attrs.frozen
class Inputs:
    """Draws inputs of a shape, or recycles the examples that were given.

    Floats are normal; whole numbers are 0 and 1, which every embedding of two rows takes.
    """

    shape: Any
    key: Key
    given: Tree = None
    whole_numbers: bool = False

    @property
    def example_size(self) -> int:
        """The number of elements of an example, in the largest array."""
        return size_of(self.shape)

    def __call__(self, n: int, *, draw: int = 0, scale: float = 1.0) -> Tree:
        """Return n examples in float64; another ``draw`` gives other ones."""
        key = fold_in(fold_in(self.key, draw), n)
        if self.given is None:
            return self._drawn(n, key, scale)
        if draw == 0 and n == _batch.length(self.given):
            return tree.astype(self.given, np.float64)
        return self._recycled(n, key, draw)

    def _drawn(self, n: int, key: Key, scale: float) -> Tree:
        numbers = itertools.count()

        def draw(shape: Shape) -> Array:
            drawn = normal(fold_in(key, next(numbers)), (n, *shape))
            return (drawn > 0).astype(np.int64) if self.whole_numbers else scale * drawn

        x: Tree = map_shape(draw, self.shape)
        return x

    def _recycled(self, n: int, key: Key, draw: int) -> Tree:
        """Return given examples in turn, their floats moved by about a percent."""
        index = (np.arange(n) + draw) % _batch.length(self.given)
        numbers = itertools.count()

        def moved(leaf: Any) -> Any:
            taken = np.asarray(leaf)[index]
            if not is_float(taken):
                return taken
            shift = 0.01 * normal(fold_in(key, next(numbers)), taken.shape)
            return taken.astype(np.float64) * (1 + shift)

        return tree.map(moved, self.given)


def map_shape(function: Callable[[Shape], Any], shape: Any) -> Any:
    """Apply a function to each shape of a tuple or dict of shapes, in the order of its leaves."""
    if is_shape(shape):
        return function(tuple(shape))
    if isinstance(shape, dict):
        return {name: map_shape(function, shape[name]) for name in sorted(shape)}
    return tuple([map_shape(function, child) for child in shape])


def size_of(shape: Any) -> int:
    """Return the number of elements of the largest array of these shapes."""
    sizes: list[int] = []
    map_shape(lambda each: sizes.append(math.prod(each)), shape)
    return max(sizes, default=1)


def enlarged(shape: Any) -> Any:
    """Return the shape with its square images made twice as wide."""

    def wider(one: Shape) -> Shape:
        if len(one) == 3 and one[0] == one[1]:
            return (one[0], 2 * one[1], one[2])
        return one

    return map_shape(wider, shape)


def moved(params: Tree, key: Key) -> Tree:
    """Return params somewhere else; statistics upwards, since one of them may be a variance.

    At zero biases and unit scales some mistakes cannot be seen.
    """
    numbers = itertools.count()

    def offset(leaf: Any) -> Array:
        return 0.5 * normal(fold_in(key, next(numbers)), np.shape(leaf))

    def weight(leaf: Any) -> Any:
        return leaf + offset(leaf) if is_float(leaf) else leaf

    def statistic(leaf: Any) -> Any:
        return leaf + np.abs(offset(leaf)) if is_float(leaf) else leaf

    return tree.map(weight, tree.astype(params, np.float64), statistic=statistic)


def many(inputs: Inputs, out_size: int = ELEMENTS) -> int:
    """Return a batch length above 16 that gives x, and y if it is cheap, a thousand elements."""
    size = max(1, inputs.example_size)
    for_y = min(math.ceil(ELEMENTS / max(1, out_size)), CHEAP // size)
    return max(MANY, math.ceil(ELEMENTS / size), for_y)
