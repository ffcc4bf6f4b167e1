"""fcnn as a contestant: `value_and_grad` and `optim.sgd`, as a user would write it."""

from __future__ import annotations

from typing import Any

import numpy as np
from _networks import RATE, Layers, Workload, examples, find, parameters
from _serve import Run, serve

import fcnn
from fcnn import losses, optim, parallel, tree
from fcnn.train import SHARD_SIZE


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


def prepare(workload: str, batch: int, mode: str, workers: int | None = None) -> Run:
    """Plain for batches that fit in a shard; else two shards on a pool, one thread a core."""
    work = find(workload)
    net = model(work.layers)
    params = initial(work, net)
    images, target = examples(work, batch)
    images = images.astype(np.float32)
    pool = parallel.threads(workers) if batch > SHARD_SIZE else None
    if mode == "inference":

        def infer(k: int) -> None:
            for _ in range(k):
                if pool is None:
                    net.apply(params, images)
                else:
                    fcnn.predict(net, params, images, executor=pool)

        return infer

    optimizer, run_key, step = optim.sgd(RATE), fcnn.key(0), 0
    state = optimizer.init(params)
    loss_and_grad = fcnn.value_and_grad(
        net,
        getattr(losses, work.loss),
        shard_size=None if pool is None else batch // 2,
        executor=pool,
    )

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
