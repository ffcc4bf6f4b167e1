"""JAX as a contestant: stax layers, the whole training step in one jit."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from _networks import RATE, Layers, Workload, examples, find, parameters
from _serve import Run, serve
from jax import lax
from jax.example_libraries import stax

Pair = tuple[Any, Any]  # stax's (init, apply)
IMAGES = ("NHWC", "HWIO", "NHWC")


def model(layers: Layers, mode: str) -> Pair:
    made = [_layer(mode, *layer) for layer in layers]
    return stax.serial(*made) if made else stax.Identity


def _layer(mode: str, kind: str, *settings: Any) -> Pair:
    match kind, settings:
        case "conv", (filters, kernel, stride, padding, bias):
            sizes = (kernel, kernel), (stride, stride), ((padding, padding),) * 2
            return stax.Conv(filters, *sizes) if bias == "tied" else _conv(filters, *sizes, bias)
        case "dense", (units,):
            return stax.Dense(units)
        case "max_pool", (window,):
            return stax.MaxPool((window, window), (window, window))
        case "avg_pool", (window,):
            return stax.AvgPool((window, window), (window, window))
        case "dropout", (rate,):
            return stax.Dropout(1 - rate, "train" if mode == "training" else "test")
        case "batch_norm", ():
            return _batch_norm(mode)
        case "residual", (body, shortcut):
            branches = stax.parallel(model(shortcut, mode), model(body, mode))
            return stax.serial(stax.FanOut(2), branches, stax.FanInSum)
    return {"relu": stax.Relu, "sigmoid": stax.Sigmoid, "flatten": stax.Flatten}[kind]


def _conv(filters: int, kernel: Any, stride: Any, padding: Any, bias: str | None) -> Pair:
    """stax's convolution has a bias for each channel; this one has one a pixel, or none."""

    def init(rng: Any, shape: Any) -> Any:
        weight = jnp.zeros((*kernel, shape[3], filters))
        shape = lax.conv_general_shape_tuple(shape, weight.shape, stride, padding, IMAGES)
        return shape, (weight, jnp.zeros(shape[1:])) if bias else (weight,)

    def apply(params: Any, x: Any, **_: Any) -> Any:
        weight, *added = params
        y = lax.conv_general_dilated(x, weight, stride, padding, dimension_numbers=IMAGES)
        return sum(added, y)

    return init, apply


def _batch_norm(mode: str) -> Pair:
    """stax's in training; it keeps no running statistics, so in inference one that does."""
    _, of_batch = stax.BatchNorm()

    def init(rng: Any, shape: Any) -> Any:
        return shape, (jnp.zeros(shape[-1]),) * 4

    def apply(params: Any, x: Any, **_: Any) -> Any:
        scale, shift, mean, variance = params
        if mode == "training":
            return of_batch((shift, scale), x)
        factor = scale * lax.rsqrt(variance + 1e-5)
        return x * factor + (shift - mean * factor)

    return init, apply


def initial(workload: Workload, init: Any) -> Any:
    """The workload's parameters as the tree of this model; float64 where JAX has it enabled."""
    drawn = jax.eval_shape(lambda: init(jax.random.key(0), (-1, *workload.shape))[1])
    leaves, structure = jax.tree.flatten(drawn)
    pairs = zip(leaves, parameters(workload), strict=True)
    return jax.tree.unflatten(structure, [jnp.asarray(a).reshape(leaf.shape) for leaf, a in pairs])


def loss(name: str, prediction: Any, target: Any) -> Any:
    if name == "softmax_cross_entropy":
        scores = jax.nn.log_softmax(prediction)
        return -jnp.mean(jnp.take_along_axis(scores, target[:, None], axis=1))
    tiny = jnp.finfo(prediction.dtype).tiny
    yes, no = jnp.maximum(prediction, tiny), jnp.maximum(1 - prediction, tiny)
    return -jnp.mean(target * jnp.log(yes) + (1 - target) * jnp.log(no))


def prepare(workload: str, batch: int, mode: str) -> Run:
    work = find(workload)
    init, apply = model(work.layers, mode)
    params = initial(work, init)
    images, target = (jnp.asarray(array) for array in examples(work, batch))

    rng = jax.random.key(0)  # stax's dropout asks for one even where it drops nothing
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
