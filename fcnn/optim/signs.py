"""Lion: the sign of a momentum."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from fcnn import _check, tree
from fcnn._typing import Array
from fcnn.optim._contracts import Init, Transform, Update, optimizer, transform
from fcnn.optim._leafwise import leafwise
from fcnn.optim._stages import Stage
from fcnn.optim._states import expect, kept
from fcnn.optim.masks import Mask, restrict
from fcnn.optim.moments import mean
from fcnn.optim.optimizers import Rate, decay_of, descent


@tree.node
class ScaleByLionState:
    """The state of `scale_by_lion`.

    Attributes:
        mu: the moving average of the gradients, a tree like the params.
    """

    mu: Any = attrs.field(converter=kept)


@transform
def scale_by_lion(
    *, b1: float = 0.9, b2: float = 0.99, mask: Mask | None = None
) -> tuple[Init, Update]:
    """Replace by the sign of an average of gradients (Lion).

    The update is ``sign(b1 μ + (1 - b1) u)``; then ``μ = b2 μ + (1 - b2) u``, which starts at 0.

    Args:
        b1: the weight of μ in the direction.
        b2: the weight of the old μ.
        mask: the weights it applies to.

    Raises:
        ArgumentError: if ``b1`` or ``b2`` is not in [0, 1).

    Source: X. Chen et al., "Symbolic discovery of optimization algorithms", 2023,
    https://arxiv.org/abs/2302.06675, algorithm 2.

    >>> from fcnn import optim
    >>> t = optim.scale_by_lion()
    >>> t.update((-4.0,), t.init((0.0,)), (0.0,))[0]
    (-1.0,)
    """
    b1 = _check.number(b1, "b1", 0.0, 1.0, open_high=True)
    b2 = _check.number(b2, "b2", 0.0, 1.0, open_high=True)

    def begin(state: Any) -> Stage:
        expect(state, ScaleByLionState)
        return Stage(_lion, ScaleByLionState, (state.mu,), (b1, 1 - b1, b2, 1 - b2))

    return restrict(lambda params: ScaleByLionState(tree.zeros_like(params)), leafwise(begin), mask)


def _lion(
    p: Array, u: Array, m: Array, b1: Array, rest1: Array, b2: Array, rest2: Array
) -> tuple[Array, Array]:
    new = mean(m, u, b1, rest1)
    return np.sign(new, out=new), mean(m, u, b2, rest2)


@optimizer
def lion(
    learning_rate: Rate,
    *,
    b1: float = 0.9,
    b2: float = 0.99,
    weight_decay: float = 0.0,
    mask: Mask | None = None,
) -> Transform:
    """Descend by Lion (Chen et al., 2023): ``p - learning_rate · (sign + weight_decay · p)``.

    Every weight moves by ``learning_rate``: the source advises a third to a tenth of Adam's
    rate, and three to ten times its weight decay. As ``optax.lion``, whose default decay is
    1e-3.

    Args:
        learning_rate: a number or a schedule.
        b1: the weight of the average in the direction.
        b2: the weight of the old average.
        weight_decay: how much of the weights is added to the direction.
        mask: the weights that decay; None is all of them.

    Raises:
        ArgumentError: if an argument is out of its range, or ``mask`` comes without decay.

    >>> from fcnn import optim
    >>> optim.lion(0.0003, weight_decay=0.1)
    lion(0.0003, weight_decay=0.1)
    """
    return descent(learning_rate, scale_by_lion(b1=b1, b2=b2), *decay_of(weight_decay, mask))
