"""Where each value of a graph lies in one static buffer, by the time it is needed.

The values are placed from the largest to the smallest, each at the lowest offset where it overlaps
no value that is needed at the same time.

Source: Y. Pisarchyk and J. Lee, "Efficient memory management for deep neural net inference", 2020,
https://arxiv.org/abs/2001.03288.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Life(NamedTuple):
    """A value's bytes, the step that writes it, and the last step that reads it."""

    size: int
    start: int
    end: int


ALIGNED = 8
"""Bytes of which an offset is a multiple."""


def placed(lives: Mapping[str, Life]) -> tuple[dict[str, int], int]:
    """Return each value's offset in bytes, and the bytes of the buffer.

    >>> from fcnn.export._c._memory import Life, placed
    >>> placed({"a": Life(8, 0, 1), "b": Life(16, 1, 2), "c": Life(8, 2, 3)})
    ({'b': 0, 'a': 16, 'c': 16}, 24)
    """
    offsets: dict[str, int] = {}
    total = 0
    for name in sorted(lives, key=lambda each: (-lives[each].size, lives[each].start, each)):
        size, start, end = lives[name]
        taken = sorted(
            (offsets[other], offsets[other] + lives[other].size)
            for other in offsets
            if lives[other].start <= end and start <= lives[other].end
        )
        offset = 0
        for low, high in taken:
            if offset + size <= low:
                break
            offset = max(offset, -(-high // ALIGNED) * ALIGNED)
        offsets[name] = offset
        total = max(total, offset + size)
    return offsets, total
