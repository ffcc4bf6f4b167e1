"""Element-wise functions of several passes, piece by piece, so that a piece stays in the cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fcnn._ops import memory
from fcnn._typing import Array

PIECE = 1 << 16
"""Elements of a piece: with a few pieces as scratch it stays in the level-2 cache."""


def piecewise(function: Callable[..., Any], *inputs: Array, outputs: int = 1) -> list[Array]:
    """Return ``outputs`` new arrays that ``function(*input pieces, *output pieces)`` fills.

    The inputs are of one shape and dtype. Pieces are one-dimensional and contiguous. The
    results lie in memory as the inputs do where these are contiguous, in any order of their
    axes, and in C order otherwise.
    """
    first = inputs[0]
    order = sorted(range(first.ndim), key=lambda axis: -first.strides[axis])
    moved = [each.transpose(order) for each in inputs]
    if not all(each.flags.c_contiguous for each in moved):
        order = list(range(first.ndim))
        moved = [memory.ascontiguousarray(each) for each in inputs]
    made = [memory.empty_like(moved[0]) for _ in range(outputs)]
    flat = [each.reshape(-1) for each in (*moved, *made)]
    for start in range(0, first.size, PIECE):
        function(*[each[start : start + PIECE] for each in flat])
    back = np.argsort(order)
    return [each.transpose(back) for each in made]
