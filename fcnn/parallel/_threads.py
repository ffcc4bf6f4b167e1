"""A pool of threads that knows the process in which it was made."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from fcnn.parallel._owner import refuse_in_fork


class Threads(ThreadPoolExecutor):
    """A `concurrent.futures.ThreadPoolExecutor`, whose threads a forked child does not have."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers, thread_name_prefix="fcnn")
        self._owner = os.getpid()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call ``fn`` in one of the threads.

        Raises:
            RuntimeError: after ``shutdown``, or in a fork of the process that made the pool.
        """
        refuse_in_fork("a pool of threads", self._owner)
        return super().submit(fn, *args, **kwargs)
