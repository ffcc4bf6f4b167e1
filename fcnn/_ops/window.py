"""The geometry of a window that slides over an image.

With image size i, kernel size k, stride s, dilation d and padding p before and q
after it, the window stands at ``o = (i + p + q - (d·(k - 1) + 1)) // s + 1`` places.

Source: V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep
learning", 2016, https://arxiv.org/abs/1603.07285.
"""

from __future__ import annotations

import attrs
import numpy as np

from fcnn._check import pair, whole
from fcnn._typing import Array, Padding
from fcnn.errors import ArgumentError, ShapeError

Pair = tuple[int, int]


@attrs.frozen
class Window:
    """A kernel's places over an image of known size: ``(rows, columns)`` throughout."""

    image: Pair
    kernel: Pair
    stride: Pair
    dilation: Pair
    pads: tuple[Pair, Pair]
    out: Pair

    def places(self, i: int, j: int) -> tuple[slice, slice]:
        """Where in the padded image the kernel's element ``(i, j)`` falls."""
        (si, sj), (di, dj), (oi, oj) = self.stride, self.dilation, self.out
        return (
            slice(i * di, i * di + (oi - 1) * si + 1, si),
            slice(j * dj, j * dj + (oj - 1) * sj + 1, sj),
        )

    @property
    def is_padded(self) -> bool:
        """Whether any side has padding."""
        return self.pads != ((0, 0), (0, 0))

    @property
    def padded(self) -> Pair:
        """The image's size with its padding."""
        (top, bottom), (left, right) = self.pads
        return self.image[0] + top + bottom, self.image[1] + left + right

    def pad(self, x: Array, value: float = 0.0) -> Array:
        """``x`` of shape (n, h, w, c) with its padding around it."""
        if not self.is_padded:
            return x
        out = np.full((x.shape[0], *self.padded, x.shape[3]), value, x.dtype)
        self.crop(out)[...] = x
        return out

    def crop(self, x: Array) -> Array:
        """The image inside a padded ``x``: a view."""
        (top, _), (left, _) = self.pads
        return x[:, top : top + self.image[0], left : left + self.image[1], :]


def check_padding(padding: Padding) -> str | tuple[Pair, Pair]:
    """``"valid"``, ``"same"`` or ``((top, bottom), (left, right))``."""
    if isinstance(padding, str):
        if padding in ("valid", "same"):
            return padding
    elif isinstance(padding, int):
        both = whole(padding, "padding", 0)
        return (both, both), (both, both)
    elif isinstance(padding, tuple | list) and len(padding) == 2:
        rows, columns = padding
        return pair(rows, "padding", 0), pair(columns, "padding", 0)
    raise ArgumentError(
        f'padding must be "valid", "same", a whole number, (rows, columns) or '
        f"((top, bottom), (left, right)), and {padding!r} came"
    )


def slide(
    image: Pair, kernel: Pair, stride: Pair, dilation: Pair, padding: str | tuple[Pair, Pair]
) -> Window:
    """The window over an image of this size.

    Raises:
        ShapeError: if the kernel, dilated, is larger than the image with its padding.
    """
    pads: list[Pair] = []
    out: list[int] = []
    for axis in (0, 1):
        i, k, s, d = image[axis], kernel[axis], stride[axis], dilation[axis]
        reach = d * (k - 1) + 1
        if padding == "valid":
            pad = (0, 0)
        elif padding == "same":
            total = max(0, (-(-i // s) - 1) * s + reach - i)
            pad = (total // 2, total - total // 2)
        else:
            pad = padding[axis]  # type: ignore[assignment]
        room = i + pad[0] + pad[1]
        if room < reach:
            name = ("rows", "columns")[axis]
            raise ShapeError(
                f"the window is larger than its image: {name} {d}·({k} - 1) + 1 = {reach} "
                f"against {i} + {pad[0]} + {pad[1]} = {room}"
            )
        pads.append(pad)
        out.append((room - reach) // s + 1)
    return Window(image, kernel, stride, dilation, (pads[0], pads[1]), (out[0], out[1]))
