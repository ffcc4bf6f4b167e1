"""The depthwise convolution: filters that see one channel each.

Forward and backward, with m filters a channel, filter f that of channel f // m::

    y[n, o, f]       = bias[f] + Σ over k of  x[n, S·o + D·k, f // m] · weight[k, 0, f]
    dweight[k, 0, f] = Σ over n, o of  x[n, S·o + D·k, f // m] · dy[n, o, f]
    dx[n, i, c]      = Σ over o, k with S·o + D·k = i, f of c of  dy[n, o, f] · weight[k, 0, f]
    dbias            = Σ over n, o of  dy

Sources: L. Sifre, "Rigid-motion scattering for image classification", thesis, 2014; F. Chollet,
"Xception: deep learning with depthwise separable convolutions", 2016,
https://arxiv.org/abs/1610.02357.
"""

from __future__ import annotations

import math
from typing import Any

import attrs

from fcnn._check import pair, whole
from fcnn._layer import EVAL, Context, Layer, Triple, check_dtype, layer
from fcnn._ops.conv import correlate, correlate_adjoints
from fcnn._ops.layout import nhwc, rows_of
from fcnn._ops.window import Pads, Pair, Window, check_padding, slide
from fcnn._typing import Array, ModelPullback, Padding, Shape, Size
from fcnn._walk import facts
from fcnn.errors import ShapeError
from fcnn.initializers import he_normal, zeros
from fcnn.prng import Key, split
from fcnn.tree import node


@node
class DepthwiseConvParams:
    """What `depthwise_conv2d` learns. Without a bias, ``bias`` is ``()``."""

    weight: Array  # (kh, kw, 1, c * depth_multiplier)
    bias: Any  # (c * depth_multiplier,) or ()


@attrs.frozen
class Depthwise:
    """The arguments of a `depthwise_conv2d`, checked, and what can be computed with them."""

    kernel_size: Pair
    depth_multiplier: int
    stride: Pair
    padding: str | Pads
    dilation: Pair
    bias: bool
    weight_init: Any
    bias_init: Any

    @classmethod
    def of(cls, conv: Layer) -> Depthwise:
        """Return the arguments of a `depthwise_conv2d` layer."""
        return checked(**conv.spec.arguments)

    def window(self, image: Shape) -> Window:
        """Return where the filters stand on an image ``(h, w, c)``."""
        size = image[0], image[1]
        return slide(size, self.kernel_size, self.stride, self.dilation, self.padding)

    def init(self, key: Key, shape: Shape) -> tuple[DepthwiseConvParams, Shape]:
        """Draw the params."""
        if len(shape) != 3:
            raise ShapeError(f"expected an image (h, w, c), got {shape}")
        filters = shape[2] * self.depth_multiplier
        k_weight, k_bias = split(key, 2)
        weight = self.weight_init(k_weight, (*self.kernel_size, 1, filters))
        bias = self.bias_init(k_bias, (filters,)) if self.bias else ()
        return DepthwiseConvParams(weight, bias), (*self.window(shape).out, filters)

    def check(self, params: DepthwiseConvParams, x: Array) -> Window:
        """Refuse an input that does not fit the params; return where the filters stand."""
        channels = params.weight.shape[3] // self.depth_multiplier
        if x.ndim != 4 or x.shape[3] != channels:
            raise ShapeError(
                f"expected images (n, h, w, {channels}) for the weight {params.weight.shape}, "
                f"got {x.shape}"
            )
        check_dtype(x.dtype, params.weight.dtype)
        return self.window(x.shape[1:])

    def apply(self, params: DepthwiseConvParams, x: Array, ctx: Context = EVAL) -> Array:
        """Correlate, and add the bias."""
        return self._forward(params, x, self.check(params, x))[0]

    def vjp(
        self, params: DepthwiseConvParams, x: Array, ctx: Context = EVAL
    ) -> tuple[Array, ModelPullback]:
        """Do what `apply` does, and return the pullback too."""
        window = self.check(params, x)
        x = nhwc(rows_of(x))
        y, columns = self._forward(params, x, window)

        def pullback(dy: Array) -> tuple[DepthwiseConvParams, Array | None]:
            dweight, dbias, dx = correlate_adjoints(
                x,
                params.weight,
                dy,
                window,
                x.shape[3],
                bias="tied" if self.bias else None,
                input_grad=ctx.input_grad,
                columns=columns,
            )
            return DepthwiseConvParams(dweight, () if dbias is None else dbias), dx

        return y, pullback

    def _forward(
        self, params: DepthwiseConvParams, x: Array, window: Window
    ) -> tuple[Array, Array | None]:
        """Return y, and columns that the adjoint may reuse."""
        bias = params.bias if self.bias else None
        return correlate(x, params.weight, window, x.shape[3], bias)


