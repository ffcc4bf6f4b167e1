"""The rectifier and its adjoint.

``np.maximum(x, 0)`` reads its 0 through a scalar loop; against an array of zeros, which
one example's worth supplies from the cache, the vector loop runs, four times as fast.
A mask is cast as a whole before the product, which casts it in slow small pieces.
"""

from __future__ import annotations

import numpy as np

from fcnn._typing import Array


def relu(x: Array) -> Array:
    """``max(x, 0)``."""
    y: Array = np.maximum(x, np.zeros(x.shape[1:], x.dtype))
    return y


def relu_adjoint(y: Array, dy: Array, out: Array | None = None) -> Array:
    """``dy`` where ``y = relu(x)`` is positive, 0 elsewhere; into ``out`` if given."""
    dx = np.empty(dy.shape, dy.dtype) if out is None else out
    np.copyto(dx, y > 0)
    return np.multiply(dy, dx, out=dx)
