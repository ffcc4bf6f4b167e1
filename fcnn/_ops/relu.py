"""The rectifier and its adjoint.

``np.maximum(x, 0)`` reads its 0 through a scalar loop; against an array of zeros, a piece
of which stays in the cache, the vector loop runs, three times as fast. A mask is cast as a
whole before the product, which casts it in slow small pieces.
"""

from __future__ import annotations

import numpy as np

from fcnn._ops.layout import pieces
from fcnn._typing import Array


def relu(x: Array) -> Array:
    """``max(x, 0)``."""
    lines = pieces(x)
    if lines is None:
        small: Array = np.maximum(x, np.zeros_like(x))
        return small
    y = np.empty_like(x)
    np.maximum(lines, np.zeros(lines.shape[1], x.dtype), out=pieces(y))
    return y


def relu_adjoint(y: Array, dy: Array, out: Array | None = None) -> Array:
    """``dy`` where ``y = relu(x)`` is positive, 0 elsewhere; into ``out`` if given."""
    dx = np.empty_like(dy) if out is None else out
    np.copyto(dx, y > 0)
    return np.multiply(dy, dx, out=dx)
