"""What computes shards for which type of executor: the protocol, and the registered engines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, TypeAlias

from fcnn._batch import add_gradients
from fcnn.errors import ArgumentError

Function: TypeAlias = Callable[[Any, Any], Any]


class Engine(ABC):
    """How executors of one type compute shards; `register_engine` makes it known.

    An engine has to give the bits of a loop in one thread: it calls the function once a shard,
    with one BLAS thread (`one_blas_thread`), and adds gradients in the order of the shards. An
    exception of the function reaches the caller with its type.

    >>> from fcnn import parallel
    >>> class Loop:
    ...     pass
    >>> class LoopEngine(parallel.Engine):
    ...     def check(self, executor):
    ...         pass
    ...     def map(self, executor, function, common, shards):
    ...         with parallel.one_blas_thread():
    ...             return [function(common, shard) for shard in shards]
    >>> parallel.register_engine(Loop, LoopEngine())
    >>> parallel.map_shards(max, 2, [1, 2, 3], Loop())
    [2, 2, 3]
    """

    @abstractmethod
    def map(
        self, executor: Any, function: Function, common: Any, shards: Sequence[Any]
    ) -> list[Any]:
        """Return ``[function(common, shard) for shard in shards]``, for two shards or more."""

    def sum(
        self,
        executor: Any,
        function: Function,
        common: Any,
        shards: Sequence[Any],
        weights: Sequence[float],
    ) -> tuple[list[Any], Any]:
        """Do what `sum_shards` does, for two shards or more.

        By default all gradients are returned by `map` and added in this thread.
        """
        done = self.map(executor, function, common, shards)
        rests, gradients = zip(*done, strict=True)
        return list(rests), add_gradients(gradients, weights)

    def check(self, executor: Any) -> None:
        """Refuse an executor that cannot compute shards now.

        By default it needs ``submit``, and workers that can import NumPy.

        Raises:
            ArgumentError: if it cannot.
            RuntimeError: if it was shut down, or made in another process, before a fork.
        """
        from fcnn.parallel._submits import check_submits

        check_submits(executor)


_ENGINES: dict[type | str, Engine | str] = {
    "fcnn.parallel._processes.Processes": "fcnn.parallel._own:Own",
    "fcnn.parallel._ranks.Ranks": "fcnn.parallel._ranks:ByRanks",
    "distributed.cfexecutor.ClientExecutor": "fcnn.parallel._dask:Dask",
    "concurrent.futures.process.ProcessPoolExecutor": "fcnn.parallel._lent:Lent",
    "loky.process_executor.ProcessPoolExecutor": "fcnn.parallel._lent:Lent",
    "concurrent.futures.thread.ThreadPoolExecutor": "fcnn.parallel._in_threads:InThreads",
}
"""Engines by the executor's type or its name; a string is imported when it is first needed."""

_FOUND: dict[type, Engine | None] = {}
"""The engines of the types of executors that were used; it never changes a result."""


def register_engine(kind: type | str, engine: Engine) -> None:
    """Have an engine compute the shards of every executor of a type and its subclasses.

    Args:
        kind: the type, or its qualified name, which needs no import of its library: for
            instance "distributed.cfexecutor.ClientExecutor".
        engine: the engine; it takes the place of one that was registered for the type.

    Raises:
        ArgumentError: if an argument is something else.

    >>> from fcnn import parallel
    >>> class OneByOne(parallel.Engine):
    ...     def map(self, executor, function, common, shards):
    ...         with parallel.one_blas_thread():
    ...             done = [executor.submit(function, common, shard) for shard in shards]
    ...             return [each.result() for each in done]
    >>> parallel.register_engine("a_library.pools.Pool", OneByOne())
    """
    if not isinstance(kind, type | str):
        raise ArgumentError(f"expected a type or its qualified name, got {kind!r}")
    if not isinstance(engine, Engine):
        raise ArgumentError(
            f"expected an instance of a subclass of fcnn.parallel.Engine, got {engine!r}"
        )
    _ENGINES[kind] = engine
    _FOUND.clear()


def registered(executor: Any) -> Engine | None:
    """Return the engine of the nearest base of an executor's type, or None."""
    cls = type(executor)
    if cls not in _FOUND:
        _FOUND[cls] = _nearest(cls)
    return _FOUND[cls]


def _nearest(cls: type) -> Engine | None:
    for kind in cls.__mro__:
        for key in (kind, f"{kind.__module__}.{kind.__qualname__}"):
            found = _ENGINES.get(key)
            if isinstance(found, str):
                module, _, name = found.partition(":")
                found = _ENGINES[key] = getattr(import_module(module), name)()
            if found is not None:
                return found
    return None
