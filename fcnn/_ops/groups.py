"""An array in pieces that stay in the cache, to be normalised by groups of channels.

A group is some channels of one example. A piece is an array ``(rows, b, columns, k)``, a view of
either order of memory: with images innermost (`fcnn._ops.layout`) b are channels and k images, with
channels innermost b are images and k channels. Numbers of each channel of each example, such as
its sum, are an array ``(b, k)`` for the whole array.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import attrs
import numpy as np

from fcnn._ops import memory
from fcnn._ops.blocks import ELEMENTWISE, bands, within
from fcnn._ops.channels import channel_rows
from fcnn._ops.gemm import divisor
from fcnn._ops.layout import nhwc
from fcnn._typing import Array

ROW = 1 << 12  # elements of a row of a piece at most, if it is not one row of images


class Piece(NamedTuple):
    """A part of an array, and which b of ``(b, k)`` it covers."""

    at: slice
    array: Array

    def sums(self) -> Array:
        """Return the sums over rows and columns, ``(b, k)``, in float64."""
        lines = memory.ones(self.array.shape[2], self.array.dtype) @ self.array
        return memory.asarray(lines.sum(axis=0, dtype=np.float64))

    def dots(self, other: Piece) -> Array:
        """Return the sums of products with another piece over rows and columns, ``(b, k)``."""
        return memory.asarray(np.einsum("rbwk,rbwk->bk", self.array, other.array))


class Repeated:
    """Numbers ``(b, k)`` for a whole array, each repeated over the columns of a piece.

    Pieces of the same b follow one another, so the last row made is kept.
    """

    def __init__(self, each: Array) -> None:
        self.each = each
        self.row: Array | None = None
        self.at: slice | None = None

    def over(self, piece: Piece) -> Array:
        """Return the piece's numbers as one of its rows."""
        if self.row is None or self.at != piece.at:
            self.row = memory.empty(piece.array.shape[1:], piece.array.dtype)
            self.row[...] = self.each[piece.at, None]
            self.at = piece.at
        return self.row


@attrs.frozen
class Groups:
    """How arrays are cut: groups of ``size`` channels, in one order of memory."""

    size: int
    images_innermost: bool

    @classmethod
    def of(cls, x: Array, count: int) -> Groups:
        """Return how ``x (n, ..., c)`` is cut into ``count`` groups, without a copy if it can."""
        innermost = not x.flags.c_contiguous and channel_rows(x).flags.c_contiguous
        return cls(x.shape[-1] // count, innermost)

    def empty(self, x: Array) -> tuple[Array, list[Piece]]:
        """Return a new array of x's shape, and its pieces."""
        if not self.images_innermost:
            made = memory.empty(x.shape, x.dtype)
            return made, self.pieces(made)
        rows = nhwc(memory.empty(channel_rows(x).shape, x.dtype))
        return rows.reshape(x.shape), self.pieces(rows)

    def pieces(self, x: Array) -> list[Piece]:
        """Cut ``x (n, ..., c)``: views, or of a copy in this order of memory."""
        n, c = len(x), x.shape[-1]
        if self.images_innermost:
            rows = memory.ascontiguousarray(channel_rows(x))
            width = max(1, within(ELEMENTWISE) // max(1, rows[0, 0].nbytes))
            return [
                Piece(slice(i, i + width), rows[band, i : i + width])
                for i in range(0, c, width)
                for band in bands(len(rows), rows[0, :width].nbytes, ELEMENTWISE)
            ]
        lines = memory.ascontiguousarray(x).reshape(n, math.prod(x.shape[1:-1]), c)
        count = max(1, ROW // max(1, lines[:1].size))
        if count > 1 or not lines.size:  # several small examples side by side
            return [
                Piece(slice(i, i + count), lines[np.newaxis, i : i + count])
                for i in range(0, n, count)
            ]
        tile = divisor(lines.shape[1], max(1, ROW // c))
        rows = lines.reshape(n, -1, 1, tile, c)
        return [
            Piece(slice(i, i + 1), rows[i, band])
            for i in range(n)
            for band in bands(rows.shape[1], rows[0, 0].nbytes, ELEMENTWISE)
        ]

    def zeros(self, x: Array) -> Array:
        """Return a zero for each channel of each example, ``(b, k)``, in float64."""
        n, c = len(x), x.shape[-1]
        return memory.zeros((c, n) if self.images_innermost else (n, c))

    def elements(self, x: Array) -> int:
        """Return the number of elements of a group."""
        return int(self.size * math.prod(x.shape[1:-1]))

    def totals(self, each: Array) -> Array:
        """Sum numbers ``(b, k)`` over the channels of a group; return the sum for each channel."""
        b, k = each.shape
        if self.images_innermost:
            shape, axis = (b // self.size, self.size, k), 1
        else:
            shape, axis = (b, k // self.size, self.size), 2
        grouped = each.reshape(shape)
        total = grouped.sum(axis=axis, keepdims=True)
        return np.broadcast_to(total, grouped.shape).reshape(b, k)

    def per_channel(self, channels: Array) -> Array:
        """Return one number a channel, to be broadcast to ``(b, k)``, in float64."""
        wide = channels.astype(np.float64)
        return wide[:, None] if self.images_innermost else wide

    def over_examples(self, each: Array) -> Array:
        """Sum numbers ``(b, k)`` over the examples, for each channel."""
        total: Array = each.sum(axis=1 if self.images_innermost else 0)
        return total
