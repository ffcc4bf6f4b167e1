"""What a model consists of, as a table."""

from __future__ import annotations

import math

import numpy as np

from fcnn import tree
from fcnn._layer import Layer
from fcnn._typing import Shape, Tree
from fcnn.prng import fold_in, key


def summary(model: Layer, shape: Shape) -> str:
    """A table of a model's layers, their output shapes and how many numbers each learns.

    Args:
        model: a layer; a `serial` is shown layer by layer.
        shape: the shape of one example.

    Raises:
        ShapeError: if the model does not take such an example.

    >>> import fcnn
    >>> print(fcnn.summary(fcnn.serial(fcnn.conv2d(8, 3), fcnn.relu), (28, 28, 1)))
    layer         output       params
    conv2d(8, 3)  (26, 26, 8)      80
    relu          (26, 26, 8)       0
    total                          80
    """
    model.init(key(0), shape)  # an error here names the layer's path
    layers = model.spec.args if model.spec.name == "serial" else (model,)
    rows, total = [], 0
    for i, each in enumerate(layers):
        params, shape = each.init(fold_in(key(0), i), shape)
        total += _count(params)
        rows.append((repr(each), str(shape), f"{_count(params):,}"))
    return _table([("layer", "output", "params"), *rows, ("total", "", f"{total:,}")])


def _count(params: Tree) -> int:
    return sum(math.prod(np.shape(leaf)) for leaf in tree.leaves(params))


def _table(rows: list[tuple[str, str, str]]) -> str:
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        f"{name:<{wide[0]}}  {shape:<{wide[1]}}  {count:>{wide[2]}}" for name, shape, count in rows
    )
