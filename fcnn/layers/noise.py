"""Gaussian noise, which keeps the mean, and alpha dropout, which keeps mean and variance."""

from __future__ import annotations

import math

import numpy as np

from fcnn._check import number
from fcnn._layer import EVAL, Context, Triple, layer
from fcnn._pointwise import keep_shape, key_of
from fcnn._typing import Array, ModelPullback
from fcnn._walk import facts
from fcnn.prng import bernoulli, normal

SELU_LIMIT = -1.0507009873554804934193349852946 * 1.6732632423543772848170429916717
"""The limit of `fcnn.selu` at -inf."""


@layer
def alpha_dropout(rate: float) -> Triple:
    """Set each element to selu's limit with probability ``rate``, and keep mean and variance.

    With l = -1.7581, the limit of `fcnn.selu` at -inf, and mask drawn from the context's key::

        y = a · (x · mask + l · (1 - mask)) + b      dx = dy · a · mask
        a = 1 / √((1 - rate) · (1 + rate · l²))      b = -a · rate · l

    so that inputs of mean 0 and variance 1 give such outputs. In evaluation, the identity.

    Args:
        rate: the probability of an element to be dropped, in [0, 1).

    Raises:
        ArgumentError: if the rate is outside [0, 1).
        MissingKeyError: in training without a key.

    >>> import numpy as np, fcnn
    >>> x = np.random.default_rng(0).normal(size=(1000, 100))
    >>> y = fcnn.alpha_dropout(0.3).apply((), x, fcnn.training(fcnn.key(0)))
    >>> bool(abs(y.mean()) < 0.02 and abs(y.std() - 1) < 0.02)
    True

    Source: G. Klambauer et al., "Self-normalizing neural networks", 2017,
    https://arxiv.org/abs/1706.02515.
    """
    rate = number(rate, "rate", 0, 1, open_high=True)
    a = 1 / math.sqrt((1 - rate) * (1 + rate * SELU_LIMIT**2))
    b = -a * rate * SELU_LIMIT

    def drawn(x: Array, ctx: Context) -> tuple[Array, Array]:
        """Return y, and where x is kept."""
        kept = bernoulli(key_of(ctx, "alpha_dropout"), 1 - rate, x.shape)
        y = np.where(kept, x, x.dtype.type(SELU_LIMIT))
        y *= a
        y += b
        return y, kept

    def apply(params: tuple[()], x: Array, ctx: Context = EVAL) -> Array:
        return drawn(x, ctx)[0] if ctx.train and rate else x

    def vjp(params: tuple[()], x: Array, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
        if not ctx.train or not rate:
            return x, lambda dy: ((), dy)
        y, kept = drawn(x, ctx)

        def pullback(dy: Array) -> tuple[tuple[()], Array]:
            dx = kept.astype(dy.dtype)
            dx *= a
            dx *= dy
            return (), dx

        return y, pullback

    return keep_shape, apply, vjp


@layer
def gaussian_noise(std: float) -> Triple:
    """Add normal noise in training: ``y = x + std · noise``; ``dx = dy``.

    The noise is drawn from the context's key. In evaluation, the identity.

    Args:
        std: the noise's standard deviation, at least 0.

    Raises:
        ArgumentError: if ``std`` is negative.
        MissingKeyError: in training without a key.

    >>> import numpy as np, fcnn
    >>> y = fcnn.gaussian_noise(0.1).apply((), np.ones((1, 999)), fcnn.training(fcnn.key(0)))
    >>> round(float(y.mean()), 1), round(float(y.std()), 1)
    (1.0, 0.1)

    Source: C. M. Bishop, "Training with noise is equivalent to Tikhonov regularization",
    1995, https://doi.org/10.1162/neco.1995.7.1.108.
    """
    std = number(std, "std", 0)

    def apply(params: tuple[()], x: Array, ctx: Context = EVAL) -> Array:
        if not ctx.train or not std:
            return x
        y = normal(key_of(ctx, "gaussian_noise"), x.shape, dtype=x.dtype)
        y *= std
        y += x
        return y

    def vjp(params: tuple[()], x: Array, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
        return apply(params, x, ctx), lambda dy: ((), dy)

    return keep_shape, apply, vjp


for _noise in (alpha_dropout, gaussian_noise):
    facts(_noise, multiply_adds=0, window=(1, 1))
