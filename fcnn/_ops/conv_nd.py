"""Correlations along one, two or three axes, each in a form for images."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fcnn._ops import conv, conv_sequence, conv_volume
from fcnn._ops.layout import images_innermost
from fcnn._ops.vector import row_sums
from fcnn._typing import Array


class Kernels(NamedTuple):
    """A correlation and its adjoints; see the functions of these names in `fcnn._ops.conv`.

    Attributes:
        arranged: ``x -> x``, in the order in memory that the others copy it to.
    """

    arranged: Callable[[Array], Array]
    correlate: Callable[..., tuple[Array, Any]]
    adjoints: Callable[..., tuple[Array, Array | None, Array | None]]
    transposed: Callable[..., Array]


KERNELS = {
    1: Kernels(
        conv_sequence.arranged,
        conv_sequence.correlate,
        conv_sequence.correlate_adjoints,
        conv_sequence.correlate_transposed,
    ),
    2: Kernels(
        images_innermost, conv.correlate, conv.correlate_adjoints, conv.correlate_transposed
    ),
    3: Kernels(
        conv_volume.arranged,
        conv_volume.correlate,
        conv_volume.correlate_adjoints,
        conv_volume.correlate_transposed,
    ),
}
"""By the number of axes that the window slides along."""


def bias_gradient(dy: Array, bias: str | None) -> Array | None:
    """Return the sum of ``dy (n, ..., c)`` over n, and over pixels for a "tied" bias."""
    if bias is None:
        return None
    if bias == "untied":
        by_pixel: Array = dy.sum(axis=0)
        return by_pixel
    # In the order of memory: what lies behind the channels is summed by a product with ones.
    axes = sorted(range(dy.ndim), key=lambda axis: -dy.strides[axis])
    at, ordered = axes.index(dy.ndim - 1), dy.transpose(axes)
    inner = math.prod(ordered.shape[at + 1 :])
    parts = row_sums(ordered.reshape(-1 if dy.size else 0, dy.shape[-1], inner))
    sums: Array = parts.sum(axis=0, dtype=np.float64)
    return sums.astype(dy.dtype)
