"""Work for executors: a gradient and its digest, functions that fail, and processes to look at."""

import os
import signal
import time
import warnings
from pathlib import Path

import numpy as np

import fcnn
from fcnn import optim, parallel, tree
from fcnn.losses import softmax_cross_entropy

# Dropout draws by shard; batch norm has statistics; the first dense layer's product is large
# enough that two BLAS threads give other bits than one.
MODEL = fcnn.serial(
    fcnn.conv2d(4, 3),
    fcnn.batch_norm(),
    fcnn.relu,
    fcnn.flatten,
    fcnn.dropout(0.25),
    fcnn.dense(64),
    fcnn.relu,
    fcnn.dense(10),
)
HERE = os.path.dirname(__file__)
NORMAL = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}


def batch():
    rng = np.random.default_rng(1)
    return rng.random((64, 14, 14, 1), np.float32), rng.integers(0, 10, 64)


def no_pickle(common, shard):
    return (i for i in range(shard)) if shard else shard, common


def digest(executor=None):
    """The SHA-256 of a loss and its gradient, over shards."""
    params, _ = MODEL.init(fcnn.key(0), (14, 14, 1))
    f = fcnn.value_and_grad(MODEL, softmax_cross_entropy, shard_size=12, executor=executor)
    return tree.digest(f(params, *batch(), fcnn.training(fcnn.key(1))))


def digest_in_processes(found):
    with parallel.processes(2) as pool:
        found.put(digest(pool))


class Training:
    """Steps of training, one after the other, and the digest of where they lead."""

    def __init__(self, executor=None):
        self.optimizer = optim.sgd(0.05, momentum=0.9)
        self.params, _ = MODEL.init(fcnn.key(0), (14, 14, 1))
        self.state = self.optimizer.init(self.params)
        self.grad = fcnn.grad(MODEL, softmax_cross_entropy, shard_size=12, executor=executor)
        self.count = 0
        self.batch = batch()

    def step(self):
        key = fcnn.fold_in(fcnn.key(1), self.count)
        grads = self.grad(self.params, *self.batch, fcnn.training(key))
        self.params, self.state = self.optimizer.step(self.params, grads, self.state)
        self.count += 1

    def digest(self):
        return tree.digest(self.params)


def trained(steps):
    """The digest after ``steps`` steps in this thread."""
    training = Training()
    for _ in range(steps):
        training.step()
    return training.digest()


def total(common, shard):
    return float(np.sum(common)) + shard


def combined(common, shard):
    first, function, last = common
    return function(first, last).tolist()


def where(common, shard):
    return os.getpid()


def fork_in_a_worker(parent, shard):
    """The shard, from the worker and from a fork of it."""
    if os.getpid() != parent:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of forks in a process with threads
            os.fork()
    return shard


class TwoArguments(Exception):  # noqa: N818
    """By default it pickles, and cannot be unpickled."""

    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")
        self.first = first


def fail(common, shard):
    raise common


def fail_oddly(common, shard):
    raise TwoArguments("this", "that")


def die_in_a_worker(common, shard):
    if os.getpid() != common:
        os.kill(os.getpid(), signal.SIGKILL)
    return shard


def die_once(common, shard):
    """The sum; the first worker process that is given a shard kills itself."""
    parent, marker = common
    if os.getpid() != parent:
        try:
            os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
            os.kill(os.getpid(), signal.SIGKILL)
        except FileExistsError:
            pass
    return shard + 1


def die_for_each(common, shard):
    """As `die_once`, but a worker process dies for every shard: ``common`` names a folder."""
    parent, folder = common
    return die_once((parent, f"{folder}/{shard}"), shard)


def processes_with(name, value):
    """The processes that were started with a variable in their environment, and live."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{name}={value}\0".encode() not in (folder / "environ").read_bytes():
                continue
            if (folder / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                found.append(int(folder.name))
        except (OSError, PermissionError):  # it has ended meanwhile
            continue
    return found


def eventually(condition, seconds=20.0):
    """Whether a condition holds now or soon."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
