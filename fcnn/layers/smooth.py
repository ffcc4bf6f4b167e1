"""Smooth activations: GELU, SiLU, Mish, softplus, log-sigmoid and softsign.

Each computes its derivative along with its output, and keeps that for the pullback, or computes
it of its input in the pullback, where that takes less time than to write and read an array.
"""

from __future__ import annotations

import functools

from fcnn._check import number
from fcnn._layer import Triple, layer
from fcnn._ops import smooth
from fcnn._pointwise import by_derivative, by_input
from fcnn._value import as_value
from fcnn._walk import facts
from fcnn.errors import ArgumentError


@layer
def gelu(approximate: str = "none") -> Triple:
    """Apply the Gaussian error linear unit: ``y = x · Φ(x)``.

    Φ is the normal distribution function, ``Φ(x) = (1 + erf(x / √2)) / 2``, and ``dx =
    dy · (Φ(x) + x · exp(-x²/2) / √(2π))``. In float64 Φ is `scipy.special.ndtr`; in float32
    a continued fraction whose relative error is 3e-7, and 2e-6 in the tail at -13.

    Args:
        approximate: ``"none"``, or ``"tanh"`` for
            ``y = x / 2 · (1 + tanh(√(2/π) · (x + 0.044715 x³)))``.

    Raises:
        ArgumentError: if ``approximate`` is neither.

    >>> import numpy as np, fcnn
    >>> fcnn.gelu().apply((), np.array([[-1.0, 0.0, 1.0]])).round(3)
    array([[-0.159,  0.   ,  0.841]])

    Source: D. Hendrycks and K. Gimpel, "Gaussian error linear units (GELUs)", 2016,
    https://arxiv.org/abs/1606.08415.
    """
    if approximate not in ("none", "tanh"):
        raise ArgumentError(f'expected approximate="none" or "tanh", got {approximate!r}')
    return by_derivative(smooth.gelu if approximate == "none" else smooth.gelu_by_tanh)


@as_value
@layer
def silu() -> Triple:
    """Multiply by the sigmoid: ``y = x · s``, ``dx = dy · (s + y · (1 - s))``; also called swish.

    >>> import numpy as np, fcnn
    >>> fcnn.silu.apply((), np.array([[-1.0, 0.0, 1.0]])).round(3)
    array([[-0.269,  0.   ,  0.731]])

    Source: S. Elfwing et al., "Sigmoid-weighted linear units for neural network function
    approximation in reinforcement learning", 2017, https://arxiv.org/abs/1702.03118.
    """
    return by_derivative(smooth.silu)


@as_value
@layer
def mish() -> Triple:
    """Multiply by tanh of softplus: ``y = x · t`` with ``t = tanh(log(1 + exp(x)))``.

    ``dx = dy · (t + x · (1 - t²) · sigmoid(x))``, computed without cancellation.

    >>> import numpy as np, fcnn
    >>> fcnn.mish.apply((), np.array([[-1.0, 0.0, 1.0]])).round(3)
    array([[-0.303,  0.   ,  0.865]])

    Source: D. Misra, "Mish: a self regularized non-monotonic activation function", 2019,
    https://arxiv.org/abs/1908.08681.
    """
    return by_derivative(smooth.mish)


@layer
def softplus(beta: float = 1.0) -> Triple:
    """Rectify smoothly: ``y = log(1 + exp(beta · x)) / beta``; ``dx = dy · sigmoid(beta · x)``.

    Computed as ``max(x, 0) + log1p(exp(-beta · |x|)) / beta``, exact for all x: there is no
    threshold from which on y is taken to be x.

    Args:
        beta: how sharp the bend is, above 0.

    Raises:
        ArgumentError: if ``beta`` is not positive.

    >>> import numpy as np, fcnn
    >>> fcnn.softplus().apply((), np.array([[-50.0, 0.0, 50.0]])).round(3)
    array([[ 0.   ,  0.693, 50.   ]])

    Source: C. Dugas et al., "Incorporating second-order functional knowledge for better
    option pricing", 2000, https://papers.nips.cc/paper/1920.
    """
    sharpness = number(beta, "beta", 1e-30)
    return by_input(
        functools.partial(smooth.softplus, beta=sharpness),
        functools.partial(smooth.softplus_adjoint, beta=sharpness),
    )


@as_value
@layer
def log_sigmoid() -> Triple:
    """Take the logarithm of the sigmoid: ``y = -log(1 + exp(-x))``; ``dx = dy · sigmoid(-x)``.

    >>> import numpy as np, fcnn
    >>> fcnn.log_sigmoid.apply((), np.array([[-50.0, 0.0]])).round(3)
    array([[-50.   ,  -0.693]])
    """
    return by_input(smooth.log_sigmoid, smooth.log_sigmoid_adjoint)


@as_value
@layer
def softsign() -> Triple:
    """Bound by 1, more slowly than tanh: ``y = x / (1 + |x|)``; ``dx = dy / (1 + |x|)²``.

    >>> import numpy as np, fcnn
    >>> fcnn.softsign.apply((), np.array([[-1.0, 0.0, 3.0]]))
    array([[-0.5 ,  0.  ,  0.75]])

    Source: J. Bergstra et al., "Quadratic polynomials learn better image features", 2009,
    technical report 1337, Université de Montréal.
    """
    return by_input(smooth.softsign, smooth.softsign_adjoint)


for _smooth in (gelu, silu, mish, softplus, log_sigmoid, softsign):
    facts(_smooth, multiply_adds=0, window=(1, 1))
