"""Initializers: ``(key, shape) -> array`` of float32.

The variance-scaling family keeps the variance of signals about the same from
layer to layer. For a kernel of shape ``(..., n_in, n_out)`` the fan-in is the
product of all axes but the last, the fan-out that of all but the last but one.

Sources: K. He et al., "Delving deep into rectifiers", 2015,
https://arxiv.org/abs/1502.01852; X. Glorot and Y. Bengio, "Understanding the
difficulty of training deep feedforward neural networks", 2010,
https://proceedings.mlr.press/v9/glorot10a.html; Y. LeCun et al., "Efficient
BackProp", 1998, http://yann.lecun.com/exdb/publis/pdf/lecun-98b.pdf.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, ParamSpec, TypeAlias

import attrs
import numpy as np

from fcnn import prng
from fcnn._typing import Array, Shape
from fcnn._value import Spec, Value, as_value, remember
from fcnn.errors import ArgumentError, ShapeError
from fcnn.prng import Key

__all__ = [
    "Initializer",
    "constant",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "initializer",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "ones",
    "uniform",
    "zeros",
]

P = ParamSpec("P")
Draw: TypeAlias = Callable[[Key, Shape], Array]


@attrs.frozen(eq=False, repr=False, slots=False)
class Initializer(Value):
    """A function ``(key, shape) -> array`` that prints as the call that made it.

    >>> import fcnn
    >>> from fcnn import initializers
    >>> initializers.uniform(-0.5, 0.5)
    uniform(-0.5, 0.5)
    >>> initializers.he_normal(fcnn.key(0), (3, 3, 1, 8)).shape
    (3, 3, 1, 8)
    """

    draw: Draw
    spec: Spec

    def __call__(self, key: Key, shape: Shape) -> Array:
        """Draw an array."""
        return self.draw(key, shape)


def initializer(constructor: Callable[P, Draw]) -> Callable[P, Initializer]:
    """Make a function that returns ``(key, shape) -> array`` return an `Initializer`.

    >>> import numpy as np
    >>> from fcnn import initializers
    >>> @initializers.initializer
    ... def full(value):
    ...     return lambda key, shape: np.full(shape, value, np.float32)
    >>> full(2.0)
    full(2.0)
    """
    return remember(constructor, Initializer)


def _fans(shape: Shape) -> tuple[int, int]:
    if len(shape) < 2:
        raise ShapeError(
            f"fan-in and fan-out need a shape of two axes or more, (..., n_in, n_out), "
            f"and {shape} came"
        )
    window = math.prod(shape[:-2])
    return window * shape[-2], window * shape[-1]


def _scaled(
    gain: float, mode: Literal["in", "average"], distribution: Literal["normal", "uniform"]
) -> Draw:
    """Draws with variance ``gain / fan``."""

    def draw(key: Key, shape: Shape) -> Array:
        fan_in, fan_out = _fans(shape)
        fan = fan_in if mode == "in" else (fan_in + fan_out) / 2
        variance = gain / max(1.0, fan)
        if distribution == "normal":
            return prng.normal(key, shape) * math.sqrt(variance)
        limit = math.sqrt(3 * variance)
        return prng.uniform(key, shape, -limit, limit)

    return draw


@as_value
@initializer
def he_normal() -> Draw:
    """Normal of variance ``2 / fan_in``: keeps the signal through relu (He et al., 2015).

    >>> import fcnn
    >>> round(float(fcnn.initializers.he_normal(fcnn.key(0), (1000, 50)).std()), 3)
    0.044
    """
    return _scaled(2.0, "in", "normal")


@as_value
@initializer
def he_uniform() -> Draw:
    """Uniform of variance ``2 / fan_in``: within ``±sqrt(6 / fan_in)`` (He et al., 2015).

    >>> import fcnn
    >>> bool(abs(fcnn.initializers.he_uniform(fcnn.key(0), (6, 9))).max() <= 1)
    True
    """
    return _scaled(2.0, "in", "uniform")


@as_value
@initializer
def glorot_normal() -> Draw:
    """Normal of variance ``2 / (fan_in + fan_out)`` (Glorot and Bengio, 2010).

    >>> import fcnn
    >>> round(float(fcnn.initializers.glorot_normal(fcnn.key(0), (500, 500)).std()), 3)
    0.045
    """
    return _scaled(1.0, "average", "normal")


@as_value
@initializer
def glorot_uniform() -> Draw:
    """Uniform of variance ``2 / (fan_in + fan_out)`` (Glorot and Bengio, 2010).

    >>> import fcnn
    >>> bool(abs(fcnn.initializers.glorot_uniform(fcnn.key(0), (3, 3))).max() <= 1)
    True
    """
    return _scaled(1.0, "average", "uniform")


@as_value
@initializer
def lecun_normal() -> Draw:
    """Normal of variance ``1 / fan_in`` (LeCun et al., 1998).

    >>> import fcnn
    >>> round(float(fcnn.initializers.lecun_normal(fcnn.key(0), (2500, 50)).std()), 3)
    0.02
    """
    return _scaled(1.0, "in", "normal")


@as_value
@initializer
def lecun_uniform() -> Draw:
    """Uniform of variance ``1 / fan_in``: within ``±sqrt(3 / fan_in)`` (LeCun et al., 1998).

    >>> import fcnn
    >>> bool(abs(fcnn.initializers.lecun_uniform(fcnn.key(0), (3, 9))).max() <= 1)
    True
    """
    return _scaled(1.0, "in", "uniform")


@initializer
def normal(stddev: float = 1.0, mean: float = 0.0) -> Draw:
    """Normal of the given standard deviation and mean.

    >>> import fcnn
    >>> fcnn.initializers.normal(0.01)(fcnn.key(0), (2, 2)).dtype
    dtype('float32')
    """
    if not stddev >= 0:
        raise ArgumentError(f"stddev must not be negative, and {stddev!r} came")
    return lambda key, shape: prng.normal(key, shape) * float(stddev) + float(mean)


@initializer
def uniform(low: float, high: float) -> Draw:
    """Uniform on ``[low, high)``; ``uniform(-0.5, 0.5)`` is the articles' ``rand - 0.5``.

    >>> import fcnn
    >>> bool(abs(fcnn.initializers.uniform(-0.5, 0.5)(fcnn.key(0), (9,))).max() <= 0.5)
    True
    """
    if not low < high:
        raise ArgumentError(f"low must be less than high, and {low!r} and {high!r} came")
    return lambda key, shape: prng.uniform(key, shape, low, high)


@as_value
@initializer
def zeros() -> Draw:
    """Zeros.

    >>> import fcnn
    >>> fcnn.initializers.zeros(fcnn.key(0), (2,))
    array([0., 0.], dtype=float32)
    """
    return lambda key, shape: np.zeros(shape, np.float32)


@as_value
@initializer
def ones() -> Draw:
    """Ones.

    >>> import fcnn
    >>> fcnn.initializers.ones(fcnn.key(0), (2,))
    array([1., 1.], dtype=float32)
    """
    return lambda key, shape: np.ones(shape, np.float32)


@initializer
def constant(value: float) -> Draw:
    """The same number everywhere.

    >>> import fcnn
    >>> fcnn.initializers.constant(0.5)(fcnn.key(0), (2,))
    array([0.5, 0.5], dtype=float32)
    """
    return lambda key, shape: np.full(shape, value, np.float32)
