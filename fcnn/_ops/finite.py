"""A fast test for NaN and infinity."""

from __future__ import annotations

import math

import numpy as np

from fcnn._typing import Array


def all_finite(x: Array) -> bool:
    """Whether no element is NaN or infinite.

    The sum of squares, which BLAS reads at the speed of memory, is finite only then; where it
    overflows, the elements are looked at.
    """
    flat = x.ravel("K")
    return math.isfinite(np.vdot(flat, flat)) or bool(np.isfinite(flat).all())
