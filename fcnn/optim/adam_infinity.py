"""AdaMax: Adam with a decayed maximum in the place of the average of squares.

The formulas are in the letters of `adam_scaling`.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from fcnn._ops.values import computed
from fcnn._typing import Array
from fcnn.optim._contracts import Init, Transform, Update, optimizer, transform
from fcnn.optim._leafwise import leafwise
from fcnn.optim._stages import Stage
from fcnn.optim._states import expect
from fcnn.optim.adam_scaling import ScaleByAdamState, no_moments, ranges
from fcnn.optim.masks import Mask, restrict
from fcnn.optim.moments import mean
from fcnn.optim.optimizers import Rate, decay_of, descent


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
    b1, b2, eps = ranges(b1, b2, eps)

    def begin(state: Any) -> Stage:
        expect(state, ScaleByAdamState)
        count = state.count + 1
        numbers = b1, 1 - b1, b2, eps, computed(lambda t: 1 / (1 - b1**t), count)

        after = functools.partial(ScaleByAdamState, count)
        return Stage(_adamax, after, (state.mu, state.nu), numbers)

    return restrict(no_moments, leafwise(begin), mask)


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


@optimizer
def adamax(
    learning_rate: Rate,
    *,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    mask: Mask | None = None,
) -> Transform:
    """Descend by AdaMax (Kingma and Ba, 2015): `scale_by_adamax`. As ``torch.optim.Adamax``.

    Args:
        learning_rate: a number or a schedule.
        b1: the weight of the old average of the gradients.
        b2: what the old maximum is multiplied by.
        eps: is added to the absolute values.
        weight_decay: how much of the weights is added to the direction (PyTorch adds it to the
            gradients).
        mask: the weights that decay; None is all of them.

    Raises:
        ArgumentError: if an argument is out of its range, or ``mask`` comes without decay.

    >>> from fcnn import optim
    >>> optim.adamax(0.002)
    adamax(0.002)
    """
    direction = scale_by_adamax(b1=b1, b2=b2, eps=eps)
    return descent(learning_rate, direction, *decay_of(weight_decay, mask))
