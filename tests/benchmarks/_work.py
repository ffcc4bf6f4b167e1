"""A workload as contestants get it, and the numbers that all of them start from.

Weights, images and labels are drawn with NumPy from fixed seeds, so every contestant computes
the same thing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

RATE = 1e-3  # learning rate of every contestant's SGD: small, so that no loss becomes NaN

Shape = tuple[int, ...]


class Node(NamedTuple):
    """A layer.

    Attributes:
        name: its constructor.
        args: the constructor's positional arguments; none for a combinator.
        kwargs: the keyword arguments that differ from their defaults.
        arguments: all numbers and strings among the arguments by name, defaults included.
        in_shape: the shape of one example of its input.
        out_shape: the shape of one example of its output.
        layers: the layers of a combinator.
    """

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    arguments: dict[str, Any]
    in_shape: Shape
    out_shape: Shape
    layers: list[Node]

    @classmethod
    def of(cls, fields: list[Any]) -> Node:
        """Return the node that was sent as JSON."""
        name, args, kwargs, arguments, in_shape, out_shape, layers = fields
        shapes = tuple(in_shape), tuple(out_shape)
        return cls(name, tuple(args), kwargs, arguments, *shapes, list(map(cls.of, layers)))


class Work(NamedTuple):
    """A model, the shape (height, width, channels) of its images, and its loss."""

    shape: Shape
    classes: int
    loss: str
    model: Node

    @classmethod
    def of(cls, fields: list[Any]) -> Work:
        """Return the workload that was sent as JSON."""
        shape, classes, loss, model = fields
        return cls(tuple(shape), classes, loss, Node.of(model))


def leaves(node: Node) -> Iterator[Node]:
    """Yield the layers without layers in them, in the order of their parameters."""
    if not node.layers:
        yield node
    for child in node.layers:
        yield from leaves(child)


CONVOLUTIONS = ("conv1d", "conv2d", "conv3d", "conv_transpose2d", "depthwise_conv2d")
NORMS = ("layer_norm", "group_norm")


def parameters(work: Work, seed: int = 0) -> list[np.ndarray]:
    """Return He-normal weights, small biases, and statistics other than 0 and 1, in float64.

    Convolution weights are (height, width, c_in, filters), or as many axes as the convolution
    has; of a transposed one (height, width, filters, c_in); dense weights (n_in, units).
    """
    rng = np.random.default_rng(seed)
    drawn: list[np.ndarray] = []
    for layer in leaves(work.model):
        match layer.name, layer.arguments:
            case name, {"bias": bias} if name in CONVOLUTIONS:
                shape = kernel(layer)
                fan_in = math.prod(shape[:-1])
                weight = rng.standard_normal(shape)
                drawn.append(weight * math.sqrt(2 / fan_in))
                if bias not in (None, False):
                    of = layer.out_shape if bias == "untied" else layer.out_shape[-1:]
                    drawn.append(rng.uniform(-0.1, 0.1, of))
            case "dense", {"units": units}:
                n_in = layer.in_shape[-1]
                weight = rng.standard_normal((n_in, units))
                drawn += [weight * math.sqrt(2 / n_in), rng.uniform(-0.1, 0.1, units)]
            case "batch_norm", _:  # scale, bias, mean, var
                ranges = (0.8, 1.2), (-0.1, 0.1), (-0.1, 0.1), (0.8, 1.2)
                drawn += [rng.uniform(*ends, layer.in_shape[-1]) for ends in ranges]
            case name, _ if name in NORMS:
                drawn += [rng.uniform(*e, layer.in_shape[-1]) for e in ((0.8, 1.2), (-0.1, 0.1))]
    return drawn


def kernel(layer: Node) -> Shape:
    """Return the shape of a convolution's weight."""
    size = (layer.arguments["kernel_size"],) * (len(layer.in_shape) - 1)
    c_in, filters = layer.in_shape[-1], layer.out_shape[-1]
    if layer.name == "depthwise_conv2d":
        return *size, 1, filters
    return (*size, filters, c_in) if "transpose" in layer.name else (*size, c_in, filters)


def channels_first(work: Work, arrays: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield the same parameters for images (channels, height, width).

    Convolution weights are (filters, c_in, height, width), of a transposed one (c_in, filters,
    height, width), dense weights (units, n_in). The inputs of a dense layer behind a flatten
    are in the order of such images.
    """
    source, image = iter(arrays), None
    for layer in leaves(work.model):
        match layer.name, layer.arguments:
            case name, {"bias": bias} if name in CONVOLUTIONS:
                weight = next(source)
                *size, second, first = range(weight.ndim)
                yield np.transpose(weight, (first, second, *size))
                if bias not in (None, False):
                    drawn = next(source)
                    yield drawn.transpose(2, 0, 1) if bias == "untied" else drawn
            case "flatten", _:
                image = layer.in_shape
            case "dense", {"units": units}:
                weight = next(source)
                if image is not None:
                    weight = weight.reshape(*image, units).transpose(2, 0, 1, 3)
                    image = None
                yield weight.reshape(-1, units).T
                yield next(source)
            case "batch_norm", _:
                yield from (next(source) for _ in range(4))
            case name, _ if name in NORMS:
                yield from (next(source) for _ in range(2))


def examples(work: Work, batch: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return images in [0, 1) and labels, as one-hot rows or images where the loss needs them."""
    rng = np.random.default_rng(seed)
    images = rng.random((batch, *work.shape))
    if work.loss == "mean_squared_error":
        return images, rng.standard_normal((batch, *work.model.out_shape))
    labels = rng.integers(work.classes, size=batch)
    if work.loss == "binary_cross_entropy":
        return images, np.eye(work.classes)[labels]
    return images, labels


def images_first(work: Work, batch: int) -> np.ndarray:
    """Return the images as inference engines take them: (n, channels, height, width), float32."""
    return np.ascontiguousarray(examples(work, batch)[0].transpose(0, 3, 1, 2), np.float32)
