"""A rank of MPI that another process has started, and that serves it."""

from __future__ import annotations

from fcnn import parallel

if __name__ == "__main__":
    from mpi4py import MPI

    with parallel.mpi(MPI.Comm.Get_parent().Merge(high=True)):
        pass
