"""Variance scaling: random numbers whose variance is a constant over the fan."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias, get_args

from fcnn import prng
from fcnn._check import number, whole
from fcnn._typing import Array, Shape
from fcnn._value import as_value
from fcnn.errors import ArgumentError
from fcnn.initializers._initializer import LARGEST, Draw, fans, initializer
from fcnn.initializers._plain import truncated
from fcnn.prng import Key

Mode: TypeAlias = Literal["fan_in", "fan_out", "fan_avg"]
Distribution: TypeAlias = Literal["normal", "truncated_normal", "uniform"]

_KEPT = 0.8796256610342398
"""The standard deviation of a normal number cut off at ±2: √(1 - 4 φ(2) / (2 Φ(2) - 1))."""


def _scaled(
    scale: float,
    mode: Mode,
    distribution: Distribution,
    groups: int = 1,
    transposed: bool = False,
) -> Draw:
    """Return the function that draws with variance ``scale / fan``."""

    def draw(key: Key, shape: Shape) -> Array:
        fan_in, fan_out = fans(shape, groups, transposed)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[mode]
        variance = scale / max(1.0, fan)
        if distribution == "normal":
            draws = prng.normal(key, shape)
            draws *= math.sqrt(variance)
            return draws
        if distribution == "truncated_normal":
            return truncated(key, shape, math.sqrt(variance) / _KEPT, 0.0, -2.0, 2.0)
        limit = math.sqrt(3 * variance)
        return prng.uniform(key, shape, -limit, limit)

    return draw


@initializer
def variance_scaling(
    scale: float = 1.0,
    *,
    mode: Mode = "fan_in",
    distribution: Distribution = "normal",
    groups: int = 1,
    transposed: bool = False,
) -> Draw:
    """Draw with variance ``scale / fan``.

    For a weight ``(..., a, b)`` with a window ``...`` of w taps, as of a convolution
    ``(kh, kw, c_in / groups, filters)``, an output has ``fan_in = w a`` inputs, and an input
    ``fan_out = w b / groups`` outputs. The transposed convolutions of fcnn give an initializer the
    shape ``(..., c_in / groups, filters)`` too, so that nothing is to be said for them. For a
    weight that is drawn in the layout of the convolution whose adjoint it is,
    ``(..., filters / groups, c_in)``, fans are the other way round: give ``transposed=True``.
    Strides are left out, as everywhere: with a stride s an output of a transposed convolution of
    images has only ``fan_in / (s · s)`` inputs, for which ``scale=2.0 * s * s`` makes up.

    Args:
        scale: greater than 0; 2 before relu.
        mode: "fan_in", "fan_out", or "fan_avg", the mean of both.
        distribution: "normal"; "truncated_normal", within two standard deviations of a normal
            that is wider for it; or "uniform", within ``±√(3 scale / fan)``.
        groups: of the convolution; only ``fan_out`` (or ``fan_in``, if transposed) depends on it.
        transposed: the weight has its outputs' axis before that of its inputs.

    Raises:
        ArgumentError: if an argument is out of its range.
        ShapeError: on a call, if the shape has less than two axes, or its filters are not in
            equal groups.

    >>> import fcnn
    >>> from fcnn.initializers import variance_scaling
    >>> init = variance_scaling(2.0, mode="fan_out", distribution="uniform")
    >>> bool(abs(init(fcnn.key(0), (3, 3, 4, 6))).max() <= 1 / 3)
    True
    """
    size = number(scale, "scale", 0.0, LARGEST)
    if size == 0:
        raise ArgumentError(f"expected a number greater than 0 for scale, got {scale!r}")
    for what, given, names in (
        ("mode", mode, get_args(Mode)),
        ("distribution", distribution, get_args(Distribution)),
    ):
        if given not in names:
            raise ArgumentError(f"expected {what} to be one of {names}, got {given!r}")
    return _scaled(size, mode, distribution, whole(groups, "groups"), bool(transposed))


@as_value
@initializer
def he_normal() -> Draw:
    """Draw normals of variance ``2 / fan_in``, for layers before relu (He et al., 2015).

    >>> import fcnn
    >>> round(float(fcnn.initializers.he_normal(fcnn.key(0), (1000, 50)).std()), 3)
    0.045
    """
    return _scaled(2.0, "fan_in", "normal")


@as_value
@initializer
def he_uniform() -> Draw:
    """Draw uniformly within ``±sqrt(6 / fan_in)``: variance ``2 / fan_in`` (He et al., 2015).

    >>> import fcnn
    >>> bool(abs(fcnn.initializers.he_uniform(fcnn.key(0), (6, 9))).max() <= 1)
    True
    """
    return _scaled(2.0, "fan_in", "uniform")


@as_value
@initializer
def glorot_normal() -> Draw:
    """Draw normals of variance ``2 / (fan_in + fan_out)`` (Glorot and Bengio, 2010).

    >>> import fcnn
    >>> round(float(fcnn.initializers.glorot_normal(fcnn.key(0), (500, 500)).std()), 3)
    0.045
    """
    return _scaled(1.0, "fan_avg", "normal")


@as_value
@initializer
def glorot_uniform() -> Draw:
    """Draw uniformly, with variance ``2 / (fan_in + fan_out)`` (Glorot and Bengio, 2010).

    >>> import fcnn
    >>> bool(abs(fcnn.initializers.glorot_uniform(fcnn.key(0), (3, 3))).max() <= 1)
    True
    """
    return _scaled(1.0, "fan_avg", "uniform")


@as_value
@initializer
def lecun_normal() -> Draw:
    """Draw normals of variance ``1 / fan_in`` (LeCun et al., 1998).

    >>> import fcnn
    >>> round(float(fcnn.initializers.lecun_normal(fcnn.key(0), (2500, 50)).std()), 3)
    0.02
    """
    return _scaled(1.0, "fan_in", "normal")


@as_value
@initializer
def lecun_uniform() -> Draw:
    """Draw uniformly within ``±sqrt(3 / fan_in)``: variance ``1 / fan_in`` (LeCun et al., 1998).

    >>> import fcnn
    >>> bool(abs(fcnn.initializers.lecun_uniform(fcnn.key(0), (3, 9))).max() <= 1)
    True
    """
    return _scaled(1.0, "fan_in", "uniform")


@as_value
@initializer
def he_truncated_normal() -> Draw:
    """Draw normals within two standard deviations, of variance ``2 / fan_in`` (He et al., 2015).

    >>> import fcnn
    >>> round(float(fcnn.initializers.he_truncated_normal(fcnn.key(0), (1000, 50)).std()), 3)
    0.045
    """
    return _scaled(2.0, "fan_in", "truncated_normal")


@as_value
@initializer
def glorot_truncated_normal() -> Draw:
    """Draw normals within two standard deviations, of variance ``2 / (fan_in + fan_out)``.

    >>> import fcnn
    >>> round(float(fcnn.initializers.glorot_truncated_normal(fcnn.key(0), (500, 500)).std()), 3)
    0.045
    """
    return _scaled(1.0, "fan_avg", "truncated_normal")


@as_value
@initializer
def lecun_truncated_normal() -> Draw:
    """Draw normals within two standard deviations, of variance ``1 / fan_in``.

    >>> import fcnn
    >>> round(float(fcnn.initializers.lecun_truncated_normal(fcnn.key(0), (2500, 50)).std()), 3)
    0.02
    """
    return _scaled(1.0, "fan_in", "truncated_normal")
