"""Gradient transforms: the pieces that optimizers are chained from.

In the formulas, u is the update that comes in (the gradient, at the head of a
chain), p the parameter, and t counts the steps from 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fcnn import _check, tree
from fcnn._typing import Array, Tree
from fcnn.errors import ArgumentError
from fcnn.optim._contracts import Init, Update, transform
from fcnn.optim._elementwise import Elementwise, Kernel, Rule, Where
from fcnn.optim.schedules import as_schedule


def _positive(value: Any, what: str) -> float:
    number = _check.number(value, what, 0.0, open_high=True)
    if number == 0:
        raise ArgumentError(f"{what} must be greater than 0")
    return number


def _scaling(factor: float) -> Kernel:
    return lambda u, p: (u * factor,)


@transform
def scale(factor: float) -> Rule:
    """``factor * u``.

    >>> from fcnn import optim
    >>> t = optim.scale(3.0)
    >>> t.update((2.0,), t.init((0.0,)), (0.0,))[0]
    (6.0,)
    """
    kernel = _scaling(_check.number(factor, "factor", -math.inf, open_high=True))
    return Rule(lambda count: kernel)


@transform
def scale_by_schedule(schedule: Callable[[int], float]) -> Rule:
    """``schedule(t - 1) * u``: the first step is the schedule's step 0.

    >>> from fcnn import optim
    >>> t = optim.scale_by_schedule(optim.step(1.0, every=1, factor=0.5))
    >>> state = t.init((0.0,))
    >>> _, state = t.update((2.0,), state, (0.0,))
    >>> t.update((2.0,), state, (0.0,))[0]
    (1.0,)
    """
    return Rule(lambda count: _scaling(float(schedule(count))))


@transform
def scale_by_learning_rate(rate: float | Callable[[int], float]) -> Rule:
    """``-rate * u``: the step goes against the gradient.

    Args:
        rate: a number, or a schedule, whose step 0 is the first step.

    Raises:
        ArgumentError: if the rate is negative or not finite.

    >>> from fcnn import optim
    >>> t = optim.scale_by_learning_rate(0.5)
    >>> t.update((2.0,), t.init((0.0,)), (0.0,))[0]
    (-1.0,)
    """
    at = as_schedule(rate)
    return Rule(lambda count: _scaling(-float(at(count))))


@transform
def trace(decay: float = 0.9, *, nesterov: bool = False) -> Rule:
    """Momentum: ``m = u + decay * m``, and the update is m, or ``u + decay * m`` with Nesterov.

    Source: I. Sutskever et al., "On the importance of initialization and momentum in
    deep learning", 2013, https://proceedings.mlr.press/v28/sutskever13.html; in the form
    of PyTorch, whose rate stands outside of m.

    Raises:
        ArgumentError: if ``decay`` is not in [0, 1).

    >>> from fcnn import optim
    >>> t = optim.trace(0.5)
    >>> _, state = t.update((2.0,), t.init((0.0,)), (0.0,))
    >>> t.update((2.0,), state, (0.0,))[0]
    (3.0,)
    """
    decay = _check.number(decay, "decay", 0.0, 1.0, open_high=True)

    def kernel(u: Array, p: Array, m: Array) -> tuple[Array, Array]:
        m = decay * m
        m += u
        return (u + decay * m if nesterov else m), m

    return Rule(lambda count: kernel, moments=1)


@transform
def scale_by_adam(*, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> Rule:
    """Adam: the mean of gradients over the root of the mean of their squares.

    ``m = b1 m + (1 - b1) u``, ``v = b2 v + (1 - b2) u²``, and the update is
    ``m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)``.

    Source: D. Kingma and J. Ba, "Adam: a method for stochastic optimization", 2015,
    https://arxiv.org/abs/1412.6980, algorithm 1.

    Raises:
        ArgumentError: if ``b1`` or ``b2`` is not in [0, 1), or ``eps`` is not greater than 0.

    >>> from fcnn import optim
    >>> t = optim.scale_by_adam()
    >>> round(t.update((4.0,), t.init((0.0,)), (0.0,))[0][0], 6)
    1.0
    """
    b1 = _check.number(b1, "b1", 0.0, 1.0, open_high=True)
    b2 = _check.number(b2, "b2", 0.0, 1.0, open_high=True)
    eps = _positive(eps, "eps")

    def at(count: int) -> Kernel:
        per_m = 1 / (1 - b1 ** (count + 1))
        per_root = 1 / math.sqrt(1 - b2 ** (count + 1))

        def kernel(u: Array, p: Array, m: Array, v: Array) -> tuple[Array, Array, Array]:
            m = b1 * m
            m += (1 - b1) * u
            square = u * u
            square *= 1 - b2
            v = b2 * v
            v += square
            root = np.sqrt(v)
            root *= per_root
            root += eps
            update = m * per_m
            update /= root
            return update, m, v

        return kernel

    return Rule(at, moments=2)


@transform
def scale_by_rms(decay: float = 0.9, *, eps: float = 1e-8) -> Rule:
    """RMSprop: ``v = decay v + (1 - decay) u²``, and the update is ``u / (sqrt(v) + eps)``.

    Source: T. Tieleman and G. Hinton, "Lecture 6.5: rmsprop", Coursera, 2012,
    https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf.

    Raises:
        ArgumentError: if ``decay`` is not in [0, 1), or ``eps`` is not greater than 0.

    >>> from fcnn import optim
    >>> t = optim.scale_by_rms(0.75)
    >>> round(t.update((4.0,), t.init((0.0,)), (0.0,))[0][0], 6)
    2.0
    """
    decay = _check.number(decay, "decay", 0.0, 1.0, open_high=True)
    eps = _positive(eps, "eps")

    def kernel(u: Array, p: Array, v: Array) -> tuple[Array, Array]:
        square = u * u
        square *= 1 - decay
        v = decay * v
        v += square
        root = np.sqrt(v)
        root += eps
        return u / root, v

    return Rule(lambda count: kernel, moments=1)


@transform
def add_decayed_weights(rate: float, *, where: Where | None = None) -> Rule:
    """``u + rate * p``: weight decay.

    Args:
        rate: how much of the parameter is added.
        where: ``where(path, leaf)`` says which leaves decay; None is all of them. For
            kernels alone, `fcnn.optim.matrices`.

    Raises:
        ArgumentError: if ``rate`` is negative or not finite.

    >>> from fcnn import optim
    >>> t = optim.add_decayed_weights(0.5)
    >>> t.update((1.0,), t.init((4.0,)), (4.0,))[0]
    (3.0,)
    """
    rate = _check.number(rate, "a decay rate", 0.0, open_high=True)

    def kernel(u: Array, p: Array) -> tuple[Array]:
        return (u + rate * p,)

    return Rule(lambda count: kernel, where=where)


@transform
def clip_by_global_norm(limit: float) -> tuple[Init, Update]:
    """``u * min(1, limit / ‖u‖)``, the norm being that of all leaves together.

    Source: R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training
    recurrent neural networks", 2013, https://arxiv.org/abs/1211.5063, algorithm 1.

    Raises:
        ArgumentError: if ``limit`` is not greater than 0.

    >>> import numpy as np
    >>> from fcnn import optim
    >>> t = optim.clip_by_global_norm(1.0)
    >>> grads = (np.array([3.0]), np.array([4.0]))
    >>> t.update(grads, t.init(grads), grads)[0]
    (array([0.6]), array([0.8]))
    """
    limit = _positive(limit, "limit")

    def update(grads: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        norm = _norm(grads)
        if not norm > limit:
            return grads, state
        factor = limit / norm
        shorten = Elementwise((Rule(lambda count: _scaling(factor)),))
        return shorten.update(grads, shorten.init(()), params)[0], state

    return lambda params: (), update


def _norm(grads: Tree) -> float:
    """The norm, also where the squares are too large for the gradients' precision."""
    with np.errstate(over="ignore"):
        norm = tree.norm(grads)
    if math.isfinite(norm):
        return norm
    return tree.norm(tree.map(lambda u: np.asarray(u, np.float64), grads))
