"""The engine of pools of threads: the caller and they take a shard each until none is left.

The calling thread would otherwise wait, and be woken for each result: handing a shard to another
thread and its result back takes some 60 µs, as long as a small network's shard.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import BrokenExecutor, Future
from contextvars import copy_context
from typing import Any

from fcnn.parallel._engine import Engine, Function
from fcnn.parallel._loss import LOSING, warn_of_loss
from fcnn.parallel._shards import one_blas_thread


class InThreads(Engine):
    """Computes in as many threads as the pool has; one of them is the calling thread."""

    def map(
        self, executor: Any, function: Function, common: Any, shards: Sequence[Any]
    ) -> list[Any]:
        """Return the results in the order of the shards."""
        task, workers = Task(function, common, shards), executor._max_workers
        with one_blas_thread():
            try:
                _share(executor, task, min(workers, len(shards)))
            finally:  # after an interrupt, no thread begins another shard
                task.left.clear()
        return task.results()


class Task:
    """The shards that no thread has taken yet, and what became of the others.

    They are taken in order, and none after one has failed: so the first one that fails is known
    when all threads have ended.
    """

    def __init__(self, function: Function, common: Any, shards: Sequence[Any]) -> None:
        self._function, self._common = function, common
        self.left = deque(enumerate(shards))
        self._done: list[Any] = [None] * len(shards)
        self._failed: dict[int, Exception] = {}

    def work(self) -> None:
        """Compute shards until none is left."""
        while not self._failed:
            try:
                number, shard = self.left.popleft()
            except IndexError:
                return
            try:
                self._done[number] = self._function(self._common, shard)
            except Exception as error:
                self._failed[number] = error

    def results(self) -> list[Any]:
        """Return the results in order, or raise what the first shard that failed has raised."""
        if self._failed:
            raise self._failed.pop(min(self._failed))
        return self._done


def _share(executor: Any, task: Task, threads: int) -> None:
    """Compute in so many threads, and return when all have ended.

    A pool of one thread computes alone. The others see this thread's context, with NumPy's
    settings for floating-point errors.
    """
    futures: list[Future[None]] = []
    try:
        for _ in range(max(1, threads - 1)):
            futures.append(executor.submit(copy_context().run, task.work))
        if threads > 1:
            task.work()
        _wait(futures, threads > 1)
    except BrokenExecutor as error:
        warn_of_loss(executor, error, frames=5)
        task.work()
    else:
        LOSING.discard(executor)


def _wait(futures: Iterable[Future[None]], nothing_is_left: bool) -> None:
    """Wait for other threads; those that have not begun need not, if nothing is left."""
    for future in futures:
        if not (nothing_is_left and future.cancel()):
            future.result()
