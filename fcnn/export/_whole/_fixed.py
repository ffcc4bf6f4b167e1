"""Whole numbers that stand for real ones, and the only rounding between them.

A value x in 8 bits is a whole number q from 0 to 255 with ``x = scale · (q - zero)``. A sum of
products is a whole number of 32 bits; another scale is a product with a whole number and a shift::

    y = floor((sum · multiplier + 2**(shift - 1)) / 2**shift) + zero

with ``multiplier · 2**-shift`` the ratio of the scales, to 31 bits. So ties are rounded up, and
every machine that has whole numbers of 64 bits gets the same.

Source: B. Jacob et al., "Quantization and training of neural networks for efficient
integer-arithmetic-only inference", 2017, https://arxiv.org/abs/1712.05877, section 2.2.
"""

from __future__ import annotations

import math
from typing import Any

import attrs
import numpy as np

from fcnn._typing import Array

BITS, MOST = 31, 55
"""Of a multiplier, and the largest shift: 2**62 + 2**55 fits into 64 bits."""


@attrs.frozen
class Scale:
    """What the whole numbers of a value stand for: ``x = step · (q - zero)``."""

    step: float
    zero: int

    @classmethod
    def of(cls, low: float, high: float) -> Scale:
        """Return the scale of a range, which 0 is made part of.

        >>> from fcnn.export._whole._fixed import Scale
        >>> Scale.of(0.0, 25.5)
        Scale(step=0.10000000149011612, zero=0)
        """
        low, high = min(float(low), 0.0), max(float(high), 0.0)
        step = float(np.float32((high - low) / 255)) or 1.0
        return cls(step, int(np.clip(np.rint(-low / step), 0, 255)))

    def quantized(self, x: Array) -> Array:
        """Return the nearest whole numbers, half to even, of an array in float32."""
        found = np.rint(np.asarray(x, np.float32) / np.float32(self.step)) + np.float32(self.zero)
        whole: Array = np.clip(found, 0, 255).astype(np.uint8)
        return whole

    def real(self, q: Array) -> Array:
        """Return what whole numbers stand for, in float32."""
        difference = q.astype(np.int32) - self.zero
        found: Array = difference.astype(np.float32) * np.float32(self.step)
        return found


def fixed(ratio: Any) -> tuple[Array, Array]:
    """Return multipliers and shifts ``ratio ≈ multiplier · 2**-shift``, of positive ratios.

    >>> from fcnn.export._whole._fixed import fixed
    >>> [each.tolist() for each in fixed([0.5, 0.003])]
    [[1073741824, 1649267442], [31, 39]]
    """
    pairs = [_fixed(float(each)) for each in np.atleast_1d(np.asarray(ratio, float))]
    multipliers, shifts = zip(*pairs, strict=True)
    return np.array(multipliers, np.int64), np.array(shifts, np.int64)


def _fixed(ratio: float) -> tuple[int, int]:
    fraction, exponent = math.frexp(ratio)
    multiplier, shift = round(fraction * 2**BITS), BITS - exponent
    if shift > MOST:  # too small to matter
        multiplier, shift = multiplier >> (shift - MOST), MOST
    return min(multiplier, 2**BITS - 1), max(shift, 1)


def rescaled(total: Array, multiplier: Array, shift: Array, zero: int) -> Array:
    """Return sums at another scale, between 0 and 255."""
    moved = total.astype(np.int64) * multiplier + (np.int64(1) << (shift - 1))
    whole: Array = np.clip((moved >> shift) + zero, 0, 255).astype(np.uint8)
    return whole
