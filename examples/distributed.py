"""Train on a cluster, to the same bits as on one machine.

    pip install '.[cluster]' && python examples/distributed.py
    python examples/distributed.py --address scheduler:8786

Without an address, a Dask cluster of two worker processes is started on this machine.
Every batch is cut into shards of a fixed size, which the workers compute; a worker that
dies costs time only. At the end the same run is made in this process, and the SHA-256 of
the two runs' parameters is compared.
"""

import sys
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


def main() -> None:
    """Train on the cluster and here, and compare."""
    parser = _common.options(__doc__, recipes=())
    parser.add_argument("--address", metavar="HOST:PORT", help="a scheduler that is running")
    args = parser.parse_args()
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        parser.exit(0, "Dask is not installed: pip install 'fcnn[cluster]'\n")

    train, test = mnist("train", 5000), mnist("test")
    if args.address:
        client = Client(args.address)
    else:
        cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
        client = Client(cluster)
    with client:
        print(f"on {client}")
        far = _common.learn(RECIPE, train, args, executor=client.get_executor())
    if not args.address:
        cluster.close()
    print("here")
    near = _common.learn(RECIPE, train, args)
    same = fcnn.tree.digest(far.params) == fcnn.tree.digest(near.params)
    print(f"the parameters are {'the same, to the bit' if same else 'different'}")
    print(f"test accuracy: {_common.score(RECIPE, far, test)}")


if __name__ == "__main__":
    main()
