"""Networks of few multiply-adds: MobileNet 1 and 2, SqueezeNet."""

from __future__ import annotations

from fcnn._layer import Layer
from fcnn.layers.activations import relu
from fcnn.layers.branches import add, concat
from fcnn.layers.combinators import serial
from fcnn.layers.conv import conv2d
from fcnn.layers.dense import dense
from fcnn.layers.depthwise import depthwise_conv2d
from fcnn.layers.dropout import dropout
from fcnn.layers.global_pool import global_avg_pool
from fcnn.layers.norm import batch_norm
from fcnn.layers.pool import max_pool2d
from fcnn.layers.rectifiers import relu6


def _conv(filters: int, size: int = 1, stride: int = 1) -> tuple[Layer, ...]:
    return conv2d(filters, size, stride=stride, padding=size // 2, bias=None), batch_norm()


def _depthwise(stride: int) -> tuple[Layer, ...]:
    return depthwise_conv2d(3, stride=stride, padding=1, bias=False), batch_norm()


def mobilenet_v1(classes: int = 1000, *, width: float = 1.0, stride: int = 2) -> Layer:
    """Return MobileNet 1: depthwise 3×3 and pointwise convolutions by turns.

    Args:
        classes: the number of classes.
        width: the factor of all widths; 4.2 million params with 1.0 and 1,000 classes.
        stride: of the first convolution; 1 for images such as 32×32.

    >>> import fcnn
    >>> fcnn.summary(fcnn.models.mobilenet_v1(width=0.25), (224, 224, 3)).params
    470072

    Source: A. G. Howard et al., "MobileNets: efficient convolutional neural networks for mobile
    vision applications", 2017, https://arxiv.org/abs/1704.04861.
    """
    plan = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5]
    plan += [(1024, 2), (1024, 1)]
    blocks = [(*_depthwise(s), relu6, *_conv(int(filters * width)), relu6) for filters, s in plan]
    return serial(
        *(*_conv(int(32 * width), 3, stride), relu6),
        *(layer for block in blocks for layer in block),
        *(global_avg_pool(), dropout(0.001), dense(classes)),
    )


def mobilenet_v2(classes: int = 1000, *, width: float = 1.0, stride: int = 2) -> Layer:
    """Return MobileNet 2: inverted residual blocks with linear bottlenecks.

    Args:
        classes: the number of classes.
        width: the factor of all widths, which are rounded to multiples of 8; 3.5 million
            params with 1.0 and 1,000 classes.
        stride: of the first convolution; 1 for images such as 32×32.

    >>> import fcnn
    >>> fcnn.summary(fcnn.models.mobilenet_v2(), (224, 224, 3)).params
    3504872

    Source: M. Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks", 2018,
    https://arxiv.org/abs/1801.04381.
    """
    # Table 2 of the paper: expansion, filters, blocks, stride of the first.
    table = [
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
        (6, 160, 3, 2), (6, 320, 1, 1),
    ]  # fmt: skip
    channels = _multiple_of_8(32 * width)
    layers = [*_conv(channels, 3, stride), relu6]
    for expansion, filters, blocks, first in table:
        out = _multiple_of_8(filters * width)
        for i in range(blocks):
            layers.append(_inverted(channels, expansion, out, first if i == 0 else 1))
            channels = out
    last = _multiple_of_8(1280 * max(1.0, width))
    return serial(*layers, *_conv(last), relu6, global_avg_pool(), dropout(0.2), dense(classes))


def _inverted(channels: int, expansion: int, filters: int, stride: int) -> Layer:
    """Return an inverted residual block: wide inside, narrow outside."""
    widen = (*_conv(expansion * channels), relu6) if expansion > 1 else ()
    body = serial(*widen, *_depthwise(stride), relu6, *_conv(filters))
    return add(serial(), body) if stride == 1 and filters == channels else body


def _multiple_of_8(width: float) -> int:
    """Return the nearest multiple of 8 that is at least 0.9 of the width."""
    nearest = max(8, int(width + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * width else nearest


def squeezenet(classes: int = 1000) -> Layer:
    """Return SqueezeNet 1.1: 1×1 convolutions squeeze, 1×1 and 3×3 ones expand.

    1.2 million params with 1,000 classes.

    >>> import fcnn
    >>> fcnn.summary(fcnn.models.squeezenet(), (224, 224, 3)).params
    1235496

    Source: F. N. Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters",
    2016, https://arxiv.org/abs/1602.07360; the widths are those of its authors' version 1.1.
    """

    def fire(squeeze: int, expand: int) -> tuple[Layer, ...]:
        wide = concat(conv2d(expand, 1), conv2d(expand, 3, padding=1))
        return conv2d(squeeze, 1), relu, wide, relu

    pool = max_pool2d(3, stride=2)
    return serial(
        *(conv2d(64, 3, stride=2), relu, pool, *fire(16, 64), *fire(16, 64)),
        *(pool, *fire(32, 128), *fire(32, 128)),
        *(pool, *fire(48, 192), *fire(48, 192), *fire(64, 256), *fire(64, 256)),
        *(dropout(0.5), conv2d(classes, 1), relu, global_avg_pool()),
    )
