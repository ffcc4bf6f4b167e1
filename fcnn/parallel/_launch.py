"""Start a worker process.

It is not a `multiprocessing.Process`: a daemonic process may not start one, and when a forked child
exits, `multiprocessing` ends in it the processes that its parent started.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from multiprocessing import spawn
from typing import Any

from fcnn.parallel._link import Link
from fcnn.parallel._memory import signal_pair


def launch(spin: float) -> tuple[subprocess.Popen[bytes], Link]:
    """Start a process, which will send one message when it is ready, and return the link to it.

    Args:
        spin: how long both ends of the link spin; see `Link`.

    Raises:
        OSError: if no process can be started now.
        MemoryError: if there is no memory for the link now.
        RuntimeError: in a worker that imports a main script without a main guard.
    """
    preparation = _preparation()
    channel, theirs = socket.socketpair()
    (asked, ask), (answered, answer) = signal_pair(), signal_pair()
    passed = theirs.fileno(), asked, answer
    program = (
        f"import sys; sys.path[:] = {preparation['sys_path']!r}; "
        f"from fcnn.parallel._serve import main; main{(os.getpid(), *passed, spin)}"
    )
    try:
        with _interrupt_blocked():
            process = subprocess.Popen(
                [*_interpreter(), "-c", program], stdin=subprocess.DEVNULL, pass_fds=passed
            )
    except BaseException:
        channel.close()
        os.close(answered)
        os.close(ask)
        raise
    finally:
        theirs.close()
        os.close(asked)
        os.close(answer)
    link = Link(channel, answered, ask, lambda: process.poll() is None, spin)
    try:
        with contextlib.suppress(ConnectionError):  # it has ended, as the caller will find
            link.send(preparation)
    except BaseException:
        link.close()
        process.kill()
        process.wait()
        raise
    return process, link


@contextlib.contextmanager
def _interrupt_blocked() -> Iterator[None]:
    """Block Ctrl-C: a process that is started within has it blocked until it can ignore it."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _interpreter() -> list[str]:
    """Return the command of this Python with its options, as `multiprocessing` makes it."""
    flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    return [os.fsdecode(spawn.get_executable()), *flags]


def _preparation() -> dict[str, Any]:
    """Return what a process needs to import this one's main script, if that is a file.

    Raises:
        RuntimeError: while a worker imports it.
    """
    found: dict[str, Any] = spawn.get_preparation_data("fcnn")
    found.pop("authkey", None)  # it only pickles for multiprocessing's own processes
    if not os.path.isfile(found.get("init_main_from_path", "")):
        found.pop("init_main_from_path", None)
    return found
