"""An array as blocks ``(c, pixels)`` that stay in the cache, in either order of memory.

Two orders are worked on where they lie: channels innermost, in which arrays come from outside, and
images innermost (`fcnn._ops.layout`), in which the kernels leave them. Others are copied, and so
are images innermost whose rows are short, because a block is a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import attrs

from fcnn._ops import memory
from fcnn._ops.blocks import within
from fcnn._ops.channels import channel_rows
from fcnn._ops.layout import nhwc
from fcnn._typing import Array

PIXELS = 1 / 4  # of the budget, for a block with channels innermost
ROWS = 1  # with images innermost: parts of a row are read at half the speed of a whole one
LONG = 512  # elements of a row of images, from which it makes a block


@attrs.frozen
class Order:
    """The order of an array's memory: images innermost, or channels."""

    images_innermost: bool

    @classmethod
    def of(cls, x: Array) -> Order:
        """Return the order in which to work on ``x (n, ..., c)``."""
        rows = channel_rows(x)
        is_row = not x.flags.c_contiguous and rows.flags.c_contiguous
        return cls(is_row and rows[0, 0].size >= LONG)

    def run(self, x: Array) -> int:
        """Return the number of elements of a block's rows in memory."""
        return int(channel_rows(x)[0, 0].size) if self.images_innermost else int(x.shape[-1])

    def _pixels(self, x: Array) -> int:
        """Return the number of pixels of a block at most."""
        share, pixel = (ROWS if self.images_innermost else PIXELS), x.shape[-1] * x.itemsize
        there = self.run(x) if self.images_innermost else math.prod(x.shape[:-1])
        return max(1, min(int(there), within(share) // max(1, int(pixel))))

    def blocks(self, x: Array) -> list[Array]:
        """Cut ``x (n, ..., c)`` into blocks ``(c, pixels)``: views, or of a copy in this order.

        With images innermost a block is a row of the images, or a part of it.
        """
        size = self._pixels(x)
        if not self.images_innermost:
            pixels = memory.ascontiguousarray(x).reshape(-1, x.shape[-1])
            return [pixels[i : i + size].T for i in range(0, len(pixels), size)]
        rows = memory.ascontiguousarray(channel_rows(x))
        h, c, w, n = rows.shape
        lines = rows.reshape(h, c, w * n)
        return [row[:, i : i + size] for row in lines for i in range(0, w * n, size)]

    def empty(self, x: Array) -> tuple[Array, list[Array]]:
        """Return a new array of x's shape, and its blocks."""
        if not self.images_innermost:
            made = memory.empty(x.shape, x.dtype)
            return made, self.blocks(made)
        rows = nhwc(memory.empty(channel_rows(x).shape, x.dtype))
        return rows.reshape(x.shape), self.blocks(rows)

    def scratch(self, x: Array) -> Callable[[Array], Array]:
        """Return a function that returns scratch memory like a block of x."""
        c, whole = x.shape[-1], memory.empty(self._pixels(x) * x.shape[-1], x.dtype)

        def like(block: Array) -> Array:
            part = whole[: block.size]
            return part.reshape(c, -1) if self.images_innermost else part.reshape(-1, c).T

        return like

    def per_channel(self, channels: Array, x: Array) -> Callable[[Array], Array]:
        """Return a function that returns one number a channel as an operand for a block of x.

        With channels innermost it is repeated for all pixels, because runs would be short.
        """
        if self.images_innermost:
            column = channels[:, None]
            return lambda block: column
        repeated = memory.empty((self._pixels(x), len(channels)), x.dtype)
        repeated[...] = channels
        return lambda block: repeated[: block.shape[1]].T
