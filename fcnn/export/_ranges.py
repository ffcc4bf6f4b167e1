"""The range of an activation that 8 bits stand for.

Of the ranges f · [low, high], with low <= 0 <= high those of the examples and f from 0.3 to 1, the
one whose rounding and clipping has the least squared error over the examples: a few large values
are clipped where all others gain more by the finer steps. The error is computed on a histogram.

Source: R. Banner et al., "Post training 4-bit quantization of convolutional networks for rapid
deployment", 2019, https://arxiv.org/abs/1810.05723, which derives such ranges from a distribution.
"""

from __future__ import annotations

import numpy as np

from fcnn._typing import Array

BINS = 2048
FACTORS = np.linspace(1, 0.3, 36)


def least_error_range(data: Array) -> tuple[float, float]:
    """Return the ends of the range."""
    low, high = min(float(data.min()), 0.0), max(float(data.max()), 0.0)
    if not np.isfinite(high - low) or high - low < np.finfo(np.float32).tiny:
        return low, high
    counts, edges = np.histogram(data, BINS, (low, high))
    middles = (edges[1:] + edges[:-1]) / 2
    errors = [counts @ (_rounded(middles, f * low, f * high) - middles) ** 2 for f in FACTORS]
    best = FACTORS[int(np.argmin(errors))]
    return float(best * low), float(best * high)


def _rounded(x: Array, low: float, high: float) -> Array:
    step = (high - low) / 255
    zero = np.round(-low / step)
    whole: Array = np.clip(np.round(x / step) + zero, 0, 255) - zero
    return step * whole
