"""The executor whose workers are this process and others that share memory with it.

A training step of a small network takes a millisecond. Two threads spend half of it waiting for
Python's lock: waking a thread that waits for it takes as long as an operation on 32 small images.
A pool that sends arrays through pipes spends as long on sending them. Here they are copied once
(`_link`), and the calling process computes too, so two cores need one other process. Of
LeNet-5's step on 64 images, 1.9 ms, this costs 0.4 ms: mostly Python whose code the step has
driven out of the cache. Where each process has a core, they spin for a message before they sleep.
"""

from __future__ import annotations

import contextlib
import os
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from typing import Any

from fcnn.parallel._arena import Arena
from fcnn.parallel._cut import spread
from fcnn.parallel._exchange import exchange, join
from fcnn.parallel._failure import Failure
from fcnn.parallel._owner import refuse_in_fork
from fcnn.parallel._pickling import dumps
from fcnn.parallel._reduce import reduce
from fcnn.parallel._roster import Roster
from fcnn.parallel._worker import Worker


class Processes(Executor):
    """An executor whose workers are this process and others.

    `share` is the fast way, which `fcnn.parallel.map_shards` takes; ``submit`` and ``map`` are
    those of any executor.

    Args:
        workers: how many, with this process.
        spin: how long the processes spin for a message; see `fcnn.parallel._link.SPIN`.

    Attributes:
        others: the other processes, each with its ``process``.
    """

    def __init__(self, workers: int, spin: float = 0.0) -> None:
        self._owner = os.getpid()
        self._max_workers = workers
        self._roster = Roster(spin)
        self.others = self._roster.workers
        self._arenas: list[Arena] = []
        self._end = weakref.finalize(self, _close, self.others, self._arenas, self._owner)
        try:
            self._roster.start(workers - 1)
        except BaseException:
            self._end()
            raise
        self._threads = ThreadPoolExecutor(max(1, workers - 1), thread_name_prefix="fcnn")

    def share(
        self, function: Callable[[Any, Any], Any], common: Any, shards: Sequence[Any]
    ) -> list[Any]:
        """Return ``[function(common, shard) for shard in shards]``.

        This process computes some of them, and those of a worker that dies. It does not wait for
        a worker that is starting.

        Raises:
            Exception: whatever ``function`` raises, from the first shard that raises.
            RuntimeError: after `shutdown`, or in a fork of the process that made the pool.
        """
        with self._taken(shards) as (workers, parts):
            outcomes = exchange(workers, function, common, parts)
        lost = [part for part, done in zip(parts, outcomes, strict=True) if done is None]
        if lost:
            self._roster.report(_lost(sum(map(len, lost))))
        self._roster.warn(stacklevel=4)  # at the caller of `map_shards`
        return join(function, common, parts, outcomes)

    def share_sum(
        self,
        function: Callable[[Any, Any], Any],
        common: Any,
        shards: Sequence[Any],
        weights: Sequence[float],
    ) -> tuple[list[Any], Any]:
        """Return the rests and the sum of the gradients; see `fcnn.parallel.sum_shards`.

        Raises:
            Exception: whatever ``function`` raises, from the first shard that raises.
            RuntimeError: after `shutdown`, or in a fork of the process that made the pool.
        """
        with self._taken(shards) as (workers, parts):
            arena = self._arena()
            try:
                found = reduce(workers, arena, function, common, parts, weights)
            finally:
                self._arenas.append(arena)
        if found.lost:
            self._roster.report(_lost(found.lost))
        self._roster.warn(stacklevel=4)  # at the caller of `sum_shards`
        return found.rests, found.total

    def _arena(self) -> Arena:
        try:
            return self._arenas.pop()
        except IndexError:  # the first call, or the others are with other threads
            return Arena()

    @contextlib.contextmanager
    def _taken(self, shards: Sequence[Any]) -> Iterator[tuple[list[Worker], list[Sequence[Any]]]]:
        """Give workers that are ready, and the parts: this process's, then a worker's each."""
        self.check()
        workers = self._roster.take(len(shards) - 1)
        try:
            size = -(-len(shards) // (len(workers) + 1))
            parts = [shards[part] for part in spread(len(shards), size)]
            yield workers[: len(parts) - 1], parts
        finally:
            for worker in workers:
                self._roster.give_back(worker)

    def check(self) -> None:
        """Check that the pool can be used.

        Raises:
            RuntimeError: after `shutdown`, or in a fork of the process that made the pool.
        """
        refuse_in_fork("a pool", self._owner)
        if not self._end.alive:
            raise RuntimeError(
                "expected an executor that runs, got one that was shut down; "
                "make another with fcnn.parallel.processes()"
            )

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call ``fn`` in one of the other processes, or in a thread if there is none.

        Raises:
            RuntimeError: after `shutdown`, or in a fork of the process that made the pool.
            BrokenExecutor: by the future, if the process dies.
        """
        refuse_in_fork("a pool", self._owner)
        if not self.others:
            return self._threads.submit(fn, *args, **kwargs)
        return self._threads.submit(self._remotely, fn, args, kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes when what was submitted is done, for which it always waits.

        In a fork of the process that made the pool it does nothing.
        """
        if os.getpid() == self._owner:
            self._threads.shutdown(wait=True, cancel_futures=cancel_futures)
            self._end()

    def _remotely(self, fn: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        worker = self._roster.wait_for_one()
        try:
            worker.ask(dumps(_call), fn, [(args, kwargs)])
            answer = worker.answer()
        finally:
            self._roster.give_back(worker)
        if answer is None:
            raise BrokenExecutor("expected a result, got none: the worker process died")
        if isinstance(answer, Failure):
            raise answer.error()
        return answer[0]


def _call(fn: Callable[..., Any], how: tuple[Any, Any]) -> Any:
    args, kwargs = how
    return fn(*args, **kwargs)


def _lost(shards: int) -> str:
    return f"a worker process died; {shards} shard(s) are computed in this thread"


def _close(workers: list[Worker], arenas: list[Arena], owner: int) -> None:
    is_fork = os.getpid() != owner
    while arenas:
        arenas.pop().close()
    for worker in workers:
        worker.forget() if is_fork else worker.close()
    while workers:
        worker = workers.pop()
        if not is_fork:
            worker.end()
