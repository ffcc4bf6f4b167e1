"""Shared memory of one sum: what every shard needs, a slot a shard, and the total.

Everything in it is written by one process and read by others: the caller writes the common
argument once, whatever the number of workers; a worker writes the gradient of each of its shards
into the shard's slot; of the total each process writes a slice.
"""

from __future__ import annotations

import mmap
import os
import pickle
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from fcnn.parallel._memory import reserve
from fcnn.parallel._pickling import dumps

ALIGNMENT = 64  # bytes: where the common argument's arrays, slots and the total begin
GRAIN = 8  # bytes: where an array within a slot begins


def aligned(size: int, alignment: int = ALIGNMENT) -> int:
    """Return the next multiple of the alignment."""
    return -(-size // alignment) * alignment


class Arena:
    """Memory that the workers of a call map; it grows when a call needs more.

    Attributes:
        slot: the bytes of the largest gradient so far, which the next slots can hold.
    """

    def __init__(self) -> None:
        self.memory: mmap.mmap | None = None
        self.fd = -1
        self.slot = 0

    def need(self, size: int) -> mmap.mmap:
        """Return memory of at least ``size`` bytes.

        Raises:
            MemoryError: if there is less.
        """
        if self.memory is None or len(self.memory) < size:
            self.close()  # free the old before the new is reserved
            self.memory, self.fd = reserve(size + size // 4)
        return self.memory

    def close(self) -> None:
        """Free the memory; other processes may still have it mapped."""
        if self.memory is not None:
            os.close(self.fd)
        self.memory, self.fd = None, -1


class Pickled(NamedTuple):
    """A pickle whose arrays lie in shared memory: where each begins, and its bytes."""

    data: bytes
    places: list[tuple[int, int]]

    def load(self, memory: mmap.mmap | bytearray) -> Any:
        """Return the value; its arrays are read-only views of the memory."""
        whole = memoryview(memory).toreadonly()
        return pickle.loads(self.data, buffers=[whole[at : at + n] for at, n in self.places])

    def shifted(self, start: int) -> list[tuple[int, int]]:
        """Return the places relative to ``start``."""
        return [(at - start, n) for at, n in self.places]


def sizes_of(buffers: Iterable[pickle.PickleBuffer]) -> list[int]:
    """Return the bytes of each buffer."""
    return [buffer.raw().nbytes for buffer in buffers]


def lay(sizes: Sequence[int], start: int, alignment: int) -> tuple[list[tuple[int, int]], int]:
    """Return where arrays of these sizes lie from ``start`` on, and where they end."""
    places = []
    for size in sizes:
        places.append((start, size))
        start += aligned(size, alignment)
    return places, start


def write(
    memory: mmap.mmap | memoryview,
    buffers: Sequence[pickle.PickleBuffer],
    places: Sequence[tuple[int, int]],
) -> None:
    """Copy arrays to their places, and zeros into the gaps of less than `GRAIN` bytes."""
    for buffer, (at, size) in zip(buffers, places, strict=True):
        gap = aligned(size, GRAIN) - size
        memory[at : at + size] = buffer.raw()
        if gap:
            memory[at + size : at + size + gap] = bytes(gap)


def put(value: Any, memory: mmap.mmap, start: int, room: int) -> Pickled | None:
    """Pickle a value, its arrays into memory from ``start`` on; None if there is too little."""
    buffers: list[pickle.PickleBuffer] = []
    data = dumps(value, buffers)
    places, end = lay(sizes_of(buffers), start, GRAIN)
    if end - start > room:
        return None
    write(memory, buffers, places)
    return Pickled(data, places)
