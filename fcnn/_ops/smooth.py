"""Smooth activations with their derivatives, for one contiguous piece.

``f(x, y)`` writes the value into y, and ``f(x, y, d)`` also the derivative into d. None
overflows: where an exponential would, its argument has the other sign or is cut off at where
the result no longer changes.
"""

from __future__ import annotations

import math

import numpy as np

from fcnn._typing import Array

_SATURATED = 20.0
"""From here on ``tanh(log(1 + exp(x)))`` is 1 in float64."""

_TAIL = (
    0.11962930, 0.12075397, 0.09991337, 0.12856210, -0.05368467, 0.20635478, -0.15720393, 0.03567500
)  # fmt: skip
"""Coefficients of t, t², … in ``Φ(-a) exp(a²/2)`` with ``t = 1 / (1 + 0.3 a)``, fitted for
``0 <= a <= 14`` to a relative error of 1.5e-7."""


def normal_cdf(x: Array) -> tuple[Array, Array]:
    """Return ``Φ(-|x|)``, and ``exp(-x²/2)``, where Φ is the normal distribution function.

    In float32 SciPy's function takes ten times as long as the passes of this polynomial.
    """
    gauss = np.square(x)
    gauss *= -0.5
    np.exp(gauss, out=gauss)
    if x.dtype != np.float32:
        from scipy.special import ndtr  # type: ignore[import-untyped]

        tail: Array = ndtr(-np.abs(x))
        return tail, gauss
    t = np.abs(x)
    t *= 0.3
    t += 1
    np.divide(1, t, out=t)
    tail = t * _TAIL[-1]
    for coefficient in _TAIL[-2::-1]:
        tail += coefficient
        tail *= t
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
    """``y = x (1 + t) / 2`` with ``t = tanh(√(2/π) (x + 0.044715 x³))``.

    ``d = (1 + t) / 2 + x (1 - t²) / 2 · √(2/π) (1 + 3 · 0.044715 x²)``.
    """
    z = np.clip(x, -_SATURATED, _SATURATED)  # whose cube is finite, and 1 - t² is 0
    square = np.square(z)
    t = square * (_SCALE * _CUBE)
    t += _SCALE
    t *= z
    np.tanh(t, out=t)
    np.add(t, 1, out=y)
    y *= 0.5
    if d is not None:
        square *= 3 * _SCALE * _CUBE
        square += _SCALE
        square *= z
        np.square(t, out=t)
        np.subtract(1, t, out=t)
        t *= 0.5
        t *= square
        np.add(y, t, out=d)
    y *= x


def silu(x: Array, y: Array, d: Array | None = None) -> None:
    """``y = x / (1 + exp(-x))`` and ``d = s + y (1 - s)``, with ``s = 1 / (1 + exp(-x))``."""
    q = np.negative(x)
    np.exp(q, out=q)
    q += 1
    np.divide(x, q, out=y)
    if d is not None:
        s = np.divide(1, q, out=q)
        np.subtract(1, s, out=d)
        d *= y
        d += s


def mish(x: Array, y: Array, d: Array | None = None) -> None:
    """``y = x t`` and ``d = t + x dt``, with ``t = tanh(log(1 + exp(x)))``.

    With ``e = exp(x)`` and ``n = e (e + 2)``: ``t = n / (n + 2)``, ``dt = 4 e (e + 1) / (n + 2)²``.
    """
    z = np.clip(x, -np.inf, _SATURATED)
    e = np.exp(z)
    t = e + 2
    t *= e  # n
    inverse = t + 2
    np.divide(1, inverse, out=inverse)
    t *= inverse
    np.multiply(x, t, out=y)
    if d is not None:
        np.add(e, 1, out=d)
        d *= e
        d *= 4
        d *= inverse
        d *= inverse
        d *= z
        d += t


def softplus(x: Array, y: Array, d: Array | None = None, beta: float = 1.0) -> None:
    """``y = log(1 + exp(βx)) / β = max(x, 0) + log1p(exp(-|βx|)) / β``, ``d = sigmoid(βx)``."""
    e = np.abs(x)
    e *= -beta
    np.exp(e, out=e)
    if d is not None:
        _sigmoid_of(e, x, d)
    np.clip(x, 0, np.inf, out=y)
    np.log1p(e, out=e)
    if beta != 1:
        e /= beta
    y += e


def log_sigmoid(x: Array, y: Array, d: Array | None = None) -> None:
    """``y = min(x, 0) - log1p(exp(-|x|))`` and ``d = sigmoid(-x)``."""
    e = np.abs(x)
    np.negative(e, out=e)
    np.exp(e, out=e)
    if d is not None:
        _sigmoid_of(e, -x, d)
    np.clip(x, -np.inf, 0, out=y)
    y -= np.log1p(e, out=e)


def _sigmoid_of(e: Array, x: Array, d: Array) -> None:
    """Write ``sigmoid(x)`` into d, given ``e = exp(-|x|)``: ``1 / (1 + e)``, times e below 0."""
    np.less(x, 0, out=d)  # exact: 1 below 0, else 0
    np.subtract(1, d, out=d)
    np.maximum(d, e, out=d)
    d /= e + 1


def softsign(x: Array, y: Array, d: Array | None = None) -> None:
    """``y = x / (1 + |x|)`` and ``d = 1 / (1 + |x|)²``."""
    scale = np.abs(x)
    scale += 1
    np.divide(x, scale, out=y)
    if d is not None:
        np.divide(1, scale, out=scale)
        np.square(scale, out=d)
