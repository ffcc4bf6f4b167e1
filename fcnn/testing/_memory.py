"""Arrays in memory of their own, and what may be written to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fcnn import tree
from fcnn._typing import Tree


def fresh(values: Tree, dtype: Any = None) -> Tree:
    """Return a copy whose arrays own their memory, its floats in ``dtype`` if one is given."""
    return tree.map(np.array, values if dtype is None else tree.astype(values, dtype))


def writeable(values: Tree) -> Iterator[Any]:
    """Yield the arrays of a tree that can be written to."""
    for leaf in tree.leaves(values):
        if isinstance(leaf, np.ndarray) and leaf.flags.writeable and leaf.size:
            yield leaf


def overwrite(values: Tree) -> None:
    """Write other numbers into every array of a tree that can be written to."""
    for leaf in writeable(values):
        leaf[...] = 7
