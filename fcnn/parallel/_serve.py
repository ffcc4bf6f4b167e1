"""What a worker process of `fcnn.parallel.processes` runs."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from multiprocessing import spawn
from typing import Any

from fcnn._blas import BLAS
from fcnn.parallel._failure import Failure, attempt, unloadable, unpicklable
from fcnn.parallel._link import PATIENCE, Link, Received
from fcnn.parallel._work import Shards, Slice, Whole, function_of

READY = "ready"


def main(parent: int, channel: int, wake: int, bell: int, spin: float) -> None:
    """Compute what arrives over the link until it is closed or the parent has ended.

    Args:
        parent: the process that started this one.
        channel: the file descriptor of this end of the link's socket.
        wake: that of the signal to wait for.
        bell: that of the signal for the parent.
        spin: how long this end spins; see `Link`.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets Ctrl-C too, and decides
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    link = Link(socket.socket(fileno=channel), wake, bell, lambda: os.getppid() == parent, spin)
    with contextlib.closing(link), contextlib.suppress(EOFError, ConnectionError):
        _prepare(link.receive(copy=True).unpickled())
        BLAS.enter()
        link.send(READY)
        while True:
            _reply(link, _computed(link, link.receive(copy=False)))


def _end_with(parent: int) -> None:
    """End this process with its parent, even in the middle of a long computation."""
    while os.getppid() == parent:
        time.sleep(PATIENCE)
    os._exit(1)


def _prepare(preparation: dict[str, Any]) -> None:
    """Import the parent's main script, as `multiprocessing` does, and set what it sets.

    Meanwhile starting processes raises: a script without a main guard would start more and more.
    """
    here: Any = multiprocessing.current_process()
    here._inheriting = True
    try:
        spawn.prepare(preparation)
    finally:
        del here._inheriting


def _computed(link: Link, received: Received) -> list[Any] | Failure:
    try:
        call = _prepared(received.unpickled(), link)
    except Exception as error:
        return unloadable(error)
    return call()


def _prepared(message: Any, link: Link) -> Callable[[], list[Any] | Failure]:
    """Return the call that a message asks for; importing what it needs may fail."""
    if isinstance(message, Whole | Shards | Slice):
        return message.prepared(link.arena)
    code, common, shards = message
    return functools.partial(attempt, function_of(code), common, shards)


def _reply(link: Link, reply: list[Any] | Failure) -> None:
    try:
        link.send(reply)
    except TypeError as error:
        link.send(Failure.of(unpicklable(error)))
    except MemoryError as error:
        link.send(Failure.of(error))
