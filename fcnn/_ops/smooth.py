"""Smooth activations with their derivatives, for one contiguous piece.

``f(x, y)`` writes the value into y, and ``f(x, y, d)`` also the derivative into d. Where the
derivative is cheap, ``f_adjoint(x, dy, dx)`` computes it of x again, so that nothing else is kept.
None overflows: where an exponential would, the result is the limit, or its argument is cut off at
where the result no longer changes.

What counts is the number of passes over a piece: a sum, a product and a quotient take as long as
each other, `numpy.exp`, `tanh` and `log1p` as long as three or four.
"""

from __future__ import annotations

import math

import numpy as np

from fcnn._typing import Array

_SATURATED = 20.0
"""From here on ``tanh(log(1 + exp(x)))`` is 1 in float64."""

_INNERMOST = 0.728734938
_LEVELS = (18.6057761, 4.801615), (-9.22074882, 1.76717294), (1.18116783, -0.0095485443)
_OUTERMOST = 0.398852991
"""Numerators and shifts of the continued fraction ``0.399 / (a - 0.0095 + 1.18 / (a + 1.77 - …))``
for ``Φ(-a) exp(a²/2)``, a rational function of degrees 3 and 4. It was fitted for
``0 <= a <= 13.3`` to a relative error of 1.5e-7 at 0, which grows to 2e-6 at 13, where the
rounding of a² is worth as much."""


def normal_cdf(x: Array) -> tuple[Array, Array]:
    """Return ``Φ(-|x|)``, and ``exp(-x²/2)``, where Φ is the normal distribution function.

    In float32 SciPy's function takes ten times as long as the passes of this continued fraction.
    """
    gauss = np.square(x)
    gauss *= -0.5
    np.exp(gauss, out=gauss)
    a = np.abs(x)
    if x.dtype != np.float32:
        from scipy.special import ndtr  # type: ignore[import-untyped]

        tail: Array = ndtr(np.negative(a, out=a))
        return tail, gauss
    tail = a + _INNERMOST
    for numerator, shift in _LEVELS:
        np.divide(numerator, tail, out=tail)
        tail += a
        tail += shift
    np.divide(_OUTERMOST, tail, out=tail)
    tail *= gauss
    return tail, gauss


def gelu(x: Array, y: Array, d: Array | None = None) -> None:
    """``y = x Φ(x)`` and ``d = Φ(x) + x φ(x)``, with φ the normal density."""
    tail, gauss = normal_cdf(x)
    np.greater(x, 0, out=y)  # exact: 1 above 0, else 0
    y -= tail
    np.abs(y, out=y)  # Φ(x): 1 - tail above 0, tail below
    if d is not None:
        np.multiply(gauss, x, out=d)
        d *= 1 / math.sqrt(2 * math.pi)
        d += y
    y *= x


_SCALE, _CUBE = math.sqrt(2 / math.pi), 0.044715


def gelu_by_tanh(x: Array, y: Array, d: Array | None = None) -> None:
    """``y = x s`` with ``s = (1 + tanh u) / 2`` and ``u = √(2/π) (x + 0.044715 x³)``.

    With ``u = p x``: ``d = s + x s (1 - s) · 2 u' = s + (x - y) s (6 p - 4 √(2/π))``.
    """
    z = np.clip(x, -_SATURATED, _SATURATED)  # whose cube is finite, and x - y is 0
    p = np.square(z)
    p *= _SCALE * _CUBE
    p += _SCALE
    s = np.multiply(p, z, out=z)
    np.tanh(s, out=s)
    s += 1
    s *= 0.5
    np.multiply(x, s, out=y)
    if d is not None:
        np.subtract(x, y, out=d)
        d *= s  # 0 where x is so small that the next product would overflow
        p *= 6
        p -= 4 * _SCALE
        d *= p
        d += s


def silu(x: Array, y: Array, d: Array | None = None) -> None:
    """``y = x s`` and ``d = s + x s (1 - s) = s (1 + x - y)``, with ``s = 1 / (1 + exp(-x))``."""
    q = np.negative(x)
    np.exp(q, out=q)
    q += 1
    np.divide(x, q, out=y)
    if d is not None:
        np.subtract(x, y, out=d)
        d += 1
        d /= q


def mish(x: Array, y: Array, d: Array | None = None) -> None:
    """``y = x t`` and ``d = t + x dt``, with ``t = tanh(log(1 + exp(x)))``.

    With ``e = exp(x)`` and ``m = e (e + 2) + 2``: ``t = (e + 2) e / m``, ``dt = 4 e (e + 1) / m²``.
    """
    z = np.clip(x, -np.inf, _SATURATED)
    e = np.exp(z)
    t = e + 2
    m = t * e
    m += 2
    if d is not None:
        np.add(e, 1, out=d)
        d /= m
    e /= m
    t *= e
    np.multiply(x, t, out=y)
    if d is not None:
        d *= e
        d *= 4
        d *= z
        d += t


def softplus(x: Array, y: Array, beta: float = 1.0) -> None:
    """``y = log(1 + exp(βx)) / β = max(x, 0) + log1p(exp(-|βx|)) / β``."""
    e = np.abs(x)
    e *= -beta
    np.exp(e, out=e)
    np.log1p(e, out=e)
    if beta != 1:
        e /= beta
    np.clip(x, 0, np.inf, out=y)
    y += e


def softplus_adjoint(x: Array, dy: Array, dx: Array, beta: float = 1.0) -> None:
    """``dx = dy / (1 + exp(-βx))``."""
    np.multiply(x, -beta, out=dx)
    np.exp(dx, out=dx)
    dx += 1
    np.divide(dy, dx, out=dx)


def log_sigmoid(x: Array, y: Array) -> None:
    """``y = min(x, 0) - log1p(exp(-|x|))``."""
    e = np.abs(x)
    np.negative(e, out=e)
    np.exp(e, out=e)
    np.log1p(e, out=e)
    np.clip(x, -np.inf, 0, out=y)
    y -= e


def log_sigmoid_adjoint(x: Array, dy: Array, dx: Array) -> None:
    """``dx = dy / (1 + exp(x))``."""
    np.exp(x, out=dx)
    dx += 1
    np.divide(dy, dx, out=dx)


def softsign(x: Array, y: Array) -> None:
    """``y = x / (1 + |x|)``."""
    np.abs(x, out=y)
    y += 1
    np.divide(x, y, out=y)


def softsign_adjoint(x: Array, dy: Array, dx: Array) -> None:
    """``dx = dy / (1 + |x|)²``."""
    np.abs(x, out=dx)
    dx += 1
    np.square(dx, out=dx)
    np.divide(dy, dx, out=dx)
