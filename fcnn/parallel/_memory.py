"""Shared memory without a name, and wake-up signals, for two processes.

Both are file descriptors that one process makes and passes to the other. The kernel frees them
with the last process that holds them, so nothing is left over however the processes end. Named
shared memory and named semaphores stay behind when the processes that would unlink them, Python's
resource tracker included, are killed.
"""

from __future__ import annotations

import mmap
import os
import sys
import tempfile


def reserve(size: int) -> tuple[mmap.mmap, int]:
    """Return ``size`` bytes of new shared memory and a file descriptor to map it from.

    The caller closes the descriptor when it has passed it on.

    Raises:
        MemoryError: if there is less memory. Pages that are only promised would end the process
            with SIGBUS when it writes to them.
    """
    fd = _unnamed_file()
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(fd, 0, size)
        else:
            os.ftruncate(fd, size)
        return mmap.mmap(fd, size), fd
    except OSError as error:
        os.close(fd)
        raise MemoryError(
            f"expected {size} bytes of shared memory, got {error.strerror}; use fewer examples "
            f"in a shard, fewer workers, or fcnn.parallel.threads()"
        ) from None


def _unnamed_file() -> int:
    if hasattr(os, "memfd_create"):  # Linux
        return os.memfd_create("fcnn")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def attach(fd: int, size: int, *, writable: bool = False) -> mmap.mmap:
    """Map memory that another process has reserved, and close ``fd``."""
    prot = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
    try:
        return mmap.mmap(fd, size, prot=prot)
    finally:
        os.close(fd)


def signal_pair() -> tuple[int, int]:
    """Return the descriptors of a new signal: one to wait for, one to `ring`.

    An eventfd where there is one: writing to a pipe or a socket makes the kernel schedule the
    reader on the writer's core, which is still busy.
    """
    if hasattr(os, "eventfd"):  # Linux
        fd = os.eventfd(0)
        return fd, os.dup(fd)
    return os.pipe()


def ring(fd: int, number: int) -> None:
    """Wake the process that waits for the other end, with a number above 0."""
    os.write(fd, number.to_bytes(8, sys.byteorder))


def acknowledge(fd: int) -> int:
    """Return the number of a signal that has arrived."""
    return int.from_bytes(os.read(fd, 8), sys.byteorder)
