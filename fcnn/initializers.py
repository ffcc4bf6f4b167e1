"""Initializers: ``(key, shape) -> array`` of float32.

The variance-scaling family keeps the variance of activations and gradients about
the same from layer to layer. For a kernel of shape ``(..., n_in, n_out)`` the fan-in is the
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
from fcnn._check import number
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
_LARGEST = float(np.finfo(np.float32).max)


@attrs.frozen(eq=False, repr=False, slots=False)
class Initializer(Value):
    """A function ``(key, shape) -> array`` that prints as the call that made it.

    For an abstract key (`fcnn.prng.abstract_key`) it returns zeros of the shape and
    draws nothing.

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
        return prng.abstract_array(shape) if prng.is_abstract(key) else self.draw(key, shape)


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
    if not isinstance(shape, tuple | list) or len(shape) < 2:
        raise ShapeError(
            f"expected a shape of two axes or more, (..., n_in, n_out), got {shape}; "
            f"initialize biases with zeros, constant, normal or uniform"
        )
    window = math.prod(shape[:-2])
    return window * shape[-2], window * shape[-1]


def _scaled(
    gain: float, mode: Literal["in", "average"], distribution: Literal["normal", "uniform"]
) -> Draw:
    """Return the function that draws with variance ``gain / fan``."""

    def draw(key: Key, shape: Shape) -> Array:
        fan_in, fan_out = _fans(shape)
        fan = fan_in if mode == "in" else (fan_in + fan_out) / 2
        variance = gain / max(1.0, fan)
        if distribution == "normal":
            draws = prng.normal(key, shape)
            draws *= math.sqrt(variance)
            return draws
        limit = math.sqrt(3 * variance)
        return prng.uniform(key, shape, -limit, limit)

    return draw


@as_value
@initializer
def he_normal() -> Draw:
    """Draw normals of variance ``2 / fan_in``, for layers before relu (He et al., 2015).

    >>> import fcnn
    >>> round(float(fcnn.initializers.he_normal(fcnn.key(0), (1000, 50)).std()), 3)
    0.045
    """
    return _scaled(2.0, "in", "normal")


@as_value
@initializer
def he_uniform() -> Draw:
    """Draw uniformly within ``±sqrt(6 / fan_in)``: variance ``2 / fan_in`` (He et al., 2015).

    >>> import fcnn
    >>> bool(abs(fcnn.initializers.he_uniform(fcnn.key(0), (6, 9))).max() <= 1)
    True
    """
    return _scaled(2.0, "in", "uniform")


@as_value
@initializer
def glorot_normal() -> Draw:
    """Draw normals of variance ``2 / (fan_in + fan_out)`` (Glorot and Bengio, 2010).

    >>> import fcnn
    >>> round(float(fcnn.initializers.glorot_normal(fcnn.key(0), (500, 500)).std()), 3)
    0.045
    """
    return _scaled(1.0, "average", "normal")


@as_value
@initializer
def glorot_uniform() -> Draw:
    """Draw uniformly, with variance ``2 / (fan_in + fan_out)`` (Glorot and Bengio, 2010).

    >>> import fcnn
    >>> bool(abs(fcnn.initializers.glorot_uniform(fcnn.key(0), (3, 3))).max() <= 1)
    True
    """
    return _scaled(1.0, "average", "uniform")


@as_value
@initializer
def lecun_normal() -> Draw:
    """Draw normals of variance ``1 / fan_in`` (LeCun et al., 1998).

    >>> import fcnn
    >>> round(float(fcnn.initializers.lecun_normal(fcnn.key(0), (2500, 50)).std()), 3)
    0.02
    """
    return _scaled(1.0, "in", "normal")


@as_value
@initializer
def lecun_uniform() -> Draw:
    """Draw uniformly within ``±sqrt(3 / fan_in)``: variance ``1 / fan_in`` (LeCun et al., 1998).

    >>> import fcnn
    >>> bool(abs(fcnn.initializers.lecun_uniform(fcnn.key(0), (3, 9))).max() <= 1)
    True
    """
    return _scaled(1.0, "in", "uniform")


@initializer
def normal(stddev: float = 1.0, mean: float = 0.0) -> Draw:
    """Draw normals of the given standard deviation and mean.

    Raises:
        ArgumentError: if ``stddev`` is negative or an argument is not finite.

    >>> import fcnn
    >>> fcnn.initializers.normal(0.01)(fcnn.key(0), (2, 2)).dtype
    dtype('float32')
    """
    scale = number(stddev, "stddev", 0.0, _LARGEST)
    shift = number(mean, "mean", -_LARGEST, _LARGEST)

    def draw(key: Key, shape: Shape) -> Array:
        draws = prng.normal(key, shape)
        draws *= scale
        draws += shift
        return draws

    return draw


@initializer
def uniform(low: float, high: float) -> Draw:
    """Draw uniformly from ``[low, high)``; ``uniform(-0.5, 0.5)`` is the articles' ``rand - 0.5``.

    Raises:
        ArgumentError: unless ``low < high`` are finite and differ in float32.

    >>> import fcnn
    >>> bool(abs(fcnn.initializers.uniform(-0.5, 0.5)(fcnn.key(0), (9,))).max() <= 0.5)
    True
    """
    prng.uniform(prng.abstract_key(), (), low, high)  # refuses ends that are out of order
    return lambda key, shape: prng.uniform(key, shape, low, high)


@as_value
@initializer
def zeros() -> Draw:
    """Return zeros.

    >>> import fcnn
    >>> fcnn.initializers.zeros(fcnn.key(0), (2,))
    array([0., 0.], dtype=float32)
    """
    return lambda key, shape: np.zeros(shape, np.float32)


@as_value
@initializer
def ones() -> Draw:
    """Return ones.

    >>> import fcnn
    >>> fcnn.initializers.ones(fcnn.key(0), (2,))
    array([1., 1.], dtype=float32)
    """
    return lambda key, shape: np.ones(shape, np.float32)


@initializer
def constant(value: float | Array) -> Draw:
    """Return the same number everywhere, or an array that broadcasts to the shape.

    Raises:
        ArgumentError: if ``value`` is not finite in float32.
        ShapeError: on a call, if ``value`` does not broadcast to the shape.

    >>> import fcnn
    >>> fcnn.initializers.constant(0.5)(fcnn.key(0), (2,))
    array([0.5, 0.5], dtype=float32)
    """
    try:
        with np.errstate(over="ignore"):
            values = np.asarray(value).astype(np.float32)
    except (TypeError, ValueError):
        values = np.array(np.nan)
    if not np.isfinite(values).all():
        raise ArgumentError(f"expected value to be finite in float32, got {value!r}")

    def fill(key: Key, shape: Shape) -> Array:
        try:
            return np.full(shape, values, np.float32)
        except ValueError:
            raise ShapeError(
                f"expected a shape that {values.shape} broadcasts to, got {shape}"
            ) from None

    return fill
