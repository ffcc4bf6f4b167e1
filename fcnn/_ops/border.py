"""An image extended over its border by its own pixels, and the adjoint of that.

Along one axis of size i, position p outside ``0..i - 1`` takes the element

    replicate   min(max(p, 0), i - 1)
    reflect     the mirror image of p, the border pixel itself not repeated
    circular    p modulo i
"""

from __future__ import annotations

import numpy as np

from fcnn._ops.spatial import axis_of, innermost, outermost
from fcnn._ops.window import AXES, Pads, Pair, Sizes
from fcnn._typing import Array, IntArray
from fcnn.errors import ShapeError

MODES = ("zeros", "reflect", "replicate", "circular")
"""What padding is filled with, by PyTorch's names."""


def check_extension(image: Sizes, pads: Pads, mode: str) -> None:
    """Refuse padding by reflection or repetition that is longer than the image allows.

    Raises:
        ShapeError: if it is.
    """
    for name, size, both in zip(AXES[len(image)], image, pads, strict=True):
        most = size - 1 if mode == "reflect" else size
        if mode in ("reflect", "circular") and max(both) > most:
            raise ShapeError(
                f'expected at most {most} of padding for {size} {name} and padding_mode "{mode}", '
                f'got {max(both)}; use "zeros" or "replicate", or less padding'
            )


def extend(x: Array, pads: Pads, mode: str) -> Array:
    """Return ``x (n, ..., c)`` with every axis between images and channels extended.

    The result is in the order of `fcnn._ops.layout`.
    """
    for i, both in enumerate(pads):
        if both != (0, 0):
            at = _sources(x.shape[i + 1], both, mode)
            x = outermost(innermost(x).take(at, axis=axis_of(i)))
    return x


def extend_adjoint(dy: Array, pads: Pads, mode: str) -> Array:
    """Return the adjoint of `extend`: what was taken from a pixel is added to its gradient."""
    for i, (before, after) in reversed(list(enumerate(pads))):
        if before or after:
            rows = np.moveaxis(dy, i + 1, 0)
            size = len(rows) - before - after
            at = _sources(size, (before, after), mode)
            dx = rows[before : before + size].copy(order="K")
            for p in (*range(before), *range(before + size, len(rows))):
                dx[at[p]] += rows[p]
            dy = np.moveaxis(dx, 0, i + 1)
    return dy


def _sources(size: int, pads: Pair, mode: str) -> IntArray:
    """Which element each position takes, along one axis."""
    at: IntArray = np.arange(-pads[0], size + pads[1])
    if mode == "circular":
        at %= size
    elif mode == "replicate":
        np.clip(at, 0, size - 1, out=at)
    else:
        at = np.abs((size - 1) - np.abs((size - 1) - at))
    return at
