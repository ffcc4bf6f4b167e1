"""Activation maximisation: an input for which a unit has a large output."""

from __future__ import annotations

from typing import Any

import numpy as np

from fcnn._check import number, whole
from fcnn._doors import check_bare, check_key, check_model
from fcnn._layer import Layer
from fcnn._typing import Array, Shape, Tree
from fcnn.explain._targets import gradient
from fcnn.prng import Key, normal


def activation_maximisation(
    model: Layer,
    params: Tree,
    shape: Shape,
    *,
    key: Key,
    target: int | tuple[Any, ...],
    steps: int = 100,
    learning_rate: float = 0.1,
    penalty: float = 0.01,
    dtype: Any = np.float32,
) -> Array:
    """Return an input for which the target's score is high, found by gradient ascent.

    From normal noise of standard deviation 0.1, ``steps`` times
    ``x <- x + learning_rate · (g / rms(g) - penalty · x)``, with g the gradient of the score. For
    an inner layer's unit, pass the model up to it: ``model[:4]``, ``params[:4]``.

    Args:
        model: a layer.
        params: its parameters.
        shape: the shape of one input.
        key: the source of the start.
        target: a class, or an index into an example's output, such as ``(..., 3)`` for
            channel 3.
        steps: how many steps.
        learning_rate: how far a step goes.
        penalty: the weight of half the square of x, which is subtracted from the score.
        dtype: the params' dtype.

    Returns:
        an array of ``shape``.

    Raises:
        ArgumentError: if an argument is something else.

    >>> import numpy as np, fcnn
    >>> params = fcnn.DenseParams(np.array([[1.0], [-1.0]], np.float32), np.zeros(1, np.float32))
    >>> best = fcnn.explain.activation_maximisation(
    ...     fcnn.dense(1), params, (2,), key=fcnn.key(0), target=0
    ... )
    >>> bool(best[0] > 5), bool(best[1] < -5)
    (True, True)

    Source: D. Erhan et al., "Visualizing higher-layer features of a deep network", University of
    Montreal, 2009.
    """
    check_model(model)
    check_bare(params)
    check_key(key)
    steps, penalty = whole(steps, "steps", 0), number(penalty, "penalty", 0)
    rate = number(learning_rate, "learning_rate", 0)
    x: Array = normal(key, (1, *shape), dtype=dtype) * np.asarray(0.1, dtype)
    for _ in range(steps):
        g = gradient(model, params, x, target)[0]
        size = float(np.sqrt(np.mean(np.square(g), dtype=np.float64)))
        step = g / size if size else g
        x = (x + rate * (step - penalty * x)).astype(dtype)
    best: Array = x[0]
    return best
