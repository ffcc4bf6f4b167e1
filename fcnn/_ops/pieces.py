"""Element-wise functions of several passes, piece by piece, so that a piece stays in the cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fcnn._ops import memory
from fcnn._typing import Array

PIECE = 1 << 19
"""Bytes of a piece. Smaller ones stay nearer to the processor, but their calls take more time."""


def piecewise(function: Callable[..., Any], *inputs: Array, outputs: int = 1) -> list[Array]:
    """Return ``outputs`` new arrays that ``function(*input pieces, *output pieces)`` fills.

    The inputs are of one shape and dtype. Pieces are contiguous; those of an array of more than
    one piece are one-dimensional. The results lie in memory as the first input does where it is
    contiguous, in any order of its axes, and in C order otherwise.
    """
    first, size = inputs[0], PIECE // inputs[0].itemsize
    if first.size <= size:
        made = [memory.empty_like(first) for _ in range(outputs)]
        if all(each.strides == made[0].strides for each in inputs):
            function(*inputs, *made)
            return made
    order = sorted(range(first.ndim), key=lambda axis: -first.strides[axis])
    if not first.transpose(order).flags.c_contiguous:
        order = list(range(first.ndim))
    moved = [memory.ascontiguousarray(each.transpose(order)) for each in inputs]
    made = [memory.empty_like(moved[0]) for _ in range(outputs)]
    flat = [each.reshape(-1) for each in (*moved, *made)]
    for start in range(0, first.size, size):
        function(*[each[start : start + size] for each in flat])
    back = np.argsort(order)
    return [each.transpose(back) for each in made]
