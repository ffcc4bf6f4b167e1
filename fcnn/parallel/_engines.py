"""Compute shards by an executor of another library, whose workers may die."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from importlib.util import find_spec
from typing import Any

from fcnn._blas import BLAS
from fcnn.parallel._cut import cut
from fcnn.parallel._engine import Engine, Function
from fcnn.parallel._failure import Failure, attempt, attempt_to_send
from fcnn.parallel._loss import LOSING, is_loss, warn_if_slow, warn_of_loss
from fcnn.parallel._pickling import dumps, travels_by_value


class BySubmit(Engine):
    """Computes by ``submit``, in processes that may die."""

    def map(
        self, executor: Any, function: Function, common: Any, shards: Sequence[Any]
    ) -> list[Any]:
        """Return the results in the order of the shards."""
        return _run_processes(executor, function, common, shards)


def _run_processes(
    executor: Executor, function: Function, common: Any, shards: Sequence[Any]
) -> list[Any]:
    """Compute the shards in workers, which are sent ``common`` once each where that is known."""
    warn_if_slow(executor)
    client = getattr(executor, "_client", None)
    if hasattr(client, "scatter"):  # Dask: it balances single tasks, and pickles by value
        parts = [[shard] for shard in shards]
        done = _by_dask(executor, client, function, common, parts)
        return joined(executor, function, common, parts, done)
    parts = split(executor, shards)
    if travels_by_value(function) and find_spec("cloudpickle"):
        arguments = [(dumps((function, common, part)),) for part in parts]
        pickled = results_of(executor, _by_value, arguments)
        done = (data if isinstance(data, Exception) else pickle.loads(data) for data in pickled)
    else:
        done = results_of(executor, attempt, [(function, common, part) for part in parts])
    return joined(executor, function, common, parts, done)


def split(executor: Executor, shards: Sequence[Any]) -> list[list[Any]]:
    """Return the shards of each worker; as many parts as shards if the workers are not known."""
    workers = getattr(executor, "_max_workers", None) or getattr(executor, "max_workers", None)
    size = -(-len(shards) // min(len(shards), workers or len(shards)))
    return [list(shards[part]) for part in cut(len(shards), size)]


def _plain(function: Function, common: Any, shards: Sequence[Any]) -> list[Any]:
    return [function(common, shard) for shard in shards]


def _by_value(data: bytes) -> bytes:
    return dumps(attempt(*pickle.loads(data)))


def _by_dask(
    executor: Executor, client: Any, function: Function, common: Any, parts: Sequence[list[Any]]
) -> Iterable[Any]:
    try:
        [sent] = client.scatter([common], broadcast=True, hash=False)  # not a tuple's items
    except (CancelledError, OSError) as error:  # OSError: TimeoutError, when no worker is there
        return [error] * len(parts)
    return results_of(executor, attempt_to_send, [(function, sent, part) for part in parts])


def results_of(
    executor: Executor, task: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]
) -> Iterator[Any]:
    """Yield what each task returns, or the exception that says that its worker was lost."""
    futures: list[Future[Any] | Exception] = []
    for each in arguments:
        try:
            _check_engines(executor)
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
            if not is_loss(error):
                raise
            yield error


def _result(executor: Executor, future: Future[Any]) -> Any:
    while True:
        try:
            return future.result(1.0 if hasattr(executor, "view") else None)
        except TimeoutError:
            if future.done():
                raise
            _check_engines(executor)


def _check_engines(executor: Executor) -> None:
    """Raise if an executor of ipyparallel has no engine: its tasks would wait for ever."""
    client = getattr(getattr(executor, "view", None), "client", None)
    if getattr(client, "ids", None) == []:
        raise BrokenExecutor("no engine is left")


def joined(
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
            warn_of_loss(executor, found)
            BLAS.enter()
            try:
                found = _plain(function, common, part)
            finally:
                BLAS.leave()
        results += found
    if not lost:
        LOSING.discard(executor)
    return results
