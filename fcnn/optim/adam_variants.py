"""Gradient transforms that vary Adam: AdaMax, AMSGrad, NAdam, RAdam.

In the formulas, u is the update that comes in, t counts the steps from 1, and
``μ = b1 μ + (1 - b1) u`` and ``ν = b2 ν + (1 - b2) u²`` start at zero, as in `scale_by_adam`.
"""

from __future__ import annotations

import math
from typing import Any

import attrs
import numpy as np

from fcnn import _check, tree
from fcnn._ops.values import computed, decide
from fcnn._typing import Array, Tree
from fcnn.optim._contracts import Init, Update, transform
from fcnn.optim._leafwise import leafwise
from fcnn.optim._stages import Stage
from fcnn.optim._states import expect, kept
from fcnn.optim.masks import Mask, restrict
from fcnn.optim.moments import ScaleByAdamState, mean, mean_square
from fcnn.optim.transforms import positive


@tree.node
class ScaleByAmsgradState:
    """The state of `scale_by_amsgrad`.

    Attributes:
        count: the number of steps taken.
        mu: the moving average of the gradients, a tree like the params.
        nu: the moving average of their squares.
        nu_max: the largest that it was.
    """

    count: int = tree.number()
    mu: Any = attrs.field(converter=kept)
    nu: Any = attrs.field(converter=kept)
    nu_max: Any = attrs.field(converter=kept)


@tree.node
class ScaleByNadamState:
    """The state of `scale_by_nadam`.

    Attributes:
        count: the number of steps taken.
        momentum_product: the product of the momentums of these steps.
        mu: the moving average of the gradients, a tree like the params.
        nu: the moving average of their squares.
    """

    count: int = tree.number()
    momentum_product: float = tree.number()
    mu: Any = attrs.field(converter=kept)
    nu: Any = attrs.field(converter=kept)


def _ranges(b1: float, b2: float, eps: float) -> tuple[float, float, float]:
    b1 = _check.number(b1, "b1", 0.0, 1.0, open_high=True)
    b2 = _check.number(b2, "b2", 0.0, 1.0, open_high=True)
    return b1, b2, positive(eps, "eps")


def _init(params: Tree) -> ScaleByAdamState:
    zeros = tree.zeros_like(params)
    return ScaleByAdamState(0, zeros, zeros)


@transform
def scale_by_adamax(
    *, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8, mask: Mask | None = None
) -> tuple[Init, Update]:
    """Divide the average of the gradients by their largest decayed absolute value (AdaMax).

    ``ν = max(b2 ν, |u| + eps)``, and the update is ``μ / (1 - b1ᵗ) / ν``.

    Args:
        b1: the weight of the old average of the gradients.
        b2: what the old maximum is multiplied by.
        eps: is added to the absolute values.
        mask: the weights it applies to.

    Raises:
        ArgumentError: if ``b1`` or ``b2`` is not in [0, 1), or ``eps`` is not greater than 0.

    Source: D. Kingma and J. Ba, "Adam: a method for stochastic optimization", 2015,
    https://arxiv.org/abs/1412.6980, algorithm 2; eps as in PyTorch and Optax.

    >>> from fcnn import optim
    >>> t = optim.scale_by_adamax()
    >>> round(t.update((4.0,), t.init((0.0,)), (0.0,))[0][0], 6)
    1.0
    """
    b1, b2, eps = _ranges(b1, b2, eps)

    def begin(state: Any) -> Stage:
        expect(state, ScaleByAdamState)
        count = state.count + 1
        numbers = b1, 1 - b1, b2, eps, computed(lambda t: 1 / (1 - b1**t), count)

        def after(mu: Tree, nu: Tree) -> ScaleByAdamState:
            return ScaleByAdamState(count, mu, nu)

        return Stage(_adamax, after, (state.mu, state.nu), numbers)

    return restrict(_init, leafwise(begin), mask)


def _adamax(
    p: Array,
    u: Array,
    m: Array,
    v: Array,
    b1: Array,
    rest1: Array,
    b2: Array,
    eps: Array,
    per_mu: Array,
) -> tuple[Array, Array, Array]:
    m = mean(m, u, b1, rest1)
    size = np.abs(u)
    size += eps
    v = np.maximum(b2 * v, size, out=size)
    new = m * per_mu
    new /= v
    return new, m, v


