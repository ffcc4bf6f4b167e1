"""JAX as a contestant: stax layers, the whole training step in one jit."""

from __future__ import annotations

import os
from typing import Any

import jax
import jax.numpy as jnp
from _serve import Run, serve
from _work import RATE, Node, Work, examples, parameters
from jax import lax
from jax.example_libraries import stax

Pair = tuple[Any, Any]  # stax's (init, apply)
IMAGES = ("NHWC", "HWIO", "NHWC")
PLAIN = {"relu": stax.Relu, "sigmoid": stax.Sigmoid, "flatten": stax.Flatten}


def model(node: Node, mode: str) -> Pair:
    """Return stax's ``init, apply`` of the network."""
    args, layers = node.arguments, [model(layer, mode) for layer in node.layers]
    match node.name:
        case "serial":
            return stax.serial(*layers) if layers else stax.Identity
        case "add":
            return stax.serial(stax.FanOut(len(layers)), stax.parallel(*layers), stax.FanInSum)
        case "conv2d":
            return _conv(**args)
        case "dense":
            return stax.Dense(args["units"])
        case "max_pool2d" | "avg_pool2d":
            pool = stax.MaxPool if node.name == "max_pool2d" else stax.AvgPool
            size = args["pool_size"], args["pool_size"]
            return pool(size, size)
        case "dropout":
            return stax.Dropout(1 - args["rate"], "train" if mode == "training" else "test")
        case "batch_norm":
            return _batch_norm(mode, args["eps"])
    return PLAIN[node.name]


def _conv(
    *,
    filters: int,
    kernel_size: int,
    stride: int,
    padding: int | str,
    bias: str | None,
    **_: Any,
) -> Pair:
    """Return stax's convolution, or one with a bias for each pixel or none, which stax lacks."""
    margin = padding.upper() if isinstance(padding, str) else ((padding, padding),) * 2
    kernel, strides = (kernel_size, kernel_size), (stride, stride)
    if bias == "tied":
        return stax.Conv(filters, kernel, strides, margin)

    def init(rng: Any, shape: Any) -> Any:
        weight = jnp.zeros((*kernel, shape[3], filters))
        shape = lax.conv_general_shape_tuple(shape, weight.shape, strides, margin, IMAGES)
        return shape, (weight, jnp.zeros(shape[1:])) if bias else (weight,)

    def apply(params: Any, x: Any, **_: Any) -> Any:
        weight, *added = params
        y = lax.conv_general_dilated(x, weight, strides, margin, dimension_numbers=IMAGES)
        return sum(added, y)

    return init, apply


def _batch_norm(mode: str, eps: float) -> Pair:
    """Return stax's in training, and in inference one by running statistics, which stax lacks."""
    _, of_batch = stax.BatchNorm(epsilon=eps)

    def init(rng: Any, shape: Any) -> Any:
        return shape, (jnp.zeros(shape[-1]),) * 4

    def apply(params: Any, x: Any, **_: Any) -> Any:
        scale, shift, mean, variance = params
        if mode == "training":
            return of_batch((shift, scale), x)
        factor = scale * lax.rsqrt(variance + eps)
        return x * factor + (shift - mean * factor)

    return init, apply


def initial(work: Work, init: Any) -> Any:
    """Return the workload's parameters as this model's tree; float64 where JAX has it enabled."""
    drawn = jax.eval_shape(lambda: init(jax.random.key(0), (-1, *work.shape))[1])
    leaves, structure = jax.tree.flatten(drawn)
    pairs = zip(leaves, parameters(work), strict=True)
    return jax.tree.unflatten(structure, [jnp.asarray(a).reshape(leaf.shape) for leaf, a in pairs])


def loss(name: str, prediction: Any, target: Any) -> Any:
    if name == "softmax_cross_entropy":
        scores = jax.nn.log_softmax(prediction)
        return -jnp.mean(jnp.take_along_axis(scores, target[:, None], axis=1))
    tiny = jnp.finfo(prediction.dtype).tiny
    yes, no = jnp.maximum(prediction, tiny), jnp.maximum(1 - prediction, tiny)
    return -jnp.mean(target * jnp.log(yes) + (1 - target) * jnp.log(no))


def prepare(
    work: Work, batch: int, mode: str, asynchronous: bool = True, cores: int | None = None
) -> Run:
    """Return a step; without asynchronous dispatch JAX is faster where a step is short.

    Args:
        work: the workload.
        batch: the number of images.
        mode: "training" or "inference".
        asynchronous: whether a call returns before its result is there.
        cores: how many this process may run on; all if None. JAX has as many threads.
    """
    if cores is not None:  # before JAX starts its threads, and the same in one process
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    jax.config.update("jax_cpu_enable_async_dispatch", asynchronous)  # the same in one process
    init, apply = model(work.model, mode)
    params = initial(work, init)
    images, target = (jnp.asarray(array) for array in examples(work, batch))

    rng = jax.random.key(0)  # stax's dropout needs one in evaluation too
    forward = jax.jit(lambda params, images: apply(params, images, rng=rng))

    def infer(k: int) -> None:
        for _ in range(k):
            forward(params, images).block_until_ready()

    def step(params: Any, images: Any, target: Any, number: Any) -> Any:
        def value(params: Any) -> Any:
            rng = jax.random.fold_in(jax.random.key(0), number)  # for dropout alone
            return loss(work.loss, apply(params, images, rng=rng), target)

        grads = jax.grad(value)(params)
        return jax.tree.map(lambda p, g: p - RATE * g, params, grads)

    jitted, number = jax.jit(step, donate_argnums=0), 0

    def steps(k: int) -> None:
        nonlocal params, number
        for _ in range(k):
            params = jitted(params, images, target, number)
            number += 1
        jax.block_until_ready(params)

    return infer if mode == "inference" else steps


if __name__ == "__main__":
    serve(prepare)
