"""Optimizers of Adam's family: adamax, amsgrad, nadam, radam, with decoupled weight decay.

Weight decay is decoupled, as in `fcnn.optim.adamw`: ``p - learning_rate · (direction +
weight_decay · p)``, as with ``decoupled_weight_decay=True`` in PyTorch.
"""

from __future__ import annotations

from fcnn.optim._contracts import Transform, optimizer
from fcnn.optim.adam_variants import (
    scale_by_adamax,
    scale_by_amsgrad,
    scale_by_nadam,
    scale_by_radam,
)
from fcnn.optim.masks import Mask
from fcnn.optim.optimizers import Rate, decay_of, descent


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
