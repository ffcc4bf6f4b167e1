"""Compute the shards of a batch, here or by an executor."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from fcnn._blas import BLAS
from fcnn.parallel._door import check_executor

if TYPE_CHECKING:  # `import fcnn` need not import it
    from concurrent.futures import Executor

S = TypeVar("S")


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread in this process; afterwards it has as many as before.

    Several threads may be within at once: the limit ends with the last of them.

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
    """Return ``[function(common, shard) for shard in shards]``, each with one BLAS thread.

    Args:
        function: what to compute; it must pickle where the executor's workers are processes.
        common: what every shard needs, such as the params; it is sent once per worker.
        shards: what differs.
        executor: computes the shards; this thread if None.

    A worker that dies costs time only, for the executors that `fcnn.parallel` lists: its shards
    are computed in this thread, and a warning says so.

    Raises:
        ArgumentError: if ``executor`` is not an executor whose workers can import NumPy.
        Exception: whatever ``function`` raises, from the first shard that raises, with its type
            and a note of the process that raised it.
        RuntimeError: if the executor was made in another process, before a fork.

    >>> import operator
    >>> from fcnn.parallel import map_shards, threads
    >>> with threads(2) as pool:
    ...     map_shards(operator.add, 10, [1, 2, 3], pool)
    [11, 12, 13]
    """
    if executor is not None:
        check_executor(executor)
        if len(shards) > 1:  # sending a single shard would only take time
            return _map_by(executor, function, common, shards)
    with one_blas_thread():
        return [function(common, shard) for shard in shards]


def _map_by(
    executor: Executor, function: Callable[[Any, S], Any], common: Any, shards: Sequence[S]
) -> list[Any]:
    from concurrent.futures import ThreadPoolExecutor

    from fcnn.parallel import _engines
    from fcnn.parallel._processes import Processes

    if isinstance(executor, Processes):
        with one_blas_thread():
            return executor.share(function, common, shards)
    if isinstance(executor, ThreadPoolExecutor):
        with one_blas_thread():
            return _engines.run_threads(executor, function, common, shards)
    return _engines.run_processes(executor, function, common, shards)
