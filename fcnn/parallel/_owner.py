"""Refuse what belongs to another process: after a fork, parent and child hold the same objects.

A pool has threads, sockets or queues. In a forked child the threads do not run, and both processes
read from the same queues, so each may get the answers meant for the other.
"""

from __future__ import annotations

import os
import weakref
from typing import Any

_FIRST_USED: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
"""The process in which an executor was first seen; it never changes a result."""


def refuse_in_fork(what: str, owner: int) -> None:
    """Raise unless this is the process ``owner``.

    Raises:
        RuntimeError: in a fork of it.
    """
    here = os.getpid()
    if here != owner:
        raise RuntimeError(_sentence(what, f"made in process {owner}"))


def refuse_foreign(executor: Any) -> None:
    """Raise if it can be told that ``executor`` was made in another process.

    Raises:
        RuntimeError: in a fork of the process that made it.
    """
    name, here = type(executor).__name__, os.getpid()
    # A multiprocessing queue knows its process, even that of a pool that was never used.
    owner = getattr(getattr(executor, "_call_queue", None), "_opid", None)
    if owner is None:
        owner = _first_used(executor, here)
    refuse_in_fork(name, owner)
    # The threads of a pool end with its shutdown; before that they can only be missing here.
    threads = getattr(executor, "_threads", None)
    if (
        isinstance(threads, set)
        and not getattr(executor, "_shutdown", False)
        and not getattr(executor, "_broken", False)
        and not all(thread.is_alive() for thread in threads)
    ):
        raise RuntimeError(_sentence(name, "whose threads run in another process"))


def _first_used(executor: Any, here: int) -> int:
    try:
        return _FIRST_USED.setdefault(executor, here)
    except TypeError:  # it cannot be hashed or referenced weakly
        return here


def _sentence(what: str, whose: str) -> str:
    return (
        f"expected an executor made in this process ({os.getpid()}), got {what} {whose}; "
        f"after a fork make a new one in the child, such as fcnn.parallel.processes()"
    )
