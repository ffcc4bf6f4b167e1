"""Initializers that do not depend on the fans: normal, uniform and fixed numbers."""

from __future__ import annotations

import numpy as np

from fcnn import prng
from fcnn._check import number
from fcnn._typing import Array, Shape
from fcnn._value import as_value
from fcnn.errors import ArgumentError, ShapeError
from fcnn.initializers._initializer import LARGEST, Draw, initializer
from fcnn.prng import Key


@initializer
def normal(stddev: float = 1.0, mean: float = 0.0) -> Draw:
    """Draw normals of the given standard deviation and mean.

    Raises:
        ArgumentError: if ``stddev`` is negative or an argument is not finite.

    >>> import fcnn
    >>> fcnn.initializers.normal(0.01)(fcnn.key(0), (2, 2)).dtype
    dtype('float32')
    """
    scale = number(stddev, "stddev", 0.0, LARGEST)
    shift = number(mean, "mean", -LARGEST, LARGEST)

    def draw(key: Key, shape: Shape) -> Array:
        draws = prng.normal(key, shape)
        draws *= scale
        draws += shift
        return draws

    return draw


@initializer
def truncated_normal(
    stddev: float = 1.0, mean: float = 0.0, *, low: float = -2.0, high: float = 2.0
) -> Draw:
    """Draw ``mean + stddev · z`` with normals z of ``[low, high]``, all others rejected.

    The standard deviation is that of the normals before the cut; within ±2 it is 0.88 of it
    after.

    Raises:
        ArgumentError: if ``stddev`` is negative, ``low < high`` does not hold, both are more than
            8 to one side of 0, or an argument is not finite.

    >>> import fcnn
    >>> draws = fcnn.initializers.truncated_normal(0.5)(fcnn.key(0), (100, 100))
    >>> bool(abs(draws).max() <= 1), round(float(draws.std()), 2)
    (True, 0.44)
    """
    scale = number(stddev, "stddev", 0.0, LARGEST)
    shift = number(mean, "mean", -LARGEST, LARGEST)
    first, last = number(low, "low", -LARGEST, 8.0), number(high, "high", -8.0, LARGEST)
    if not first < last:
        raise ArgumentError(f"expected low < high, got {low!r} and {high!r}")
    return lambda key, shape: truncated(key, shape, scale, shift, first, last)


def truncated(key: Key, shape: Shape, stddev: float, mean: float, low: float, high: float) -> Array:
    """Draw by the inverse of the cumulative distribution, in float64."""
    from scipy.special import ndtr, ndtri  # type: ignore[import-untyped, unused-ignore]

    draws = prng.uniform(key, shape, float(ndtr(low)), float(ndtr(high)), dtype=np.float64)
    ndtri(draws, out=draws)
    np.clip(draws, low, high, out=draws)
    draws *= stddev
    draws += mean
    return draws.astype(np.float32)


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
