"""The engine of Dask's executors: one message with the params, one result back.

The params are scattered once, straight to the workers. Each worker computes a few shards in a row
and keeps their gradients; the sum passes from worker to worker in the order of the shards, each
adding its own, and the last one returns it. So each worker sends one gradient, and the caller
receives one, whatever the number of shards. A sum in pairs would need fewer hops and have other
bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from fcnn import tree
from fcnn._batch import sum_in_order
from fcnn.parallel._cut import spread
from fcnn.parallel._engine import Function
from fcnn.parallel._engines import BySubmit
from fcnn.parallel._failure import Failure, attempt_to_send
from fcnn.parallel._flat import observed
from fcnn.parallel._loss import is_loss


class Dask(BySubmit):
    """Computes and adds in the workers of a Dask cluster."""

    def sum(
        self,
        executor: Any,
        function: Function,
        common: Any,
        shards: Sequence[Any],
        weights: Sequence[float],
    ) -> tuple[list[Any], Any]:
        """Add the gradients from worker to worker; if one is lost, compute as `map` does."""
        try:
            found = _chained(executor, function, common, shards, weights)
        except Exception as error:
            if not (is_loss(error) or isinstance(error, OSError)):
                raise
            return super().sum(executor, function, common, shards, weights)
        if isinstance(found, Failure):
            raise found.error()
        return found


def _chained(
    executor: Any,
    function: Function,
    common: Any,
    shards: Sequence[Any],
    weights: Sequence[float],
) -> tuple[list[Any], Any] | Failure:
    client, options = executor._client, {"pure": False, **executor._kwargs}
    threads = client.nthreads()
    # A client of another machine may reach the scheduler alone.
    is_near = all(name.startswith(("tcp://127.0.0.1:", "inproc://")) for name in threads)
    direct = True if is_near else None
    # In a list, since Dask sends the items of a tuple one by one, each from worker to worker.
    [sent] = client.scatter([common], broadcast=True, hash=False, direct=direct)
    count = max(1, sum(threads.values()))
    parts = spread(len(shards), -(-len(shards) // count))
    done = [
        client.submit(attempt_to_send, function, sent, shards[part], **options) for part in parts
    ]
    total = client.submit(_started, done[0], **options) if len(done) == 1 else done[0]
    for part in done[1:]:
        total = client.submit(_joined, total, part, **options)
    found: Any = client.gather(total, direct=direct)
    if isinstance(found, Failure):
        return found
    rests, sums, seen = found
    averages = iter([tree.average(each, weights) for each in zip(*seen, strict=True)])
    return rests, tree.map(lambda leaf: leaf, sums, statistic=lambda _: next(averages))


State: TypeAlias = tuple[list[Any], Any, list[list[tree.Observation]]]
"""The rests, the sum so far, and the observations of each shard."""


def _joined(before: Any, part: Any) -> State | Failure:
    """Add the gradients of a part to the sum of the parts before it."""
    try:
        if isinstance(before, Failure):
            return before
        if isinstance(part, Failure):
            return part
        rests, total, seen = before if isinstance(before, tuple) else _begun(before)
        gradients = [gradient for _, gradient in part]
        total = tree.map(sum_in_order, total, *gradients, statistic=lambda first, *others: first)
        return [*rests, *[rest for rest, _ in part]], total, [*seen, *map(observed, gradients)]
    except Exception as error:
        return Failure.of(error)


def _started(part: Any) -> State | Failure:
    return part if isinstance(part, Failure) else _begun(part)


def _begun(part: Any) -> State:
    gradients = [gradient for _, gradient in part]
    first, *others = gradients
    total = first
    if others:
        total = tree.map(sum_in_order, *gradients, statistic=lambda first, *others: first)
    return [rest for rest, _ in part], total, [observed(gradient) for gradient in gradients]
