"""Margins of a number around the spatial axes of a batch, and their removal: adjoints."""

from __future__ import annotations

from fcnn._ops import memory
from fcnn._ops.spatial import axis_of, innermost, outermost
from fcnn._ops.window import Pads
from fcnn._typing import Array


def pad(x: Array, margins: Pads, value: float = 0.0) -> Array:
    """Return ``y (n, ..., c)``: ``x`` with margins of ``value``."""
    first, *others = (size + sum(m) for size, m in zip(x.shape[1:-1], margins, strict=True))
    y = memory.full((first, x.shape[-1], *others, len(x)), value, x.dtype)
    _inside(y, margins)[...] = innermost(x)
    return outermost(y)


def crop(y: Array, margins: Pads) -> Array:
    """Return y without its margins, in memory of its own."""
    return outermost(_inside(innermost(y), margins).copy("C"))


def _inside(rows: Array, margins: Pads) -> Array:
    """View what is not margin."""
    cut = [slice(None)] * rows.ndim
    for i, (before, after) in enumerate(margins):
        cut[axis_of(i)] = slice(before, rows.shape[axis_of(i)] - after)
    return rows[tuple(cut)]
