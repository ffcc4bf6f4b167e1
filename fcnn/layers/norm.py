"""Batch normalisation.

Forward, over the m elements of a channel, with x̂ = (x - mean) / σ::

    mean = Σx / m      var = Σ(x - mean)² / m      σ = √(var + eps)      y = scale·x̂ + bias

Backward. mean and σ depend on every x of the channel, which adds two terms to the
scale/σ of the direct path. From ∂mean/∂x = 1/m and ∂σ/∂x = x̂/m::

    dx = scale/σ · (dy - Σdy/m - x̂ · Σ(dy·x̂)/m)      dscale = Σ(dy·x̂)      dbias = Σdy

In evaluation mean and σ are constants, so dx = scale/σ · dy.

The running mean and variance live among the params, in fields declared as statistics. In
their place the pullback returns observations: the batch's mean and (unbiased) variance, and
the weight of the stored values.

Source: S. Ioffe and C. Szegedy, "Batch normalization: accelerating deep network
training by reducing internal covariate shift", 2015, https://arxiv.org/abs/1502.03167.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import attrs
import numpy as np

from fcnn._check import number
from fcnn._layer import EVAL, Context, Layer, Triple, check_dtype, check_floats, layer
from fcnn._ops import memory
from fcnn._ops.batch_norm import normalise, normalise_adjoint, normalise_again, rescale
from fcnn._ops.epilogue import Epilogue
from fcnn._typing import Array, ModelPullback, Shape
from fcnn._walk import facts
from fcnn.errors import ShapeError
from fcnn.initializers import ones, zeros
from fcnn.prng import Key
from fcnn.tree import Observation, node, statistic


@node
class BatchNormParams:
    """What `batch_norm` learns, and its running statistics. Each is of shape (channels,)."""

    scale: Array
    bias: Array
    mean: Any = statistic()  # an array; in gradients an Observation
    var: Any = statistic()


@attrs.frozen
class BatchNorm:
    """The arguments of a `batch_norm`, checked, and what can be computed with them."""

    momentum: float
    eps: float

    @classmethod
    def of(cls, norm: Layer) -> BatchNorm:
        """Return the arguments of a `batch_norm` layer."""
        return checked(**norm.spec.arguments)

    def init(self, key: Key, shape: Shape) -> tuple[BatchNormParams, Shape]:
        """Return the params: unit scale and variance, zero bias and mean."""
        if not shape:
            raise ShapeError("expected an example of at least one axis, (..., channels), got ()")
        one, zero = ones(key, shape[-1:]), zeros(key, shape[-1:])
        return BatchNormParams(one, zero, zero, one), shape

    def check(self, params: BatchNormParams, shape: Shape, dtype: Any, train: bool) -> None:
        """Refuse an input that does not fit the params."""
        if len(shape) < 2 or shape[-1:] != params.scale.shape:
            raise ShapeError(
                f"expected {params.scale.shape[0]} channels on the last axis, got {shape}"
            )
        check_dtype(dtype, params.scale.dtype)
        if train and math.prod(shape[:-1]) < 2:
            raise ShapeError(
                f"expected two elements or more a channel in training, for a variance, "
                f"got {math.prod(shape[:-1])} in an input of shape {shape}"
            )

    def affine(self, params: BatchNormParams) -> tuple[Array, Array]:
        """Return what the layer is in evaluation: ``x * factor + offset``."""
        factor = params.scale / np.sqrt(params.var + self.eps)
        return factor, params.bias - params.mean * factor

    def affine_adjoint(
        self, params: BatchNormParams, dfactor: Array, doffset: Array
    ) -> BatchNormParams:
        """Return the gradients of the params from those of `affine`'s results.

        With s = √(var + eps): factor = scale / s, offset = bias - mean · scale / s.
        """
        dscale = (dfactor - params.mean * doffset) / np.sqrt(params.var + self.eps)
        return self.gradients(params, dscale, memory.array(doffset))

    def gradients(self, params: BatchNormParams, dscale: Array, dbias: Array) -> BatchNormParams:
        """Return gradients as params, nothing having been observed."""
        unseen = [Observation(each, 1.0) for each in (params.mean, params.var)]
        return BatchNormParams(dscale, dbias, *unseen)

    def apply(
        self, params: BatchNormParams, x: Array, ctx: Context, epilogue: Epilogue | None = None
    ) -> Array:
        """Normalise and apply the epilogue."""
        check_floats(x)
        self.check(params, x.shape, x.dtype, ctx.train)
        if ctx.train:
            return normalise(x, params.scale, params.bias, self.eps, epilogue)[0]
        return rescale(x, *self.affine(params), epilogue)

    def vjp(
        self, params: BatchNormParams, x: Array, ctx: Context, epilogue: Epilogue | None = None
    ) -> tuple[Array, ModelPullback]:
        """Do what `apply` does, and return the pullback too."""
        if not ctx.train:
            return self._vjp_in_evaluation(params, x, ctx, epilogue)
        y, _, adjoint = self.linearized(params, x, epilogue)
        out = None if epilogue is None else y
        return y, lambda dy: adjoint(out, dy)

    def linearized(
        self, params: BatchNormParams, x: Array, epilogue: Epilogue | None = None
    ) -> tuple[Array, Callable[[], Array], Callable[[Array | None, Array], Any]]:
        """Return y in training, a function that computes it anew, and ``adjoint(y, dy)``.

        Both keep x alone; the adjoint needs y for an epilogue.
        """
        check_floats(x)
        self.check(params, x.shape, x.dtype, True)
        y, seen = normalise(x, params.scale, params.bias, self.eps, epilogue)

        def adjoint(y: Array | None, dy: Array) -> tuple[BatchNormParams, Array]:
            dscale, dbias, dx = normalise_adjoint(x, params.scale, dy, seen, y, epilogue)
            m = x.size // x.shape[-1]
            seen_mean = Observation(seen.mean.astype(x.dtype), self.momentum)
            seen_var = Observation((seen.var * (m / (m - 1))).astype(x.dtype), self.momentum)
            return BatchNormParams(dscale, dbias, seen_mean, seen_var), dx

        def again() -> Array:
            return normalise_again(x, params.scale, params.bias, seen, epilogue)

        return y, again, adjoint

    def _vjp_in_evaluation(
        self, params: BatchNormParams, x: Array, ctx: Context, epilogue: Epilogue | None
    ) -> tuple[Array, ModelPullback]:
        y = self.apply(params, x, ctx, epilogue)
        out = None if epilogue is None else y

        def pullback(dy: Array) -> tuple[BatchNormParams, Array]:
            dz = dy if epilogue is None or out is None else epilogue.adjoint(out, dy)
            rows, drows = x.reshape(-1, x.shape[-1]), dz.reshape(-1, x.shape[-1])
            inverse = 1 / np.sqrt(params.var + self.eps)
            dscale = (drows * (rows - params.mean)).sum(axis=0) * inverse
            grads = self.gradients(params, dscale, drows.sum(axis=0))
            return grads, dz * (params.scale * inverse)

        return y, pullback


def checked(momentum: float, eps: float) -> BatchNorm:
    """Return the arguments of `batch_norm` in one form.

    Raises:
        ArgumentError: if one is out of its range.
    """
    return BatchNorm(number(momentum, "momentum", 0, 1), number(eps, "eps", 0))


@layer
def batch_norm(*, momentum: float = 0.9, eps: float = 1e-5) -> Triple:
    """Normalise each channel to mean 0 and variance 1, then scale and shift it.

    ``y = scale · (x - mean) / sqrt(var + eps) + bias``. In training, mean and variance are
    those of the examples at hand (all axes but the last); in evaluation, the running ones.
    Where a batch is cut into shards (``shard_size`` of `fcnn.fit` and `fcnn.value_and_grad`),
    the examples at hand are those of one shard; `fcnn.fit` cuts batches so that a shard has 32
    examples or more, if the batch has as many.

    Shapes: x and y ``(n, ..., channels)``; scale, bias, mean, var ``(channels,)``.

    Args:
        momentum: the weight of the old value in a running statistic (PyTorch's is one minus
            this: its default 0.1 is 0.9 here).
        eps: is added to the variance.

    Raises:
        ArgumentError: if ``momentum`` is outside [0, 1] or ``eps`` is negative.
        ShapeError: if the channels do not fit, or in training there is but one
            element a channel.

    >>> import numpy as np, fcnn
    >>> norm = fcnn.batch_norm()
    >>> params, _ = norm.init(fcnn.key(0), (1,))
    >>> y = norm.apply(params, np.array([[1.0], [3.0]], np.float32), fcnn.training())
    >>> y.round(3).ravel()
    array([-1.,  1.], dtype=float32)
    """
    norm = checked(momentum, eps)

    def apply(params: BatchNormParams, x: Array, ctx: Context = EVAL) -> Array:
        return norm.apply(params, x, ctx)

    def vjp(params: BatchNormParams, x: Array, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
        return norm.vjp(params, x, ctx)

    return norm.init, apply, vjp


facts(batch_norm, multiply_adds=lambda layer, i, o: math.prod(o), window=(1, 1))
