"""Compute the shards of a batch anywhere, with the same bits everywhere.

The result of a training step does not depend on what computed it: the batch is cut into shards
of a size that does not depend on the number of workers; each shard is computed with one BLAS
thread, because a product that is split over two adds in another order; and the results are in the
order of the shards. So this thread, threads, processes and a cluster give the same SHA-256.

An executor is anything with the interface of `concurrent.futures.Executor`. Each of these gives the
same bits, and the exceptions of the function with their own types. They differ in what the death
of a worker (SIGKILL, out of memory) costs:

=================================  ================================================================
executor, tested version           when a worker dies
=================================  ================================================================
`processes`                        Time only. Its shards are computed in the calling thread, and
                                   another process is started.
ProcessPoolExecutor; loky 3.7.0    Time only. The pool is broken: a warning says so once, and all
                                   shards are computed in the calling thread until it is replaced.
Dask, distributed 2026.8.0         Time only. Dask restarts the worker, and computes its shards on
                                   another; what it gives up is computed in the calling thread.
ipyparallel 9.2.0                  Time only: noticed after 5 s. The engine is not replaced; without
                                   engines all shards are computed in the calling thread.
executorlib 1.11.0                 Time only, if it dies while it computes: restarted up to
                                   ``restart_limit`` times. If it dies idle, executorlib waits for
                                   ever. Needs ``block_allocation=True``, without which it starts a
                                   process for each shard.
Parsl 2026.10.26                   Time only, if it dies while it computes: noticed after the
                                   executor's ``heartbeat_period``, 30 s by default. If it dies
                                   idle, Parsl may wait for ever.
`mpi`; mpi4py 4.1.2, Open MPI 4.1  Ends the job: resume it from a checkpoint.
=================================  ================================================================

Gradients are added by `sum_shards` where that is cheapest, always in the order of the shards.
What a step of 5 MB of params costs beside its computation (a layer whose gradient is its params,
two shards, two workers, two cores, one run of the benchmark, in which a step's time varies by half;
``python tests/benchmarks/training.py --sections overhead --workers 2`` measures it anew):

===================  =======  ===================================================================
executor             ms       how params and gradients travel
===================  =======  ===================================================================
None                 0.2      Not at all: this is the sum of two gradients.
`threads`            0.3      Not at all.
`processes`          0.9      The params are written once into shared memory, and each gradient
                              into a slot of its own. Where gradients are large and many, each
                              process adds a slice of all slots.
ProcessPoolExecutor  2.3      The same, but this thread adds all. Functions and params of types
                              that ``__main__`` defines are sent as by other executors.
loky                 2.8      The same.
`mpi`                5.9      One broadcast. The sum passes in blocks from rank to rank, each
                              adding its own gradients.
MPIPoolExecutor      13       Pickled, for each worker, and back for each shard.
Dask                 40       Scattered once. The sum passes from worker to worker, and one result
                              comes back.
===================  =======  ===================================================================

`register_engine` makes an `Engine` known that computes the shards of executors of another type.

What is part of fcnn or of Python was tested with Python 3.11 and 3.14. `threads` and
ThreadPoolExecutor have no workers that die alone. Python 3.14's InterpreterPoolExecutor is refused,
since its subinterpreters cannot import NumPy. An executor belongs to the process that made it, and
is refused in a fork of it.
"""

# What every executor uses:
#
#   _shards                 shards computed here or by an executor, summed in order
#   _cut                    shards of a bounded size
#   _engine                 the protocol, and the registered engines
#   _door, _submits         what cannot compute shards is refused
#   _engines                executors of other libraries, whose workers may die
#   _loss                   which of them have lost workers, and which are slow
#   _flat                   gradients as flat arrays
#   _pickling, _once, _failure, _owner
#                           pickles and exceptions of other processes; refusal in a fork
#   _pools                  the executors that fcnn makes
#
# Threads:
#
#   _threads, _in_threads   the pool, and its engine
#
# Processes that share memory with this one:
#
#   _processes, _own        the executor, and its engine
#   _worker, _roster        one worker as its parent sees it; all of them
#   _launch, _serve, _work  started; what it runs; what it does for a sum
#   _link, _memory          a connection of two processes; shared memory and signals
#   _arena, _reduce         the memory of one sum; the sum
#   _exchange               one call of a function over shards
#   _lent                   the engine of Python's own pools and loky's, with the same memory
#
# Clusters:
#
#   _dask                   Dask's engine
#   _ranks, _member         MPI: the executor and engine of rank 0, and what others do
#   _chain                  the sum over ranks in their order

from fcnn.parallel._cut import cut
from fcnn.parallel._engine import Engine, register_engine
from fcnn.parallel._pools import cores, mpi, processes, threads
from fcnn.parallel._shards import map_shards, one_blas_thread, sum_shards

__all__ = [
    "Engine",
    "cores",
    "cut",
    "map_shards",
    "mpi",
    "one_blas_thread",
    "processes",
    "register_engine",
    "sum_shards",
    "threads",
]
