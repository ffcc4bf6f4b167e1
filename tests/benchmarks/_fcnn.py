"""fcnn as a contestant: `value_and_grad` and `optim.sgd`, as in a user's own training loop.

The whole step under `fcnn.jit` is another way, as JAX and PyTorch have it.

The same file runs the build before (``--against``) with another fcnn first on the path, so it
passes positional arguments where names have changed.
"""

from __future__ import annotations

import functools
import math
import time
from concurrent.futures import Executor
from typing import Any, NamedTuple

import numpy as np
from _serve import Run, serve
from _work import RATE, Node, Work, examples, parameters

import fcnn
from fcnn import losses, optim, parallel, tree

SHARD_SIZES = 16, 32, 64
"""Compared besides half a batch: the default of `fit` (32) and its neighbours."""
SETTLED = 4
"""Steps after which a way replays: what was recorded in the second is compared in the third."""
SLOW, EQUAL = 1.3, 1.02
"""A way whose time is ``SLOW`` times the shortest is not tried again; of those within ``EQUAL``
times the shortest the first is taken, so that two builds of fcnn take the same."""


class Way(NamedTuple):
    """A way to run a step: with how many BLAS threads, or in shards of what size on what pool."""

    how: str
    run: Run

    def __call__(self, k: int) -> None:
        self.run(k)


def model(node: Node) -> fcnn.Layer:
    """Return the model that a description was made of."""
    constructor = getattr(fcnn, node.name)
    if isinstance(constructor, fcnn.Layer):  # relu and others without arguments
        return constructor
    return constructor(*node.args, *map(model, node.layers), **node.kwargs)


def initial(work: Work, net: fcnn.Layer, dtype: Any = np.float32) -> Any:
    """Return the workload's parameters as the tree of this model."""
    drawn, _ = net.init(fcnn.key(0), work.shape)
    return tree.astype(tree.unflatten(tree.structure(drawn), parameters(work)), dtype)


