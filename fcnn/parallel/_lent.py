"""The engine of other pools of processes of this machine: Python's own and loky's.

The params are written once into shared memory, and each gradient into a slot of its own, where
this process adds it; the pool's own pipes carry what is left. The memory has no name: a worker
opens it as the caller's descriptor in ``/proc``. Where there is none, and where a pool would have
to send definitions of ``__main__``, all is sent by the pool.
"""

from __future__ import annotations

import functools
import mmap
import os
import weakref
from collections.abc import Sequence
from pickle import PickleBuffer
from typing import Any, NamedTuple

from fcnn._batch import add_gradients
from fcnn.parallel._arena import Arena, sizes_of
from fcnn.parallel._engine import Function
from fcnn.parallel._engines import BySubmit, joined, results_of, split
from fcnn.parallel._failure import Failure, unloadable
from fcnn.parallel._memory import attach
from fcnn.parallel._pickling import dumps
from fcnn.parallel._reduce import SMALL, Plan, loaded, size_of
from fcnn.parallel._shards import one_blas_thread
from fcnn.parallel._work import Shards


class Lent(BySubmit):
    """Computes in the processes of a pool, to which shared memory is lent for a sum."""

    def __init__(self) -> None:
        self._arenas: weakref.WeakKeyDictionary[Any, list[Arena]] = weakref.WeakKeyDictionary()

    def sum(
        self,
        executor: Any,
        function: Function,
        common: Any,
        shards: Sequence[Any],
        weights: Sequence[float],
    ) -> tuple[list[Any], Any]:
        """Add the gradients of the slots in this thread."""
        buffers: list[PickleBuffer] = []
        code, data = dumps(function), dumps(common, buffers)
        names_main = b"__main__" in code or b"__main__" in data
        done = None
        if os.path.isdir("/proc/self/fd") and not names_main and sum(sizes_of(buffers)) >= SMALL:
            done = self._done(executor, (function, common), (code, data, buffers), shards, weights)
        return done or super().sum(executor, function, common, shards, weights)

    def _done(
        self,
        executor: Any,
        call: tuple[Function, Any],
        pickled: tuple[bytes, bytes, Sequence[PickleBuffer]],
        shards: Sequence[Any],
        weights: Sequence[float],
    ) -> tuple[list[Any], Any] | None:
        """Return what `sum` does, or None if the workers cannot open the memory."""
        code, data, buffers = pickled
        parts = split(executor, shards)
        arenas = self._arenas_of(executor)
        arena = arenas.pop() if arenas else Arena()
        is_used_up = True
        try:
            plan = Plan(arena, data, buffers, [[], *parts])
            where = Where(os.getpid(), arena.fd, os.fstat(arena.fd).st_ino, len(plan.memory))
            tasks = [
                (where, Shards(code, plan.common, part, slots, plan.room))
                for part, slots in zip(parts, plan.slots, strict=True)
            ]
            found = list(results_of(executor, fill, tasks))
            if any(each is None for each in found):
                return None
            results = joined(executor, *call, parts, found)
            arena.slot = max(arena.slot, *[size_of(gradient) for _, gradient in results])
            gradients = [loaded(gradient, plan.memory) for _, gradient in results]
            total = add_gradients(gradients, weights)
            is_used_up = any(isinstance(each, Exception) for each in found)
            return [rest for rest, _ in results], total
        finally:
            if is_used_up:  # a worker may still write to it
                arena.close()
            else:
                arenas.append(arena)

    def _arenas_of(self, executor: Any) -> list[Arena]:
        if executor not in self._arenas:
            self._arenas[executor] = []
            weakref.finalize(executor, _close, self._arenas[executor])
        return self._arenas[executor]


class Where(NamedTuple):
    """Memory of another process: its descriptor there, the file's number, and the size."""

    pid: int
    fd: int
    inode: int
    size: int


def fill(where: Where, order: Shards) -> list[Any] | Failure | None:
    """Compute gradients into their slots; return None if the memory cannot be opened."""
    try:
        memory = _attached(where)
    except OSError:
        return None
    try:
        call = order.prepared(memory)
    except Exception as error:
        return unloadable(error)
    with one_blas_thread():
        return call()


@functools.lru_cache(maxsize=1)
def _attached(where: Where) -> mmap.mmap:
    fd = os.open(f"/proc/{where.pid}/fd/{where.fd}", os.O_RDWR)
    if os.fstat(fd).st_ino != where.inode:  # another file that has taken its number
        os.close(fd)
        raise FileNotFoundError(f"expected file {where.inode}, got another")
    return attach(fd, where.size, writable=True)


def _close(arenas: list[Arena]) -> None:
    while arenas:
        arenas.pop().close()
