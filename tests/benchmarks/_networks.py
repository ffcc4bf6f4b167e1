"""The workloads, in words that belong to no framework.

A network is a tuple of layers, a layer a tuple of its name and its settings; `walk` goes
through them. Weights and data are drawn here with NumPy, once, so that every contestant
starts from the same numbers and computes the same thing.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from typing import Any, NamedTuple

import numpy as np

RATE = 1e-3  # of every contestant's SGD: small, so that no run wanders off into NaN

Shape = tuple[int, ...]
Layers = tuple[tuple[Any, ...], ...]


class Workload(NamedTuple):
    """A network, the (height, width, channels) it sees, and how many classes it tells apart."""

    shape: Shape
    layers: Layers
    classes: int = 10
    loss: str = "softmax_cross_entropy"


def conv(
    filters: int, kernel: int, *, stride: int = 1, padding: int = 0, bias: str | None = "tied"
) -> tuple[Any, ...]:
    return ("conv", filters, kernel, stride, padding, bias)


def dense(units: int) -> tuple[Any, ...]:
    return ("dense", units)


RELU, SIGMOID, FLATTEN, NORM = ("relu",), ("sigmoid",), ("flatten",), ("batch_norm",)


def _pooled(convolution: tuple[Any, ...]) -> Layers:
    return (convolution, RELU, ("max_pool", 2))


def _example(size: int = 28, width: int = 32) -> Workload:
    """The network of PyTorch's MNIST example, its image and its channels scalable."""
    convolutions = (conv(width, 3), RELU, *_pooled(conv(2 * width, 3)))
    return Workload((size, size, 1), (*convolutions, FLATTEN, dense(128), RELU, dense(10)))


def _stage(filters: int, stride: int = 1) -> Layers:
    return (*_block(filters, stride), *_block(filters), *_block(filters))


