"""Whether a linear map is the transpose of a pullback, by random pairings.

For the Jacobian J, whose pullback is dy -> Jᵀ dy, a candidate u for J v is right if and only if
``<dy, u> = <Jᵀ dy, v>`` for all dy. A dy drawn from a continuous distribution misses a wrong u
with probability 0, but for rounding: the difference of the two sides has the standard deviation
``|u - J v|``, and is compared with the rounding of the sums.

Source: R. Freivalds, "Probabilistic machines can use less running time", IFIP Congress, 1977,
which proves products of matrices so.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from fcnn import tree
from fcnn._typing import Array, Tree
from fcnn.prng import Key, fold_in, uniform
from fcnn.tree import Observation

ROUNDING = 2e-12
"""The allowed difference, relative to the product of the norms, in float64."""


def random_like(y: Tree, key: Key) -> Any:
    """Draw numbers of variance 1 for each leaf, uniformly, in its order of memory."""
    count = itertools.count()

    def draw(leaf: Array) -> Array:
        own = uniform(fold_in(key, next(count)), (leaf.size,), dtype=np.float64)
        return laid_out((own - 0.5) * math.sqrt(12), leaf)

    return tree.map(draw, y)


def by_memory(x: Array) -> Any:
    """Return the order of axes in which x has the longest strides first."""
    return np.argsort([-stride for stride in x.strides], kind="stable")


def laid_out(flat: Array, like: Array) -> Array:
    """Return numbers in the shape, the dtype and the order of memory of another array."""
    made = np.empty_like(like)
    view = made.transpose(by_memory(made))
    view[...] = flat.reshape(view.shape)
    return made


def floats(values: Tree, like: Tree = None) -> list[Array]:
    """Return the leaves that have a derivative: floats that are no statistics."""
    marks = tree.statistics(values if like is None else like)
    pairs = zip(tree.leaves(values), marks, strict=True)
    return [leaf for leaf, mark in pairs if not mark and not isinstance(leaf, Observation)]


def inner(a: Tree, b: Tree) -> float:
    """Return ``<a, b>`` over the floats of two trees of one structure."""
    pairs = zip(floats(a), floats(b), strict=True)
    # Not vdot, which copies what is not in C order.
    return float(sum(np.sum(x * y) for x, y in pairs if np.asarray(x).dtype.kind == "f"))


def agree(dy: Tree, u: Tree, gradient: Tree, v: Tree) -> bool:
    """Return whether ``<dy, u> = <gradient, v>`` but for rounding."""
    size = math.sqrt(inner(dy, dy) * inner(u, u)) + math.sqrt(
        inner(gradient, gradient) * inner(v, v)
    )
    return abs(inner(dy, u) - inner(gradient, v)) <= ROUNDING * size
