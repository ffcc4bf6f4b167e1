"""Residual networks, for 32×32 images and for those of ImageNet's size.

A block computes ``relu(shortcut(x) + body(x))``; the shortcut is the identity, or a strided
1×1 convolution with batch norm where the shape changes.

Source: K. He et al., "Deep residual learning for image recognition", 2015,
https://arxiv.org/abs/1512.03385.
"""

from __future__ import annotations

from fcnn._layer import Layer
from fcnn.layers.activations import relu
from fcnn.layers.branches import add
from fcnn.layers.combinators import serial
from fcnn.layers.conv import conv2d
from fcnn.layers.dense import dense
from fcnn.layers.global_pool import global_avg_pool
from fcnn.layers.norm import batch_norm
from fcnn.layers.pool import max_pool2d


def _conv(filters: int, size: int, stride: int = 1) -> tuple[Layer, ...]:
    return conv2d(filters, size, stride=stride, padding=size // 2, bias=None), batch_norm()


def _stage(blocks: int, filters: int, stride: int) -> tuple[Layer, ...]:
    """Return the blocks of one resolution; the first may change the shape."""

    def block(stride: int) -> tuple[Layer, ...]:
        shortcut = serial(*(_conv(filters, 1, stride) if stride > 1 else ()))
        body = serial(*_conv(filters, 3, stride), relu, *_conv(filters, 3))
        return add(shortcut, body), relu

    return *block(stride), *(layer for _ in range(blocks - 1) for layer in block(1))


def _for_small_images(blocks: int, classes: int) -> Layer:
    return serial(
        *(*_conv(16, 3), relu),
        *(*_stage(blocks, 16, 1), *_stage(blocks, 32, 2), *_stage(blocks, 64, 2)),
        *(global_avg_pool(), dense(classes)),
    )


def resnet20(classes: int = 10) -> Layer:
    """Return the residual network of 20 layers for 32×32 images: 0.27 million params.

    >>> import fcnn
    >>> fcnn.summary(fcnn.models.resnet20(), (32, 32, 3)).params
    272474

    Source: K. He et al., "Deep residual learning for image recognition", 2015, section 4.2,
    https://arxiv.org/abs/1512.03385. The paper's shortcuts have no params (its option A); these
    project (option B), 2,752 params more.
    """
    return _for_small_images(3, classes)


def resnet32(classes: int = 10) -> Layer:
    """Return the residual network of 32 layers for 32×32 images: 0.47 million params.

    >>> import fcnn
    >>> fcnn.summary(fcnn.models.resnet32(), (32, 32, 3)).params
    466906

    Source: as `resnet20`.
    """
    return _for_small_images(5, classes)


def resnet56(classes: int = 10) -> Layer:
    """Return the residual network of 56 layers for 32×32 images: 0.86 million params.

    >>> import fcnn
    >>> fcnn.summary(fcnn.models.resnet56(), (32, 32, 3)).params
    855770

    Source: as `resnet20`.
    """
    return _for_small_images(9, classes)


def resnet18(classes: int = 1000, *, small_images: bool = False) -> Layer:
    """Return the residual network of 18 layers: 11.7 million params with 1,000 classes.

    Args:
        classes: the number of classes.
        small_images: begin with a 3×3 convolution, without a pool, for images such as 32×32,
            in the place of the strided 7×7 convolution and pool for 224×224.

    >>> import fcnn
    >>> fcnn.summary(fcnn.models.resnet18(), (224, 224, 3)).params
    11689512

    Source: K. He et al., "Deep residual learning for image recognition", 2015, table 1,
    https://arxiv.org/abs/1512.03385.
    """
    pool = max_pool2d(3, stride=2, padding=1)
    stem = (*_conv(64, 3), relu) if small_images else (*_conv(64, 7, 2), relu, pool)
    stages = (*_stage(2, 64, 1), *_stage(2, 128, 2), *_stage(2, 256, 2), *_stage(2, 512, 2))
    return serial(*stem, *stages, global_avg_pool(), dense(classes))
