"""RAdam: Adam, rectified while few squares have been averaged.

The formulas are in the letters of `adam_scaling`.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from fcnn._ops.values import computed, decide
from fcnn._typing import Array
from fcnn.optim._contracts import Init, Transform, Update, optimizer, transform
from fcnn.optim._leafwise import leafwise
from fcnn.optim._stages import Stage
from fcnn.optim._states import expect
from fcnn.optim.adam_scaling import ScaleByAdamState, no_moments, ranges
from fcnn.optim.masks import Mask, restrict
from fcnn.optim.moments import mean, mean_square
from fcnn.optim.optimizers import Rate, decay_of, descent


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
    b1, b2, eps = ranges(b1, b2, eps)
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

        after = functools.partial(ScaleByAdamState, count)
        return Stage(at, after, (state.mu, state.nu), numbers)

    return restrict(no_moments, leafwise(begin), mask)


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


@optimizer
def radam(
    learning_rate: Rate,
    *,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    mask: Mask | None = None,
) -> Transform:
    """Descend by rectified Adam (Liu et al., 2020): `scale_by_radam`. As ``torch.optim.RAdam``.

    Args:
        learning_rate: a number or a schedule.
        b1: the weight of the old average of the gradients.
        b2: the weight of the old average of their squares.
        eps: is added to the root.
        weight_decay: how much of the weights is added to the direction.
        mask: the weights that decay; None is all of them.

    Raises:
        ArgumentError: if an argument is out of its range, or ``mask`` comes without decay.

    >>> from fcnn import optim
    >>> optim.radam(0.001)
    radam(0.001)
    """
    direction = scale_by_radam(b1=b1, b2=b2, eps=eps)
    return descent(learning_rate, direction, *decay_of(weight_decay, mask))