def prepare(
    work: Work,
    batch: int,
    mode: str,
    shards: int | None = None,
    pool: str = "threads",
    workers: int | None = None,
    alone: bool = False,
    jit: bool = True,
) -> Run:
    """Return the fastest way: the whole batch with one or all BLAS threads, or shards on a pool.

    In training the whole batch is tried with the gradient alone replayed, and with the whole step.

    Args:
        work: the workload.
        batch: the number of images.
        mode: "training" or "inference".
        shards: run this many shards, and no other way; 1 for the whole batch in this thread.
        pool: "threads" or "processes", for shards.
        workers: how many the pool has; one for each core if None.
        alone: one thread and the whole batch, or a loop over shards.
        jit: replay what was recorded, where this fcnn does.
    """
    if mode == "layer":
        return _fastest(_layer_ways(work, batch, alone))
    make = functools.partial(_inference if mode == "inference" else _training, jit=jit)
    whole = make(work, batch, None, None)
    if shards == 1:
        return _with_one_thread(whole) if alone else whole
    if shards is not None:
        return make(work, batch, batch // shards, _pool(pool, workers))
    if alone:
        return _fastest(_ways_alone(work, batch))
    ways = [Way("whole batch", whole), Way("whole batch, 1 thread", _with_one_thread(whole))]
    if mode == "training" and jit:
        ways += _ways_recorded(work, batch)
    for size in sorted({size for size in (batch // 2, *SHARD_SIZES) if 1 < size < batch}):
        for name in ("threads", "processes"):
            ways.append(Way(f"shards of {size}, {name}", make(work, batch, size, _pool(name))))
    return _fastest(ways)


def _ways_alone(work: Work, batch: int) -> list[Way]:
    """Return the ways to train in one thread: the batch as a whole, or in shards."""
    ways = [Way("whole batch", _with_one_thread(_training(work, batch, None, None)))]
    ways += _ways_recorded(work, batch)[:1]
    for size in sorted({size for size in (batch // 2, *SHARD_SIZES) if 1 < size < batch}):
        ways.append(Way(f"shards of {size}", _training(work, batch, size, None)))
    return ways


def _ways_recorded(work: Work, batch: int) -> list[Way]:
    """Return the ways to replay a whole step, in one or all BLAS threads, where this fcnn does."""
    if not hasattr(fcnn, "jit"):
        return []
    run = _training(work, batch, None, None, whole_step=True)
    return [Way("whole step, 1 thread", _with_one_thread(run)), Way("whole step", run)]


def _layer_ways(work: Work, batch: int, alone: bool) -> list[Way]:
    """Return the ways to run a layer and its adjoint: the two orders of memory, or halves.

    Arrays have their channels innermost, as they come from outside, or the examples, as they
    lie between layers.
    """
    net = model(work.model)
    params = initial(work, net)
    arrays = [np.asarray(each, np.float32) for each in examples(work, batch)]

    def adjoint(_: Any, shard: tuple[np.ndarray, np.ndarray]) -> Any:
        x, dy = shard
        y, pull = net.vjp(params, x)
        return y, pull(dy)

    def whole(shard: Any) -> Run:
        def run(k: int) -> None:
            for _ in range(k):
                adjoint(None, shard)

        return run

    def sharded(shards: list[Any]) -> Run:
        def run(k: int) -> None:
            for _ in range(k):
                first, *others = parallel.map_shards(adjoint, None, shards, _pool("threads"))
                for other in others:
                    tree.map(np.add, first[1][0], other[1][0])

        return run

    ways = []
    for where, order in (("as given", _as_given), ("examples innermost", _examples_innermost)):
        run = whole(tuple(map(order, arrays)))
        ways.append(Way(f"whole batch, {where}, 1 thread", _with_one_thread(run)))
        if not alone:
            ways.append(Way(f"whole batch, {where}", run))
            halves = [tuple(order(each[i::2]) for each in arrays) for i in range(2)]
            ways.append(Way(f"halves on threads, {where}", sharded(halves)))
    return ways


def _as_given(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x)


def _examples_innermost(x: np.ndarray) -> np.ndarray:
    """Return x with its axes in memory as rows, channels, columns, examples."""
    order = (1, x.ndim - 1, *range(2, x.ndim - 1), 0)
    return np.ascontiguousarray(x.transpose(order)).transpose(np.argsort(order))


@functools.cache
def _pool(name: str, workers: int | None = None) -> Executor:
    return getattr(parallel, name)(workers)


def _with_one_thread(run: Run) -> Run:
    def limited(k: int) -> None:
        with parallel.one_blas_thread():
            run(k)

    return limited


def _fastest(ways: list[Way]) -> Way:
    """Return the way with the shortest time of three turns, each after a run of the same way."""
    for way in ways:
        way(SETTLED)
    least = dict.fromkeys(ways, math.inf)
    for turn in range(3):
        for way in ways:
            if turn == 0 or least[way] <= SLOW * min(least.values()):
                _for_a_while(way)  # threads of the way before may still spin
                least[way] = min(least[way], _for_a_while(way))
    return next(way for way in ways if least[way] <= EQUAL * min(least.values()))


def _for_a_while(run: Run) -> float:
    """Return the seconds of one of the runs of some 50 ms: each call has twice as many."""
    began, count = time.perf_counter(), 0
    while count < 1 or time.perf_counter() < began + 0.03:
        run(count + 1)
        count += count + 1
    return (time.perf_counter() - began) / count


def _inference(
    work: Work, batch: int, shard: int | None, pool: Executor | None, jit: bool = True
) -> Run:
    net = model(work.model)
    params = initial(work, net)
    images = examples(work, batch)[0].astype(np.float32)
    options, apply = _options(jit), functools.partial(net.apply, params)
    if jit and hasattr(fcnn, "jit"):
        apply = fcnn.jit(apply)

    def infer(k: int) -> None:
        for _ in range(k):
            if shard is None:
                apply(images)
            else:
                fcnn.predict(net, params, images, shard_size=shard, executor=pool, **options)

    return infer


def _options(jit: bool) -> dict[str, Any]:
    """Return what turns replaying on from the first calls on, or off; builds before had none."""
    return {"jit": jit} if hasattr(fcnn, "jit") else {}


def _training(
    work: Work,
    batch: int,
    shard: int | None,
    pool: Executor | None,
    jit: bool = True,
    whole_step: bool = False,
) -> Run:
    net = model(work.model)
    params = initial(work, net)
    images, target = examples(work, batch)
    images = images.astype(np.float32)
    optimizer, run_key, step = optim.sgd(RATE), fcnn.key(0), 0
    state = optimizer.init(params)
    loss = getattr(losses, work.loss)
    options = _options(jit and not whole_step)
    loss_and_grad = fcnn.value_and_grad(net, loss, shard_size=shard, executor=pool, **options)

    def one(params: Any, state: Any, images: Any, target: Any, ctx: Any) -> tuple[Any, Any]:
        _, grads = loss_and_grad(params, images, target, ctx)
        return optimizer.step(params, grads, state)

    if whole_step:
        one = fcnn.jit(one)

    def steps(k: int) -> None:
        nonlocal params, state, step
        for _ in range(k):
            ctx = fcnn.training(fcnn.fold_in(run_key, step))
            params, state = one(params, state, images, target, ctx)
            step += 1

    return steps


if __name__ == "__main__":
    serve(prepare)
