"""Shards of a batch, computed anywhere, with the same bits everywhere.

The result of a training step must not depend on who computed it. Three rules make
it so: the batch is cut into shards of a fixed size, never into "one per worker";
each shard is computed with one BLAS thread, because a GEMM split over two adds in
another order; and the results come back in the order of the shards. Then one
thread, many threads, processes and a cluster all give the same SHA-256.

An executor is anything with the interface of ``concurrent.futures.Executor``.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from fcnn._blas import BLAS
from fcnn._check import whole

if TYPE_CHECKING:  # an import of some milliseconds, which `import fcnn` does not need
    from concurrent.futures import Executor, Future, ThreadPoolExecutor

    from fcnn._processes import Processes

__all__ = ["cores", "cut", "map_shards", "one_blas_thread", "processes", "threads"]

S = TypeVar("S")


def cores() -> int:
    """How many processors this process may use.

    >>> from fcnn.parallel import cores
    >>> cores() >= 1
    True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads(workers: int | None = None) -> ThreadPoolExecutor:
    """A pool of threads, one a core unless said otherwise: NumPy releases the GIL.

    >>> from fcnn.parallel import threads
    >>> with threads(2) as pool:
    ...     pool.submit(abs, -1).result()
    1
    """
    from concurrent.futures import ThreadPoolExecutor

    count = cores() if workers is None else whole(workers, "workers")
    return ThreadPoolExecutor(count, thread_name_prefix="fcnn")


def processes(workers: int | None = None) -> Processes:
    """This process and others that share memory with it, one a core unless said otherwise.

    Faster than `threads` where a shard is work for less than some milliseconds, since nobody
    waits for Python's lock, and than other pools of processes, since arrays are copied and not
    sent. As with those, a script's own work must stand below ``if __name__ == "__main__":``,
    because the other processes import it. What they are given is read-only and theirs until they
    return::

        if __name__ == "__main__":
            with fcnn.parallel.processes() as pool:
                run = fcnn.fit(..., executor=pool)

    Raises:
        RuntimeError: if a process ends before it is ready.

    >>> from fcnn.parallel import processes
    >>> with processes(1) as pool:
    ...     pool.submit(abs, -1).result()
    1
    """
    from fcnn._processes import Processes

    return Processes(cores() if workers is None else whole(workers, "workers"))


def cut(n: int, size: int) -> list[slice]:
    """The places 0 to n - 1 in shards of ``size``, the last one maybe smaller.

    >>> from fcnn.parallel import cut
    >>> cut(5, 2)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    return [slice(i, min(i + size, n)) for i in range(0, n, size)]


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Within it BLAS uses one thread in this process; afterwards as many as before.

    It may be entered by several threads at once: the limit ends with the last of them.

    >>> from fcnn.parallel import one_blas_thread
    >>> with one_blas_thread():
    ...     pass
    """
    BLAS.enter()
    try:
        yield
    finally:
        BLAS.leave()


def map_shards(
    function: Callable[[Any, S], Any],
    common: Any,
    shards: Sequence[S],
    executor: Executor | None = None,
) -> list[Any]:
    """``[function(common, shard) for shard in shards]``, each with one BLAS thread.

    Args:
        function: what to do; it must pickle where the executor's workers are processes.
        common: what every shard needs, such as the params: it travels once a worker.
        shards: what differs.
        executor: where; in this thread if None.

    A worker that dies costs time only: its shards are computed in this thread, and a
    warning says so. (A Dask cluster computes them again on another worker by itself.)

    Raises:
        Exception: whatever ``function`` raises, from the first shard that raises.

    >>> import operator
    >>> from fcnn.parallel import map_shards, threads
    >>> with threads(2) as pool:
    ...     map_shards(operator.add, 10, [1, 2, 3], pool)
    [11, 12, 13]
    """
    if executor is None or len(shards) <= 1:  # a single shard is not worth the journey
        with one_blas_thread():
            return [function(common, shard) for shard in shards]
    from concurrent.futures import ThreadPoolExecutor

    if isinstance(executor, ThreadPoolExecutor):
        with one_blas_thread():
            futures = [executor.submit(function, common, shard) for shard in shards]
            return [future.result() for future in futures]
    return _map_processes(function, common, shards, executor)


def _map_processes(
    function: Callable[[Any, S], Any], common: Any, shards: Sequence[S], executor: Executor
) -> list[Any]:
    client, sent = getattr(executor, "_client", None), common
    if client is not None and hasattr(client, "scatter"):  # Dask: broadcast, one task a shard
        parts = [[shard] for shard in shards]
        sent = client.scatter(common, broadcast=True, hash=False)
    else:
        workers = min(len(shards), getattr(executor, "_max_workers", None) or len(shards))
        parts = [list(shards[part]) for part in cut(len(shards), -(-len(shards) // workers))]
    done: Iterable[list[Any] | None]
    share = getattr(executor, "share", None)
    if share is None:
        done = _submitted(function, sent, parts, executor)
    else:
        with one_blas_thread():
            done = share(function, common, parts)
    results: list[Any] = []
    for part, found in zip(parts, done, strict=True):
        if found is None:
            warnings.warn(
                f"a worker died: {len(part)} shard(s) are computed in this thread instead",
                RuntimeWarning,
                stacklevel=3,
            )
            found = _in_worker(function, common, part)
        results.extend(found)
    return results


def _submitted(
    function: Callable[[Any, S], Any], common: Any, parts: Sequence[list[S]], executor: Executor
) -> Iterator[list[Any] | None]:
    """The results of each part; None if its worker died.

    With a worker, Dask may lose what was scattered, and cancels what was to be computed of it.
    """
    from concurrent.futures import BrokenExecutor, CancelledError

    futures: list[Future[list[Any]] | None] = []
    for part in parts:
        try:
            futures.append(executor.submit(_in_worker, function, common, part))
        except BrokenExecutor:
            futures.append(None)
    for future in futures:
        try:
            yield None if future is None else future.result()
        except (BrokenExecutor, CancelledError):
            yield None


def _in_worker(function: Callable[[Any, S], Any], common: Any, shards: Sequence[S]) -> list[Any]:
    with one_blas_thread():
        return [function(common, shard) for shard in shards]
