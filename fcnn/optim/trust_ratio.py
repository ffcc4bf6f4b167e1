"""LAMB: Adam's direction, scaled in each layer to the size of its weights."""

from __future__ import annotations

import numpy as np

from fcnn import tree
from fcnn._ops.values import called
from fcnn._typing import Array
from fcnn.optim._contracts import Init, Transform, Update, optimizer, transform
from fcnn.optim._leafwise import stateless
from fcnn.optim.masks import Mask, restrict
from fcnn.optim.moments import scale_by_adam
from fcnn.optim.optimizers import Rate, decay_of, descent
from fcnn.optim.transforms import empty


@transform
def scale_by_trust_ratio(*, mask: Mask | None = None) -> tuple[Init, Update]:
    """Give each update the norm of its weights: ``u · ‖p‖ / ‖u‖``, leaf by leaf.

    u stays as it is where one of the norms is 0. The norms are right from 1e-300 to 1e300.

    Args:
        mask: the weights it applies to.

    Source: Y. You et al., "Large batch optimization for deep learning: training BERT in 76
    minutes", 2020, https://arxiv.org/abs/1904.00962, with φ the identity.

    >>> import numpy as np
    >>> from fcnn import optim
    >>> t = optim.scale_by_trust_ratio()
    >>> t.update((np.array([3.0, 4.0]),), t.init(()), (np.array([0.0, 10.0]),))[0]
    (array([6., 8.]),)
    """
    return restrict(empty, stateless(_trusted), mask)


def _trusted(p: Array, u: Array) -> Array:
    with np.errstate(invalid="ignore"):  # inf · 0
        new: Array = u * called(_ratio, p, u)
    return new


def _ratio(p: Array, u: Array) -> Array:
    of_weight, of_update = tree.norm(p), tree.norm(u)
    return np.array(of_weight / of_update if of_weight and of_update else 1.0, u.dtype)


@optimizer
def lamb(
    learning_rate: Rate,
    *,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-6,
    weight_decay: float = 0.0,
    mask: Mask | None = None,
) -> Transform:
    """Descend by LAMB (You et al., 2020), for large batches: a step of ``learning_rate · ‖p‖``.

    ``d = adam(g) + weight_decay · p`` and then ``p - learning_rate · d ‖p‖ / ‖d‖`` for each
    array of weights (`scale_by_trust_ratio`). As ``optax.lamb``.

    Args:
        learning_rate: a number or a schedule.
        b1: the weight of the old average of the gradients.
        b2: the weight of the old average of their squares.
        eps: is added to the root of the latter.
        weight_decay: how much of the weights is added to the direction.
        mask: the weights that decay; None is all of them.

    Raises:
        ArgumentError: if an argument is out of its range, or ``mask`` comes without decay.

    >>> from fcnn import optim
    >>> optim.lamb(0.001, weight_decay=0.01)
    lamb(0.001, weight_decay=0.01)
    """
    adam = scale_by_adam(b1=b1, b2=b2, eps=eps)
    return descent(learning_rate, adam, *decay_of(weight_decay, mask), scale_by_trust_ratio())
