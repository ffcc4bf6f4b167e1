"""Which executor computes the shards where the caller names none: the fastest in a few steps.

Threads help where a shard is work for milliseconds, and hinder where it is calls of
microseconds. The bits are the same for all, so that the choice is one of time alone.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from fcnn import parallel
from fcnn.train._plan import Plan
from fcnn.train._state import State

if TYPE_CHECKING:
    from concurrent.futures import Executor

TRIES = 4
"""Steps by each candidate. The least time counts: the first fills caches and starts threads."""


@contextlib.contextmanager
def candidates(executor: Executor | None, plan: Plan) -> Iterator[tuple[Executor | None, ...]]:
    """Yield the executors to choose from: the caller's, or this thread and a pool of threads."""
    if executor is None and plan.is_sharded:
        with parallel.threads() as pool:
            yield None, pool
    else:
        yield (executor,)


def fastest(
    run_from: Callable[[State, Executor | None], Iterator[State]],
    state: State,
    candidates: tuple[Executor | None, ...],
    examples: int,
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[State]:
    """Yield the states of one run: a few steps by each executor, the rest by the fastest.

    Args:
        run_from: gives the states after a state, computed by an executor.
        state: where to begin.
        candidates: the executors.
        examples: the number of examples of an epoch; a step's time counts by the example, since
            an epoch's last batch may be smaller.
        clock: the time in seconds.
    """
    best, chosen = math.inf, candidates[0]
    for executor in candidates if len(candidates) > 1 else ():
        states = run_from(state, executor)
        for _ in range(TRIES):
            before, began = state, clock()
            state = next(states)
            took = (clock() - began) / ((state.seen or examples) - before.seen)
            if took < best:
                best, chosen = took, executor
            yield state
    yield from run_from(state, chosen)
