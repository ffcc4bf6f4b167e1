"""Functions of shards whose results are summed, of a module that workers can import."""

import os
import signal
import threading

import numpy as np

from fcnn import tree

SHARDS = list(range(7))


@tree.node
class Params:
    weight: np.ndarray
    bias: np.ndarray
    mean: np.ndarray = tree.statistic()


def common(dtype=np.float32, size=1001):
    draw = np.random.default_rng(0)
    return Params(*[draw.standard_normal(n).astype(dtype) for n in (size, 3, 5)])


def gradient(params, shard):
    """Numbers whose sum depends on the order, an array in Fortran's order, and an observation."""
    if type(params) is tuple:
        params = params[-1]
    weight = params.weight[: params.weight.size // 7 * 7].reshape(7, -1) * 2.0**shard
    dtype = params.weight.dtype
    seen = tree.Observation(params.mean * dtype.type(shard), 0.9)
    return shard * 2, (
        np.asfortranarray(weight.astype(dtype)),
        Params(params.weight / dtype.type(shard + 1), params.bias + dtype.type(shard), seen),
    )


def dies_once(params, shard):
    parent, marker, _ = params
    if os.getpid() != parent and shard == SHARDS[-1]:
        try:
            os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
            os.kill(os.getpid(), signal.SIGKILL)
        except FileExistsError:
            pass
    return gradient(params, shard)


def drifts(params, shard):
    """Observations whose weights differ, so that the pickles of the gradients do."""
    rest, (weight, node) = gradient(params, shard)
    seen = tree.Observation(node.mean.value, 0.5 + shard / 100)
    return rest, (weight, Params(node.weight, node.bias, seen))


def odd_one(params, shard):
    rest, (weight, node) = gradient(params, shard)
    return rest, (weight if shard % 2 else np.ascontiguousarray(weight), node)


def numbers(params, shard):
    return None, (params.weight, 0.5)


def grows(params, shard):
    return None, np.tile(params.weight, 3) * np.float32(shard + 1)


def mixed(params, shard):
    return None, (params.weight * np.float32(shard), np.arange(4.0) * shard, np.array(shard * 1.5))


def fails(params, shard):
    if shard >= 3:
        raise ZeroDivisionError(shard)
    return None, params


def unpicklable(params, shard):
    return None, threading.Lock() if shard else params
