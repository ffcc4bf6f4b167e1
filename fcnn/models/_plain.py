"""Chains of convolutions: LeNet-5, a small VGG and the all-convolutional net."""

from __future__ import annotations

from fcnn._layer import Layer
from fcnn.layers.activations import relu
from fcnn.layers.combinators import serial
from fcnn.layers.conv import conv2d
from fcnn.layers.dense import dense
from fcnn.layers.dropout import dropout
from fcnn.layers.global_pool import global_avg_pool
from fcnn.layers.norm import batch_norm
from fcnn.layers.pool import max_pool2d
from fcnn.layers.reshape import flatten


def lenet5(classes: int = 10) -> Layer:
    """Return LeNet-5 as it is built today: rectifiers and max-pools, 61,706 params.

    For images of 28×28; the first convolution pads them to the 32×32 of the paper.

    >>> import fcnn
    >>> fcnn.summary(fcnn.models.lenet5(), (28, 28, 1)).params
    61706

    Source: Y. LeCun et al., "Gradient-based learning applied to document recognition", 1998,
    https://doi.org/10.1109/5.726791.
    """
    return serial(
        *(conv2d(6, 5, padding=2), relu, max_pool2d(2)),
        *(conv2d(16, 5), relu, max_pool2d(2)),
        *(flatten, dense(120), relu, dense(84), relu, dense(classes)),
    )


def vgg_small(classes: int = 10, width: int = 128) -> Layer:
    """Return three stages of two 3×3 convolutions with batch norm, and one dense layer.

    The widths double from stage to stage; with 128, on 32×32×3, it has the 4.66 million params
    that the literature on quantised networks trains on CIFAR-10.

    >>> import fcnn
    >>> fcnn.summary(fcnn.models.vgg_small(width=16), (32, 32, 3)).params
    82554

    Source: K. Simonyan and A. Zisserman, "Very deep convolutional networks for large-scale
    image recognition", 2014, https://arxiv.org/abs/1409.1556; this size: D. Zhang et al.,
    "LQ-Nets", 2018, https://arxiv.org/abs/1807.10029.
    """

    def stage(filters: int) -> tuple[Layer, ...]:
        conv = conv2d(filters, 3, padding="same", bias=None), batch_norm(), relu
        return *conv, *conv, max_pool2d(2)

    return serial(
        *(*stage(width), *stage(2 * width), *stage(4 * width)),
        *(flatten, dense(classes)),
    )


def all_cnn(classes: int = 10) -> Layer:
    """Return All-CNN-C: convolutions alone, strided ones in the place of pools.

    1.37 million params on images of 3 channels; 0.2 of the input and half of the strided
    convolutions' outputs are dropped.

    >>> import fcnn
    >>> fcnn.summary(fcnn.models.all_cnn(), (32, 32, 3)).params
    1369738

    Source: J. T. Springenberg et al., "Striving for simplicity: the all convolutional net",
    2014, https://arxiv.org/abs/1412.6806.
    """

    def conv(filters: int, size: int, stride: int = 1, padding: int = 1) -> tuple[Layer, ...]:
        return conv2d(filters, size, stride=stride, padding=padding), relu

    return serial(
        *(dropout(0.2), *conv(96, 3), *conv(96, 3), *conv(96, 3, stride=2), dropout(0.5)),
        *(*conv(192, 3), *conv(192, 3), *conv(192, 3, stride=2), dropout(0.5)),
        *(*conv(192, 3, padding=0), *conv(192, 1, padding=0), *conv(classes, 1, padding=0)),
        global_avg_pool(),
    )
