"""A transposed convolution along any number of axes: the adjoint of a convolution.

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

from typing import Any

import attrs

from fcnn._check import sizes
from fcnn._layer import EVAL, Context, Layer, Triple
from fcnn._ops import memory
from fcnn._ops.conv_nd import bias_gradient
from fcnn._ops.window import AXES, Sizes, Window, slide
from fcnn._typing import Array, ModelPullback, Shape
from fcnn.errors import ArgumentError, ShapeError
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
            weight = memory.ascontiguousarray(weight)
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
