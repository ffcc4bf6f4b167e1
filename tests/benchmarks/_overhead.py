"""fcnn's pools and those of other libraries, at a step that computes nothing."""

from __future__ import annotations

import functools
import os
import sys
from typing import Any

import _rank
import numpy as np
from _idle import idle
from _serve import Run, serve

import fcnn
from fcnn import losses, parallel


def prepare(engine: str, workers: int, size: int) -> Run:
    """Return a step of ``size`` params in a shard for each worker."""
    model = idle(size)
    params, _ = model.init(fcnn.key(0), (1,))
    f = fcnn.value_and_grad(
        model, losses.mean_squared_error, shard_size=1, executor=pool(engine, workers)
    )
    x = np.ones((max(2, workers), 1), np.float32)

    def run(k: int) -> None:
        for _ in range(k):
            f(params, x, x)

    return run


@functools.cache
def pool(engine: str, workers: int) -> Any:
    """Return an executor with so many workers."""
    match engine:
        case "this thread":
            return None
        case "threads" | "processes":
            return getattr(parallel, engine)(workers)
        case "concurrent.futures":
            from concurrent.futures import ProcessPoolExecutor

            return ProcessPoolExecutor(workers)
        case "loky":
            import loky

            return loky.get_reusable_executor(workers)
        case "Dask":
            from distributed import Client, LocalCluster

            cluster = LocalCluster(  # type: ignore[no-untyped-call]
                n_workers=workers, threads_per_worker=1, dashboard_address=None
            )
            return Client(cluster).get_executor()  # type: ignore[no-untyped-call]
        case "MPIPoolExecutor":
            allow_mpi()
            from mpi4py.futures import MPIPoolExecutor

            return MPIPoolExecutor(workers)
        case "mpi":
            return ranks(workers)
    raise ValueError(f"expected an engine, got {engine!r}")


def allow_mpi() -> None:
    """Let Open MPI start more ranks than cores, as root too, and bind none to a core."""
    os.environ.update(
        OMPI_ALLOW_RUN_AS_ROOT="1",
        OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
        OMPI_MCA_rmaps_base_oversubscribe="1",
        OMPI_MCA_hwloc_base_binding_policy="none",  # this process is not bound either
    )


def ranks(count: int) -> Any:
    """Return the executor of so many ranks, which this process starts but for itself."""
    allow_mpi()
    from mpi4py import MPI

    comm = MPI.COMM_SELF
    if count > 1:
        others = MPI.COMM_SELF.Spawn(sys.executable, [_rank.__file__], count - 1)
        comm = others.Merge(high=False)
    manager = parallel.mpi(comm)
    KEPT.append(manager)
    return manager.__enter__()


KEPT: list[Any] = []
"""Contexts that end with the process."""

if __name__ == "__main__":
    serve(prepare)
