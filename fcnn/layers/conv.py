"""The convolution layers; what they compute stands in `fcnn.layers._convolution`."""

from __future__ import annotations

import math
from typing import Any

from fcnn._layer import Layer, Triple, layer
from fcnn._ops.window import Sizes
from fcnn._typing import Padding, Padding1d, Padding3d, Shape, Size, Size1d, Size3d
from fcnn._walk import facts
from fcnn.initializers import he_normal, zeros
from fcnn.layers._convolution import Convolution, checked
from fcnn.layers._sliding import ConvParams as ConvParams


@layer
def conv1d(
    filters: int,
    kernel_size: Size1d,
    *,
    stride: Size1d = 1,
    padding: Padding1d = "valid",
    padding_mode: str = "zeros",
    dilation: Size1d = 1,
    groups: int = 1,
    bias: str | bool | None = "tied",
    flip: bool = False,
    weight_init: Any = he_normal,
    bias_init: Any = zeros,
) -> Triple:
    """Correlate sequences with filters over all input channels.

    With stride S, dilation D and the sequence padded::

        y[n, o, f] = bias[f] + sum over k, c of  x[n, S·o + D·k, c] · weight[k, c, f]

    The output has ``(length + padding - (D·(kernel_size - 1) + 1)) // S + 1`` steps.

    Shapes: x ``(n, length, c_in)``, weight ``(k, c_in / groups, filters)``,
    y ``(n, out, filters)``.

    Args:
        filters: the number of output channels.
        kernel_size: the length of the filters.
        stride: how far the filter moves.
        padding: ``"valid"``; ``"same"``, out = ceil(length / stride), an odd one at the end;
            ``"causal"``, as many steps but all padding before the first, so that no output
            depends on a later input; a number for both ends; or ``(before, after)``.
        padding_mode: what the padding is filled with, as in `conv2d`.
        dilation: the distance between neighbouring elements of the filter.
        groups: the number of groups into which input and output channels are divided.
        bias: ``"tied"`` (or True), one a filter; ``"untied"``, one a filter and step; None
            (or False), none.
        flip: reverse the filter, which makes it convolution proper.
        weight_init: initializer of the weight.
        bias_init: initializer of the bias.

    Raises:
        ArgumentError: if a hyper-parameter is out of its range.
        ShapeError: if the filter is longer than the padded sequence, or the channels do not fit.

    The difference to the step before:

    >>> import numpy as np, fcnn
    >>> layer = fcnn.conv1d(1, 2, padding="causal", bias=None)
    >>> params, out_shape = layer.init(fcnn.key(0), (5, 1))
    >>> kernel = np.array([-1., 1]).reshape(2, 1, 1)
    >>> x = np.array([1., 4, 9, 16, 25]).reshape(1, 5, 1)
    >>> layer.apply(type(params)(kernel, ()), x)[0, :, 0]
    array([1., 3., 5., 7., 9.])

    Source: A. Waibel et al., "Phoneme recognition using time-delay neural networks", 1989,
    https://doi.org/10.1109/29.21701; on causal padding, A. van den Oord et al., "WaveNet: a
    generative model for raw audio", 2016, https://arxiv.org/abs/1609.03499.
    """
    conv = checked(
        1,
        filters,
        kernel_size,
        stride=stride,
        padding=padding,
        padding_mode=padding_mode,
        dilation=dilation,
        groups=groups,
        bias=bias,
        flip=flip,
        weight_init=weight_init,
        bias_init=bias_init,
    )
    return conv.triple()


