"""What a worker of `fcnn.parallel.processes` does for a sum of gradients, in shared memory."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fcnn._typing import Array
from fcnn.parallel._arena import Pickled, put
from fcnn.parallel._failure import Failure, attempt, unpicklable

BLOCK = 1 << 15
"""Elements that are summed over all slots before the next ones, so that they stay in cache."""


class Whole(NamedTuple):
    """Compute some shards; their common argument is pickled, with buffers of its arrays."""

    code: bytes
    common: bytes
    buffers: Sequence[Any]
    shards: Sequence[Any]

    def prepared(self, memory: Any) -> Callable[[], list[Any] | Failure]:
        """Return the call that computes them."""
        common = pickle.loads(self.common, buffers=self.buffers)
        return functools.partial(attempt, function_of(self.code), common, self.shards)


class Shards(NamedTuple):
    """Compute the gradients of some shards, each into its slot."""

    code: bytes
    common: Pickled
    shards: Sequence[Any]
    slots: list[int]
    room: int

    def prepared(self, memory: Any) -> Callable[[], list[Any] | Failure]:
        """Return the call that computes them."""
        return functools.partial(
            self._run, function_of(self.code), self.common.load(memory), memory
        )

    def _run(
        self, function: Callable[[Any, Any], Any], common: Any, memory: Any
    ) -> list[Any] | Failure:
        """Return what else the function gave for each shard, and where the gradient is.

        A gradient that is larger than a slot is returned in its place.
        """
        try:
            done = []
            for shard, slot in zip(self.shards, self.slots, strict=True):
                rest, gradient = function(common, shard)
                done.append((rest, _put(gradient, memory, slot, self.room)))
            return done
        except Exception as error:
            return Failure.of(error)


class Slice(NamedTuple):
    """Add a slice of all slots, in their order, into the total."""

    dtype: str
    slots: list[int]
    total: int
    start: int
    stop: int

    def prepared(self, memory: Any) -> Callable[[], list[Any]]:
        """Return the call that writes the sum into the total."""
        return functools.partial(self._run, memory)

    def _run(self, memory: Any) -> list[Any]:
        size = np.dtype(self.dtype).itemsize
        total = np.frombuffer(
            memory, self.dtype, self.stop - self.start, self.total + self.start * size
        )
        self.add(memory, total)
        return []

    def add(self, memory: Any, total: Array) -> None:
        """Write the sum into an array of the slice's length."""
        size = np.dtype(self.dtype).itemsize
        count = self.stop - self.start
        rows = [
            np.frombuffer(memory, self.dtype, count, slot + self.start * size)
            for slot in self.slots
        ]
        add_rows(rows, total)


def add_rows(rows: Sequence[Array], total: Array) -> None:
    """Add arrays in their order, with the rounding of ``(rows[0] + rows[1]) + rows[2] + …``."""
    first, second, *others = rows
    with np.errstate(all="ignore"):  # a sum that is not finite is found in the params
        for at in range(0, total.size, BLOCK):
            block = slice(at, at + BLOCK)
            part = total[block]
            np.add(first[block], second[block], out=part)
            for row in others:
                np.add(part, row[block], out=part)


@functools.lru_cache(maxsize=1)
def function_of(code: bytes) -> Callable[[Any, Any], Any]:
    """Unpickle a function, or return the one before if it is the same."""
    function: Callable[[Any, Any], Any] = pickle.loads(code)
    return function


def _put(gradient: Any, memory: Any, slot: int, room: int) -> Any:
    try:
        placed = put(gradient, memory, slot, room)
    except TypeError as error:
        raise unpicklable(error) from error
    return gradient if placed is None else placed
