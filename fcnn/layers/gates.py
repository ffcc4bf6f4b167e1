"""Gated linear units: one half of the input, through a sigmoid, scales the other half."""

from __future__ import annotations

import numpy as np

from fcnn._check import array_axis, whole
from fcnn._layer import EVAL, Context, Triple, layer
from fcnn._ops.stable import sigmoid
from fcnn._typing import Array, ModelPullback, Shape
from fcnn._walk import facts
from fcnn.errors import ShapeError
from fcnn.prng import Key


@layer
def glu(axis: int = -1) -> Triple:
    """Halve an axis and let the second half gate the first: ``y = a · s``, ``s = sigmoid(b)``.

    a and b are the halves of x; ``da = dy · s``, ``db = dy · y · (1 - s)``.

    Shapes: x ``(n, ..., 2 c)`` and y ``(n, ..., c)`` for the last axis.

    Args:
        axis: which axis of an example is halved.

    Raises:
        ShapeError: if an example has no such axis, or it is of odd length.

    >>> import numpy as np, fcnn
    >>> fcnn.glu().apply((), np.array([[3.0, 4.0, 0.0, 1000.0]]))
    array([[1.5, 4. ]])

    Source: Y. N. Dauphin et al., "Language modeling with gated convolutional networks",
    2016, https://arxiv.org/abs/1612.08083.
    """
    axis = whole(axis, "axis", -64)

    def halves(shape: Shape) -> tuple[int, int]:
        """Return the array's axis, and half its length."""
        at = array_axis(axis, len(shape))
        if shape[at] % 2:
            raise ShapeError(f"expected an axis of even length to halve, got {shape[at]}")
        return at, shape[at] // 2

    def init(key: Key, shape: Shape) -> tuple[tuple[()], Shape]:
        at, half = halves((0, *shape))
        return (), (*shape[: at - 1], half, *shape[at:])

    def gated(x: Array) -> tuple[int, Array, Array]:
        """Return the array's axis, y and s."""
        at, half = halves(x.shape)
        a, b = np.split(x, [half], axis=at)
        s = sigmoid(b)
        return at, a * s, s

    def apply(params: tuple[()], x: Array, ctx: Context = EVAL) -> Array:
        return gated(x)[1]

    def vjp(params: tuple[()], x: Array, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
        at, y, s = gated(x)

        def pullback(dy: Array) -> tuple[tuple[()], Array | None]:
            if not ctx.input_grad:
                return (), None
            db = 1 - s
            db *= y
            db *= dy
            return (), np.concatenate([dy * s, db], axis=at)

        return y, pullback

    return init, apply, vjp


facts(glu, multiply_adds=0)
