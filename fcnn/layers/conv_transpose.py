"""The transposed convolution layers; what they compute stands in `fcnn.layers._transposed`."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from fcnn._layer import Layer, Triple, layer
from fcnn._ops.window import Sizes
from fcnn._typing import Padding, Padding1d, Padding3d, Shape, Size, Size1d, Size3d
from fcnn._walk import facts
from fcnn.initializers import he_normal, zeros
from fcnn.layers._transposed import TransposedConvolution, checked


@layer
def conv_transpose1d(
    filters: int,
    kernel_size: Size1d,
    *,
    stride: Size1d = 1,
    padding: Padding1d = "valid",
    output_padding: Size1d = 0,
    dilation: Size1d = 1,
    groups: int = 1,
    bias: str | bool | None = "tied",
    flip: bool = False,
    weight_init: Any = he_normal,
    bias_init: Any = zeros,
) -> Triple:
    """Write filters into sequences: the transposed convolution.

    The adjoint of ``conv1d`` with the same arguments, as a function of its input; it turns a
    convolution's output into a sequence of its input's size, not into the input. With stride S
    and dilation D::

        y[n, S·o + D·k, f] = bias[f] + sum over c and all o, k that meet there of
                             x[n, o, c] · weight[k, f, c]

    and padding is cut off. The output has
    ``(sequence - 1)·S + D·(kernel_size - 1) + 1 - padding + output_padding`` steps.

    Shapes: x ``(n, length, c_in)``, weight ``(k, filters / groups, c_in)``,
    y ``(n, out, filters)``.
    The weight is that of the convolution: its input channels are this layer's filters.

    Args:
        filters: the number of output channels.
        kernel_size: the length of the filters.
        stride: how far the filter moves for each step of input.
        padding: what the convolution pads, and this layer leaves out: ``"valid"``, nothing;
            ``"same"``, so much that the output is the input times the stride; a number; or
            ``(before, after)``.
        output_padding: steps more, smaller than the stride: lengths that the
            convolution rounds down to the same output are told apart by it.
        dilation: the distance between neighbouring elements of the filter.
        groups: the number of groups into which input and output channels are divided.
        bias: ``"tied"`` (or True), one a filter; ``"untied"``, one a filter and step; None
            (or False), none.
        flip: as in the convolution whose adjoint this is.
        weight_init: initializer of the weight; it is given the shape
            ``(k, c_in / groups, filters)``, whose fans are this layer's, and what
            it returns is transposed.
        bias_init: initializer of the bias.

    Raises:
        ArgumentError: if a hyper-parameter is out of its range.
        ShapeError: if nothing is left of the output, or the channels do not fit.

    Each input writes the filter, two steps further:

    >>> import numpy as np, fcnn
    >>> layer = fcnn.conv_transpose1d(1, 3, stride=2, bias=None)
    >>> params, out_shape = layer.init(fcnn.key(0), (3, 1))
    >>> kernel = np.array([1., 10, 100]).reshape(3, 1, 1)
    >>> layer.apply(type(params)(kernel, ()), np.array([1., 2, 3]).reshape(1, 3, 1))[0, :, 0]
    array([  1.,  10., 102.,  20., 203.,  30., 300.])

    Source: V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep
    learning", 2016, https://arxiv.org/abs/1603.07285.
    """
    conv = checked(
        1,
        filters,
        kernel_size,
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        dilation=dilation,
        groups=groups,
        bias=bias,
        flip=flip,
        weight_init=weight_init,
        bias_init=bias_init,
    )
    return conv.triple()


@layer
def conv_transpose2d(
    filters: int,
    kernel_size: Size,
    *,
    stride: Size = 1,
    padding: Padding = "valid",
    output_padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
    bias: str | bool | None = "tied",
    flip: bool = False,
    weight_init: Any = he_normal,
    bias_init: Any = zeros,
) -> Triple:
    """Write filters into images: the transposed convolution.

    The adjoint of ``conv2d`` with the same arguments, as a function of its input; it turns a
    convolution's output into an image of its input's size, not into the input. With stride S
    and dilation D::

        y[n, S·o + D·k, f] = bias[f] + sum over c and all o, k that meet there of
                             x[n, o, c] · weight[k, f, c]

    and padding is cut off. The output has
    ``(image - 1)·S + D·(kernel_size - 1) + 1 - padding + output_padding`` rows,
    and columns likewise.

    Shapes: x ``(n, h, w, c_in)``, weight ``(kh, kw, filters / groups, c_in)``,
    y ``(n, oh, ow, filters)``.
    The weight is that of the convolution: its input channels are this layer's filters.

    Args:
        filters: the number of output channels.
        kernel_size: height and width, or one number for both.
        stride: how far the filter moves for each pixel of input.
        padding: what the convolution pads, and this layer leaves out: ``"valid"``, nothing;
            ``"same"``, so much that the output is the input times the stride; a number;
            ``(rows, columns)``; or ``((top, bottom), (left, right))``.
        output_padding: rows and columns more, smaller than the stride: sizes that the
            convolution rounds down to the same output are told apart by it.
        dilation: the distance between neighbouring elements of the filter.
        groups: the number of groups into which input and output channels are divided.
        bias: ``"tied"`` (or True), one a filter; ``"untied"``, one a filter and pixel; None
            (or False), none.
        flip: as in the convolution whose adjoint this is.
        weight_init: initializer of the weight; it is given the shape
            ``(kh, kw, c_in / groups, filters)``, whose fans are this layer's, and what
            it returns is transposed.
        bias_init: initializer of the bias.

    Raises:
        ArgumentError: if a hyper-parameter is out of its range.
        ShapeError: if nothing is left of the output, or the channels do not fit.

    The usual way up in a decoder, twice the rows and columns:

    >>> import fcnn
    >>> layer = fcnn.conv_transpose2d(8, 2, stride=2)
    >>> params, out_shape = layer.init(fcnn.key(0), (16, 16, 32))
    >>> params.weight.shape, out_shape
    ((2, 2, 8, 32), (32, 32, 8))

    Source: V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep
    learning", 2016, https://arxiv.org/abs/1603.07285.
    """
    conv = checked(
        2,
        filters,
        kernel_size,
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        dilation=dilation,
        groups=groups,
        bias=bias,
        flip=flip,
        weight_init=weight_init,
        bias_init=bias_init,
    )
    return conv.triple()


@layer
def conv_transpose3d(
    filters: int,
    kernel_size: Size3d,
    *,
    stride: Size3d = 1,
    padding: Padding3d = "valid",
    output_padding: Size3d = 0,
    dilation: Size3d = 1,
    groups: int = 1,
    bias: str | bool | None = "tied",
    flip: bool = False,
    weight_init: Any = he_normal,
    bias_init: Any = zeros,
) -> Triple:
    """Write filters into volumes: the transposed convolution.

    The adjoint of ``conv3d`` with the same arguments, as a function of its input; it turns a
    convolution's output into a volume of its input's size, not into the input. With stride S
    and dilation D::

        y[n, S·o + D·k, f] = bias[f] + sum over c and all o, k that meet there of
                             x[n, o, c] · weight[k, f, c]

    and padding is cut off. The output has
    ``(volume - 1)·S + D·(kernel_size - 1) + 1 - padding + output_padding`` planes,
    rows and columns likewise.

    Shapes: x ``(n, d, h, w, c_in)``, weight ``(kd, kh, kw, filters / groups, c_in)``,
    y ``(n, od, oh, ow, filters)``.
    The weight is that of the convolution: its input channels are this layer's filters.

    Args:
        filters: the number of output channels.
        kernel_size: depth, height and width, or one number for all.
        stride: how far the filter moves for each voxel of input.
        padding: what the convolution pads, and this layer leaves out: ``"valid"``, nothing;
            ``"same"``, so much that the output is the input times the stride; a number;
            ``(planes, rows, columns)``; or ``(before, after)`` for each of them.
        output_padding: planes, rows and columns more, smaller than the stride: sizes that the
            convolution rounds down to the same output are told apart by it.
        dilation: the distance between neighbouring elements of the filter.
        groups: the number of groups into which input and output channels are divided.
        bias: ``"tied"`` (or True), one a filter; ``"untied"``, one a filter and voxel; None
            (or False), none.
        flip: as in the convolution whose adjoint this is.
        weight_init: initializer of the weight; it is given the shape
            ``(kd, kh, kw, c_in / groups, filters)``, whose fans are this layer's, and what
            it returns is transposed.
        bias_init: initializer of the bias.

    Raises:
        ArgumentError: if a hyper-parameter is out of its range.
        ShapeError: if nothing is left of the output, or the channels do not fit.

    >>> import fcnn
    >>> layer = fcnn.conv_transpose3d(8, 3, stride=2, padding=1, output_padding=1)
    >>> params, out_shape = layer.init(fcnn.key(0), (4, 4, 4, 16))
    >>> params.weight.shape, out_shape
    ((3, 3, 3, 8, 16), (8, 8, 8, 8))

    Source: V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep
    learning", 2016, https://arxiv.org/abs/1603.07285.
    """
    conv = checked(
        3,
        filters,
        kernel_size,
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        dilation=dilation,
        groups=groups,
        bias=bias,
        flip=flip,
        weight_init=weight_init,
        bias_init=bias_init,
    )
    return conv.triple()


def _multiply_adds(layer: Layer, in_shape: Shape, out_shape: Shape) -> int:
    conv = TransposedConvolution.of(layer)
    return math.prod(in_shape) * math.prod(conv.kernel_size) * conv.filters // conv.groups


def _window(layer: Layer) -> tuple[Sizes, tuple[Fraction, ...]]:
    conv = TransposedConvolution.of(layer)
    seen = []
    for k, s, d in zip(conv.kernel_size, conv.stride, conv.dilation, strict=True):
        common = math.gcd(s, d)  # an output meets every (s / common)-th element of the filter
        seen.append((-(-k * common // s) - 1) * (d // common) + 1)
    return tuple(seen), tuple([Fraction(1, s) for s in conv.stride])


facts(conv_transpose1d, multiply_adds=_multiply_adds, window=_window)
facts(conv_transpose2d, multiply_adds=_multiply_adds, window=_window)
facts(conv_transpose3d, multiply_adds=_multiply_adds, window=_window)
