"""Adam's scaling of gradients: its state and moments, which its variants share.

In the formulas of this file and of the variants (`adam_infinity`, `adam_maximum`, `adam_nesterov`,
`adam_rectified`), u is the update that comes in and t counts the steps from 1. The moments
``μ = b1 μ + (1 - b1) u`` and ``ν = b2 ν + (1 - b2) u²`` start at zero, have the params' dtypes, and
stay zero where the params hold statistics. The optimizers' weight decay is decoupled, as in
`fcnn.optim.adamw` and with ``decoupled_weight_decay=True`` in PyTorch:
``p - learning_rate · (direction + weight_decay · p)``.
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
from fcnn.optim._contracts import Init, Update, transform
from fcnn.optim._leafwise import leafwise
from fcnn.optim._stages import Stage
from fcnn.optim._states import expect, kept
from fcnn.optim.masks import Mask, restrict
from fcnn.optim.moments import mean_square
from fcnn.optim.transforms import positive


@tree.node
class ScaleByAdamState:
    """The state of `scale_by_adam`.

    Attributes:
        count: the number of steps taken.
        mu: the moving average of the gradients, a tree like the params.
        nu: the moving average of their squares.
    """

    count: int = tree.number()
    mu: Any = attrs.field(converter=kept)
    nu: Any = attrs.field(converter=kept)


def ranges(b1: float, b2: float, eps: float) -> tuple[float, float, float]:
    """Check the numbers of Adam and its variants.

    Raises:
        ArgumentError: if ``b1`` or ``b2`` is not in [0, 1), or ``eps`` is not greater than 0.
    """
    b1 = _check.number(b1, "b1", 0.0, 1.0, open_high=True)
    b2 = _check.number(b2, "b2", 0.0, 1.0, open_high=True)
    return b1, b2, positive(eps, "eps")


def no_moments(params: Tree) -> ScaleByAdamState:
    """Return the state before the first step."""
    zeros = tree.zeros_like(params)
    return ScaleByAdamState(0, zeros, zeros)


@transform
def scale_by_adam(
    *, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8, mask: Mask | None = None
) -> tuple[Init, Update]:
    """Divide the average of the gradients by the root of that of their squares (Adam).

    ``μ = b1 μ + (1 - b1) u``, ``ν = b2 ν + (1 - b2) u²``, and the update is
    ``μ / (1 - b1ᵗ) / (sqrt(ν / (1 - b2ᵗ)) + eps)``.

    Args:
        b1: the weight of the old average of the gradients.
        b2: the weight of the old average of their squares.
        eps: is added to the root.
        mask: the weights it applies to.

    Raises:
        ArgumentError: if ``b1`` or ``b2`` is not in [0, 1), or ``eps`` is not greater than 0.

    Source: D. Kingma and J. Ba, "Adam: a method for stochastic optimization", 2015,
    https://arxiv.org/abs/1412.6980, algorithm 1.

    >>> from fcnn import optim
    >>> t = optim.scale_by_adam()
    >>> round(t.update((4.0,), t.init((0.0,)), (0.0,))[0][0], 6)
    1.0
    """
    b1, b2, eps = ranges(b1, b2, eps)

    def corrections(t: int) -> tuple[float, float]:
        return 1 / (1 - b1**t), 1 / math.sqrt(1 - b2**t)

    def begin(state: Any) -> Stage:
        expect(state, ScaleByAdamState)
        count = state.count + 1
        numbers = b1, 1 - b1, b2, 1 - b2, *computed(corrections, count), eps

        after = functools.partial(ScaleByAdamState, count)
        return Stage(_adam, after, (state.mu, state.nu), numbers)

    return restrict(no_moments, leafwise(begin), mask)


def _adam(
    p: Array,
    u: Array,
    m: Array,
    v: Array,
    b1: Array,
    rest1: Array,
    b2: Array,
    rest2: Array,
    per_mu: Array,
    per_root: Array,
    eps: Array,
) -> tuple[Array, Array, Array]:
    scratch: Array = rest1 * u
    m = b1 * m
    m += scratch
    v = mean_square(v, u, b2, rest2, scratch)
    root = np.sqrt(v, out=scratch)
    root *= per_root
    root += eps
    new = m * per_mu
    new /= root
    return new, m, v
