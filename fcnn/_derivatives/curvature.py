"""How a pullback changes as its layer's arguments move: the second derivative of one layer.

For a fixed dy the pullback is the gradient Q of φ(params, x) = <dy, f(params, x)>, and its
change along a tangent v is H v, with H the Hessian of φ.

* Where f is affine in params and in x, each while the other rests (dense, convolutions, scales),
  ``Q_params`` is affine in x alone and ``Q_x`` in params alone, so H v is a difference of two
  pullbacks, exact.
* Otherwise H v is a central difference along v, of fourth order with an error of h⁴ and eps/h,
  element by element: a kink of the layer between the points spoils only the elements that it
  belongs to, where a shorter step then disagrees and takes its place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from fcnn import tree
from fcnn._derivatives.candidates import Point
from fcnn._derivatives.certificate import floats
from fcnn._layer import core
from fcnn._typing import Array
from fcnn.errors import FcnnError

Line: TypeAlias = Callable[[float], list[Array]]
"""The arrays of a function of the distance along a tangent."""

STEPS = (1e-3, 3e-5, 1e-9)
"""Distances relative to the size of the arguments. The error of the first is about 1e-12; the
others are for elements with a kink nearby."""
RELATIVE, ABSOLUTE = (1e-8, 1e-4), (1e-10, 1e-6)
"""How near an element is to that of the next step without a kink, relative to the derivative and
to the function."""


def curvature(at: Point, dy: Any, dparams: Any, dx: Any) -> list[Array]:
    """Return the change of ``pullback(dy)`` along the tangents; None is a tangent of zero.

    The arrays are those of the gradients in params that are no statistics, and then, unless dx
    is None, of x.
    """

    def pulled(params: Any, x: Any) -> list[Array]:
        grads, gradient = core(at.layer.vjp)(params, x, at.ctx)[1](dy)
        return floats(grads) + ([] if dx is None else floats(gradient))

    def line(t: float) -> list[Array]:
        return pulled(along(at.params, dparams, t), along(at.x, dx, t))

    here, scale = pulled(at.params, at.x), scale_of((at.params, at.x), (dparams, dx))
    if floats(at.params) and isinstance(at.x, np.ndarray):
        try:
            found = _of_affine(at, pulled, dparams, dx)
        except (FcnnError, ValueError, ArithmeticError):
            found = None  # the layer does not take what an affine one would
        if found is not None and _near(found, _central(line, 1e-4 * scale, 2), here):
            return found
    return derivative(line, here, scale)


def derivative(line: Line, here: list[Array], scale: float) -> list[Array]:
    """Return the derivative at 0, where ``line`` is ``here``, element by element."""
    long = _central(line, STEPS[0] * scale, 4)
    if not any(each.any() for each in long):
        return long
    middle = _central(line, STEPS[1] * scale, 4)
    agree = _agreement(long, middle, here, 0)
    if all(each.all() for each in agree):
        return long
    short = _central(line, STEPS[2] * scale, 2)
    rows = zip(agree, _agreement(middle, short, here, 1), long, middle, short, strict=True)
    return [np.where(first, a, np.where(second, b, c)) for first, second, a, b, c in rows]


def _agreement(
    found: list[Array], closer: list[Array], here: list[Array], pair: int
) -> list[Array]:
    """Return where two steps give the same derivative."""
    return [
        np.abs(a - b)
        <= RELATIVE[pair] * (np.abs(a) + _mean(a)) + ABSOLUTE[pair] * (np.abs(q) + _mean(q))
        for a, b, q in zip(found, closer, here, strict=True)
    ]


def _mean(values: Array) -> float:
    return float(np.abs(values).mean()) if values.size else 0.0


def _central(line: Line, h: float, order: int) -> list[Array]:
    """Return the central difference quotient of second or fourth order."""
    near = zip(line(h), line(-h), strict=True)
    if order == 2:
        return [(a - b) / (2 * h) for a, b in near]
    far = zip(line(2 * h), line(-2 * h), strict=True)
    return [(8 * (a - b) - (c - d)) / (12 * h) for (a, b), (c, d) in zip(near, far, strict=True)]


def _of_affine(at: Point, pulled: Any, dparams: Any, dx: Any) -> list[Array]:
    """Return the change if the layer is affine in params and in x, each while the other rests."""
    if dx is None:  # then the gradient in params, which does not depend on them, rests
        return [np.zeros_like(each) for each in floats(at.params)]
    count = len(floats(at.params))
    ahead, still = pulled(at.params, dx), pulled(at.params, np.zeros_like(dx))
    of_params = [a - b for a, b in zip(ahead[:count], still[:count], strict=True)]
    moved = tree.map(lambda p, d: d, at.params, dparams, statistic=lambda p, d: p)
    none = tree.map(np.zeros_like, at.params, statistic=lambda p: p)
    return [*of_params, pulled(moved, at.x)[-1] - pulled(none, at.x)[-1]]


def _near(found: list[Array], rough: list[Array], here: list[Array]) -> bool:
    """Return whether a difference quotient has the same numbers, to some six digits."""
    return all(
        np.abs(a - b).max(initial=0)
        <= 1e-6 * np.abs(a).max(initial=0) + 1e-9 * np.abs(q).max(initial=0)
        for a, b, q in zip(found, rough, here, strict=True)
    )


def along(values: Any, tangent: Any, t: float) -> Any:
    """Return ``values + t * tangent``; statistics and whole numbers stay."""
    if tangent is None:
        return values

    def moved(value: Any, d: Any) -> Any:
        return value + t * d if np.asarray(value).dtype.kind == "f" else value

    return tree.map(moved, values, tangent, statistic=lambda value, d: value)


def scale_of(values: Any, tangents: Any) -> float:
    """Return what a relative distance is to be multiplied by, so that no element moves far."""
    size = max((_mean(each) for each in floats(values)), default=0.0)
    most = max(
        (float(np.abs(each).max(initial=0)) for each in floats(tangents) if each is not None),
        default=0.0,
    )
    return min(1.0, size or 1.0) / most if most else 1.0