def checked(
    kernel_size: Size,
    depth_multiplier: int,
    stride: Size,
    padding: Padding,
    dilation: Size,
    bias: bool,
    weight_init: Any,
    bias_init: Any,
) -> Depthwise:
    """Return the arguments of `depthwise_conv2d` in one form.

    Raises:
        ArgumentError: if one is out of its range.
    """
    return Depthwise(
        pair(kernel_size, "kernel_size"),
        whole(depth_multiplier, "depth_multiplier"),
        pair(stride, "stride"),
        check_padding(padding),
        pair(dilation, "dilation"),
        bool(bias),
        weight_init,
        bias_init,
    )


@layer
def depthwise_conv2d(
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
    """Correlate each channel of images with filters of its own.

    ``y[n, o, f] = bias[f] + sum over k of x[n, S·o + D·k, f // m] · weight[k, 0, f]`` with stride
    S, dilation D and m the ``depth_multiplier``. The number of channels is that of the input. It
    is ``conv2d(c · m, kernel_size, groups=c)``, with the same params.

    Shapes: x ``(n, h, w, c)``, weight ``(kh, kw, 1, c·m)``, y ``(n, oh, ow, c·m)``.

    Args:
        kernel_size: height and width, or one number for both.
        depth_multiplier: the number of filters a channel.
        stride: how far the filter moves.
        padding: as in `conv2d`.
        dilation: the distance between neighbouring elements of the filter.
        bias: whether there is one bias a filter.
        weight_init: initializer of the weight.
        bias_init: initializer of the bias.

    Raises:
        ArgumentError: if a hyper-parameter is out of its range.
        ShapeError: if the filter is larger than the padded image, or the channels do not fit.

    >>> import numpy as np, fcnn
    >>> blur = fcnn.depthwise_conv2d(2, bias=False, weight_init=fcnn.initializers.constant(0.25))
    >>> params, out_shape = blur.init(fcnn.key(0), (3, 3, 2))
    >>> out_shape
    (2, 2, 2)
    >>> blur.apply(params, np.arange(18, dtype=np.float32).reshape(1, 3, 3, 2))[0, :, :, 0]
    array([[ 4.,  6.],
           [10., 12.]], dtype=float32)

    Source: F. Chollet, "Xception: deep learning with depthwise separable convolutions", 2016,
    https://arxiv.org/abs/1610.02357.
    """
    conv = checked(
        kernel_size, depth_multiplier, stride, padding, dilation, bias, weight_init, bias_init
    )

    return conv.init, conv.apply, conv.vjp


def _multiply_adds(layer: Layer, in_shape: Shape, out_shape: Shape) -> int:
    return math.prod(out_shape) * math.prod(Depthwise.of(layer).kernel_size)


def _window(layer: Layer) -> tuple[Pair, Pair]:
    conv = Depthwise.of(layer)
    (kh, kw), (dh, dw) = conv.kernel_size, conv.dilation
    return (dh * (kh - 1) + 1, dw * (kw - 1) + 1), conv.stride


facts(depthwise_conv2d, multiply_adds=_multiply_adds, window=_window)
