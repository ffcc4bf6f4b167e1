"""What is known of executors of other libraries: which have lost workers, and which are slow."""

from __future__ import annotations

import warnings
import weakref
from concurrent.futures import BrokenExecutor, CancelledError, Executor

LOST = {"EngineError", "ExecutorlibSocketError", "KilledWorker", "ManagerLost", "WorkerLost"}
"""The exceptions by which other libraries say that a worker died: ipyparallel (as the ``ename`` of
a RemoteError), executorlib, Dask and Parsl."""


class Seen:
    """A weak set of executors. One that cannot be hashed or weakly referenced is never in it."""

    def __init__(self) -> None:
        self._set: weakref.WeakSet[Executor] = weakref.WeakSet()

    def add(self, executor: Executor) -> bool:
        """Add an executor and return whether it was not there."""
        try:
            is_new = executor not in self._set
            self._set.add(executor)
        except TypeError:
            return True
        return is_new

    def discard(self, executor: Executor) -> None:
        """Remove an executor, if it is there."""
        try:
            self._set.discard(executor)
        except TypeError:
            return


LOSING = Seen()
"""The executors whose last call lost a worker, of which the caller has been warned."""

_SLOW = Seen()
"""The executors that start a process for each task, of which the caller has been warned."""


def is_loss(error: Exception) -> bool:
    """Return whether an exception of a future says that a worker died before it had a result."""
    names = {kind.__name__ for kind in type(error).__mro__} | {getattr(error, "ename", None)}
    return isinstance(error, BrokenExecutor | CancelledError) or bool(names & LOST)


def warn_of_loss(executor: Executor, error: Exception, frames: int = 6) -> None:
    """Warn that a worker was lost, unless the caller was warned in the call before.

    The caller's is the last of so many frames.
    """
    if not LOSING.add(executor):
        return
    why = f"{type(error).__name__}: {error}".rstrip(": ")
    if isinstance(error, BrokenExecutor):
        advice = "the executor is broken and all shards are computed in this thread; make a new one"
    else:
        advice = "the shards that it had are computed in this thread"
    warnings.warn(
        f"a worker of {type(executor).__name__} died ({why}): {advice}",
        RuntimeWarning,
        stacklevel=frames,
    )


def warn_if_slow(executor: Executor) -> None:
    """Warn once of executorlib without ``block_allocation``."""
    if type(executor).__module__.split(".")[0] != "executorlib":
        return
    if "init_function" not in (getattr(executor, "info", None) or {}) and _SLOW.add(executor):
        warnings.warn(
            f"{type(executor).__name__} starts a process for each shard; make it with "
            f"block_allocation=True, which keeps its processes",
            RuntimeWarning,
            stacklevel=5,
        )
