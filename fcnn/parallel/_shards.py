"""Compute the shards of a batch, here or by an executor."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from fcnn._blas import BLAS
from fcnn.parallel._door import check_executor

if TYPE_CHECKING:  # `import fcnn` need not import it
    from concurrent.futures import Executor

    from fcnn.parallel._processes import Processes

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
        processes, run = _executors()
        if isinstance(executor, processes):
            if len(shards) > 1:  # sending a single shard would only take time
                with one_blas_thread():
                    return executor.share(function, common, shards)
            executor.check()
        else:
            check_executor(executor)
            if len(shards) > 1:
                return run(executor, function, common, shards)
    with one_blas_thread():
        return [function(common, shard) for shard in shards]


@functools.cache
def _executors() -> tuple[type[Processes], Callable[..., list[Any]]]:
    """Import what `import fcnn` need not, when an executor is first used."""
    from fcnn.parallel._engines import run
    from fcnn.parallel._processes import Processes

    return Processes, run
