"""The separable convolution: space first, channel by channel, then channels, pixel by pixel.

It is a chain of two layers, which `serial` runs as if they were its own.

Source: F. Chollet, "Xception: deep learning with depthwise separable convolutions", 2016,
https://arxiv.org/abs/1610.02357.
"""

from __future__ import annotations

from typing import Any

from fcnn._layer import Layer, Triple, core, layer
from fcnn._typing import Padding, Size
from fcnn._walk import Part, combinator
from fcnn.initializers import he_normal, zeros
from fcnn.layers.combinators import named, serial
from fcnn.layers.conv import conv2d
from fcnn.layers.depthwise import depthwise_conv2d


@layer
def separable_conv2d(
    filters: int,
    kernel_size: Size,
    *,
    depth_multiplier: int = 1,
    stride: Size = 1,
    padding: Padding = "valid",
    dilation: Size = 1,
    bias: bool = True,
    weight_init: Any = he_normal,
    bias_init: Any = zeros,
) -> Triple:
    """Correlate each channel with its own filters, then mix the channels of each pixel.

    The same as ``serial(depthwise_conv2d(kernel_size, ..., bias=False), conv2d(filters, 1))``: for
    c channels, kh·kw·c + c·filters weights instead of kh·kw·c·filters.

    Shapes: x ``(n, h, w, c)``, y ``(n, oh, ow, filters)``. The params are a tuple of those of the
    `depthwise_conv2d` and of the `conv2d`.

    Args:
        filters: the number of output channels.
        kernel_size: height and width of the depthwise filters, or one number for both.
        depth_multiplier: the number of depthwise filters a channel.
        stride: how far the depthwise filters move.
        padding: as in `conv2d`, for the depthwise filters.
        dilation: the distance between neighbouring elements of the depthwise filters.
        bias: whether there is one bias a filter, in the end.
        weight_init: initializer of both weights.
        bias_init: initializer of the bias.

    Raises:
        ArgumentError: if a hyper-parameter is out of its range.
        ShapeError: if the filter is larger than the padded image, or the channels do not fit.

    >>> import fcnn
    >>> separable = fcnn.separable_conv2d(8, 3, padding="same")
    >>> (depthwise, pointwise), out_shape = separable.init(fcnn.key(0), (28, 28, 4))
    >>> depthwise.weight.shape, pointwise.weight.shape, out_shape
    ((3, 3, 1, 4), (1, 1, 4, 8), (28, 28, 8))

    Source: F. Chollet, "Xception: deep learning with depthwise separable convolutions", 2016,
    https://arxiv.org/abs/1610.02357.
    """
    made = serial(
        *_chain(
            filters,
            kernel_size,
            depth_multiplier,
            stride,
            padding,
            dilation,
            bias,
            weight_init,
            bias_init,
        )
    )
    return made.init, made.apply, core(made.vjp)


def _chain(
    filters: int,
    kernel_size: Size,
    depth_multiplier: int,
    stride: Size,
    padding: Padding,
    dilation: Size,
    bias: bool,
    weight_init: Any,
    bias_init: Any,
) -> tuple[Layer, Layer]:
    depthwise = depthwise_conv2d(
        kernel_size,
        depth_multiplier=depth_multiplier,
        stride=stride,
        padding=padding,
        dilation=dilation,
        bias=False,
        weight_init=weight_init,
    )
    tied = "tied" if bias else None
    pointwise = conv2d(filters, 1, bias=tied, weight_init=weight_init, bias_init=bias_init)
    return named("depthwise", depthwise), named("pointwise", pointwise)


@combinator(separable_conv2d, wiring="chain")
def _parts(layer: Layer) -> list[Part]:
    depthwise, pointwise = _chain(**layer.spec.arguments)
    return [Part("depthwise", depthwise, (0,)), Part("pointwise", pointwise, (1,))]
