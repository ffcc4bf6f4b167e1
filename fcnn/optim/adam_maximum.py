"""AMSGrad: Adam with the largest average of squares so far.

The formulas are in the letters of `adam_scaling`.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import attrs
import numpy as np

from fcnn import tree
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
    b1, b2, eps = ranges(b1, b2, eps)

    def init(params: Tree) -> ScaleByAmsgradState:
        zeros = tree.zeros_like(params)
        return ScaleByAmsgradState(0, zeros, zeros, zeros)

    def corrections(t: int) -> tuple[float, float]:
        return 1 / (1 - b1**t), 1 / math.sqrt(1 - b2**t)

    def begin(state: Any) -> Stage:
        expect(state, ScaleByAmsgradState)
        count = state.count + 1
        numbers = b1, 1 - b1, b2, 1 - b2, *computed(corrections, count), eps

        after = functools.partial(ScaleByAmsgradState, count)
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


@optimizer
def amsgrad(
    learning_rate: Rate,
    *,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    mask: Mask | None = None,
) -> Transform:
    """Descend by AMSGrad (Reddi et al., 2018): `scale_by_amsgrad`.

    As ``torch.optim.AdamW`` with ``amsgrad=True``.

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
    >>> optim.amsgrad(0.001, weight_decay=0.01)
    amsgrad(0.001, weight_decay=0.01)
    """
    direction = scale_by_amsgrad(b1=b1, b2=b2, eps=eps)
    return descent(learning_rate, direction, *decay_of(weight_decay, mask))
