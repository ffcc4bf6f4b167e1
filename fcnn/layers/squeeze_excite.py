"""Channel attention: each channel is scaled by a function of the means of all channels."""

from __future__ import annotations

import math
from typing import Any

from fcnn._check import whole
from fcnn._layer import EVAL, Context, Layer, Triple, core, layer
from fcnn._typing import Array, ModelPullback, Shape, Tree
from fcnn._walk import facts
from fcnn.errors import ShapeError
from fcnn.layers.activations import relu, sigmoid
from fcnn.layers.combinators import serial
from fcnn.layers.dense import dense
from fcnn.prng import Key


def _gate(units: int, channels: int) -> Layer:
    return serial(dense(units), relu, dense(channels), sigmoid)


GATE = _gate(1, 1)
"""Its functions serve every width: dense reads it of its weight."""


@layer
def squeeze_excite(reduction: int = 16) -> Triple:
    """Scale each channel by a gate that sees the means of all channels.

    With m the mean of each channel over an example, ``gate = serial(dense(c // reduction),
    relu, dense(c), sigmoid)`` and the sums over an example's pixels::

        y = x · gate(m)      dgate = Σ dy · x      dx = dy · gate(m) + dm / pixels

    Shapes: x and y ``(n, ..., c)``. The params are those of the `serial`: ``params[0]`` of the
    first `dense`, ``params[2]`` of the second.

    Args:
        reduction: how many times fewer units than channels there are in the gate; at least
            one unit is left.

    Raises:
        ArgumentError: if ``reduction`` is not a positive whole number.
        ShapeError: if an example has no axis besides the channels.

    >>> import fcnn
    >>> block = fcnn.residual(
    ...     fcnn.conv2d(32, 3, padding="same"), fcnn.batch_norm(), fcnn.squeeze_excite(8)
    ... )
    >>> params, out_shape = block.init(fcnn.key(0), (28, 28, 32))
    >>> out_shape
    (28, 28, 32)

    Source: J. Hu et al., "Squeeze-and-excitation networks", 2017,
    https://arxiv.org/abs/1709.01507.
    """
    reduction = whole(reduction, "reduction")

    def init(key: Key, shape: Shape) -> tuple[Tree, Shape]:
        check(shape)
        channels = shape[-1]
        return _gate(_units(channels, reduction), channels).init(key, (channels,))[0], shape

    def apply(params: Tree, x: Array, ctx: Context = EVAL) -> Array:
        check(x.shape[1:])
        return x * spread(GATE.apply(params, mean(x)), x)

    def vjp(params: Tree, x: Array, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
        check(x.shape[1:])
        gate, pull = core(GATE.vjp)(params, mean(x))
        factor = spread(gate, x)

        def pullback(dy: Array) -> tuple[Tree, Any]:
            dparams, dm = pull(_summed(dy * x))
            if not ctx.input_grad:
                return dparams, None
            dm /= math.prod(x.shape[1:-1])
            dx = dy * factor
            dx += spread(dm, x)
            return dparams, dx

        return x * factor, pullback

    def mean(x: Array) -> Array:
        m = _summed(x)
        m /= math.prod(x.shape[1:-1])
        return m

    def spread(channels: Array, x: Array) -> Array:
        """View ``(n, c)`` as an array that broadcasts to x."""
        return channels.reshape(len(x), *[1] * (x.ndim - 2), x.shape[-1])

    def check(shape: Shape) -> None:
        if len(shape) < 2:
            raise ShapeError(f"expected an example (..., c) of two axes or more, got {shape}")

    return init, apply, vjp


def _units(channels: int, reduction: int) -> int:
    return max(1, channels // reduction)


def _summed(x: Array) -> Array:
    """Return the sum over all axes but the first and last, one after the other.

    So a sum of k² numbers in float32 has the rounding of 2k additions.
    """
    while x.ndim > 2:
        x = x.sum(axis=-2)
    return x


def _multiply_adds(layer: Layer, i: Shape, o: Shape) -> int:
    return 2 * o[-1] * _units(o[-1], layer.spec.arguments["reduction"]) + math.prod(o)


facts(squeeze_excite, multiply_adds=_multiply_adds)
