"""The params of frozen layers, which no optimizer moves.

They are declared as a statistic, and what a pullback returns in their place is an observation
that leaves the stored value as it is. So no step moves them, whatever it does to weights:
weight decay, momentum, averages and norms of gradients leave statistics out.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fcnn import tree
from fcnn._typing import Tree
from fcnn.tree import Observation, node, statistic


@node
class FrozenParams:
    """The params of a layer in `frozen`."""

    params: Any = statistic()


def unmoved(params: Tree) -> Any:
    """Return what a pullback gives for params of frozen layers alone.

    A mean over shards or batches of such observations is one too.
    """
    return tree.map(lambda leaf: Observation(np.zeros_like(leaf), 1.0), params)
