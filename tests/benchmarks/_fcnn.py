"""fcnn as a contestant: `value_and_grad` and `optim.sgd`, as a user would write it."""

from __future__ import annotations

import math
import time
from concurrent.futures import Executor
from typing import Any

import numpy as np
from _networks import RATE, Layers, Workload, examples, find, parameters
from _serve import Run, serve

import fcnn
from fcnn import losses, optim, parallel, tree

SHARD_SIZES = 16, 32, 64
"""Raced besides half a batch: what `fit` and `predict` take by default, and between."""


def model(layers: Layers) -> fcnn.Layer:
    return fcnn.serial(*(_layer(*layer) for layer in layers))


def _layer(kind: str, *settings: Any) -> fcnn.Layer:
    match kind, settings:
        case "conv", (filters, kernel, stride, padding, bias):
            return fcnn.conv2d(filters, kernel, stride=stride, padding=padding, bias=bias)
        case "dense", (units,):
            return fcnn.dense(units)
        case "max_pool", (window,):
            return fcnn.max_pool2d(window)
        case "avg_pool", (window,):
            return fcnn.avg_pool2d(window)
        case "dropout", (rate,):
            return fcnn.dropout(rate)
        case "batch_norm", ():
            return fcnn.batch_norm()
        case "residual", (body, shortcut):
            return fcnn.add(model(shortcut), model(body))
    return getattr(fcnn, kind)  # relu, sigmoid, flatten


def initial(workload: Workload, net: fcnn.Layer, dtype: Any = np.float32) -> Any:
    """The workload's parameters as the tree of this model."""
    drawn, _ = net.init(fcnn.key(0), workload.shape)
    return tree.astype(tree.unflatten(tree.structure(drawn), parameters(workload)), dtype)


def prepare(
    workload: str, batch: int, mode: str, workers: int | None = None, pool: str = "threads"
) -> Run:
    """The fastest of the whole batch here, with one BLAS thread or all, and of shards on pools.

    ``workers`` asks for two shards on a ``pool`` of that many threads or processes.
    """
    work = find(workload)
    make = _inference if mode == "inference" else _training
    if workers is not None:
        return make(work, batch, batch // 2, getattr(parallel, pool)(workers))
    whole = make(work, batch, None, None)
    runs = [whole, _with_one_blas_thread(whole)]
    shards = sorted({shard for shard in (batch // 2, *SHARD_SIZES) if 1 < shard < batch})
    if shards:
        pools = parallel.threads(), parallel.processes()
        runs += [make(work, batch, shard, each) for each in pools for shard in shards]
    return _fastest(runs)


def _with_one_blas_thread(run: Run) -> Run:
    def limited(k: int) -> None:
        with parallel.one_blas_thread():
            run(k)

    return limited


def _fastest(runs: list[Run]) -> Run:
    """In turn, three times; what one leaves behind, such as spinning threads, fades first."""
    least = [math.inf] * len(runs)
    for _ in range(3):
        for i, run in enumerate(runs):
            _for_a_while(run)
            least[i] = min(least[i], _for_a_while(run))
    return runs[least.index(min(least))]


def _for_a_while(run: Run) -> float:
    """Seconds for one of the runs of 50 ms, two at least."""
    began, count = time.perf_counter(), 0
    while count < 2 or time.perf_counter() < began + 0.05:
        run(1)
        count += 1
    return (time.perf_counter() - began) / count


def _inference(work: Workload, batch: int, shard: int | None, pool: Executor | None) -> Run:
    net = model(work.layers)
    params = initial(work, net)
    images = examples(work, batch)[0].astype(np.float32)

    def infer(k: int) -> None:
        for _ in range(k):
            if shard is None:
                net.apply(params, images)
            else:
                fcnn.predict(net, params, images, shard_size=shard, executor=pool)

    return infer


def _training(work: Workload, batch: int, shard: int | None, pool: Executor | None) -> Run:
    net = model(work.layers)
    params = initial(work, net)
    images, target = examples(work, batch)
    images = images.astype(np.float32)
    optimizer, run_key, step = optim.sgd(RATE), fcnn.key(0), 0
    state = optimizer.init(params)
    loss = getattr(losses, work.loss)
    loss_and_grad = fcnn.value_and_grad(net, loss, shard_size=shard, executor=pool)

    def steps(k: int) -> None:
        nonlocal params, state, step
        for _ in range(k):
            ctx = fcnn.training(fcnn.fold_in(run_key, step))
            _, grads = loss_and_grad(params, images, target, ctx)
            params, state = optimizer.step(params, grads, state)
            step += 1

    return steps


if __name__ == "__main__":
    serve(prepare)
