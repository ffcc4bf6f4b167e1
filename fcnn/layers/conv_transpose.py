"""The transposed convolution layers: adjoints of convolutions with respect to their input.

With C the convolution of a given weight, hyper-parameters and size of output, as a linear
function, and Cᵀ its adjoint::

    y = Cᵀ x + bias        y[n, S·o + D·k, f] += x[n, o, c] · weight[k, f, c]
    dx = C dy
    dweight = the convolution's, where x is its output's gradient and dy its input
    dbias   = Σ over n (and pixels, if the bias is tied) of  dy

Source: V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning", 2016,
https://arxiv.org/abs/1603.07285; M. D. Zeiler et al., "Deconvolutional networks", 2010,
https://doi.org/10.1109/CVPR.2010.5539957.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import attrs
import numpy as np

from fcnn._check import sizes
from fcnn._layer import EVAL, Context, Layer, Triple, layer
from fcnn._ops.conv_nd import bias_gradient
from fcnn._ops.window import AXES, Sizes, Window, slide
from fcnn._typing import (
    Array,
    ModelPullback,
    Padding,
    Padding1d,
    Padding3d,
    Shape,
    Size,
    Size1d,
    Size3d,
)
from fcnn._walk import facts
from fcnn.errors import ArgumentError, ShapeError
from fcnn.initializers import he_normal, zeros
from fcnn.layers._sliding import ConvParams, Sliding, arguments
from fcnn.prng import Key, is_abstract, split

RANKS = {"conv_transpose1d": 1, "conv_transpose2d": 2, "conv_transpose3d": 3}
"""By the constructor's name."""


@attrs.frozen
class TransposedConvolution(Sliding):
    """The arguments of a transposed convolution, checked, and what can be computed with them."""

    output_padding: Sizes

    @classmethod
    def of(cls, conv: Layer) -> TransposedConvolution:
        """Return the arguments of a transposed convolution layer."""
        return checked(RANKS[conv.spec.name], **conv.spec.arguments)

    def window(self, given: Shape) -> Window:
        """Return where the convolution's filter stands on the output, for an input ``given``."""
        given = given[: self.rank]
        if self.padding == "same":
            out = tuple([i * s for i, s in zip(given, self.stride, strict=True)])
        else:
            none = ((0, 0),) * self.rank
            pads = none if isinstance(self.padding, str) else self.padding
            each = zip(given, self.stride, self.reach, pads, self.output_padding, strict=True)
            out = tuple([(i - 1) * s + reach - sum(p) + more for i, s, reach, p, more in each])
        if min(*out, *given) < 1:
            raise ShapeError(
                f"expected an output of at least one element along each axis, got {out} for an "
                f"input of {given}; use less padding"
            )
        return slide(out, self.kernel_size, self.stride, self.dilation, self.padding)

    def init(self, key: Key, shape: Shape) -> tuple[ConvParams, Shape]:
        """Draw the params; the weight by the fans of this layer, not of the convolution."""
        channels, groups = self.channels(shape), self.groups
        out = (*self.window(shape).image, self.filters)
        k_weight, k_bias = split(key, 2)
        inner, outer = channels // groups, self.filters // groups
        weight = self.weight_init(k_weight, (*self.kernel_size, inner, self.filters))
        by_group = weight.reshape(*self.kernel_size, inner, groups, outer).swapaxes(-1, -3)
        weight = by_group.reshape(*self.kernel_size, outer, channels)
        if not is_abstract(key):
            weight = np.ascontiguousarray(weight)
        bias_shape = out if self.bias == "untied" else out[-1:]
        bias = self.bias_init(k_bias, bias_shape) if self.bias else ()
        return ConvParams(weight, bias), out

    def check(self, params: ConvParams, x: Array) -> Window:
        """Refuse an input that does not fit the params; return where the filter stands."""
        self.check_input(x, params.weight.shape[-1], params.weight)
        window = self.window(x.shape[1:])
        self.check_bias(params, window.out, window.image)
        return window

    def apply(self, params: ConvParams, x: Array) -> Array:
        """Return ``Cᵀ x + bias``."""
        window, weight = self.check(params, x), self.weight(params)
        return self.kernels.transposed(x, weight, window, self.groups, self.bias_of(params))

    def vjp(self, params: ConvParams, x: Array, ctx: Context) -> tuple[Array, ModelPullback]:
        """Do what `apply` does, and return the pullback too."""
        kernels, groups = self.kernels, self.groups
        window, weight, x = self.check(params, x), self.weight(params), kernels.arranged(x)
        y = kernels.transposed(x, weight, window, groups, self.bias_of(params))

        def pullback(dy: Array) -> tuple[ConvParams, Array | None]:
            dy, dx, columns = kernels.arranged(dy), None, None
            if ctx.input_grad:
                dx, columns = kernels.correlate(dy, weight, window, groups)
            dweight, _, _ = kernels.adjoints(
                dy, weight, x, window, groups, bias=None, input_grad=False, columns=columns
            )
            return self.gradients(dweight, bias_gradient(dy, self.bias)), dx

        return y, pullback

    def triple(self) -> Triple:
        """Return the three functions of the layer."""

        def apply(params: ConvParams, x: Array, ctx: Context = EVAL) -> Array:
            return self.apply(params, x)

        def vjp(params: ConvParams, x: Array, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
            return self.vjp(params, x, ctx)

        return self.init, apply, vjp


def checked(
    rank: int, filters: int, kernel_size: Any, *, output_padding: Any, **options: Any
) -> TransposedConvolution:
    """Return the arguments of a transposed convolution in one form.

    Raises:
        ArgumentError: if one is out of its range.
    """
    common = arguments(rank, filters, kernel_size, **options)
    more = sizes(output_padding, "output_padding", AXES[rank], 0)
    stride = common["stride"]
    if any(m >= s for m, s in zip(more, stride, strict=True)):
        raise ArgumentError(
            f"expected output_padding smaller than the stride {stride}, got {output_padding!r}"
        )
    if common["padding"] == "same" and any(more):
        raise ArgumentError(
            f'expected output_padding 0 with padding "same", whose output is the input times the '
            f"stride, got {output_padding!r}"
        )
    return TransposedConvolution(**common, output_padding=more)


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
