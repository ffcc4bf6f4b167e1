"""Checks of hyper-parameters."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fcnn.errors import ArgumentError, ShapeError


def whole(value: Any, what: str, least: int = 1) -> int:
    """Return a whole number of at least ``least``, or raise an ArgumentError."""
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= least:
        return int(value)
    raise ArgumentError(f"expected a whole number of at least {least} for {what}, got {value!r}")


def pair(value: Any, what: str, least: int = 1) -> tuple[int, int]:
    """Return ``(rows, columns)`` from one whole number or two, each at least ``least``."""
    both = value if isinstance(value, tuple | list) else (value, value)
    try:
        rows, columns = both
        return whole(rows, what, least), whole(columns, what, least)
    except ValueError:
        raise ArgumentError(
            f"expected one whole number or two, (rows, columns), each at least {least}, "
            f"for {what}, got {value!r}"
        ) from None


def number(
    value: Any, what: str, low: float, high: float = float("inf"), *, open_high: bool = False
) -> float:
    """Return a finite number in ``[low, high]``, or in ``[low, high)``."""
    real = isinstance(value, float | int | np.floating | np.integer)
    if (
        real
        and not isinstance(value, bool)
        and math.isfinite(value)
        and (low <= value < high or (value == high and not open_high))
    ):
        return float(value)
    interval = f"[{low:g}, {high:g}{')' if open_high or high == float('inf') else ']'}"
    raise ArgumentError(f"expected a number in {interval} for {what}, got {value!r}")


def array_axis(axis: int, ndim: int) -> int:
    """Return which axis of a batch of ``ndim`` axes is an example's axis.

    Raises:
        ShapeError: if an example has no such axis.
    """
    count = ndim - 1
    if not -count <= axis < count:
        raise ShapeError(f"expected an example with an axis {axis}, got one of {count} axes")
    return axis % count + 1
