"""The geometry of a window that slides over an image.

With image size i, kernel size k, stride s, dilation d and padding p before and q after it, the
output has size ``o = (i + p + q - (d·(k - 1) + 1)) // s + 1``.

Source: V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep
learning", 2016, https://arxiv.org/abs/1603.07285.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from fcnn._check import pair, whole
from fcnn.errors import ArgumentError, ShapeError

Pair: TypeAlias = tuple[int, int]
Sizes: TypeAlias = tuple[int, ...]
"""A number along each axis of an image: of a sequence one, of a volume three."""
Pads: TypeAlias = tuple[Pair, ...]
"""Padding before and after an image, along each axis."""

AXES = {1: ("steps",), 2: ("rows", "columns"), 3: ("planes", "rows", "columns")}
"""What the axes of an image of that rank are called in errors."""


_UNPADDED = {rank: ((0, 0),) * rank for rank in AXES}


class Window(NamedTuple):
    """How a ``kernel`` slides over an ``image`` of one axis or more; made by `slide`.

    At output pixel ``(y, x)``, kernel element ``(i, j)`` is multiplied by input pixel
    ``(y*stride[0] + i*dilation[0] - top, x*stride[1] + j*dilation[1] - left)``, with
    ``pads == ((top, bottom), (left, right))``; pixels outside the image are padding. ``out`` is
    the number of rows and columns of output.
    """

    image: Sizes
    kernel: Sizes
    stride: Sizes
    dilation: Sizes
    pads: Pads
    out: Sizes

    @property
    def is_padded(self) -> bool:
        """Whether any side of the image is padded."""
        return self.pads != _UNPADDED[len(self.pads)]

    def with_axis(self, axis: int) -> Window:
        """Return the window over the image with one more axis, of a single element."""
        image, kernel, stride, dilation, out = (
            (*sizes[:axis], 1, *sizes[axis:])
            for sizes in (self.image, self.kernel, self.stride, self.dilation, self.out)
        )
        pads = (*self.pads[:axis], (0, 0), *self.pads[axis:])
        return Window(image, kernel, stride, dilation, pads, out)

    def without_first(self) -> Window:
        """Return the window along all axes but the first."""
        image, kernel, stride, dilation, pads, out = self
        return Window(image[1:], kernel[1:], stride[1:], dilation[1:], pads[1:], out[1:])

    def over_padded(self) -> Window:
        """Return the window over the image with its padding attached."""
        padded = [i + sum(pads) for i, pads in zip(self.image, self.pads, strict=True)]
        return self._replace(image=tuple(padded), pads=((0, 0),) * len(padded))


def inside(first: int, step: int, count: int, size: int) -> tuple[slice, slice]:
    """Return which of the ``count`` positions ``first, first + step, ...`` are in ``0:size``.

    As a slice of the positions' numbers, and as a slice of the axis of that size.
    """
    low = max(0, -(first // step))
    high = max(low, min(count, -((first - size) // step)))
    start = first + low * step
    return slice(low, high), slice(start, start + (high - low) * step, step)


def check_padding(padding: Any, rank: int = 2, *, causal: bool = False) -> str | Pads:
    """Return ``"valid"``, ``"same"``, ``"causal"`` or ``(before, after)`` of each axis.

    Raises:
        ArgumentError: if ``padding`` is none of these, nor a number or one for each axis.
    """
    names = ("valid", "same", "causal") if causal else ("valid", "same")
    if isinstance(padding, str):
        if padding in names:
            return padding
    elif isinstance(padding, int | np.integer):
        both = whole(padding, "padding", 0)
        return ((both, both),) * rank
    elif rank == 1 and isinstance(padding, tuple | list) and len(padding) == 2:
        return (pair(padding, "padding", 0),)
    elif isinstance(padding, tuple | list) and len(padding) == rank:
        return tuple([pair(each, "padding", 0) for each in padding])
    near = str(padding).lower()
    hint = f"; use {near!r}" if near in names else ""
    if padding == "causal":
        hint = "; only conv1d has an order of time"
    shown = ", ".join([f'"{name}"' for name in names])
    raise ArgumentError(
        f"expected padding {shown}, a whole number{_PADS[rank]}, got {padding!r}{hint}"
    )


_PADS = {
    1: " or (before, after)",
    2: ", (rows, columns) or ((top, bottom), (left, right))",
    3: ", (planes, rows, columns) or a pair (before, after) for each",
}


@functools.lru_cache(maxsize=1024)
def slide(
    image: Sizes, kernel: Sizes, stride: Sizes, dilation: Sizes, padding: str | Pads
) -> Window:
    """Return the window over an image of this size.

    Raises:
        ShapeError: if the kernel, dilated, is larger than the image with its padding.
    """
    pads = (padding,) * len(image) if isinstance(padding, str) else padding
    sizes = zip(AXES[len(image)], image, kernel, stride, dilation, pads, strict=True)
    along = [_along(*each) for each in sizes]
    ends, out = tuple([each[0] for each in along]), tuple([each[1] for each in along])
    return Window(image, kernel, stride, dilation, ends, out)


def _along(name: str, i: int, k: int, s: int, d: int, padding: str | Pair) -> tuple[Pair, int]:
    """Padding and output size along one axis."""
    reach = d * (k - 1) + 1
    if padding == "valid":
        before, after = 0, 0
    elif padding == "causal":
        before, after = reach - 1, 0
    elif isinstance(padding, str):  # "same"
        total = max(0, (-(-i // s) - 1) * s + reach - i)
        before, after = total // 2, total - total // 2
    else:
        before, after = padding
    padded = i + before + after
    if padded < reach:
        raise ShapeError(
            f"expected a window no larger than its image, got {name} {d}·({k} - 1) + 1 = {reach} "
            f"against {i} + {before} + {after} = {padded}; use a smaller window or more padding"
        )
    return (before, after), (padded - reach) // s + 1
