"""Rectifiers whose derivative follows from their output, as epilogues.

NumPy's maximum and minimum with a number do not use vector instructions, its clip does.
"""

from __future__ import annotations

import numpy as np

from fcnn._ops import memory
from fcnn._ops.epilogue import Epilogue
from fcnn._ops.relu import select
from fcnn._typing import Array


def leaky(slope: float) -> Epilogue:
    """``y = z if z > 0 else slope · z``, ``dz = dy if y > 0 else slope · dy``; ``slope >= 0``."""

    def apply(z: Array, out: Array | None = None) -> Array:
        if 0 < slope <= 1:
            above: Array = np.maximum(z, z * z.dtype.type(slope), out=out)
            return above
        # Not of z itself, because 0 · inf is NaN.
        low = np.clip(z, -np.inf, 0)
        low *= slope
        y: Array = np.clip(z, 0, np.inf, out=out)
        y += low
        return y

    def adjoint(y: Array, dy: Array, out: Array | None = None) -> Array:
        d = memory.empty_like(y) if out is None else out
        np.copyto(d, np.greater(y, 0))
        if slope <= 1:
            np.clip(d, slope, 1, out=d)
        else:
            d *= slope - 1
            np.subtract(slope, d, out=d)
        d *= dy
        return d

    return Epilogue(apply, adjoint)


def clipped(low: float, high: float) -> Epilogue:
    """``y = min(max(z, low), high)``; ``dz = dy`` where y is strictly between, 0 elsewhere."""

    def apply(z: Array, out: Array | None = None) -> Array:
        y: Array = np.clip(z, low, high, out=out)
        return y

    def adjoint(y: Array, dy: Array, out: Array | None = None) -> Array:
        inside = np.greater(y, low)
        inside &= np.less(y, high)
        return select(inside, dy, out)

    return Epilogue(apply, adjoint)


def exponential(alpha: float, *, width: float = 1.0, gain: float = 1.0) -> Epilogue:
    """``y = gain · (z if z > 0 else alpha · (exp(z / width) - 1))``.

    ``dz = dy · gain`` where y > 0, and ``dy · (y + gain · alpha) / width`` elsewhere.
    """
    at_zero = gain * alpha / width  # the derivative on the left of 0

    def apply(z: Array, out: Array | None = None) -> Array:
        low = np.clip(z, -np.inf, 0)
        if width != 1:
            low /= width
        np.expm1(low, out=low)
        if gain * alpha != 1:
            low *= gain * alpha
        if at_zero <= gain == 1:  # then low is above z below 0
            above: Array = np.maximum(z, low, out=out)
            return above
        y: Array = np.clip(z, 0, np.inf, out=out)
        if gain != 1:
            y *= gain
        y += low
        return y

    def adjoint(y: Array, dy: Array, out: Array | None = None) -> Array:
        d: Array = np.clip(y, -np.inf, 0, out=out)
        if width != 1:
            d /= width
        d += at_zero
        if at_zero != gain:
            above = np.greater(y, 0).astype(y.dtype)
            above *= gain - at_zero
            d += above
        d *= dy
        return d

    return Epilogue(apply, adjoint)


def _shrunk_adjoint(y: Array, dy: Array, out: Array | None = None) -> Array:
    return select(np.abs(y) > 0, dy, out)


def hard_shrunk(lambd: float) -> Epilogue:
    """``y = 0 if |z| <= lambd else z``; ``dz = dy`` where y is not 0."""

    def apply(z: Array, out: Array | None = None) -> Array:
        inside = np.less_equal(np.abs(z), lambd)
        y = select(np.logical_not(inside, out=inside), z)
        if out is None:
            return y
        np.copyto(out, y)
        return out

    return Epilogue(apply, _shrunk_adjoint)


def soft_shrunk(lambd: float) -> Epilogue:
    """``y = z - min(max(z, -lambd), lambd)``; ``dz = dy`` where y is not 0."""

    def apply(z: Array, out: Array | None = None) -> Array:
        y: Array = np.subtract(z, np.clip(z, -lambd, lambd), out=out)
        return y

    return Epilogue(apply, _shrunk_adjoint)
