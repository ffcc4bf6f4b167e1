"""The executors that fcnn makes: threads, and processes that share memory."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from fcnn._check import whole

if TYPE_CHECKING:  # `import fcnn` need not import them
    from concurrent.futures import ThreadPoolExecutor
    from contextlib import AbstractContextManager

    from mpi4py.MPI import Intracomm

    from fcnn.parallel._processes import Processes
    from fcnn.parallel._ranks import Ranks


def cores() -> int:
    """Return how many cores this process may use.

    >>> from fcnn.parallel import cores
    >>> cores() >= 1
    True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads(workers: int | None = None) -> ThreadPoolExecutor:
    """Make a pool of threads: NumPy releases Python's lock while it computes.

    In calls of this library the calling thread computes too, in the place of one of them.

    On free-threaded Python (3.13t or later) there is no lock, and threads are what
    `fcnn.fit` uses by default.

    Args:
        workers: how many; one per core by default.

    Raises:
        ArgumentError: if ``workers`` is not a whole number of at least 1.

    >>> from fcnn.parallel import threads
    >>> with threads(2) as pool:
    ...     pool.submit(abs, -1).result()
    1
    """
    from fcnn.parallel._threads import Threads

    return Threads(_count(workers))


def processes(workers: int | None = None) -> Processes:
    """Make an executor of this process and others that share memory with it.

    It is faster than `threads` where a shard takes less than some milliseconds, since nothing
    waits for Python's lock, and than other pools of processes, since arrays are copied to shared
    memory instead of sent. The other processes import the main script, so its own work must stand
    below a main guard::

        if __name__ == "__main__":
            with fcnn.parallel.processes() as pool:
                run = fcnn.fit(..., executor=pool)

    What a notebook, ``python -c`` or a script on standard input defines is sent by value, which
    needs cloudpickle. The arrays that a function is given in a worker are read-only, and are
    overwritten after it has returned.

    A worker that dies costs time only: its shards are computed in the calling thread, a warning
    says so, and another process is started. The pool does not wait for it. Nothing is left over
    when the pool's owner is killed: the workers notice within a second and end, and the shared
    memory has no name.

    Args:
        workers: how many, with this process; one per core by default.

    Raises:
        ArgumentError: if ``workers`` is not a whole number of at least 1.
        RuntimeError: if a worker ends before it is ready, or on Windows.

    >>> from fcnn.parallel import processes
    >>> with processes(1) as pool:
    ...     pool.submit(abs, -1).result()
    1
    """
    count = _count(workers)
    if sys.platform == "win32":
        raise RuntimeError(
            "expected a POSIX system, got Windows, where file descriptors cannot be passed; "
            "use fcnn.parallel.threads() or concurrent.futures.ProcessPoolExecutor()"
        )
    from fcnn.parallel._link import SPIN
    from fcnn.parallel._processes import Processes

    return Processes(count, SPIN if count <= cores() else 0.0)


def mpi(comm: Intracomm | None = None) -> AbstractContextManager[Ranks | None]:
    """Have the ranks of an MPI communicator compute for its rank 0.

    All ranks call it. Rank 0 is given an executor; the others serve it until the with statement of
    rank 0 ends, and are given None, as with mpi4py's MPICommExecutor::

        with fcnn.parallel.mpi() as executor:  # mpiexec -n 4 python script.py
            if executor is not None:
                run = fcnn.fit(..., executor=executor)

    The params are broadcast once a step, as one buffer. Each rank computes a run of shards, rank 0
    too; then the sum passes from rank to rank in blocks, each adding its own gradients, and back
    to rank 0. All ranks must have defined or imported what they are sent when they call this. The
    arrays that a function is given on the other ranks are read-only, and are overwritten after it
    has returned. A rank that waits keeps its core busy, as is usual with MPI.

    An exception of the function is raised on rank 0, with its type. An exception that leaves the
    with statement of rank 0 lets the other ranks go on behind theirs. If rank 0 is interrupted
    while the others wait for it, or another rank is, all are ended (``MPI_Abort``).

    Args:
        comm: an intracommunicator of mpi4py; ``MPI.COMM_WORLD`` by default.

    Raises:
        ArgumentError: if ``comm`` is something else.
        ImportError: if mpi4py is not installed (``pip install 'fcnn[mpi]'``).

    >>> from fcnn.parallel import map_shards, mpi
    >>> with mpi() as executor:  # doctest: +SKIP
    ...     if executor is not None:
    ...         print(map_shards(max, 2, [1, 2, 3], executor))
    [2, 2, 3]
    """
    from fcnn.parallel._ranks import ranks

    return ranks(comm)


def _count(workers: int | None) -> int:
    return cores() if workers is None else whole(workers, "workers")
