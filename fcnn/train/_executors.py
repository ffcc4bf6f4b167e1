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
    """Yield the executors to choose from: the caller's, or threads and this thread alone.

    The last of several is this thread. Pools that are not chosen hold threads that only wait.
    """
    if executor is None and plan.is_sharded:
        with contextlib.ExitStack() as stack:
            counts = worker_counts(parallel.cores(), plan.shards)
            yield *[stack.enter_context(parallel.threads(n)) for n in counts], None
    else:
        yield (executor,)


def worker_counts(cores: int, shards: int) -> list[int]:
    """Return the numbers of threads to try: as many as can compute, 4, and 2.

    Beyond 4 threads often wait for Python's lock more than they gain, and each number that is
    tried costs a few steps.

    >>> from fcnn.train._executors import worker_counts
    >>> worker_counts(16, 16), worker_counts(2, 16), worker_counts(16, 3)
    ([16, 4, 2], [2], [3, 2])
    """
    most = min(cores, shards)
    return [most, *[n for n in (4, 2) if n < most]]


def fastest(
    run_from: Callable[[State, Executor | None], Iterator[State]],
    state: State,
    candidates: tuple[Executor | None, ...],
    examples: int,
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[State]:
    """Yield the states of one run: a few steps by each executor, the rest by the fastest.

    On free-threaded Python the last of several, this thread alone, must be `LEAD` times as fast.

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
        is_last = len(times) == len(candidates) - 1
        times.append(min(tries) * (LEAD if is_last and is_free_threaded() else 1.0))
    chosen = candidates[times.index(min(times))] if times else candidates[0]
    yield from run_from(state, chosen)
