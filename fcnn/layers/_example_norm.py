"""What the normalisations within one example have in common: the formulas, params, the triple.

Forward, over the m elements of a set, with x̂ = (x - mean) / σ::

    mean = Σx / m      var = Σ(x - mean)² / m      σ = √(var + eps)      y = scale·x̂ + bias

The set is the channels of a pixel or all of an example (`fcnn.layers.layer_norm`), or the pixels of
a group of its channels (`fcnn.layers.group_norm`).

Backward. Write g = scale·dy for the gradient at x̂. mean and σ depend on every x of the set; from
∂mean/∂x = 1/m and ∂σ/∂x = x̂/m::

    dx = (g - Σg/m - x̂ · Σ(g·x̂)/m) / σ      dscale = Σ(dy·x̂)      dbias = Σdy

with the sums of dx over the set, those of dscale and dbias over all that share the parameter. Root
mean square normalisation has x in the place of x - mean, and no Σg/m.

Nothing is remembered from batch to batch: training and evaluation are the same, and examples do
not see each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from fcnn._layer import EVAL, Context, Layer, Triple, check_dtype
from fcnn._ops import memory
from fcnn._typing import Array, ModelPullback, Shape
from fcnn.errors import ShapeError
from fcnn.initializers import ones, zeros
from fcnn.prng import Key
from fcnn.tree import node

Adjoint: TypeAlias = Callable[[Array], tuple[Array, Array, Array]]
"""``dy -> (dscale, dbias, dx)``."""
Forward: TypeAlias = Callable[[Array, Array, Array], tuple[Array, Adjoint]]
"""``(x, scale, bias) -> (y, adjoint)``."""


@node
class NormParams:
    """What `layer_norm`, `rms_norm`, `group_norm` and `instance_norm` learn; ``()`` if left out."""

    scale: Any
    bias: Any


def triple_of(
    forward: Forward, of: Callable[[Shape], Shape], has_scale: bool, has_bias: bool
) -> Triple:
    """Return a layer's functions.

    Args:
        forward: the normalisation, with scale and bias of shape ``of(example)``.
        of: refuses an example that does not fit, and returns the shape of its params.
        has_scale: whether there is a scale; else it is 1.
        has_bias: whether there is a bias; else it is 0.
    """

    def init(key: Key, shape: Shape) -> tuple[NormParams, Shape]:
        size = of(shape)
        return NormParams(
            ones(key, size) if has_scale else (), zeros(key, size) if has_bias else ()
        ), shape

    def run(params: NormParams, x: Array) -> tuple[Array, Adjoint]:
        size = of(x.shape[1:])
        for name, each in (("scale", params.scale), ("bias", params.bias)):
            if isinstance(each, np.ndarray):
                if each.shape != size:
                    raise ShapeError(
                        f"expected a {name} {size} for an input {x.shape}, got {each.shape}"
                    )
                check_dtype(x.dtype, each.dtype)
        scale = params.scale if has_scale else memory.ones(size, x.dtype)
        bias = params.bias if has_bias else memory.zeros(size, x.dtype)
        return forward(x, scale, bias)

    def apply(params: NormParams, x: Array, ctx: Context = EVAL) -> Array:
        return run(params, x)[0]

    def vjp(params: NormParams, x: Array, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
        y, adjoint = run(params, x)

        def pullback(dy: Array) -> tuple[NormParams, Array]:
            dscale, dbias, dx = adjoint(dy)
            return NormParams(dscale if has_scale else (), dbias if has_bias else ()), dx

        return y, pullback

    return init, apply, vjp


def one_per_channel(shape: Shape) -> Shape:
    """Return the shape of one parameter a channel."""
    if not shape:
        raise ShapeError("expected an example of at least one axis, (..., channels), got ()")
    return shape[-1:]


def multiply_adds(layer: Layer, in_shape: Shape, out_shape: Shape) -> int:
    """Return one for each element: its factor and offset, given mean and variance."""
    return math.prod(out_shape)
