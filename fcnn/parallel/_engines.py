"""Compute shards by threads, or by an executor of another library whose workers may die."""

from __future__ import annotations

import pickle
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from importlib.util import find_spec
from typing import Any, TypeAlias

from fcnn._blas import BLAS
from fcnn.parallel._cut import cut
from fcnn.parallel._failure import Failure, attempt
from fcnn.parallel._pickling import dumps, travels_by_value

Function: TypeAlias = Callable[[Any, Any], Any]

LOST = {"EngineError", "ExecutorlibSocketError", "KilledWorker", "ManagerLost", "WorkerLost"}
"""The exceptions by which other libraries say that a worker died: ipyparallel (as the ``ename`` of
a RemoteError), executorlib, Dask and Parsl."""

_LOSING: weakref.WeakSet[Any] = weakref.WeakSet()
"""The executors whose last call lost a worker, which has been said."""

_SLOW: weakref.WeakSet[Any] = weakref.WeakSet()
"""The executors that start a process for each task, which has been said."""


def run_threads(
    executor: Executor, function: Function, common: Any, shards: Sequence[Any]
) -> list[Any]:
    """Compute each shard in a thread of the pool."""
    parts = [[shard] for shard in shards]
    done = _results(executor, _plain, [(function, common, part) for part in parts])
    return _joined(executor, function, common, parts, done)


def run_processes(
    executor: Executor, function: Function, common: Any, shards: Sequence[Any]
) -> list[Any]:
    """Compute the shards in workers, which are sent ``common`` once each where that is known."""
    _warn_if_slow(executor)
    client = getattr(executor, "_client", None)
    if hasattr(client, "scatter"):  # Dask: it balances single tasks, and pickles by value
        parts = [[shard] for shard in shards]
        done = _by_dask(executor, client, function, common, parts)
        return _joined(executor, function, common, parts, done)
    workers = getattr(executor, "_max_workers", None) or getattr(executor, "max_workers", None)
    size = -(-len(shards) // min(len(shards), workers or len(shards)))
    parts = [list(shards[part]) for part in cut(len(shards), size)]
    if travels_by_value(function) and find_spec("cloudpickle"):
        arguments = [(dumps((function, common, part)),) for part in parts]
        pickled = _results(executor, _by_value, arguments)
        done = (data if isinstance(data, Exception) else pickle.loads(data) for data in pickled)
    else:
        done = _results(executor, attempt, [(function, common, part) for part in parts])
    return _joined(executor, function, common, parts, done)


def _plain(function: Function, common: Any, shards: Sequence[Any]) -> list[Any]:
    return [function(common, shard) for shard in shards]


def _by_value(data: bytes) -> bytes:
    return dumps(attempt(*pickle.loads(data)))


def _by_dask(
    executor: Executor, client: Any, function: Function, common: Any, parts: Sequence[list[Any]]
) -> Iterable[Any]:
    try:
        sent = client.scatter(common, broadcast=True, hash=False)
    except (CancelledError, OSError) as error:  # OSError: TimeoutError, when no worker is there
        return [error] * len(parts)
    return _results(executor, attempt, [(function, sent, part) for part in parts])


def _results(
    executor: Executor, task: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]
) -> Iterator[Any]:
    """Yield what each task returns, or the exception that says that its worker was lost."""
    futures: list[Future[Any] | Exception] = []
    for each in arguments:
        try:
            futures.append(executor.submit(task, *each))
        except BrokenExecutor as error:
            futures.append(error)
    for future in futures:
        if isinstance(future, Exception):
            yield future
            continue
        try:
            yield _result(executor, future)
        except Exception as error:
            if not _is_loss(error):
                raise
            yield error


def _result(executor: Executor, future: Future[Any]) -> Any:
    client: Any = getattr(getattr(executor, "view", None), "client", None)
    if not hasattr(client, "ids"):
        return future.result()
    while True:  # ipyparallel: without an engine a task waits for ever
        try:
            return future.result(1.0)
        except TimeoutError:
            if not future.done() and not client.ids:
                raise BrokenExecutor("no engine is left") from None


def _is_loss(error: Exception) -> bool:
    names = {kind.__name__ for kind in type(error).__mro__} | {getattr(error, "ename", None)}
    return isinstance(error, BrokenExecutor | CancelledError) or bool(names & LOST)


def _joined(
    executor: Executor,
    function: Function,
    common: Any,
    parts: Sequence[Sequence[Any]],
    done: Iterable[Any],
) -> list[Any]:
    """Return the results in the order of the parts, and compute here what was lost."""
    results: list[Any] = []
    lost = False
    for part, found in zip(parts, done, strict=True):
        if isinstance(found, Failure):
            raise found.error()
        if isinstance(found, Exception):
            lost = True
            _warn_of_loss(executor, found)
            BLAS.enter()
            try:
                found = _plain(function, common, part)
            finally:
                BLAS.leave()
        results += found
    if not lost:
        _LOSING.discard(executor)
    return results


def _warn_of_loss(executor: Executor, error: Exception) -> None:
    """Say that a worker was lost, or that no worker is left, unless the call before said so."""
    if not _first(_LOSING, executor):
        return
    name = type(executor).__name__
    why = f"{type(error).__name__}: {error}".rstrip(": ")
    if isinstance(error, BrokenExecutor):
        advice = "it is broken, so all shards are computed in this thread; make a new executor"
    else:
        advice = "the shards that it lost are computed in this thread"
    warnings.warn(f"a worker of {name} died ({why}): {advice}", RuntimeWarning, stacklevel=6)


def _warn_if_slow(executor: Executor) -> None:
    if type(executor).__module__.split(".")[0] == "executorlib":
        info = getattr(executor, "info", None) or {}
        if "init_function" not in info and _first(_SLOW, executor):
            warnings.warn(
                f"{type(executor).__name__} starts a process for each shard; make it with "
                f"block_allocation=True, which keeps them",
                RuntimeWarning,
                stacklevel=5,
            )


def _first(seen: weakref.WeakSet[Any], executor: Executor) -> bool:
    try:
        if executor in seen:
            return False
        seen.add(executor)
    except TypeError:  # it cannot be hashed or referenced weakly
        pass
    return True
