"""One call of a function over shards, by this process and workers that are ready."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from fcnn.parallel._arena import Arena
from fcnn.parallel._failure import Failure
from fcnn.parallel._pickling import dumps
from fcnn.parallel._work import Whole
from fcnn.parallel._worker import Worker

Outcome: TypeAlias = list[Any] | Failure | Exception | None
"""Results, an exception of a worker or of this process, or None if the worker died."""


def exchange(
    workers: Sequence[Worker],
    function: Callable[[Any, Any], Any],
    common: Any,
    parts: Sequence[Sequence[Any]],
    pickled: tuple[bytes, Sequence[Any]] | None = None,
) -> list[Outcome]:
    """Compute the first part here and each of the others in a worker.

    Args:
        workers: one less than the parts.
        function: of ``common`` and a shard.
        common: what all shards need.
        parts: some shards each.
        pickled: the pickle and the buffers of ``common``, if it has been pickled already.
    """
    orders: list[Any] = []
    if workers:
        code = dumps(function)
        if pickled is None:
            orders = [(code, common, part) for part in parts[1:]]
        else:
            orders = [Whole(code, *pickled, part) for part in parts[1:]]
    return ask_all(workers, orders, lambda: [function(common, shard) for shard in parts[0]])


def ask_all(
    workers: Sequence[Worker],
    orders: Sequence[Any],
    here: Callable[[], list[Any]],
    arena: Arena | None = None,
) -> list[Outcome]:
    """Give each worker its order, compute ``here`` meanwhile, and collect the answers."""
    memory = None
    if arena is not None and arena.memory is not None:
        memory = arena.memory, arena.fd
    outcomes: list[Outcome] = []
    asked: list[Worker] = []
    try:
        for worker, order in zip(workers, orders, strict=True):
            asked.append(worker)
            worker.order(order, memory)
        try:
            outcomes.append(here())
        except Exception as error:  # raised by `join`, when the others have answered
            outcomes.append(error)
        while asked:
            outcomes.append(asked[0].answer())
            del asked[0]
    except BaseException:
        for worker in asked:  # an answer may still come, and would be taken for the next one
            worker.replace()
        raise
    return outcomes


def join(
    function: Callable[[Any, Any], Any],
    common: Any,
    parts: Sequence[Sequence[Any]],
    outcomes: Sequence[Outcome],
) -> list[Any]:
    """Return the results in the order of the parts, and compute here what is missing.

    Raises:
        Exception: the first of the outcomes that is one.
    """
    results: list[Any] = []
    for part, outcome in zip(parts, outcomes, strict=True):
        if isinstance(outcome, Failure):
            raise outcome.error()
        if isinstance(outcome, Exception):
            raise outcome
        if outcome is None:
            outcome = [function(common, shard) for shard in part]
        results += outcome
    return results
