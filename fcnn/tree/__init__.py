"""Trees of arrays: parameters, gradients, optimizer states, and inputs of several parts.

A tree is a node, a tuple, a namedtuple, a list, a dict (in the order of its sorted keys) or
None, nested to any depth, with arrays and numbers as leaves. A node is a frozen attrs class
made by `node`; the arrays in it are read-only views, so params are values: nothing that holds
them can change them, and every change makes a new tree.

A field declared with `statistic` holds something that follows the data instead of minimising
the loss, such as the running mean of batch normalisation. In a tree of gradients its place
is taken by an `Observation`. `norm` and `ravel` leave statistics out, and `map` can treat
them by a function of their own.

Source: the idea and the names are those of JAX,
https://docs.jax.dev/en/latest/pytrees.html.
"""

# The files, from the ground up:
#
#   _observation  what a pullback returns for a statistic
#   _children     the children of containers, leaves and their paths
#   _structure    a tree without its leaves; flatten, unflatten, equal
#   _node         nodes, and their fields
#   _map          a function at each leaf
#   _measure      vectors, norms, casts, digests

from __future__ import annotations

from fcnn.tree._children import leaves, paths, statistics
from fcnn.tree._map import map, observe
from fcnn.tree._measure import allclose, astype, digest, norm, ravel, zeros_like
from fcnn.tree._node import node, number, statistic
from fcnn.tree._observation import Observation, average, mix
from fcnn.tree._structure import Structure, equal, flatten, structure, unflatten

__all__ = [
    "Observation",
    "Structure",
    "allclose",
    "astype",
    "average",
    "digest",
    "equal",
    "flatten",
    "leaves",
    "map",
    "mix",
    "node",
    "norm",
    "number",
    "observe",
    "paths",
    "ravel",
    "statistic",
    "statistics",
    "structure",
    "unflatten",
    "zeros_like",
]
