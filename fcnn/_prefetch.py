"""Results computed ahead in threads, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def prefetched(
    function: Callable[[T], R], jobs: Iterable[T], *, ahead: int, threads: int = 1
) -> Iterator[R]:
    """Yield ``function(job)`` for each job, in order, the next ones being computed meanwhile.

    Besides the result that the caller has, at most ``ahead`` exist or are being computed. An
    exception comes where the result would have come. Closing the iterator waits for what is
    being computed and leaves out the rest.

    Args:
        function: what to compute; with several threads, in several jobs at a time.
        jobs: its arguments.
        ahead: the number of results; 0 computes each in this thread when it is asked for.
        threads: the number of threads.

    >>> from fcnn._prefetch import prefetched
    >>> list(prefetched(abs, [-1, 2, -3], ahead=2))
    [1, 2, 3]
    """
    if not ahead:
        yield from map(function, jobs)
        return
    from concurrent.futures import Future, ThreadPoolExecutor

    rest, waiting = iter(jobs), deque[Future[R]]()
    pool = ThreadPoolExecutor(min(threads, ahead), thread_name_prefix="fcnn-read")
    try:
        waiting.extend([pool.submit(function, job) for job in islice(rest, ahead)])
        while waiting:
            result = waiting.popleft().result()
            waiting.extend([pool.submit(function, job) for job in islice(rest, 1)])
            yield result
            del result  # or it would live until the next one is there
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
