"""TensorFlow as a contestant: forward pass, backward pass and SGD in one XLA computation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from _serve import Run, serve
from _work import RATE, Node, Work, examples, parameters

Apply = Callable[[Any], Any]
PLAIN = {"relu": tf.nn.relu, "sigmoid": tf.sigmoid}
POOLS = {"max_pool2d": tf.nn.max_pool2d, "avg_pool2d": tf.nn.avg_pool2d}


def model(node: Node, variables: Iterator[Any], train: bool) -> Apply:
    """Return the network as a function of images (n, height, width, channels)."""
    args = node.arguments
    layers = [model(each, variables, train) for each in node.layers]
    match node.name:
        case "serial":
            return _chain(layers)
        case "add":
            return lambda x: tf.add_n([layer(x) for layer in layers])
        case "conv2d":
            return _conv(variables, **args)
        case "dense":
            weight, bias = next(variables), next(variables)
            return lambda x: x @ weight + bias
        case "batch_norm":
            return _batch_norm([next(variables) for _ in range(4)], args["eps"], train)
        case "max_pool2d" | "avg_pool2d":
            size = args["pool_size"]
            return lambda x: POOLS[node.name](x, size, size, "VALID")
        case "flatten":
            return lambda x: tf.reshape(x, (x.shape[0], -1))
        case "dropout":
            rate = args["rate"]
            return lambda x: tf.nn.dropout(x, rate) if train else x
    return PLAIN[node.name]


def _chain(layers: list[Apply]) -> Apply:
    def apply(x: Any) -> Any:
        for layer in layers:
            x = layer(x)
        return x

    return apply


def _conv(
    variables: Iterator[Any], *, stride: int, padding: int | str, bias: str | None, **_: Any
) -> Apply:
    weight = next(variables)
    added = next(variables) if bias else None
    pads = 0 if padding == "valid" else padding
    margins = "VALID" if pads == 0 else [[0, 0], [pads, pads], [pads, pads], [0, 0]]

    def apply(x: Any) -> Any:
        y = tf.nn.conv2d(x, weight, stride, margins)
        return y if added is None else y + added

    return apply


def _batch_norm(variables: list[Any], eps: float, train: bool) -> Apply:
    scale, shift, mean, variance = variables

    def apply(x: Any) -> Any:
        found = tf.nn.moments(x, (0, 1, 2)) if train else (mean, variance)
        return tf.nn.batch_normalization(x, *found, shift, scale, eps)

    return apply


def loss(name: str, prediction: Any, target: Any) -> Any:
    if name == "softmax_cross_entropy":
        found = tf.nn.sparse_softmax_cross_entropy_with_logits(target, prediction)
        return tf.reduce_mean(found)
    tiny = np.finfo(np.float32).tiny
    yes, no = tf.maximum(prediction, tiny), tf.maximum(1 - prediction, tiny)
    return -tf.reduce_mean(target * tf.math.log(yes) + (1 - target) * tf.math.log(no))


def variables_of(work: Work) -> list[Any]:
    return [tf.Variable(np.asarray(array, np.float32)) for array in parameters(work)]


def arrays_of(work: Work, batch: int) -> tuple[Any, Any]:
    """Return images and targets as TensorFlow takes them."""
    images, target = examples(work, batch)
    return tf.constant(images, tf.float32), tf.constant(
        target, tf.int32 if target.ndim == 1 else tf.float32
    )


def prepare(work: Work, batch: int, mode: str, threads: int) -> Run:
    """Return a step; a process has one number of threads throughout."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    variables, (images, target) = variables_of(work), arrays_of(work, batch)
    apply = model(work.model, iter(variables), mode == "training")

    @tf.function(jit_compile=True)
    def step(images: Any, target: Any) -> None:
        with tf.GradientTape() as tape:
            value = loss(work.loss, apply(images), target)
        slopes = tape.gradient(value, variables)
        for variable, slope in zip(variables, slopes, strict=True):
            if slope is not None:  # running statistics have none
                variable.assign_sub(RATE * slope)

    forward = tf.function(apply, jit_compile=True)

    def steps(k: int) -> None:
        for _ in range(k):
            step(images, target)
        variables[0].numpy()

    def infer(k: int) -> None:
        for _ in range(k):
            forward(images).numpy()

    return infer if mode == "inference" else steps


if __name__ == "__main__":
    serve(prepare)
