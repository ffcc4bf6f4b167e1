"""Compute the shards of a batch anywhere, with the same bits everywhere.

The result of a training step does not depend on what computed it: the batch is cut into shards
of a size that does not depend on the number of workers; each shard is computed with one BLAS
thread, because a product that is split over two adds in another order; and the results are in the
order of the shards. So this thread, threads, processes and a cluster give the same SHA-256.

An executor is anything with the interface of `concurrent.futures.Executor`.
"""

from fcnn.parallel._cut import cut
from fcnn.parallel._pools import cores, processes, threads
from fcnn.parallel._shards import map_shards, one_blas_thread

__all__ = ["cores", "cut", "map_shards", "one_blas_thread", "processes", "threads"]