@transform
def scale_by_amsgrad(
    *, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8, mask: Mask | None = None
) -> tuple[Init, Update]:
    """Divide as Adam does, by the largest average of squared gradients so far (AMSGrad).

    ``ν̂ = max(ν̂, ν)``, and the update is ``μ / (1 - b1ᵗ) / (sqrt(ν̂ / (1 - b2ᵗ)) + eps)``. As in
    PyTorch the maximum is that of the average without correction; in Optax it is that of the
    corrected one.

    Args:
        b1: the weight of the old average of the gradients.
        b2: the weight of the old average of their squares.
        eps: is added to the root.
        mask: the weights it applies to.

    Raises:
        ArgumentError: if ``b1`` or ``b2`` is not in [0, 1), or ``eps`` is not greater than 0.

    Source: S. Reddi, S. Kale and S. Kumar, "On the convergence of Adam and beyond", 2018,
    https://arxiv.org/abs/1904.09237, algorithm 2, with Adam's corrections.

    >>> from fcnn import optim
    >>> t = optim.scale_by_amsgrad()
    >>> round(t.update((4.0,), t.init((0.0,)), (0.0,))[0][0], 6)
    1.0
    """
    b1, b2, eps = _ranges(b1, b2, eps)

    def init(params: Tree) -> ScaleByAmsgradState:
        zeros = tree.zeros_like(params)
        return ScaleByAmsgradState(0, zeros, zeros, zeros)

    def corrections(t: int) -> tuple[float, float]:
        return 1 / (1 - b1**t), 1 / math.sqrt(1 - b2**t)

    def begin(state: Any) -> Stage:
        expect(state, ScaleByAmsgradState)
        count = state.count + 1
        numbers = b1, 1 - b1, b2, 1 - b2, *computed(corrections, count), eps

        def after(mu: Tree, nu: Tree, nu_max: Tree) -> ScaleByAmsgradState:
            return ScaleByAmsgradState(count, mu, nu, nu_max)

        return Stage(_amsgrad, after, (state.mu, state.nu, state.nu_max), numbers)

    return restrict(init, leafwise(begin), mask)


def _amsgrad(
    p: Array,
    u: Array,
    m: Array,
    v: Array,
    most: Array,
    b1: Array,
    rest1: Array,
    b2: Array,
    rest2: Array,
    per_mu: Array,
    per_root: Array,
    eps: Array,
) -> tuple[Array, Array, Array, Array]:
    m = mean(m, u, b1, rest1)
    root = np.empty_like(u)
    v = mean_square(v, u, b2, rest2, root)
    most = np.maximum(most, v)
    np.sqrt(most, out=root)
    root *= per_root
    root += eps
    new = m * per_mu
    new /= root
    return new, m, v, most


@transform
def scale_by_nadam(
    *,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    momentum_decay: float = 0.004,
    mask: Mask | None = None,
) -> tuple[Init, Update]:
    """Divide as Adam does, with Nesterov's momentum, which grows to ``b1`` (NAdam).

    ``bₜ = b1 (1 - 0.96^(t · momentum_decay) / 2)``, ``Bₜ = b₁ b₂ … bₜ``, and the update is
    ``((1 - bₜ) u / (1 - Bₜ) + bₜ₊₁ μ / (1 - Bₜ₊₁)) / (sqrt(ν / (1 - b2ᵗ)) + eps)``.

    Args:
        b1: the weight of the old average of the gradients.
        b2: the weight of the old average of their squares.
        eps: is added to the root.
        momentum_decay: how fast the momentum grows.
        mask: the weights it applies to.

    Raises:
        ArgumentError: if ``b1`` or ``b2`` is not in [0, 1), ``eps`` is not greater than 0, or
            ``momentum_decay`` is negative or not finite.

    Source: T. Dozat, "Incorporating Nesterov momentum into Adam", 2016,
    https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ, as in PyTorch.

    >>> from fcnn import optim
    >>> t = optim.scale_by_nadam()
    >>> round(t.update((4.0,), t.init((0.0,)), (0.0,))[0][0], 6)
    1.056452
    """
    b1, b2, eps = _ranges(b1, b2, eps)
    momentum_decay = _check.number(momentum_decay, "momentum_decay", 0.0, open_high=True)

    def momentum(t: int) -> float:
        return b1 * (1 - 0.5 * math.pow(0.96, t * momentum_decay))

    def init(params: Tree) -> ScaleByNadamState:
        zeros = tree.zeros_like(params)
        return ScaleByNadamState(0, 1.0, zeros, zeros)

    def factors(t: int, product: float) -> tuple[float, float, float, float]:
        now, ahead = momentum(t), momentum(t + 1)
        product *= now
        per_u, per_mu = (1 - now) / (1 - product), ahead / (1 - product * ahead)
        return product, per_u, per_mu, 1 / math.sqrt(1 - b2**t)

    def begin(state: Any) -> Stage:
        expect(state, ScaleByNadamState)
        count = state.count + 1
        product, *by = computed(factors, count, state.momentum_product)
        numbers = b1, 1 - b1, b2, 1 - b2, *by, eps

        def after(mu: Tree, nu: Tree) -> ScaleByNadamState:
            return ScaleByNadamState(count, product, mu, nu)

        return Stage(_nadam, after, (state.mu, state.nu), numbers)

    return restrict(init, leafwise(begin), mask)


