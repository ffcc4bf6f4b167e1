"""The executor whose workers are this process and others that share memory with it.

A training step of a small network takes a millisecond. Two threads spend half of it waiting for
Python's lock: waking a thread that waits for it takes as long as an operation on 32 small images.
A pool that sends arrays through pipes spends as long on sending them. Here they are copied once
(`_link`), and the calling process computes too, so that two cores take one other process. Of
LeNet-5's step on 64 images, 2.4 ms, this costs 0.5 ms: mostly Python whose code the step has
driven out of the cache. Spinning instead of sleeping for a message gained nothing.
"""

from __future__ import annotations

import contextlib
import os
import warnings
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Any

from fcnn.parallel._cut import cut
from fcnn.parallel._exchange import exchange, join
from fcnn.parallel._failure import Failure
from fcnn.parallel._link import PATIENCE
from fcnn.parallel._owner import refuse_in_fork
from fcnn.parallel._pickling import dumps
from fcnn.parallel._worker import DiedError, Worker


class Processes(Executor):
    """An executor whose workers are this process and others.

    `share` is the fast way, which `fcnn.parallel.map_shards` takes; ``submit`` and ``map`` are
    those of any executor.

    Attributes:
        others: the other processes, each with its ``process``.
    """

    def __init__(self, workers: int) -> None:
        self._owner = os.getpid()
        self._max_workers = workers
        self._news: list[str] = []
        self.others: list[Worker] = []
        self._end = weakref.finalize(self, _close, self.others, self._owner)
        try:
            for _ in range(workers - 1):
                self.others.append(Worker())
            for worker in self.others:
                _wait(worker)
        except BaseException:
            self._end()
            raise
        self._free: SimpleQueue[Worker | None] = SimpleQueue()  # None: no worker is left
        for worker in self.others:
            self._free.put(worker)
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
        refuse_in_fork("a pool", self._owner)
        if not self._end.alive:
            raise RuntimeError(
                "expected an executor that runs, got one that was shut down; "
                "make another with fcnn.parallel.processes()"
            )
        workers = self._take(len(shards) - 1)
        try:
            size = -(-len(shards) // (len(workers) + 1))
            parts = [shards[part] for part in cut(len(shards), size)]
            outcomes = exchange(workers[: len(parts) - 1], function, common, parts)
        finally:
            for worker in workers:
                self._give_back(worker)
        lost = [part for part, done in zip(parts, outcomes, strict=True) if done is None]
        if lost:
            n = sum(len(part) for part in lost)
            self._news.append(f"a worker process died; {n} shard(s) are computed in this thread")
        self._warn()
        return join(function, common, parts, outcomes)

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
        worker = self._free.get()
        try:
            while worker is not None and not self._is_ready(worker, PATIENCE):
                if worker not in self.others:
                    self._give_back(worker)
                    worker = self._free.get()
            if worker is None:
                raise BrokenExecutor("expected a running worker process, got none: all have ended")
            worker.ask(dumps(_call), fn, [(args, kwargs)])
            answer = worker.answer()
        finally:
            self._give_back(worker)
        if answer is None:
            raise BrokenExecutor("expected a result, got none: the worker process died")
        if isinstance(answer, Failure):
            raise answer.error()
        return answer[0]

    def _take(self, count: int) -> list[Worker]:
        """Return up to ``count`` workers that are ready now and that nobody else has taken."""
        ready: list[Worker] = []
        starting: list[Worker | None] = []
        with contextlib.suppress(Empty):
            while len(ready) < count and None not in starting:
                worker = self._free.get_nowait()
                if worker is not None and self._is_ready(worker):
                    ready.append(worker)
                else:
                    starting.append(worker)
        for worker in starting:
            self._give_back(worker)
        return ready

    def _is_ready(self, worker: Worker, timeout: float = 0.0) -> bool:
        """Return whether ``worker`` can be asked; give it up if its process ended by itself."""
        try:
            return worker.available(timeout)
        except DiedError as death:
            if death.by_itself:  # and so would the next one
                self.others.remove(worker)
            end = "the pool goes on without it" if death.by_itself else "another one is started"
            self._news.append(f"{death}; {end}")
            return False

    def _give_back(self, worker: Worker | None) -> None:
        if worker in self.others:
            self._free.put(worker)
        elif not self.others:
            self._free.put(None)  # for the next who waits for a worker

    def _warn(self) -> None:
        """Warn of what happened to workers; a warning may be an error, so they are free by now."""
        while self._news:
            warnings.warn(self._news.pop(0), RuntimeWarning, stacklevel=5)


def _wait(worker: Worker) -> None:
    """Wait until a worker is ready, or was killed and is to be started again later.

    Raises:
        RuntimeError: if its process ended by itself.
    """
    try:
        while not worker.available(PATIENCE):
            pass
    except DiedError as death:
        if death.by_itself:
            raise RuntimeError(
                f"{death} and has printed why; if it found no main guard: each worker imports the "
                'main script, whose own work must stand below if __name__ == "__main__":'
            ) from None


def _call(fn: Callable[..., Any], how: tuple[Any, Any]) -> Any:
    args, kwargs = how
    return fn(*args, **kwargs)


def _close(workers: list[Worker], owner: int) -> None:
    is_fork = os.getpid() != owner
    for worker in workers:
        worker.forget() if is_fork else worker.close()
    while workers:
        worker = workers.pop()
        if not is_fork:
            worker.end()
