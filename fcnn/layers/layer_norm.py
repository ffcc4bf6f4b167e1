"""Layer and RMS norm: each pixel is normalised over its channels, or an example over its last axes.

The formulas, forward and backward, are in `fcnn.layers._example_norm`.

Sources: J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer normalization", 2016,
https://arxiv.org/abs/1607.06450; B. Zhang and R. Sennrich, "Root mean square layer normalization",
2019, https://arxiv.org/abs/1910.07467.
"""

from __future__ import annotations

from typing import TypeAlias

from fcnn._check import number
from fcnn._layer import Triple, layer
from fcnn._ops import memory
from fcnn._ops.group_norm import normalise_groups, normalise_groups_adjoint
from fcnn._ops.layer_norm import normalise_pixels, normalise_pixels_adjoint
from fcnn._typing import Array, Shape
from fcnn._walk import facts
from fcnn.errors import ArgumentError, ShapeError
from fcnn.layers._example_norm import Adjoint, multiply_adds, one_per_channel, triple_of
from fcnn.layers._example_norm import NormParams as NormParams

Axes: TypeAlias = int | tuple[int, ...] | None


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
        one_per_channel(shape)
        if count is not None and count > len(shape):
            raise ShapeError(f"expected an example of at least {count} axes, got {shape}")
        return shape if count is None else shape[-count:]

    def forward(x: Array, scale: Array, bias: Array) -> tuple[Array, Adjoint]:
        return (_over_channels if scale.ndim == 1 else _over_axes)(x, scale, bias, eps)

    return triple_of(forward, of, scale, bias)


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

    return triple_of(forward, one_per_channel, scale, has_bias=False)


# An output sees the rest of its set too, but only through mean and variance.
facts(layer_norm, multiply_adds=multiply_adds, window=(1, 1))
facts(rms_norm, multiply_adds=multiply_adds, window=(1, 1))
