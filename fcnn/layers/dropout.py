"""Dropout."""

from __future__ import annotations

from fcnn._check import number
from fcnn._layer import EVAL, Context, Triple, layer
from fcnn._typing import Array, ModelPullback, Shape
from fcnn._walk import facts
from fcnn.errors import MissingKeyError
from fcnn.prng import Key, bernoulli


@layer
def dropout(rate: float) -> Triple:
    """Set each element to 0 with probability ``rate`` in training, and scale up the others.

    ``y = x · mask / (1 - rate)`` with mask drawn from the context's key, and
    ``dx = dy · mask / (1 - rate)`` with the same mask. In evaluation, the identity.

    Args:
        rate: the probability of an element to be dropped, in [0, 1).

    Raises:
        ArgumentError: if the rate is outside [0, 1).
        MissingKeyError: in training without a key.

    >>> import numpy as np, fcnn
    >>> half = fcnn.dropout(0.5)
    >>> bool((half.apply((), np.ones((1, 3))) == 1).all())
    True
    >>> sorted({float(v) for v in half.apply((), np.ones((1, 99)), fcnn.training(fcnn.key(0)))[0]})
    [0.0, 2.0]

    Source: N. Srivastava et al., "Dropout: a simple way to prevent neural networks
    from overfitting", 2014, https://jmlr.org/papers/v15/srivastava14a.html.
    """
    keep = 1 - number(rate, "rate", 0, 1, open_high=True)

    def mask(x: Array, ctx: Context) -> Array:
        if ctx.key is None:
            raise MissingKeyError(
                "expected a key for dropout in training, got None; pass fcnn.training(key)"
            )
        drawn = bernoulli(ctx.key, keep, x.shape).astype(x.dtype)
        drawn *= 1 / keep
        return drawn

    def init(key: Key, shape: Shape) -> tuple[tuple[()], Shape]:
        return (), shape

    def apply(params: tuple[()], x: Array, ctx: Context = EVAL) -> Array:
        return x * mask(x, ctx) if ctx.train and keep < 1 else x

    def vjp(params: tuple[()], x: Array, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
        if not ctx.train or keep == 1:
            return x, lambda dy: ((), dy)
        drawn = mask(x, ctx)
        return x * drawn, lambda dy: ((), dy * drawn)

    return init, apply, vjp


facts(dropout, multiply_adds=0, window=(1, 1))
