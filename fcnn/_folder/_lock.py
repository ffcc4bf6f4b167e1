"""One process at a time computes the run of a folder.

The kernel holds the lock, a POSIX record lock of the file ``.lock``, and gives it up when the
process ends, however it ends: a run that was killed can be resumed at once, on any machine. A
child made by fork does not inherit it. The file says who has it, for the message alone.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fcnn._folder._session import now
from fcnn.errors import ArgumentError

_HELD: set[tuple[int, int, int]] = set()
"""Process, device and inode of the locks of this process, which the kernel lets it take twice."""
_GUARD = threading.Lock()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a run's folder.

    File systems and platforms without such locks are used without one.

    Raises:
        ArgumentError: if another process, or another ``with`` of this one, holds it.
    """
    with _GUARD:
        file, mark = _taken(folder)
    try:
        yield
    finally:
        with _GUARD:
            if mark is not None:
                with contextlib.suppress(OSError):  # the folder may be gone
                    (folder / ".lock").unlink()
                _HELD.discard(mark)
            if file is not None:
                os.close(file)


def _taken(folder: Path) -> tuple[int | None, tuple[int, int, int] | None]:
    """Open the file and lock it; None where there are no locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return None, None
    path = folder / ".lock"
    while True:
        if _mark(path) in _HELD:  # closing any handle of the file would give the lock up
            raise _in_use(folder, None)
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mark = _mark(file)
            if mark is not None and mark == _mark(path):
                with contextlib.suppress(OSError):  # the disk is full
                    os.ftruncate(file, 0)
                    os.write(file, json.dumps(_holder()).encode())
                _HELD.add(mark)
                return file, mark
        except OSError as error:
            found = os.pread(file, 1000, 0)
            os.close(file)
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise _in_use(folder, found) from None
            return None, None
        os.close(file)  # it was removed between the two calls: the one there now is the lock


def _mark(file: Path | int) -> tuple[int, int, int] | None:
    with contextlib.suppress(FileNotFoundError):
        found = os.stat(file)
        return os.getpid(), found.st_dev, found.st_ino
    return None


def _holder() -> dict[str, Any]:
    return {"pid": os.getpid(), "host": socket.gethostname(), "began": now()}


def _in_use(folder: Path, found: bytes | None) -> ArgumentError:
    if found is None:
        return ArgumentError(
            f"expected a run that is not open, got {folder}, which this process has open; pass "
            f"run= what fcnn.experiment returned, or choose another folder"
        )
    try:
        held = json.loads(found)
        who = f"process {held['pid']} on {held['host']} has had open since {held['began']}"
    except (ValueError, KeyError, TypeError):  # it is being written
        who = "another process has open"
    return ArgumentError(
        f"expected a run that no other process computes, got {folder}, which {who}; wait for it "
        f"to end, or choose another folder"
    )
