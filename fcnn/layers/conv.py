"""The convolution layer.

Forward and backward, with the output's gradient dy::

    y = correlate(x, weight) + bias
    dweight[k, c, f] = Σ over n, o of  x[n, S·o + D·k, c] · dy[n, o, f]
    dx[n, i, c]      = Σ over o, k with S·o + D·k = i, f of  dy[n, o, f] · weight[k, c, f]
    dbias            = Σ over n (and o, if the bias is tied) of  dy

Source: V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning", 2016,
https://arxiv.org/abs/1603.07285.
"""

from __future__ import annotations

import math
from typing import Any

import attrs

from fcnn._check import pair, whole
from fcnn._layer import EVAL, Context, Layer, Triple, check_dtype, check_floats, layer
from fcnn._ops.conv import correlate, correlate_adjoints
from fcnn._ops.epilogue import Epilogue
from fcnn._ops.layout import images_innermost
from fcnn._ops.window import Pads, Pair, Window, check_padding, slide
from fcnn._typing import Array, ModelPullback, Padding, Shape, Size
from fcnn._walk import facts
from fcnn.errors import ArgumentError, ShapeError
from fcnn.initializers import he_normal, zeros
from fcnn.prng import Key, split
from fcnn.tree import node


@node
class ConvParams:
    """What `conv2d` learns. Without a bias, ``bias`` is ``()``."""

    weight: Array  # (kh, kw, c_in / groups, filters)
    bias: Any  # (filters,), (oh, ow, filters) or ()


