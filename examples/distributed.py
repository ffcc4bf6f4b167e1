"""Train on a cluster, to the same bits as on one machine.

    pip install '.[cluster]' && python examples/distributed.py
    python examples/distributed.py --address scheduler:8786
    pip install '.[mpi]' && mpiexec -n 3 python examples/distributed.py --engine mpi
    python examples/distributed.py --engine pool

Without an address, a Dask cluster of two worker processes is started on this machine; with MPI
(mpi4py, and Open MPI or MPICH) the ranks of all machines that mpiexec names compute; "pool" is
Python's own pool of two processes, which is also taken where Dask is not installed. Every batch is
cut into shards of a fixed size, which the workers compute; a Dask worker that dies costs time only.
At the end the same run is made in this process, and the SHA-256 of the two runs' parameters is
compared.
"""

import contextlib
import multiprocessing
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from importlib.util import find_spec
from pathlib import Path

# This file has the name of Dask's own package, which must be found before it.
sys.path.sort(key=lambda folder: Path(folder).resolve() == Path(__file__).resolve().parent)

import _common

import fcnn
from fcnn import conv2d, dense, dropout, flatten, max_pool2d, relu, serial
from fcnn.data import mnist
from fcnn.losses import softmax_cross_entropy
from fcnn.optim import adam

RECIPE = _common.Recipe(
    model=serial(
        *(conv2d(16, 5), relu, max_pool2d(2)),
        *(conv2d(32, 3), relu, max_pool2d(2)),
        *(flatten, dropout(0.2), dense(10)),
    ),
    loss=softmax_cross_entropy,
    optimizer=lambda steps: adam(0.002),
    epochs=3,
    batch_size=64,
)


@contextlib.contextmanager
def dask(address: str | None) -> Iterator[Executor]:
    """Yield the executor of a Dask cluster: that of an address, or one of two processes here."""
    from distributed import Client, LocalCluster

    with contextlib.ExitStack() as stack:
        where = address or stack.enter_context(
            LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
        )
        client = stack.enter_context(Client(where))
        print(f"on {client}")
        yield client.get_executor()


@contextlib.contextmanager
def mpi(address: str | None) -> Iterator[Executor | None]:
    """Yield the executor of all ranks that ``mpiexec`` has started: None but to rank 0."""
    from mpi4py import MPI

    with fcnn.parallel.mpi() as executor:
        if executor is not None:
            print(f"on {executor.size} ranks of {MPI.Get_library_version().splitlines()[0]}")
        yield executor


@contextlib.contextmanager
def pool(address: str | None) -> Iterator[Executor]:
    """Yield Python's pool of two processes."""
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        print("on Python's pool of two processes")
        yield executor


ENGINES = {"dask": dask, "mpi": mpi, "pool": pool}


def main() -> None:
    """Train on the cluster and here, and compare."""
    parser = _common.options(__doc__, recipes=())
    parser.add_argument("--engine", choices=ENGINES, default="dask", help="dask by default")
    parser.add_argument("--address", metavar="HOST:PORT", help="a Dask scheduler that is running")
    args = parser.parse_args()
    engine = ENGINES[args.engine]
    if args.engine == "dask" and find_spec("distributed") is None:
        print("Dask is not installed (pip install 'fcnn[cluster]')")
        engine = pool
    train, test = mnist("train", 1000 if args.quick else 5000), mnist("test")
    with engine(args.address) as executor:
        if executor is None:  # a rank of MPI, which has served rank 0
            return
        far = _common.learn(RECIPE, train, args, executor=executor)
    print("here")
    near = _common.learn(RECIPE, train, args)
    same = fcnn.tree.digest(far.params) == fcnn.tree.digest(near.params)
    print(f"the parameters are {'the same, to the bit' if same else 'different'}")
    print(f"test accuracy: {_common.score(RECIPE, far, test)}")


if __name__ == "__main__":
    main()