def _nadam(
    p: Array,
    u: Array,
    m: Array,
    v: Array,
    b1: Array,
    rest1: Array,
    b2: Array,
    rest2: Array,
    per_u: Array,
    per_mu: Array,
    per_root: Array,
    eps: Array,
) -> tuple[Array, Array, Array]:
    m = mean(m, u, b1, rest1)
    root = np.empty_like(u)
    v = mean_square(v, u, b2, rest2, root)
    new = mean(u, m, per_u, per_mu)
    np.sqrt(v, out=root)
    root *= per_root
    root += eps
    new /= root
    return new, m, v


@transform
def scale_by_radam(
    *, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8, mask: Mask | None = None
) -> tuple[Init, Update]:
    """Divide as Adam does where the average of squares has seen enough, rectified (RAdam).

    With ``ρ∞ = 2 / (1 - b2) - 1`` and ``ρ = ρ∞ - 2 t b2ᵗ / (1 - b2ᵗ)``, the update is
    ``μ / (1 - b1ᵗ)`` as long as ``ρ ≤ 5``, and from then on that times
    ``sqrt((ρ - 4)(ρ - 2) ρ∞ / ((ρ∞ - 4)(ρ∞ - 2) ρ)) sqrt(1 - b2ᵗ) / (sqrt(ν) + eps)``.

    Args:
        b1: the weight of the old average of the gradients.
        b2: the weight of the old average of their squares.
        eps: is added to the root.
        mask: the weights it applies to.

    Raises:
        ArgumentError: if ``b1`` or ``b2`` is not in [0, 1), or ``eps`` is not greater than 0.

    Source: L. Liu et al., "On the variance of the adaptive learning rate and beyond", 2020,
    https://arxiv.org/abs/1908.03265, algorithm 2; threshold and eps as in PyTorch.

    >>> from fcnn import optim
    >>> t = optim.scale_by_radam()
    >>> round(t.update((4.0,), t.init((0.0,)), (0.0,))[0][0], 6)
    4.0
    """
    b1, b2, eps = _ranges(b1, b2, eps)
    most = 2 / (1 - b2) - 1

    def rectification(t: int) -> tuple[bool, float]:
        rest = 1 - b2**t
        length = most - 2 * t * b2**t / rest
        factor = 1 / (1 - b1**t)
        if length <= 5:
            return False, factor
        ratio = (length - 4) * (length - 2) * most / ((most - 4) * (most - 2) * length)
        return True, factor * math.sqrt(ratio * rest)

    def begin(state: Any) -> Stage:
        expect(state, ScaleByAdamState)
        count = state.count + 1
        rectified, factor = computed(rectification, count)
        at = _rectified if decide(rectified) else _early
        numbers = b1, 1 - b1, b2, 1 - b2, factor, eps

        def after(mu: Tree, nu: Tree) -> ScaleByAdamState:
            return ScaleByAdamState(count, mu, nu)

        return Stage(at, after, (state.mu, state.nu), numbers)

    return restrict(_init, leafwise(begin), mask)


def _early(
    p: Array,
    u: Array,
    m: Array,
    v: Array,
    b1: Array,
    rest1: Array,
    b2: Array,
    rest2: Array,
    factor: Array,
    eps: Array,
) -> tuple[Array, Array, Array]:
    m = mean(m, u, b1, rest1)
    return m * factor, m, mean_square(v, u, b2, rest2, np.empty_like(u))


def _rectified(
    p: Array,
    u: Array,
    m: Array,
    v: Array,
    b1: Array,
    rest1: Array,
    b2: Array,
    rest2: Array,
    factor: Array,
    eps: Array,
) -> tuple[Array, Array, Array]:
    new, m, v = _early(p, u, m, v, b1, rest1, b2, rest2, factor, eps)
    root = np.sqrt(v)
    root += eps
    new /= root
    return new, m, v
