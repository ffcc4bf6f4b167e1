"""A convolution along any number of axes.

Forward and backward, with the output's gradient dy::

    y = correlate(x, weight) + bias
    dweight[k, c, f] = Σ over n, o of  x[n, S·o + D·k, c] · dy[n, o, f]
    dx[n, i, c]      = Σ over o, k with S·o + D·k = i, f of  dy[n, o, f] · weight[k, c, f]
    dbias            = Σ over n (and o, if the bias is tied) of  dy

Source: V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning", 2016,
https://arxiv.org/abs/1603.07285.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import attrs

from fcnn._layer import EVAL, Context, Layer, Triple
from fcnn._ops.border import MODES, check_extension, extend, extend_adjoint
from fcnn._ops.epilogue import Epilogue
from fcnn._ops.window import Window, slide
from fcnn._typing import Array, ModelPullback, Shape
from fcnn.errors import ArgumentError
from fcnn.layers._sliding import ConvParams, Sliding, arguments
from fcnn.prng import Key, split

RANKS = {"conv1d": 1, "conv2d": 2, "conv3d": 3}
"""By the constructor's name."""


@attrs.frozen
class Convolution(Sliding):
    """The arguments of a convolution, checked, and what can be computed with them."""

    padding_mode: str

    @classmethod
    def of(cls, conv: Layer) -> Convolution:
        """Return the arguments of a `conv1d`, `conv2d` or `conv3d` layer."""
        return checked(RANKS[conv.spec.name], **conv.spec.arguments)

    def window(self, image: Shape) -> Window:
        """Return where the filter stands on an image ``(h, w, ...)``."""
        size = image[: self.rank]
        window = slide(size, self.kernel_size, self.stride, self.dilation, self.padding)
        if self.padding_mode != "zeros":
            check_extension(window.image, window.pads, self.padding_mode)
        return window

    def init(self, key: Key, shape: Shape) -> tuple[ConvParams, Shape]:
        """Draw the params."""
        channels = self.channels(shape)
        out = (*self.window(shape).out, self.filters)
        k_weight, k_bias = split(key, 2)
        size = (*self.kernel_size, channels // self.groups, self.filters)
        bias_shape = out if self.bias == "untied" else out[-1:]
        bias = self.bias_init(k_bias, bias_shape) if self.bias else ()
        return ConvParams(self.weight_init(k_weight, size), bias), out

    def check(self, params: ConvParams, x: Array) -> Window:
        """Refuse an input that does not fit the params; return where the filter stands."""
        self.check_input(x, params.weight.shape[-2] * self.groups, params.weight)
        window = self.window(x.shape[1:])
        self.check_bias(params, window.image, window.out)
        return window

    def apply(
        self, params: ConvParams, x: Array, window: Window, epilogue: Epilogue | None = None
    ) -> Array:
        """Correlate, add the bias, apply the epilogue; ``window`` is what `check` gave."""
        x, window = self._extended(x, window)
        weight, bias = self.weight(params), self.bias_of(params)
        return self.kernels.correlate(x, weight, window, self.groups, bias, epilogue)[0]

    def vjp(
        self,
        params: ConvParams,
        x: Array,
        ctx: Context,
        window: Window,
        epilogue: Epilogue | None = None,
    ) -> tuple[Array, ModelPullback]:
        """Do what `apply` does, and return the pullback too."""
        x = self.arranged(x, window)
        y, adjoint = self.linearized(params, x, ctx.input_grad, window, epilogue)
        return y, functools.partial(adjoint, x)

    def arranged(self, x: Array, window: Window) -> Array:
        """Return x as `linearized` takes it: with padding that is not zeros, and in order."""
        return self.kernels.arranged(self._extended(x, window)[0])

    def linearized(
        self,
        params: ConvParams,
        x: Array,
        input_grad: bool,
        window: Window,
        epilogue: Epilogue | None = None,
    ) -> tuple[Array, Callable[[Array, Array], tuple[ConvParams, Any]]]:
        """Return the output and ``adjoint(x, dy)``, which does not keep the arranged x."""
        extended = self._is_extended(window)
        over = window.over_padded() if extended else window
        weight, bias = self.weight(params), self.bias_of(params)
        y, columns = self.kernels.correlate(x, weight, over, self.groups, bias, epilogue)
        out = None if epilogue is None else y

        def adjoint(x: Array, dy: Array) -> tuple[ConvParams, Array | None]:
            dweight, dbias, dx = self.kernels.adjoints(
                x,
                weight,
                dy,
                over,
                self.groups,
                y=out,
                epilogue=epilogue,
                bias=self.bias,
                input_grad=input_grad,
                columns=columns,
            )
            if extended and dx is not None:
                dx = extend_adjoint(dx, window.pads, self.padding_mode)
            return self.gradients(dweight, dbias), dx

        return y, adjoint

    def _is_extended(self, window: Window) -> bool:
        """Whether there is padding that is not zeros."""
        return self.padding_mode != "zeros" and window.is_padded

    def _extended(self, x: Array, window: Window) -> tuple[Array, Window]:
        """Attach padding that is not zeros; return the window over it too."""
        if not self._is_extended(window):
            return x, window
        return extend(x, window.pads, self.padding_mode), window.over_padded()

    def triple(self) -> Triple:
        """Return the three functions of the layer."""

        def apply(params: ConvParams, x: Array, ctx: Context = EVAL) -> Array:
            return self.apply(params, x, self.check(params, x))

        def vjp(params: ConvParams, x: Array, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
            return self.vjp(params, x, ctx, self.check(params, x))

        return self.init, apply, vjp


def checked(
    rank: int, filters: int, kernel_size: Any, *, padding_mode: str, **options: Any
) -> Convolution:
    """Return the arguments of a convolution in one form.

    Raises:
        ArgumentError: if one is out of its range.
    """
    common = arguments(rank, filters, kernel_size, **options, causal=rank == 1)
    if padding_mode not in MODES:
        shown = ", ".join([f'"{mode}"' for mode in MODES])
        raise ArgumentError(f"expected padding_mode one of {shown}, got {padding_mode!r}")
    return Convolution(**common, padding_mode=padding_mode)
