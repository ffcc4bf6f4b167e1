"""Shards of examples that are not in memory, read some at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fcnn import tree
from fcnn._batch import LazyRows, take
from fcnn._prefetch import prefetched
from fcnn._typing import Tree

BLOCK = 2**26
"""The bytes that are read at a time."""

WORKERS = 4
"""The shards that are read at a time at least, if an executor computes them."""


class Pairs(LazyRows):
    """The inputs and targets of a data set, as tuples."""

    def __init__(self, data: Any) -> None:
        self._data = data

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, rows: Any) -> Any:
        some = self._data[rows]
        return some.inputs, some.targets


class Inputs(Pairs):
    """The inputs of a data set."""

    def __getitem__(self, rows: Any) -> Any:
        return self._data[rows].inputs


def groups(x: Tree, parts: list[slice], least: int = 1) -> Iterator[list[Any]]:
    """Yield the shards at these places, several at a time; all at once if x is in memory.

    The shards of a group follow each other, and take `BLOCK` bytes, or are ``least`` shards. The
    next group is read while the caller works on one.
    """
    if not isinstance(x, LazyRows):
        yield [take(x, part) for part in parts]
        return
    longest = max(part.stop - part.start for part in parts)
    n = max(least, BLOCK // max(1, longest * size_of(x[np.arange(1)])))

    def read(group: list[slice]) -> list[Any]:
        start = group[0].start
        whole = x[np.arange(start, group[-1].stop)]
        return [take(whole, slice(part.start - start, part.stop - start)) for part in group]

    yield from prefetched(read, [parts[i : i + n] for i in range(0, len(parts), n)], ahead=1)


def size_of(x: Tree) -> int:
    """Return the bytes of all arrays in a tree."""
    return sum(np.asarray(leaf).nbytes for leaf in tree.leaves(x))
