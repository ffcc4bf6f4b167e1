"""ConvNeXt: residual blocks of a depthwise 7×7 convolution and a two-layer perceptron a pixel.

A block computes ``x + scale · W₂ gelu(W₁ norm(depthwise(x)))``, where the scale is a number a
channel that begins at 1e-6.

Source: Z. Liu et al., "A ConvNet for the 2020s", 2022, https://arxiv.org/abs/2201.03545.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fcnn._layer import Layer
from fcnn.errors import ArgumentError
from fcnn.initializers import constant, truncated_normal, zeros
from fcnn.layers.branches import residual
from fcnn.layers.combinators import serial
from fcnn.layers.conv import conv2d
from fcnn.layers.dense import dense
from fcnn.layers.depthwise import depthwise_conv2d
from fcnn.layers.dropout import stochastic_depth
from fcnn.layers.global_pool import global_avg_pool
from fcnn.layers.layer_norm import layer_norm
from fcnn.layers.smooth import gelu

_DRAW: dict[str, Any] = {"weight_init": truncated_normal(0.02), "bias_init": zeros}


def convnext(
    classes: int = 1000,
    *,
    depths: Sequence[int] = (3, 3, 9, 3),
    widths: Sequence[int] = (96, 192, 384, 768),
    patch: int = 4,
    drop: float = 0.0,
) -> Layer:
    """Return a ConvNeXt; by default the "tiny" one for 224×224, 28.6 million params.

    Args:
        classes: the number of classes.
        depths: the number of blocks of each stage.
        widths: the number of channels of each stage.
        patch: the side of the squares that the first convolution reads, which do not overlap.
        drop: the rate at which the last block is dropped in training; it rises to this from 0.

    Raises:
        ArgumentError: if depths and widths differ in number.

    >>> import fcnn
    >>> fcnn.summary(fcnn.models.convnext(), (224, 224, 3)).params
    28589128
    """
    if len(depths) != len(widths):
        raise ArgumentError(f"expected a width for each of {len(depths)} depths, got {widths}")
    count, done, layers = sum(depths), 0, []
    for i, (depth, filters) in enumerate(zip(depths, widths, strict=True)):
        size = patch if i == 0 else 2
        reduce = conv2d(filters, size, stride=size, **_DRAW)
        layers += [reduce, layer_norm(eps=1e-6)] if i == 0 else [layer_norm(eps=1e-6), reduce]
        for _ in range(depth):
            layers.append(_block(filters, drop * done / max(1, count - 1)))
            done += 1
    return serial(*layers, global_avg_pool(), layer_norm(eps=1e-6), dense(classes, **_DRAW))


def convnext_small(classes: int = 10) -> Layer:
    """Return a ConvNeXt for images of 32×32: three stages, 0.34 million params.

    >>> import fcnn
    >>> fcnn.models.convnext_small().init(fcnn.key(0), (32, 32, 3))[1]
    (10,)
    """
    return convnext(classes, depths=(2, 2, 2), widths=(32, 64, 96), patch=2)


def _block(filters: int, drop: float) -> Layer:
    return residual(
        *(depthwise_conv2d(7, padding=3, **_DRAW), layer_norm(eps=1e-6)),
        *(dense(4 * filters, **_DRAW), gelu(), dense(filters, **_DRAW)),
        depthwise_conv2d(1, bias=False, weight_init=constant(1e-6)),
        *((stochastic_depth(drop),) if drop else ()),
    )
