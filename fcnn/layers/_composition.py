"""Two convolutions with nothing between them, as one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import attrs
import numpy as np

from fcnn._ops import memory
from fcnn._ops.conv_composed import composed, composed_adjoint, composed_kernel
from fcnn._ops.window import Window
from fcnn._typing import Array
from fcnn.fusion import of_layer
from fcnn.layers._convolution import Convolution
from fcnn.layers._sliding import ConvParams


class WeightAndBias(NamedTuple):
    """What a convolution that stands for several layers is computed with, for one call."""

    weight: Array
    bias: Any  # () without one


@attrs.frozen
class Composition:
    """Two convolutions along two axes, and ``conv``, which does what both do.

    Its weight is ``first ∘ second``, its bias the second's plus, for each filter, the first's bias
    times the sum over the elements of the second's weight.
    """

    first: Convolution
    second: Convolution
    conv: Convolution

    @classmethod
    def of(cls, first: Convolution, second: Convolution) -> Composition | None:
        """Return two convolutions as one; None if that is not possible, or not faster."""
        kernel = composed_kernel(first.kernel_size, second.kernel_size, first.stride)
        steps = zip(first.stride, first.kernel_size, strict=True)
        is_possible = (
            all(each.groups == 1 and set(each.dilation) == {1} for each in (first, second))
            and all(step <= size for step, size in steps)  # between filters no pixel is left out
            and second.padding in ("valid", ((0, 0), (0, 0)))
            and first.bias != "untied"
        )
        # Multiplications for a pixel of output and a channel of input, of both and of the first.
        # At most half, because the first may be computed with fewer (`fcnn._ops.winograd`).
        both = math.prod(kernel) * second.filters
        alone = math.prod((*first.kernel_size, *second.stride, first.filters))
        if not is_possible or 2 * both > alone:
            return None
        conv = attrs.evolve(
            first,
            filters=second.filters,
            kernel_size=kernel,
            stride=tuple([s * t for s, t in zip(first.stride, second.stride, strict=True)]),
            bias=second.bias or first.bias,
            flip=False,
        )
        return cls(first, second, conv)

    def check(self, params: Sequence[Any], x: Array) -> Window:
        """Refuse an input that does not fit the params of both; return where ``conv`` stands."""
        window = self.first.check(params[0], x)
        between = (len(x), *window.out, self.first.filters)
        like = np.broadcast_to(memory.zeros((), x.dtype), between)
        out = of_layer(1, self.second.check, params[1], like).out
        return window._replace(kernel=self.conv.kernel_size, stride=self.conv.stride, out=out)

    def params(self, params: Sequence[Any]) -> Any:
        """Return the weight and bias of ``conv``."""
        first, second = self._weights(params)
        bias = params[1].bias
        if self.first.bias:
            through = params[0].bias @ second.sum(axis=(0, 1))
            bias = through + bias if self.second.bias else through
        return WeightAndBias(composed(first, second, self.first.stride), bias)

    def gradients(self, params: Sequence[Any], grads: ConvParams) -> tuple[ConvParams, ConvParams]:
        """Return those of both convolutions for the gradients of ``conv``."""
        first, second = self._weights(params)
        dfirst, dsecond = composed_adjoint(grads.weight, first, second, self.first.stride)
        dbias: Any = None
        if self.first.bias:
            by_filter = grads.bias.sum(axis=tuple(range(grads.bias.ndim - 1)))
            dbias = second.sum(axis=(0, 1)) @ by_filter
            dsecond = dsecond + params[0].bias[:, None] * by_filter
        last = grads.bias if self.second.bias else None
        return self.first.gradients(dfirst, dbias), self.second.gradients(dsecond, last)

    def _weights(self, params: Sequence[Any]) -> tuple[Array, Array]:
        return self.first.weight(params[0]), self.second.weight(params[1])
