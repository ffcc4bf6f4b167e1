"""A fast test for NaN and infinity."""

from __future__ import annotations

import math

import numpy as np

from fcnn._ops.values import holds
from fcnn._typing import Array


def all_finite(x: Array, y: Array | None = None) -> bool:
    """Whether no element of x, nor of y of the same size, is NaN or infinite.

    The dot product, which BLAS computes at the speed of memory, is finite only then. Where it is
    not, which may be an overflow, the elements are looked at.
    """
    return holds(_all_finite, x) if y is None else holds(_all_finite, x, y)


def _all_finite(x: Array, y: Array | None = None) -> bool:
    a = x.ravel("K")
    b = a if y is None else y.ravel("K")
    return math.isfinite(np.vdot(a, b)) or bool(np.isfinite(a).all() and np.isfinite(b).all())
