"""One call of a function over shards, by this process and workers that are ready."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from fcnn.parallel._failure import Failure
from fcnn.parallel._pickling import dumps
from fcnn.parallel._worker import Worker

Outcome: TypeAlias = list[Any] | Failure | Exception | None
"""Results, an exception of a worker or of this process, or None if the worker died."""


def exchange(
    workers: Sequence[Worker],
    function: Callable[[Any, Any], Any],
    common: Any,
    parts: Sequence[Sequence[Any]],
) -> list[Outcome]:
    """Compute the first part here and each of the others in a worker."""
    outcomes: list[Outcome] = []
    asked: list[Worker] = []
    try:
        code = dumps(function)
        for worker, part in zip(workers, parts[1:], strict=True):
            asked.append(worker)
            worker.ask(code, common, part)
        try:
            outcomes.append([function(common, shard) for shard in parts[0]])
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
