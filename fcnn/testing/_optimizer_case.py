"""An optimizer, and where the laws look at it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import numpy as np

from fcnn import tree
from fcnn._typing import Array, Tree
from fcnn.prng import Key, fold_in
from fcnn.testing._compare import numbers
from fcnn.testing._law import normal
from fcnn.testing._memory import fresh
from fcnn.tree import Observation


@tree.node
class SampleParams:
    """Params of a layer with a statistic."""

    weight: Array
    bias: Array
    seen: Array = tree.statistic()


def sample_params(key: Key) -> Tree:
    """Return a small tree of every container, with a statistic."""
    weight, bias, seen, kernel, scale = (
        normal(fold_in(key, i), shape)
        for i, shape in enumerate([(3, 2), (2,), (2,), (2, 1, 4), (4,)])
    )
    layer = SampleParams(weight, bias, np.abs(seen))
    return (layer, (), {"kernel": kernel, "scale": scale, "nothing": None})


@attrs.frozen
class OptimizerCase:
    """An optimizer, and where it starts."""

    optimizer: Any
    params: Tree
    key: Key
    steps: int
    calls: int

    def at(self, dtype: Any = np.float64) -> Tree:
        """Return params in memory of their own."""
        return fresh(self.params, dtype)

    def grads(self, params: Tree, i: int = 0, scale: float = 1.0) -> Tree:
        """Draw a gradient for each weight and an observation for each statistic."""
        drawn = itertools.count()

        def draw(leaf: Any) -> Any:
            array = normal(fold_in(fold_in(self.key, 100 + i), next(drawn)), np.shape(leaf))
            return (scale * array).astype(np.asarray(leaf).dtype)

        return tree.map(draw, params, statistic=lambda leaf: Observation(draw(leaf), 0.75))

    def slope(self, params: Tree) -> Tree:
        """Return the gradient of a convex objective: half the squared distance to a point."""
        return tree.map(
            lambda p, start: (p - 0.5 * start).astype(np.asarray(p).dtype),
            params,
            self.params,
            statistic=lambda p, start: Observation(np.asarray(start).astype(p.dtype), 0.9),
        )

    def distance(self, params: Tree) -> float:
        """Return the objective."""
        pairs = zip(weights(params), weights(self.params), strict=True)
        return sum(float(np.square(p.astype(np.float64) - 0.5 * q).sum()) for p, q in pairs) / 2

    def step(self, params: Tree, grads: Tree, state: Any) -> tuple[Tree, Any]:
        """Take a step."""
        stepped: tuple[Tree, Any] = self.optimizer.step(params, grads, state)
        return stepped

    def run(self, params: Tree, grads: Callable[[Tree, int], Tree], steps: int) -> Iterator[Any]:
        """Yield params and state before the first step and after each."""
        state = self.optimizer.init(params)
        yield params, state
        for i in range(steps):
            params, state = self.step(params, grads(params, i), state)
            yield params, state


def weights(params: Tree) -> list[Array]:
    """Return the arrays of params that are no statistics."""
    marked = zip(tree.leaves(params), tree.statistics(params), strict=True)
    return [np.asarray(leaf) for leaf, is_statistic in marked if not is_statistic]


def form(values: Tree) -> Any:
    """Return structure, shapes and dtypes."""
    return tree.structure(values), [(a.shape, a.dtype) for a in numbers(values)]
