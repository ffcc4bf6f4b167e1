"""Batch normalisation.

Forward, over the m elements of a channel, with x̂ = (x - mean) / σ::

    mean = Σx / m      var = Σ(x - mean)² / m      σ = √(var + ε)      y = γ·x̂ + β

Backward. mean and σ depend on every x of the channel, which adds two terms to the
γ/σ of the direct path. From ∂mean/∂x = 1/m and ∂σ/∂x = x̂/m::

    dx = γ/σ · (dy - Σdy/m - x̂ · Σ(dy·x̂)/m)      dγ = Σ(dy·x̂)      dβ = Σdy

In evaluation mean and σ are constants, so dx = γ/σ · dy.

A running mean r is what gradient descent with rate 1 makes of
(1 - momentum) · ½(r - mean)², so its gradient is (1 - momentum) · (r - mean), and it
lives among the parameters, in a field declared as a statistic.

Source: S. Ioffe and C. Szegedy, "Batch normalization: accelerating deep network
training by reducing internal covariate shift", 2015, https://arxiv.org/abs/1502.03167.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fcnn._check import number
from fcnn._layer import EVAL, Apply, Context, Fusible, Layer, Vjp, check_dtype, layer
from fcnn._ops.batch_norm import normalise, normalise_adjoint, rescale
from fcnn._ops.epilogue import RELU
from fcnn._ops.relu import relu_adjoint
from fcnn._typing import Array, ModelPullback, Shape
from fcnn.errors import ShapeError
from fcnn.initializers import ones, zeros
from fcnn.layers.activations import relu
from fcnn.prng import Key
from fcnn.tree import node, statistic


@node
class BatchNormParams:
    """What `batch_norm` learns, and what it has seen. Each is of shape (channels,)."""

    scale: Array
    shift: Array
    mean: Array = statistic()
    variance: Array = statistic()


def _affine(params: BatchNormParams, epsilon: float) -> tuple[Array, Array]:
    """What it is in evaluation: ``x * factor + offset``."""
    factor = params.scale / np.sqrt(params.variance + epsilon)
    return factor, params.shift - params.mean * factor


def as_affine(norm: Layer) -> Callable[[BatchNormParams], tuple[Array, Array]] | None:
    """What a `batch_norm` is in evaluation, ``x * factor + offset``, given its params."""
    if norm.spec.constructor is not batch_norm:
        return None
    epsilon = float(norm.spec.arguments["epsilon"])
    return lambda params: _affine(params, epsilon)


@layer
def batch_norm(*, momentum: float = 0.9, epsilon: float = 1e-5) -> Fusible:
    """Normalise each channel to mean 0 and variance 1, then scale and shift it.

    ``y = scale · (x - mean) / sqrt(variance + epsilon) + shift``. In training, mean and
    variance are those of the batch (all axes but the last); in evaluation, the
    running ones, which the pullback moves towards the batch's (see the module).

    Shapes: x and y ``(n, ..., channels)``; scale, shift, mean, variance ``(channels,)``.

    Args:
        momentum: the weight of the old value in a running mean.
        epsilon: keeps the square root away from zero.

    Raises:
        ArgumentError: if ``momentum`` is outside [0, 1] or ``epsilon`` is negative.
        ShapeError: if the channels do not fit, or in training there is but one
            element a channel.

    >>> import numpy as np, fcnn
    >>> norm = fcnn.batch_norm()
    >>> params, _ = norm.init(fcnn.key(0), (1,))
    >>> y = norm.apply(params, np.array([[1.0], [3.0]], np.float32), fcnn.training())
    >>> y.round(3).ravel()
    array([-1.,  1.], dtype=float32)
    """
    momentum, epsilon = number(momentum, "momentum", 0, 1), number(epsilon, "epsilon", 0)

    def init(key: Key, shape: Shape) -> tuple[BatchNormParams, Shape]:
        if not shape:
            raise ShapeError(
                "wanted an example with at least one axis, (..., channels), and () came"
            )
        one, zero = ones(key, shape[-1:]), zeros(key, shape[-1:])
        return BatchNormParams(one, zero, zero, one), shape

    def maps(rectify: bool) -> tuple[Apply, Vjp]:
        """The layer's apply and vjp, or those of the layer and a relu behind it."""
        epilogue = RELU if rectify else None

        def apply(params: BatchNormParams, x: Array, ctx: Context = EVAL) -> Array:
            check(params, x, ctx)
            if ctx.train:
                return normalise(x, params.scale, params.shift, epsilon, epilogue)[0]
            return rescale(x, *_affine(params, epsilon), epilogue)

        def vjp(
            params: BatchNormParams, x: Array, ctx: Context = EVAL
        ) -> tuple[Array, ModelPullback]:
            if not ctx.train:
                y = apply(params, x, ctx)
                return y, lambda dy: stored(params, x, relu_adjoint(y, dy) if rectify else dy)
            check(params, x, ctx)
            y, mean, variance = normalise(x, params.scale, params.shift, epsilon, epilogue)

            def pullback(dy: Array) -> tuple[BatchNormParams, Array | None]:
                dscale, dshift, dx = normalise_adjoint(
                    x, params.scale, dy, mean, variance, epsilon, y if rectify else None, epilogue
                )
                m = x.size // x.shape[-1]
                dmean = (1 - momentum) * (params.mean - mean)
                dvariance = (1 - momentum) * (params.variance - variance * (m / (m - 1)))
                dtype = x.dtype
                return BatchNormParams(
                    dscale, dshift, dmean.astype(dtype), dvariance.astype(dtype)
                ), dx

            return y, pullback

        return apply, vjp

    def stored(params: BatchNormParams, x: Array, dy: Array) -> tuple[BatchNormParams, Array]:
        """The pullback in evaluation, where mean and variance are constants."""
        inverse = 1 / np.sqrt(params.variance + epsilon)
        rows, drows = x.reshape(-1, x.shape[-1]), dy.reshape(-1, x.shape[-1])
        dscale = (drows * (rows - params.mean)).sum(axis=0) * inverse
        zero = np.zeros_like(inverse)
        grads = BatchNormParams(dscale, drows.sum(axis=0), zero, zero)
        return grads, dy * (params.scale * inverse)

    def check(params: BatchNormParams, x: Array, ctx: Context) -> None:
        if x.ndim < 2 or x.shape[-1:] != params.scale.shape:
            raise ShapeError(
                f"{params.scale.shape[0]} channels wanted on the last axis, and {x.shape} came"
            )
        check_dtype(x, params.scale)
        count = x.size // x.shape[-1]
        if ctx.train and count < 2:
            raise ShapeError(
                f"in training a channel needs two elements or more for a variance, and an input "
                f"of shape {x.shape} has {count}"
            )

    def fuse(followers: tuple[Layer, ...]) -> tuple[Apply, Vjp] | None:
        return maps(True) if followers == (relu,) else None

    return Fusible(init, *maps(False), fuse)