@layer
def conv2d(
    filters: int,
    kernel_size: Size,
    *,
    stride: Size = 1,
    padding: Padding = "valid",
    padding_mode: str = "zeros",
    dilation: Size = 1,
    groups: int = 1,
    bias: str | bool | None = "tied",
    flip: bool = False,
    weight_init: Any = he_normal,
    bias_init: Any = zeros,
) -> Triple:
    """Correlate images with filters over all input channels.

    With stride S, dilation D and the image padded::

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
        padding_mode: what the padding is filled with: ``"zeros"``; ``"reflect"``, the mirror
            image without the border pixel itself; ``"replicate"``, the border pixel;
            ``"circular"``, the opposite side.
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
        2,
        filters,
        kernel_size,
        stride=stride,
        padding=padding,
        padding_mode=padding_mode,
        dilation=dilation,
        groups=groups,
        bias=bias,
        flip=flip,
        weight_init=weight_init,
        bias_init=bias_init,
    )
    return conv.triple()


@layer
def conv3d(
    filters: int,
    kernel_size: Size3d,
    *,
    stride: Size3d = 1,
    padding: Padding3d = "valid",
    padding_mode: str = "zeros",
    dilation: Size3d = 1,
    groups: int = 1,
    bias: str | bool | None = "tied",
    flip: bool = False,
    weight_init: Any = he_normal,
    bias_init: Any = zeros,
) -> Triple:
    """Correlate volumes with filters over all input channels.

    With stride S, dilation D and the volume padded::

        y[n, o, f] = bias[f] + sum over k, c of  x[n, S·o + D·k, c] · weight[k, c, f]

    where o and k run over planes, rows and columns. The output has
    ``(volume + padding - (D·(kernel_size - 1) + 1)) // S + 1`` planes, rows and columns likewise.

    Shapes: x ``(n, d, h, w, c_in)``, weight ``(kd, kh, kw, c_in / groups, filters)``,
    y ``(n, od, oh, ow, filters)``.

    Args:
        filters: the number of output channels.
        kernel_size: depth, height and width, or one number for all.
        stride: how far the filter moves.
        padding: ``"valid"``; ``"same"``, out = ceil(volume / stride), an odd one at the end;
            a number; ``(planes, rows, columns)``; or ``(before, after)`` for each of them.
        padding_mode: what the padding is filled with, as in `conv2d`.
        dilation: the distance between neighbouring elements of the filter.
        groups: the number of groups into which input and output channels are divided.
        bias: ``"tied"`` (or True), one a filter; ``"untied"``, one a filter and voxel; None
            (or False), none.
        flip: rotate the filter along all axes, which makes it convolution proper.
        weight_init: initializer of the weight.
        bias_init: initializer of the bias.

    Raises:
        ArgumentError: if a hyper-parameter is out of its range.
        ShapeError: if the filter is larger than the padded volume, or the channels do not fit.

    >>> import numpy as np, fcnn
    >>> layer = fcnn.conv3d(16, 3, padding="same")
    >>> params, out_shape = layer.init(fcnn.key(0), (16, 16, 16, 8))
    >>> params.weight.shape, out_shape
    ((3, 3, 3, 8, 16), (16, 16, 16, 16))

    Source: S. Ji et al., "3D convolutional neural networks for human action recognition", 2013,
    https://doi.org/10.1109/TPAMI.2012.59.
    """
    conv = checked(
        3,
        filters,
        kernel_size,
        stride=stride,
        padding=padding,
        padding_mode=padding_mode,
        dilation=dilation,
        groups=groups,
        bias=bias,
        flip=flip,
        weight_init=weight_init,
        bias_init=bias_init,
    )
    return conv.triple()


def _multiply_adds(layer: Layer, in_shape: Shape, out_shape: Shape) -> int:
    conv = Convolution.of(layer)
    return math.prod(out_shape) * math.prod(conv.kernel_size) * in_shape[-1] // conv.groups


def _window(layer: Layer) -> tuple[Sizes, Sizes]:
    conv = Convolution.of(layer)
    return conv.reach, conv.stride


facts(conv1d, multiply_adds=_multiply_adds, window=_window)
facts(conv2d, multiply_adds=_multiply_adds, window=_window)
facts(conv3d, multiply_adds=_multiply_adds, window=_window)
