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


def sizes(value: Any, what: str, axes: tuple[str, ...], least: int = 1) -> tuple[int, ...]:
    """Return a whole number of at least ``least`` for each axis, from one or one for each."""
    each = value if isinstance(value, tuple | list) else (value,) * len(axes)
    try:
        if len(each) != len(axes):
            raise ValueError
        return tuple([whole(n, what, least) for n in each])
    except ValueError:
        several = f"one whole number or {_COUNTS[len(axes)]}, ({', '.join(axes)}), each at least"
        expected = several if len(axes) > 1 else "a whole number of at least"
        comma = "," if len(axes) > 1 else ""
        raise ArgumentError(
            f"expected {expected} {least}{comma} for {what}, got {value!r}"
        ) from None


_COUNTS = {1: "one", 2: "two", 3: "three"}


def pair(value: Any, what: str, least: int = 1) -> tuple[int, int]:
    """Return ``(rows, columns)`` from one whole number or two, each at least ``least``."""
    rows, columns = sizes(value, what, ("rows", "columns"), least)
    return rows, columns


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
