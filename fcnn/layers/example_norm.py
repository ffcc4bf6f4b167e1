"""Normalisation within one example: layer, root mean square, group and instance norm.

Forward, over the m elements of a set, with x̂ = (x - mean) / σ::

    mean = Σx / m      var = Σ(x - mean)² / m      σ = √(var + eps)      y = scale·x̂ + bias

The set is the channels of a pixel, or all of an example, or the pixels of a group of its channels.

Backward. Write g = scale·dy for the gradient at x̂. mean and σ depend on every x of the set; from
∂mean/∂x = 1/m and ∂σ/∂x = x̂/m::

    dx = (g - Σg/m - x̂ · Σ(g·x̂)/m) / σ      dscale = Σ(dy·x̂)      dbias = Σdy

with the sums of dx over the set, those of dscale and dbias over all that share the parameter. Root
mean square normalisation has x in the place of x - mean, and no Σg/m.

Nothing is remembered from batch to batch: training and evaluation are the same, and examples do
not see each other.

Sources: J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer normalization", 2016,
https://arxiv.org/abs/1607.06450; B. Zhang and R. Sennrich, "Root mean square layer normalization",
2019, https://arxiv.org/abs/1910.07467; Y. Wu and K. He, "Group normalization", 2018,
https://arxiv.org/abs/1803.08494; D. Ulyanov, A. Vedaldi and V. Lempitsky, "Instance normalization:
the missing ingredient for fast stylization", 2016, https://arxiv.org/abs/1607.08022.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from fcnn._check import number, whole
from fcnn._layer import EVAL, Context, Triple, check_dtype, layer
from fcnn._ops import memory
from fcnn._ops.group_norm import normalise_groups, normalise_groups_adjoint
from fcnn._ops.layer_norm import normalise_pixels, normalise_pixels_adjoint
from fcnn._typing import Array, ModelPullback, Shape
from fcnn._walk import facts
from fcnn.errors import ArgumentError, ShapeError
from fcnn.initializers import ones, zeros
from fcnn.prng import Key
from fcnn.tree import node

Axes: TypeAlias = int | tuple[int, ...] | None
Adjoint: TypeAlias = Callable[[Array], tuple[Array, Array, Array]]
"""``dy -> (dscale, dbias, dx)``."""
Forward: TypeAlias = Callable[[Array, Array, Array], tuple[Array, Adjoint]]
"""``(x, scale, bias) -> (y, adjoint)``."""


@node
class NormParams:
    """What `layer_norm`, `rms_norm`, `group_norm` and `instance_norm` learn; ``()`` if left out."""

    scale: Any
    bias: Any


def _triple(
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


def _channels(shape: Shape) -> Shape:
    """Return the shape of one parameter a channel."""
    if not shape:
        raise ShapeError("expected an example of at least one axis, (..., channels), got ()")
    return shape[-1:]


def _last_axes(axes: Axes) -> int | None:
    """Return how many of the last axes these are; None for all.

    Raises:
        ArgumentError: if they are others.
    """
    if axes is None:
        return None
    found = axes if isinstance(axes, tuple | list) else (axes,)
    if found and sorted(found) == list(range(-len(found), 0)):
        return len(found)
    raise ArgumentError(
        f"expected the last axes of an example, -1, (-2, -1) and so on, or None for all, "
        f"got {axes!r}; use instance_norm to normalise over pixels"
    )


@layer
def layer_norm(
    *, axes: Axes = -1, scale: bool = True, bias: bool = True, eps: float = 1e-5
) -> Triple:
    """Normalise the last axes of each example to mean 0 and variance 1, then scale and shift them.

    ``y = scale · (x - mean) / sqrt(var + eps) + bias``. By default the axis is that of the
    channels: each pixel is normalised by itself, as in ConvNeXt and transformers. With
    ``axes=None`` it is all of an example, with ``(-2, -1)`` the last two axes.

    In PyTorch this is ``LayerNorm(channels)`` on channels-last tensors, and for ``axes=None``
    ``LayerNorm((c, h, w))``, whose parameters have their axes in another order.

    Shapes: x and y ``(n, ..., channels)``; scale and bias as the axes: ``(channels,)``,
    or for ``axes=None`` as the example.

    Args:
        axes: the axes, counted from the end; None for all.
        scale: whether there is a scale to learn.
        bias: whether there is a bias to learn.
        eps: is added to the variance.

    Raises:
        ArgumentError: if the axes are not the last ones, or ``eps`` is negative.
        ShapeError: if the example has fewer axes, or the params are for another one.

    >>> import numpy as np, fcnn
    >>> norm = fcnn.layer_norm()
    >>> params, _ = norm.init(fcnn.key(0), (2,))
    >>> norm.apply(params, np.array([[1, 3], [10, 50]], np.float32)).round(3)
    array([[-1.,  1.],
           [-1.,  1.]], dtype=float32)

    Source: J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer normalization", 2016,
    https://arxiv.org/abs/1607.06450.
    """
    count, eps = _last_axes(axes), number(eps, "eps", 0)

    def of(shape: Shape) -> Shape:
        _channels(shape)
        if count is not None and count > len(shape):
            raise ShapeError(f"expected an example of at least {count} axes, got {shape}")
        return shape if count is None else shape[-count:]

    def forward(x: Array, scale: Array, bias: Array) -> tuple[Array, Adjoint]:
        return (_over_channels if scale.ndim == 1 else _over_axes)(x, scale, bias, eps)

    return _triple(forward, of, scale, bias)


def _over_channels(x: Array, scale: Array, bias: Array, eps: float) -> tuple[Array, Adjoint]:
    y, seen = normalise_pixels(x, scale, bias, eps)
    return y, lambda dy: normalise_pixels_adjoint(x, scale, dy, seen)


def _over_axes(x: Array, scale: Array, bias: Array, eps: float) -> tuple[Array, Adjoint]:
    """Normalise as many last axes as scale has: as one group of examples of its shape."""
    shape, axes = x.shape, tuple(range(x.ndim - scale.ndim))
    alike = len(axes) == 1
    examples = x if alike else memory.ascontiguousarray(x).reshape(-1, *scale.shape)
    one, zero = memory.ones(shape[-1], x.dtype), memory.zeros(shape[-1], x.dtype)
    centred, seen = normalise_groups(examples, 1, one, zero, eps)

    def adjoint(dy: Array) -> tuple[Array, Array, Array]:
        dcentred = dy * scale
        if not alike:
            dcentred = memory.ascontiguousarray(dcentred).reshape(examples.shape)
        dx = normalise_groups_adjoint(examples, 1, one, dcentred, seen)[2]
        dscale = (dy * centred.reshape(shape)).sum(axis=axes)
        return dscale, dy.sum(axis=axes), dx.reshape(shape)

    return centred.reshape(shape) * scale + bias, adjoint


@layer
def rms_norm(*, scale: bool = True, eps: float = 1e-6) -> Triple:
    """Divide the channels of each pixel by their root mean square, then scale them.

    ``y = scale · x / sqrt(mean of x² + eps)``: layer norm without the mean and the bias. In
    PyTorch it is ``RMSNorm(channels)`` on channels-last tensors.

    Shapes: x and y ``(n, ..., channels)``; scale ``(channels,)``.

    Args:
        scale: whether there is a scale to learn.
        eps: is added to the mean square.

    Raises:
        ArgumentError: if ``eps`` is negative.
        ShapeError: if the channels do not fit.

    >>> import numpy as np, fcnn
    >>> norm = fcnn.rms_norm()
    >>> params, _ = norm.init(fcnn.key(0), (2,))
    >>> norm.apply(params, np.array([[1, 7]], np.float32)).round(3)
    array([[0.2, 1.4]], dtype=float32)

    Source: B. Zhang and R. Sennrich, "Root mean square layer normalization", 2019,
    https://arxiv.org/abs/1910.07467.
    """
    eps = number(eps, "eps", 0)

    def forward(x: Array, scale: Array, bias: Array) -> tuple[Array, Adjoint]:
        y, seen = normalise_pixels(x, scale, None, eps, centred=False)
        return y, lambda dy: normalise_pixels_adjoint(x, scale, dy, seen, centred=False)

    return _triple(forward, _channels, scale, has_bias=False)


@layer
def group_norm(groups: int, *, scale: bool = True, bias: bool = True, eps: float = 1e-5) -> Triple:
    """Normalise each group of channels of each example, then scale and shift each channel.

    ``y = scale · (x - mean) / sqrt(var + eps) + bias``, mean and variance over all pixels and the
    ``channels / groups`` neighbouring channels of a group. With one group it is over the whole
    example, with a group a channel it is `instance_norm`. In PyTorch it is
    ``GroupNorm(groups, channels)``, whose channels are the second axis.

    Shapes: x and y ``(n, ..., channels)``; scale and bias ``(channels,)``.

    Args:
        groups: the number of groups.
        scale: whether there is a scale to learn.
        bias: whether there is a bias to learn.
        eps: is added to the variance.

    Raises:
        ArgumentError: if ``groups`` is no whole number from 1 on, or ``eps`` is negative.
        ShapeError: if the channels are no multiple of the groups, or do not fit the params.

    >>> import numpy as np, fcnn
    >>> norm = fcnn.group_norm(2)
    >>> params, _ = norm.init(fcnn.key(0), (4,))
    >>> norm.apply(params, np.array([[1, 3, 10, 50]], np.float32)).round(3)
    array([[-1.,  1., -1.,  1.]], dtype=float32)

    Source: Y. Wu and K. He, "Group normalization", 2018, https://arxiv.org/abs/1803.08494.
    """
    groups, eps = whole(groups, "groups"), number(eps, "eps", 0)

    def of(shape: Shape) -> Shape:
        size = _channels(shape)
        if size[0] % groups:
            raise ShapeError(f"expected channels in a multiple of {groups} groups, got {size[0]}")
        return size

    def forward(x: Array, scale: Array, bias: Array) -> tuple[Array, Adjoint]:
        return _over_groups(x, groups, scale, bias, eps)

    return _triple(forward, of, scale, bias)


def _over_groups(
    x: Array, count: int, scale: Array, bias: Array, eps: float
) -> tuple[Array, Adjoint]:
    y, seen = normalise_groups(x, count, scale, bias, eps)
    return y, lambda dy: normalise_groups_adjoint(x, count, scale, dy, seen)


@layer
def instance_norm(*, scale: bool = True, bias: bool = True, eps: float = 1e-5) -> Triple:
    """Normalise each channel of each example over its pixels, then scale and shift it.

    ``y = scale · (x - mean) / sqrt(var + eps) + bias``. In PyTorch it is
    ``InstanceNorm2d(channels, affine=True)``, whose channels are the second axis.

    Shapes: x and y ``(n, ..., channels)``; scale and bias ``(channels,)``.

    Args:
        scale: whether there is a scale to learn.
        bias: whether there is a bias to learn.
        eps: is added to the variance.

    Raises:
        ArgumentError: if ``eps`` is negative.
        ShapeError: if an example has no pixels, ``(..., channels)``, or the channels do not fit.

    >>> import numpy as np, fcnn
    >>> norm = fcnn.instance_norm()
    >>> params, _ = norm.init(fcnn.key(0), (2, 1))
    >>> norm.apply(params, np.array([[[1], [3]], [[10], [50]]], np.float32)).round(3)[..., 0]
    array([[-1.,  1.],
           [-1.,  1.]], dtype=float32)

    Source: D. Ulyanov, A. Vedaldi and V. Lempitsky, "Instance normalization: the missing ingredient
    for fast stylization", 2016, https://arxiv.org/abs/1607.08022.
    """
    eps = number(eps, "eps", 0)

    def of(shape: Shape) -> Shape:
        if len(shape) < 2:
            raise ShapeError(f"expected an example with pixels, (..., channels), got {shape}")
        return shape[-1:]

    def forward(x: Array, scale: Array, bias: Array) -> tuple[Array, Adjoint]:
        return _over_groups(x, len(scale), scale, bias, eps)

    return _triple(forward, of, scale, bias)


# An output sees the rest of its set too, but only through mean and variance.
for _norm in (layer_norm, rms_norm, group_norm, instance_norm):
    facts(_norm, multiply_adds=lambda layer, i, o: math.prod(o), window=(1, 1))
