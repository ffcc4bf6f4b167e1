"""The parametric rectifier: its slope below 0 is learnt."""

from __future__ import annotations

from typing import Any

import numpy as np

from fcnn._layer import EVAL, Context, Triple, check_dtype, layer
from fcnn._ops.channels import channel_lines, channel_rows, dots
from fcnn._ops.relu import put
from fcnn._typing import Array, ModelPullback, Shape
from fcnn._walk import facts
from fcnn.errors import ShapeError
from fcnn.initializers import constant
from fcnn.prng import Key
from fcnn.tree import node

QUARTER = constant(0.25)


@node
class PreluParams:
    """What `prelu` learns."""

    weight: Array  # (channels,) or (1,)


@layer
def prelu(*, tied: bool = False, weight_init: Any = QUARTER) -> Triple:
    """Rectify with learnt slopes below 0: ``y = x if x > 0 else weight · x``.

    Shapes: x and y ``(n, ..., channels)``; weight ``(channels,)``, or ``(1,)`` if tied. With
    the sum over all that a slope is used for::

        dx = dy if x > 0 else weight · dy      dweight = sum of min(x, 0) · dy

    Leave these weights out of weight decay, which would pull the slopes to 0.

    Args:
        tied: whether all channels have one slope.
        weight_init: initializer of the slopes.

    Raises:
        ShapeError: if the channels do not fit the weight.

    >>> import numpy as np, fcnn
    >>> params, _ = fcnn.prelu().init(fcnn.key(0), (2,))
    >>> fcnn.prelu().apply(params, np.array([[-4.0, 2.0]], np.float32))
    array([[-1.,  2.]], dtype=float32)

    Source: K. He et al., "Delving deep into rectifiers", 2015, https://arxiv.org/abs/1502.01852.
    """

    def init(key: Key, shape: Shape) -> tuple[PreluParams, Shape]:
        if not shape:
            raise ShapeError("expected an example of at least one axis, (..., channels), got ()")
        return PreluParams(weight_init(key, (1,) if tied else shape[-1:])), shape

    def apply(params: PreluParams, x: Array, ctx: Context = EVAL) -> Array:
        return _parts(params, x)[0]

    def vjp(params: PreluParams, x: Array, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
        y, below = _parts(params, x)
        weight = params.weight

        def pullback(dy: Array) -> tuple[PreluParams, Array | None]:
            seen = dots(*[channel_lines(channel_rows(each)) for each in (below, dy)])
            grads = PreluParams((seen.sum(keepdims=True) if tied else seen).astype(x.dtype))
            if not ctx.input_grad:
                return grads, None
            dx = dy * weight
            put(np.greater(x, 0), dy, dx)
            return grads, dx

        return y, pullback

    def _parts(params: PreluParams, x: Array) -> tuple[Array, Array]:
        """Return y and ``min(x, 0)``."""
        expected = (1,) if tied else x.shape[-1:]
        if x.ndim < 2 or params.weight.shape != expected:
            raise ShapeError(
                f"expected an input (n, ..., {params.weight.shape[0]}) for the weight "
                f"{params.weight.shape}, got {x.shape}"
            )
        check_dtype(x.dtype, params.weight.dtype)
        below = np.clip(x, -np.inf, 0)
        y = np.clip(x, 0, np.inf)
        y += below * params.weight
        return y, below

    return init, apply, vjp


facts(prelu, multiply_adds=0, window=(1, 1))
