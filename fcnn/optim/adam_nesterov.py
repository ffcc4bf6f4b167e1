"""NAdam: Adam with Nesterov's momentum.

The formulas are in the letters of `adam_scaling`.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import attrs
import numpy as np

from fcnn import _check, tree
from fcnn._ops.values import computed
from fcnn._typing import Array, Tree
from fcnn.optim._contracts import Init, Transform, Update, optimizer, transform
from fcnn.optim._leafwise import leafwise
from fcnn.optim._stages import Stage
from fcnn.optim._states import expect, kept
from fcnn.optim.adam_scaling import ranges
from fcnn.optim.masks import Mask, restrict
from fcnn.optim.moments import mean, mean_square
from fcnn.optim.optimizers import Rate, decay_of, descent


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
    b1, b2, eps = ranges(b1, b2, eps)
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

        after = functools.partial(ScaleByNadamState, count, product)
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


@optimizer
def nadam(
    learning_rate: Rate,
    *,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    momentum_decay: float = 0.004,
    weight_decay: float = 0.0,
    mask: Mask | None = None,
) -> Transform:
    """Descend by NAdam (Dozat, 2016): `scale_by_nadam`. As ``torch.optim.NAdam``.

    Args:
        learning_rate: a number or a schedule.
        b1: the weight of the old average of the gradients.
        b2: the weight of the old average of their squares.
        eps: is added to the root.
        momentum_decay: how fast the momentum grows.
        weight_decay: how much of the weights is added to the direction.
        mask: the weights that decay; None is all of them.

    Raises:
        ArgumentError: if an argument is out of its range, or ``mask`` comes without decay.

    >>> from fcnn import optim
    >>> optim.nadam(0.002)
    nadam(0.002)
    """
    direction = scale_by_nadam(b1=b1, b2=b2, eps=eps, momentum_decay=momentum_decay)
    return descent(learning_rate, direction, *decay_of(weight_decay, mask))
