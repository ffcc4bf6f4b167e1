"""Elementwise activations, and softmax over the last axis.

None has parameters, so each is a value, not a call: ``serial(dense(10), relu)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fcnn._layer import EVAL, Context, Triple, layer
from fcnn._ops.relu import relu as _relu
from fcnn._ops.relu import relu_adjoint as _relu_adjoint
from fcnn._ops.stable import log_softmax as _log_softmax
from fcnn._ops.stable import sigmoid as _sigmoid
from fcnn._ops.stable import softmax as _softmax
from fcnn._typing import Array, ModelPullback, Shape
from fcnn._value import as_value
from fcnn._walk import facts
from fcnn.prng import Key


def _activation(f: Callable[[Array], Array], pull: Callable[[Array, Array], Array]) -> Triple:
    """Return the triple of y = f(x) whose dx = pull(y, dy) follows from y."""

    def init(key: Key, shape: Shape) -> tuple[tuple[()], Shape]:
        return (), shape

    def apply(params: tuple[()], x: Array, ctx: Context = EVAL) -> Array:
        return f(x)

    def vjp(params: tuple[()], x: Array, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
        y = f(x)

        def pullback(dy: Array) -> tuple[tuple[()], Any]:
            return (), pull(y, dy)

        return y, pullback

    return init, apply, vjp


@as_value
@layer
def relu() -> Triple:
    """Rectify: ``y = max(x, 0)``; ``dx = dy where y > 0 else 0``.

    >>> import numpy as np, fcnn
    >>> fcnn.relu.apply((), np.array([[-1.0, 2.0]]))
    array([[0., 2.]])
    """
    return _activation(_relu, _relu_adjoint)


@as_value
@layer
def sigmoid() -> Triple:
    """Apply the logistic function: ``y = 1 / (1 + exp(-x))``; ``dx = dy · y · (1 - y)``.

    >>> import numpy as np, fcnn
    >>> fcnn.sigmoid.apply((), np.array([[-1000.0, 0.0, 1000.0]]))
    array([[0. , 0.5, 1. ]])
    """

    def pull(y: Array, dy: Array) -> Array:
        dx: Array = np.subtract(1, y)
        dx *= y
        dx *= dy
        return dx

    return _activation(_sigmoid, pull)


@as_value
@layer
def tanh() -> Triple:
    """Apply the hyperbolic tangent: ``y = tanh(x)``; ``dx = dy · (1 - y²)``.

    >>> import numpy as np, fcnn
    >>> fcnn.tanh.apply((), np.array([[0.0, 1000.0]]))
    array([[0., 1.]])
    """

    def pull(y: Array, dy: Array) -> Array:
        dx: Array = np.square(y)
        np.subtract(1, dx, out=dx)
        dx *= dy
        return dx

    return _activation(np.tanh, pull)


@as_value
@layer
def softmax() -> Triple:
    """Normalise exponentials over the last axis: ``y = exp(x) / Σ exp(x)``.

    Computed of ``x - max x``. With the Jacobian ``diag(y) - y yᵀ``: ``dx = y · (dy - Σ dy · y)``.
    To train, leave it out and use `fcnn.losses.softmax_cross_entropy`, which takes logits.

    >>> import numpy as np, fcnn
    >>> fcnn.softmax.apply((), np.array([[1000.0, 1000.0]]))
    array([[0.5, 0.5]])
    """

    def pull(y: Array, dy: Array) -> Array:
        dx: Array = y * (dy - (dy * y).sum(axis=-1, keepdims=True))
        return dx

    return _activation(_softmax, pull)


@as_value
@layer
def log_softmax() -> Triple:
    """Take the logarithm of softmax over the last axis: ``y = x - log Σ exp(x)``.

    With softmax(x) = exp(y): ``dx = dy - exp(y) · Σ dy``.

    >>> import numpy as np, fcnn
    >>> fcnn.log_softmax.apply((), np.array([[0.0, 0.0]])).round(3)
    array([[-0.693, -0.693]])
    """

    def pull(y: Array, dy: Array) -> Array:
        dx: Array = dy - np.exp(y) * dy.sum(axis=-1, keepdims=True)
        return dx

    return _activation(_log_softmax, pull)


for _activation_layer in (relu, sigmoid, tanh):
    facts(_activation_layer, multiply_adds=0, window=(1, 1))
for _activation_layer in (softmax, log_softmax):
    facts(_activation_layer, multiply_adds=0)
