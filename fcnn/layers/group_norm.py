"""Group and instance norm: each group of channels of an example is normalised over its pixels.

The formulas, forward and backward, are in `fcnn.layers._example_norm`.

Sources: Y. Wu and K. He, "Group normalization", 2018, https://arxiv.org/abs/1803.08494; D. Ulyanov,
A. Vedaldi and V. Lempitsky, "Instance normalization: the missing ingredient for fast stylization",
2016, https://arxiv.org/abs/1607.08022.
"""

from __future__ import annotations

from fcnn._check import number, whole
from fcnn._layer import Triple, layer
from fcnn._ops.group_norm import normalise_groups, normalise_groups_adjoint
from fcnn._typing import Array, Shape
from fcnn._walk import facts
from fcnn.errors import ShapeError
from fcnn.layers._example_norm import Adjoint, multiply_adds, one_per_channel, triple_of


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
        size = one_per_channel(shape)
        if size[0] % groups:
            raise ShapeError(f"expected channels in a multiple of {groups} groups, got {size[0]}")
        return size

    def forward(x: Array, scale: Array, bias: Array) -> tuple[Array, Adjoint]:
        return _over_groups(x, groups, scale, bias, eps)

    return triple_of(forward, of, scale, bias)


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

    return triple_of(forward, of, scale, bias)


# An output sees the rest of its set too, but only through mean and variance.
facts(group_norm, multiply_adds=multiply_adds, window=(1, 1))
facts(instance_norm, multiply_adds=multiply_adds, window=(1, 1))
