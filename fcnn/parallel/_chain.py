"""The sum of the gradients of MPI's ranks, as `MPI.Reduce` but in the order of the ranks.

The sum passes from rank to rank, each adding its own gradients, and from the last one back to the
first. It goes in blocks, so that all ranks work at once: while a rank adds one block, the next
rank adds the one before. Each rank sends one gradient, whatever the number of ranks and shards,
and every element is added in the order of the shards. `MPI.Reduce` adds in an order that depends
on the number of ranks.

Source: P. Patarasuk, X. Yuan, "Bandwidth optimal all-reduce algorithms for clusters of
workstations", J. Parallel Distrib. Comput. 69, 2009: their ring, whose order of addition differs
from block to block, with one order for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fcnn._typing import Array
from fcnn.parallel._arena import lay
from fcnn.parallel._flat import pieces

BLOCK = 1 << 18
"""Bytes that are sent at once."""


class _Held:
    """Memory for one gradient: its flat arrays, and the bytes of all of them."""

    def __init__(self, like: Sequence[Array]) -> None:
        self.places, end = lay([each.nbytes for each in like], 0, 64)
        self.bytes = np.empty(end, np.uint8)
        self.arrays = [
            self.bytes[at : at + size].view(each.dtype)
            for (at, size), each in zip(self.places, like, strict=True)
        ]

    def fits(self, like: Sequence[Array]) -> bool:
        """Return whether other flat arrays are like these."""
        kinds = [(each.dtype, each.size) for each in like]
        return kinds == [(each.dtype, each.size) for each in self.arrays]

    def span(self, run: Sequence[tuple[int, slice]]) -> Array:
        """Return the bytes from the first to the last of some pieces."""
        (first, begin), (last, end) = run[0], run[-1]
        start = self.places[first][0] + begin.start * self.arrays[first].itemsize
        stop = self.places[last][0] + end.stop * self.arrays[last].itemsize
        return self.bytes[start:stop]


class Chain:
    """This rank's part in the sums; its memory is kept for the next one."""

    def __init__(self, comm: Any) -> None:
        self._comm = comm
        self._held: _Held | None = None

    def add(self, size: int, gradients: Sequence[Sequence[Array]]) -> list[Array]:
        """Return on rank 0 the sum of the gradients of the first ``size`` ranks, in their order.

        Args:
            size: how many, 2 or more; each of them calls this.
            gradients: this rank's, one or more, as flat arrays.
        """
        comm, rank = self._comm, self._comm.Get_rank()
        if self._held is None or not self._held.fits(gradients[0]):
            self._held = _Held(gradients[0])
        held = self._held
        arriving = held if rank else _Held(gradients[0])  # on rank 0 the caller's own
        runs = list(pieces(gradients[0], BLOCK))
        receives = [comm.Irecv(arriving.span(run), (rank - 1) % size) for run in runs]
        sends = []
        for run, receive in zip(runs, receives, strict=True):
            if rank:
                receive.Wait()
            for i, part in run:
                _add(held.arrays[i][part], [each[i][part] for each in gradients], is_first=not rank)
            sends.append(comm.Isend(held.span(run), (rank + 1) % size))
        for request in (*sends, *receives):
            request.Wait()
        return arriving.arrays


def _add(total: Array, arrays: Sequence[Array], *, is_first: bool) -> None:
    if is_first:
        np.copyto(total, arrays[0])
        arrays = arrays[1:]
    with np.errstate(all="ignore"):  # a sum that is not finite is found in the params
        for each in arrays:
            np.add(total, each, out=total)
