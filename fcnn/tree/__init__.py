"""Trees of arrays: parameters, gradients and optimizer states.

A tree is a node, a tuple, a dict (taken in the order of its sorted keys) or ``()``,
nested to any depth; whatever else
stands in it is a leaf: an array or a number. A node is a frozen attrs class made
by `node`; the arrays in it are read-only views, so a tree is a value: nothing
that holds it can change it, and every change makes a new tree.

A field declared with `statistic` holds something that follows the data instead
of minimising the loss, such as the running mean of batch normalisation. The
functions that measure a tree (`norm`) pass statistics over, and `map` can treat
them by a function of their own.

Source: the idea and the names are those of JAX,
https://docs.jax.dev/en/latest/pytrees.html.
"""

from __future__ import annotations

from fcnn.tree._map import map
from fcnn.tree._measure import allclose, astype, digest, norm, ravel, zeros_like
from fcnn.tree._node import (
    Structure,
    equal,
    flatten,
    leaves,
    node,
    paths,
    statistic,
    statistics,
    structure,
    unflatten,
)

__all__ = [
    "Structure",
    "allclose",
    "astype",
    "digest",
    "equal",
    "flatten",
    "leaves",
    "map",
    "node",
    "norm",
    "paths",
    "ravel",
    "statistic",
    "statistics",
    "structure",
    "unflatten",
    "zeros_like",
]
