"""Where Winograd's algorithm is used, and the blocks of whole tiles that it computes."""

from __future__ import annotations

import math

from fcnn._ops import blocks
from fcnn._ops.blocks import Block, cut
from fcnn._ops.window import Pair, Window
from fcnn._ops.winograd.matrices import ALPHA, FILTER, TILE
from fcnn._typing import Array

CHANNELS = 16  # at least, of input and of output: fewer products do not pay for the transforms
IMAGES = 8, 16  # fewer are turned, channels innermost: runs of images are short; more are not
RUN = 64  # tiles in a row of all images, up to which numbers of images between these are turned
PIXELS = 48  # of output at least, in all images: fewer do not pay for the filters' transform
ONE = 32, 512  # channels and pixels, for one image forward
FOUR = 4, 32  # images up to which channels at least, for several forward
WASTE = 0.4  # at most, of the plain multiplications; tiles that reach over the border waste some


def suits(x: Array, weight: Array, window: Window, groups: int, pool: Pair = (1, 1)) -> bool:
    """Whether Winograd's algorithm is possible and faster for these shapes."""
    if not len(x) or window.kernel != (FILTER, FILTER):
        return False
    (oh, ow), (*_, c, o) = window.out, weight.shape
    return (
        window.stride == window.dilation == (1, 1)
        and groups == 1
        and min(c, o) >= CHANNELS
        and len(x) * oh * ow >= PIXELS
        and ALPHA**2 * c * o * x.itemsize <= blocks.within(blocks.FILTERS)
        and _unit_size(x, o, _unit(pool)) <= blocks.within(blocks.TILES)
        and tiles(oh) * tiles(ow) * ALPHA**2 <= WASTE * FILTER**2 * oh * ow
    )


def is_few(x: Array, window: Window) -> bool:
    """Whether ``x (n, h, w, c)`` has so few images that they are turned, channels innermost."""
    few, many = IMAGES
    return len(x) < few or (len(x) < many and len(x) * tiles(window.out[1]) <= RUN)


def is_plain(x: Array, weight: Array, window: Window) -> bool:
    """Whether ``x (n, h, w, c)`` is so small that only the adjoint pays for the transforms."""
    channels, pixels = min(weight.shape[2:]), window.out[0] * window.out[1]
    if len(x) == 1:
        return channels < ONE[0] or pixels < ONE[1]
    return len(x) <= FOUR[0] and channels < FOUR[1]


def tile_blocks(window: Window, x: Array, filters: int, pool: Pair) -> list[Block]:
    """Cut the output into blocks of whole tiles and whole pools."""
    (oh, ow), (ph, pw), unit = window.out, pool, _unit(pool)
    out = oh // ph * ph, ow // pw * pw
    return cut(out, _unit_size(x, filters, unit), blocks.TILES, unit=unit)


def tiles(size: int) -> int:
    """Return how many tiles cover that many rows or columns."""
    return -(-size // TILE)


def _unit(pool: Pair) -> Pair:
    """The smallest block that has whole tiles and whole pools."""
    return math.lcm(TILE, pool[0]), math.lcm(TILE, pool[1])


def _unit_size(x: Array, filters: int, unit: Pair) -> int:
    """Bytes of the transformed tiles of input and output of such a block."""
    count = unit[0] * unit[1] // TILE**2
    return int(ALPHA**2 * (x.shape[3] + filters) * len(x) * x.itemsize * count)
