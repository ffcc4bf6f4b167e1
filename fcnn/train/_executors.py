"""Which executor computes the shards where the caller names none: the fastest in a few steps.

Threads help where a shard is work for milliseconds, and hinder where it is calls of
microseconds. On free-threaded Python, where none waits for Python's lock, they are the default:
this thread alone must be faster by half. The bits are the same for all, so that the choice is one
of time alone.
"""

from __future__ import annotations

import contextlib
import sys
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

LEAD = 1.5
"""How many times as fast as threads this thread alone must be, on free-threaded Python."""


def is_free_threaded() -> bool:
    """Whether Python's threads run at the same time: 3.13t and later, with the lock disabled."""
    return not getattr(sys, "_is_gil_enabled", lambda: True)()


@contextlib.contextmanager
def candidates(executor: Executor | None, plan: Plan) -> Iterator[tuple[Executor | None, ...]]:
    """Yield the executors to choose from: the caller's, or threads and this thread alone."""
    if executor is None and plan.is_sharded:
        with parallel.threads() as pool:
            yield pool, None
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

    On free-threaded Python another executor than the first must be `LEAD` times as fast.

    Args:
        run_from: gives the states after a state, computed by an executor.
        state: where to begin.
        candidates: the executors.
        examples: the number of examples of an epoch; a step's time counts by the example, since
            an epoch's last batch may be smaller.
        clock: the time in seconds.
    """
    times: list[float] = []
    for executor in candidates if len(candidates) > 1 else ():
        states, tries = run_from(state, executor), []
        for _ in range(TRIES):
            before, began = state, clock()
            state = next(states)
            tries.append((clock() - began) / ((state.seen or examples) - before.seen))
            yield state
        is_first = not times
        times.append(min(tries) * (1.0 if is_first or not is_free_threaded() else LEAD))
    chosen = candidates[times.index(min(times))] if times else candidates[0]
    yield from run_from(state, chosen)
