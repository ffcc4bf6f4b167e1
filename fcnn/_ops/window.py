"""The geometry of a window that slides over an image.

With image size i, kernel size k, stride s, dilation d and padding p before and q after it, the
output has size ``o = (i + p + q - (d·(k - 1) + 1)) // s + 1``.

Source: V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep
learning", 2016, https://arxiv.org/abs/1603.07285.
"""

from __future__ import annotations

import functools
from typing import NamedTuple, TypeAlias

import numpy as np

from fcnn._check import pair, whole
from fcnn._typing import Padding
from fcnn.errors import ArgumentError, ShapeError

Pair: TypeAlias = tuple[int, int]


class Window(NamedTuple):
    """How a ``kernel`` slides over an ``image``; made by `slide`.

    At output pixel ``(y, x)``, kernel element ``(i, j)`` is multiplied by input pixel
    ``(y*stride[0] + i*dilation[0] - top, x*stride[1] + j*dilation[1] - left)``, with
    ``pads == ((top, bottom), (left, right))``; pixels outside the image are padding. ``out`` is
    the number of rows and columns of output.
    """

    image: Pair
    kernel: Pair
    stride: Pair
    dilation: Pair
    pads: tuple[Pair, Pair]
    out: Pair

    @property
    def is_padded(self) -> bool:
        """Whether any side of the image is padded."""
        return self.pads != ((0, 0), (0, 0))


def inside(first: int, step: int, count: int, size: int) -> tuple[slice, slice]:
    """Return which of the ``count`` positions ``first, first + step, ...`` are in ``0:size``.

    As a slice of the positions' numbers, and as a slice of the axis of that size.
    """
    low = max(0, -(first // step))
    high = max(low, min(count, -((first - size) // step)))
    start = first + low * step
    return slice(low, high), slice(start, start + (high - low) * step, step)


def check_padding(padding: Padding) -> str | tuple[Pair, Pair]:
    """Return ``"valid"``, ``"same"`` or ``((top, bottom), (left, right))``.

    Raises:
        ArgumentError: if ``padding`` is none of these, nor a number or ``(rows, columns)``.
    """
    if isinstance(padding, str):
        if padding in ("valid", "same"):
            return padding
    elif isinstance(padding, int | np.integer):
        both = whole(padding, "padding", 0)
        return (both, both), (both, both)
    elif isinstance(padding, tuple | list) and len(padding) == 2:
        rows, columns = padding
        return pair(rows, "padding", 0), pair(columns, "padding", 0)
    near = str(padding).lower()
    hint = f"; use {near!r}" if near in ("valid", "same") else ""
    raise ArgumentError(
        f'expected padding "valid", "same", a whole number, (rows, columns) or '
        f"((top, bottom), (left, right)), got {padding!r}{hint}"
    )


@functools.lru_cache(maxsize=1024)
def slide(
    image: Pair, kernel: Pair, stride: Pair, dilation: Pair, padding: str | tuple[Pair, Pair]
) -> Window:
    """Return the window over an image of this size.

    Raises:
        ShapeError: if the kernel, dilated, is larger than the image with its padding.
    """
    high_pads, wide_pads = (padding, padding) if isinstance(padding, str) else padding
    (h, w), (kh, kw), (sh, sw), (dh, dw) = image, kernel, stride, dilation
    rows, high = _along("rows", h, kh, sh, dh, high_pads)
    columns, wide = _along("columns", w, kw, sw, dw, wide_pads)
    return Window(image, kernel, stride, dilation, (rows, columns), (high, wide))


def _along(name: str, i: int, k: int, s: int, d: int, padding: str | Pair) -> tuple[Pair, int]:
    """Padding and output size along one axis."""
    reach = d * (k - 1) + 1
    if padding == "valid":
        before, after = 0, 0
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
