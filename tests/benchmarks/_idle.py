"""A layer that computes nothing: its gradient is its params, so a step costs what a pool does."""

from __future__ import annotations

from typing import Any

import numpy as np

import fcnn


@fcnn.layer
def idle(size: int) -> Any:
    """Return the input, and the params in the place of their gradient.

    Args:
        size: the number of params.
    """

    def init(key: Any, shape: Any) -> Any:
        return {"weight": np.zeros(size, np.float32)}, shape

    def apply(params: Any, x: Any, ctx: fcnn.Context = fcnn.EVAL) -> Any:
        return x

    def vjp(params: Any, x: Any, ctx: fcnn.Context = fcnn.EVAL) -> Any:
        return x, lambda dy: (params, dy)

    return init, apply, vjp
