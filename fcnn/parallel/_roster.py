"""The workers of a pool: which are free, which are ready, and what has happened to them."""

from __future__ import annotations

import warnings
from concurrent.futures import BrokenExecutor
from queue import Empty, SimpleQueue

from fcnn.parallel._link import PATIENCE
from fcnn.parallel._worker import DiedError, Worker


class Roster:
    """Gives out workers, each to one user at a time; several threads may ask.

    Args:
        spin: how long the processes spin for a message; see `Link`.

    Attributes:
        workers: all of them, but for those whose process ended by itself before it was ready.
    """

    def __init__(self, spin: float = 0.0) -> None:
        self._spin = spin
        self.workers: list[Worker] = []
        self._free: SimpleQueue[Worker | None] = SimpleQueue()  # None: no worker is left
        self._news: list[str] = []

    def start(self, count: int) -> None:
        """Start workers and wait until they are ready.

        Raises:
            RuntimeError: if the process of one ends by itself.
        """
        for _ in range(count):
            self.workers.append(Worker(self._spin))
        for worker in self.workers:
            _wait(worker)
            self._free.put(worker)

    def take(self, count: int) -> list[Worker]:
        """Return up to ``count`` workers that are free and ready now."""
        ready: list[Worker] = []
        starting: list[Worker | None] = []
        try:
            while len(ready) < count and None not in starting:
                worker = self._free.get_nowait()
                if worker is not None and self._is_ready(worker):
                    ready.append(worker)
                else:
                    starting.append(worker)
        except Empty:  # the others are with other threads
            pass
        for worker in starting:
            self.give_back(worker)
        return ready

    def wait_for_one(self) -> Worker:
        """Return a worker when one is free and ready.

        Raises:
            BrokenExecutor: if no worker is left.
        """
        worker = self._free.get()
        while worker is not None and not self._is_ready(worker, PATIENCE):
            if worker not in self.workers:
                self.give_back(worker)
                worker = self._free.get()
        if worker is None:
            self.give_back(None)
            raise BrokenExecutor("expected a running worker process, got none: all have ended")
        return worker

    def give_back(self, worker: Worker | None) -> None:
        """Make a worker free again, if it is still one."""
        if worker in self.workers:
            self._free.put(worker)
        elif not self.workers:
            self._free.put(None)  # ends the next `wait_for_one`

    def report(self, news: str) -> None:
        """Note what `warn` shall say."""
        self._news.append(news)

    def warn(self, stacklevel: int) -> None:
        """Warn of what has happened. A warning may be an error: first give all workers back."""
        while self._news:
            warnings.warn(self._news.pop(0), RuntimeWarning, stacklevel=stacklevel + 1)

    def _is_ready(self, worker: Worker, timeout: float = 0.0) -> bool:
        """Return whether ``worker`` can be asked; drop it if its process ended by itself."""
        try:
            return worker.available(timeout)
        except DiedError as death:
            if death.by_itself:  # and so would the next process
                self.workers.remove(worker)
            end = "the pool goes on without it" if death.by_itself else "another one is started"
            self.report(f"{death}; {end}")
            return False


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