def _block(filters: int, stride: int = 1) -> Layers:
    """He et al., 2015: two 3×3 convolutions, and a 1×1 on the shortcut where the shape changes."""

    def normed(kernel: int, stride: int = 1) -> Layers:
        return (conv(filters, kernel, stride=stride, padding=kernel // 2, bias=None), NORM)

    shortcut = normed(1, stride) if stride > 1 else ()
    return (("residual", (*normed(3, stride), RELU, *normed(3)), shortcut), RELU)


WORKLOADS = {
    "article 000": Workload(
        (28, 28, 1),
        (conv(5, 3, bias="untied"), SIGMOID, FLATTEN, dense(100), SIGMOID, dense(2), SIGMOID),
        classes=2,
        loss="binary_cross_entropy",
    ),
    "article 001": Workload(
        (28, 28, 1),
        (conv(5, 3), RELU, FLATTEN, dense(100), RELU, ("dropout", 0.05), dense(10)),
    ),
    "articles 002/004": Workload((28, 28, 1), (*_pooled(conv(1, 6)), FLATTEN, dense(10))),
    "article 003": Workload((28, 28, 1), (conv(16, 8), conv(8, 4, stride=2), FLATTEN, dense(10))),
    "LeNet-5": Workload(
        (28, 28, 1),
        (
            *(*_pooled(conv(6, 5, padding=2)), *_pooled(conv(16, 5)), FLATTEN),
            *(dense(120), RELU, dense(84), RELU, dense(10)),
        ),
    ),
    "PyTorch example": _example(),
    "ResNet-20": Workload(
        (32, 32, 3),
        (
            *(conv(16, 3, padding=1, bias=None), NORM, RELU),
            *(*_stage(16), *_stage(32, 2), *_stage(64, 2)),
            *(("avg_pool", 8), FLATTEN, dense(10)),
        ),
    ),
}
ARTICLES = tuple(name for name in WORKLOADS if name.startswith("article"))
GROWN = {f"image {size}×{size}": _example(size=size) for size in (28, 40, 56)} | {
    f"channels {width}, {2 * width}": _example(width=width) for width in (16, 32, 64)
}


def find(name: str) -> Workload:
    return (WORKLOADS | GROWN)[name]


def walk(layers: Layers, shape: Shape) -> Generator[tuple[tuple[Any, ...], Shape], None, Shape]:
    """Each simple layer and the shape it sees, a shortcut before its body; returns the last shape.

    It is the order in which fcnn's tree has the parameters.
    """
    for layer in layers:
        if layer[0] == "residual":
            _, body, shortcut = layer
            yield from walk(shortcut, shape)
            shape = yield from walk(body, shape)
        else:
            yield layer, shape
            shape = _after(layer, shape)
    return shape


def _after(layer: tuple[Any, ...], shape: Shape) -> Shape:
    match layer:
        case ("conv", filters, kernel, stride, padding, _):
            h, w, _ = shape
            return (
                (h + 2 * padding - kernel) // stride + 1,
                (w + 2 * padding - kernel) // stride + 1,
                filters,
            )
        case ("max_pool" | "avg_pool", window):
            return (shape[0] // window, shape[1] // window, shape[2])
        case ("flatten",):
            return (math.prod(shape),)
        case ("dense", units):
            return (units,)
    return shape


def parameters(workload: Workload, seed: int = 0) -> list[np.ndarray]:
    """He-normal weights, small biases and statistics off their start, in float64.

    Kernels are (kh, kw, c_in, filters), dense weights (n_in, units).
    """
    rng = np.random.default_rng(seed)
    drawn: list[np.ndarray] = []
    for layer, shape in walk(workload.layers, workload.shape):
        match layer:
            case ("conv", filters, kernel, _, _, bias):
                fan_in = kernel * kernel * shape[2]
                weight = rng.standard_normal((kernel, kernel, shape[2], filters))
                drawn.append(weight * math.sqrt(2 / fan_in))
                if bias is not None:
                    of = _after(layer, shape) if bias == "untied" else (filters,)
                    drawn.append(rng.uniform(-0.1, 0.1, of))
            case ("dense", units):
                weight = rng.standard_normal((shape[0], units))
                drawn += [weight * math.sqrt(2 / shape[0]), rng.uniform(-0.1, 0.1, units)]
            case ("batch_norm",):
                lows_and_highs = (0.8, 1.2), (-0.1, 0.1), (-0.1, 0.1), (0.8, 1.2)
                drawn += [rng.uniform(*ends, shape[-1]) for ends in lows_and_highs]
    return drawn


def channels_first(workload: Workload, arrays: list[np.ndarray]) -> Iterator[np.ndarray]:
    """The same parameters for (channels, height, width): kernels (filters, c_in, kh, kw),
    dense weights (units, n_in) whose inputs come channel by channel.
    """
    source, image = iter(arrays), None
    for layer, shape in walk(workload.layers, workload.shape):
        match layer:
            case ("conv", _, _, _, _, bias):
                yield np.transpose(next(source), (3, 2, 0, 1))
                if bias is not None:
                    bias_array = next(source)
                    yield bias_array.transpose(2, 0, 1) if bias == "untied" else bias_array
            case ("flatten",):
                image = shape
            case ("dense", units):
                weight = next(source)
                if image is not None:
                    weight = weight.reshape(*image, units).transpose(2, 0, 1, 3)
                    image = None
                yield weight.reshape(-1, units).T
                yield next(source)
            case ("batch_norm",):
                yield from (next(source) for _ in range(4))


def examples(workload: Workload, batch: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Images in [0, 1), and labels, as one-hot rows where the loss wants them."""
    rng = np.random.default_rng(seed)
    images, labels = (
        rng.random((batch, *workload.shape)),
        rng.integers(workload.classes, size=batch),
    )
    if workload.loss == "binary_cross_entropy":
        return images, np.eye(workload.classes)[labels]
    return images, labels


def multiply_adds(workload: Workload) -> tuple[int, int]:
    """Those of one image: forward, and forward + backward without the first layer's dx."""
    each = []
    for layer, shape in walk(workload.layers, workload.shape):
        match layer:
            case ("conv", _, kernel, _, _, _):
                each.append(kernel**2 * shape[2] * math.prod(_after(layer, shape)))
            case ("dense", units):
                each.append(shape[0] * units)
    return sum(each), 3 * sum(each) - each[0]
