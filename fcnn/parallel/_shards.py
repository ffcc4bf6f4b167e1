"""Compute the shards of a batch, here or by an executor."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from fcnn._batch import add_gradients
from fcnn._blas import BLAS
from fcnn._ops.memory import RECORDING
from fcnn.errors import ArgumentError, TraceError
from fcnn.parallel._door import check_executor
from fcnn.parallel._engine import Engine, registered

if TYPE_CHECKING:  # `import fcnn` need not import it
    from concurrent.futures import Executor

R = TypeVar("R")
S = TypeVar("S")
T = TypeVar("T")


def _engine_of(executor: Executor) -> Engine:
    """Return the engine of an executor: by default the one that needs ``submit`` alone."""
    engine = registered(executor)
    if engine is None:
        from fcnn.parallel._engines import BySubmit

        engine = BySubmit()
    return engine


def _check(executor: Executor) -> None:
    check_executor(executor)
    if RECORDING.recorder is not None:  # of this thread alone
        raise TraceError(
            "expected a function under fcnn.jit to compute shards in its own thread, got an "
            "executor; leave out executor=, or leave out fcnn.jit and let jit=True replay each "
            "shard where it is computed"
        )


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
        _check(executor)
        if len(shards) > 1:  # sending a single shard would only take time
            return _engine_of(executor).map(executor, function, common, shards)
    with one_blas_thread():
        return [function(common, shard) for shard in shards]


def sum_shards(
    function: Callable[[Any, S], tuple[R, T]],
    common: Any,
    shards: Sequence[S],
    weights: Sequence[float],
    executor: Executor | None = None,
) -> tuple[list[R], T]:
    """Return what a function gives beside each shard's gradient, and the gradients' sum.

    The same as ``done = map_shards(function, common, shards, executor)`` and the sum of what is
    second in each, in the order of the shards, to the bit; but a gradient need not travel to this
    process to be added. Each engine adds where it is cheapest.

    Args:
        function: ``(common, shard) -> (rest, gradient)``; the gradients are trees of one
            structure.
        common: what every shard needs, such as the params.
        shards: what differs.
        weights: one a shard, which average the observations of statistics in the gradients; the
            weights sum to 1.
        executor: computes the shards; this thread if None.

    Raises:
        ArgumentError: if there is no shard, or ``executor`` is not an executor whose workers can
            import NumPy.
        Exception: whatever ``function`` raises, from the first shard that raises.
        RuntimeError: if the executor was made in another process, before a fork.

    >>> import numpy as np
    >>> from fcnn.parallel import sum_shards
    >>> def square(common, x):
    ...     return float(x), np.array([common * x**2])
    >>> sum_shards(square, 10, [1, 2, 3], [1 / 3] * 3)
    ([1.0, 2.0, 3.0], array([140]))
    """
    if len(shards) == 0:
        raise ArgumentError("expected one shard or more to add the gradients of, got none")
    if executor is not None:
        _check(executor)
        if len(shards) > 1:
            return _engine_of(executor).sum(executor, function, common, shards, weights)
    with one_blas_thread():
        done = [function(common, shard) for shard in shards]
        gradients = [gradient for _, gradient in done]
        return [rest for rest, _ in done], add_gradients(gradients, weights)