@attrs.frozen
class Convolution:
    """The arguments of a `conv2d`, checked, and what can be computed with them."""

    filters: int
    kernel_size: Pair
    stride: Pair
    padding: str | Pads
    dilation: Pair
    groups: int
    bias: str | None
    flip: bool
    weight_init: Any
    bias_init: Any

    @classmethod
    def of(cls, conv: Layer) -> Convolution:
        """Return the arguments of a `conv2d` layer."""
        return checked(**conv.spec.arguments)

    def window(self, image: Shape) -> Window:
        """Return where the filter stands on an image ``(h, w, ...)``."""
        size = image[0], image[1]
        return slide(size, self.kernel_size, self.stride, self.dilation, self.padding)

    def init(self, key: Key, shape: Shape) -> tuple[ConvParams, Shape]:
        """Draw the params."""
        if len(shape) != 3:
            raise ShapeError(f"expected an image (h, w, c), got {shape}")
        channels = shape[2]
        if channels % self.groups:
            raise ShapeError(
                f"expected channels in a multiple of {self.groups} groups, got {channels}"
            )
        out = (*self.window(shape).out, self.filters)
        k_weight, k_bias = split(key, 2)
        size = (*self.kernel_size, channels // self.groups, self.filters)
        bias_shape = out if self.bias == "untied" else out[2:]
        bias = self.bias_init(k_bias, bias_shape) if self.bias else ()
        return ConvParams(self.weight_init(k_weight, size), bias), out

    def check(self, params: ConvParams, x: Array) -> Window:
        """Refuse an input that does not fit the params; return where the filter stands."""
        check_floats(x)
        channels = params.weight.shape[2] * self.groups
        if x.ndim != 4 or x.shape[3] != channels:
            hint = ""
            if x.ndim == 4 and x.shape[1] == channels:
                hint = "; channels come last: x.transpose(0, 2, 3, 1)"
            elif x.ndim == 3 and x.shape[2] == channels:
                hint = "; for one image add the batch axis: x[np.newaxis]"
            raise ShapeError(
                f"expected images (n, h, w, {channels}) for the weight {params.weight.shape}, "
                f"got {x.shape}{hint}"
            )
        check_dtype(x.dtype, params.weight.dtype)
        window = self.window(x.shape[1:])
        if self.bias == "untied" and params.bias.shape[:2] != window.out:
            raise ShapeError(
                f"expected images of the size that the untied bias {params.bias.shape} is for, "
                f"got {window.image}, whose output is {window.out}"
            )
        return window

    def weight(self, params: ConvParams) -> Array:
        """Return the weight as `correlate` takes it."""
        return params.weight[::-1, ::-1] if self.flip else params.weight

    def bias_of(self, params: ConvParams) -> Array | None:
        """Return the bias; None if there is none."""
        return params.bias if self.bias else None

    def gradients(self, dweight: Array, dbias: Array | None) -> ConvParams:
        """Return gradients as params."""
        dweight = dweight[::-1, ::-1] if self.flip else dweight
        return ConvParams(dweight, () if dbias is None else dbias)

    def apply(
        self, params: ConvParams, x: Array, window: Window, epilogue: Epilogue | None = None
    ) -> Array:
        """Correlate, add the bias, apply the epilogue; ``window`` is what `check` gave."""
        bias = self.bias_of(params)
        return correlate(x, self.weight(params), window, self.groups, bias, epilogue)[0]

    def vjp(
        self,
        params: ConvParams,
        x: Array,
        ctx: Context,
        window: Window,
        epilogue: Epilogue | None = None,
    ) -> tuple[Array, ModelPullback]:
        """Do what `apply` does, and return the pullback too."""
        x, weight, bias = images_innermost(x), self.weight(params), self.bias_of(params)
        y, columns = correlate(x, weight, window, self.groups, bias, epilogue)

        def pullback(dy: Array) -> tuple[ConvParams, Array | None]:
            dweight, dbias, dx = correlate_adjoints(
                x,
                weight,
                dy,
                window,
                self.groups,
                y=None if epilogue is None else y,
                epilogue=epilogue,
                bias=self.bias,
                input_grad=ctx.input_grad,
                columns=columns,
            )
            return self.gradients(dweight, dbias), dx

        return y, pullback


def checked(
    filters: int,
    kernel_size: Size,
    stride: Size,
    padding: Padding,
    dilation: Size,
    groups: int,
    bias: str | bool | None,
    flip: bool,
    weight_init: Any,
    bias_init: Any,
) -> Convolution:
    """Return the arguments of `conv2d` in one form.

    Raises:
        ArgumentError: if one is out of its range.
    """
    filters, groups = whole(filters, "filters"), whole(groups, "groups")
    if isinstance(bias, bool):
        bias = "tied" if bias else None
    if bias not in ("tied", "untied", None):
        raise ArgumentError(f'expected bias "tied", "untied" or None, got {bias!r}')
    if filters % groups:
        raise ArgumentError(
            f"expected filters in a multiple of groups, got {filters} filters and {groups} groups"
        )
    return Convolution(
        filters,
        pair(kernel_size, "kernel_size"),
        pair(stride, "stride"),
        check_padding(padding),
        pair(dilation, "dilation"),
        groups,
        bias,
        flip,
        weight_init,
        bias_init,
    )


@layer
def conv2d(
    filters: int,
    kernel_size: Size,
    *,
    stride: Size = 1,
    padding: Padding = "valid",
    dilation: Size = 1,
    groups: int = 1,
    bias: str | bool | None = "tied",
    flip: bool = False,
    weight_init: Any = he_normal,
    bias_init: Any = zeros,
) -> Triple:
    """Correlate images with filters over all input channels.

    With stride S, dilation D and the image padded by zeros::

        y[n, o, f] = bias[f] + sum over k, c of  x[n, S·o + D·k, c] · weight[k, c, f]

    where o and k run over rows and columns. The output has
    ``(image + padding - (D·(kernel_size - 1) + 1)) // S + 1`` rows, and columns likewise.

    Shapes: x ``(n, h, w, c_in)``, weight ``(kh, kw, c_in / groups, filters)``,
    y ``(n, oh, ow, filters)``.

    Args:
        filters: the number of output channels.
        kernel_size: height and width, or one number for both.
        stride: how far the filter moves.
        padding: ``"valid"``; ``"same"``, out = ceil(image / stride), an odd one below
            and to the right; a number; ``(rows, columns)``; or
            ``((top, bottom), (left, right))``.
        dilation: the distance between neighbouring elements of the filter.
        groups: the number of groups into which input and output channels are divided, each
            connected to itself only; ``groups=c_in`` is the depthwise convolution.
        bias: ``"tied"`` (or True), one a filter; ``"untied"``, one a filter and pixel; None
            (or False), none.
        flip: rotate the filter by 180°, which makes it convolution proper.
        weight_init: initializer of the weight.
        bias_init: initializer of the bias.

    Raises:
        ArgumentError: if a hyper-parameter is out of its range.
        ShapeError: if the filter is larger than the padded image, or the channels
            do not fit.

    The 4×4 image and the kernel [[1, 0], [0, -1]], worked by hand:

    >>> import numpy as np, fcnn
    >>> image = np.array([[1., 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12], [13, 14, 15, 16]])
    >>> layer = fcnn.conv2d(1, 2, bias=None)
    >>> params, out_shape = layer.init(fcnn.key(0), (4, 4, 1))
    >>> kernel = np.array([[1., 0], [0, -1]]).reshape(2, 2, 1, 1)
    >>> layer.apply(type(params)(kernel, ()), image[None, :, :, None])[0, :, :, 0]
    array([[-5., -5., -5.],
           [-5., -5., -5.],
           [-5., -5., -5.]])

    Source: V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep
    learning", 2016, https://arxiv.org/abs/1603.07285.
    """
    conv = checked(
        filters,
        kernel_size,
        stride,
        padding,
        dilation,
        groups,
        bias,
        flip,
        weight_init,
        bias_init,
    )

    def apply(params: ConvParams, x: Array, ctx: Context = EVAL) -> Array:
        return conv.apply(params, x, conv.check(params, x))

    def vjp(params: ConvParams, x: Array, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
        return conv.vjp(params, x, ctx, conv.check(params, x))

    return conv.init, apply, vjp


def _multiply_adds(layer: Layer, in_shape: Shape, out_shape: Shape) -> int:
    conv = Convolution.of(layer)
    return math.prod(out_shape) * math.prod(conv.kernel_size) * in_shape[2] // conv.groups


def _window(layer: Layer) -> tuple[Pair, Pair]:
    conv = Convolution.of(layer)
    (kh, kw), (dh, dw) = conv.kernel_size, conv.dilation
    return (dh * (kh - 1) + 1, dw * (kw - 1) + 1), conv.stride


facts(conv2d, multiply_adds=_multiply_adds, window=_window)
