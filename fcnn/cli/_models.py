"""The model that a word of the command line names, for examples of a shape."""

from __future__ import annotations

import inspect
import math
from typing import Any

from fcnn import models
from fcnn._layer import Layer
from fcnn._typing import Shape
from fcnn.cli._words import called, parsed, with_default
from fcnn.errors import ArgumentError
from fcnn.layers import (
    batch_norm,
    conv2d,
    dense,
    dropout,
    flatten,
    max_pool2d,
    relu,
    serial,
)
from fcnn.testing._named import named_layer

OWN = ("small", "mlp")
OTHERS = tuple(
    name
    for name in models.__all__
    if "classes" in inspect.signature(getattr(models, name)).parameters
    and name not in ("article_000", "unet")  # probabilities; an image for an image
)
NAMES = OWN + OTHERS


def model_of(text: str | None, shape: Shape, outputs: int) -> Layer:
    """Return a model that gives ``outputs`` numbers for each example.

    Args:
        text: one of `NAMES`, such a call as ``vgg_small(width=32)``, or
            ``module:name(arguments)``; None for ``small``, or ``mlp`` if examples are no images.
        shape: the shape of one example.
        outputs: the number of classes.

    Raises:
        ArgumentError: if there is no such model.
    """
    text = text or ("small" if len(shape) == 3 else "mlp")
    if ":" in text:
        return _as_layer(named_layer(text), text)
    name, call = parsed(text, NAMES, "a model's name or module:name")
    if name in OWN:
        if call.args or call.keywords:
            raise ArgumentError(f"expected {name} without arguments, got {text!r}")
        return small(shape, outputs) if name == "small" else mlp(outputs)
    return _as_layer(called(with_default(call, "classes", outputs), "fcnn.models"), text)


def small(shape: Shape, outputs: int) -> Layer:
    """Return three convolutions with batch norm, and one dense layer.

    On digits of 28×28, 0.99 after 12 epochs with 5,000 examples.
    """
    if len(shape) != 3:
        raise ArgumentError(f"expected images (h, w, c) for small, got {shape}; try mlp")
    height, width = shape[:2]
    is_large = min(height, width) >= 18
    padding: Any = {} if is_large else {"padding": "same"}
    stride = 2 if is_large else 1
    body: list[Any] = [conv2d(16, 5, stride=stride, **padding, bias=None), batch_norm(), relu]
    for filters in (32, 48):
        body += [conv2d(filters, 3, **padding, bias=None), batch_norm(), relu]
    for _ in range(int(math.log2(min(height, width) / 28)) if is_large and height > 28 else 0):
        body += [max_pool2d(2), conv2d(48, 3, bias=None), batch_norm(), relu]
    pool = [max_pool2d(2)] if min(height, width) >= 4 else []
    return serial(*body, *pool, flatten, dropout(0.3), dense(outputs))


def mlp(outputs: int) -> Layer:
    """Return a hidden layer of 64."""
    return serial(flatten, dense(64), relu, dense(outputs))


def _as_layer(found: Any, text: str) -> Layer:
    if isinstance(found, Layer):
        return found
    raise ArgumentError(f"expected a layer, got a bare triple for {text}; decorate it")
