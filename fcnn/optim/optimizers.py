"""Optimizers: sgd, adam, adamw and rmsprop, each a chain of transforms and a learning rate.

``learning_rate`` is a number or a schedule. Weight decay applies to all weights, biases
included, as in PyTorch and Optax; ``mask=matrices`` restricts it to kernels. Statistics never
decay.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from fcnn import _check
from fcnn.errors import ArgumentError
from fcnn.optim._contracts import Transform, optimizer
from fcnn.optim.adam_scaling import scale_by_adam
from fcnn.optim.combine import chain
from fcnn.optim.masks import Mask
from fcnn.optim.moments import scale_by_rms, trace
from fcnn.optim.transforms import add_decayed_weights, scale_by_learning_rate

Rate: TypeAlias = float | Callable[[int], float]


def descent(learning_rate: Rate, *transforms: Transform) -> Transform:
    """Return the chain of transforms and of a learning rate, which `optimizer` takes."""
    return chain(*transforms, scale_by_learning_rate(learning_rate))


def decay_of(weight_decay: float, mask: Mask | None) -> tuple[Transform, ...]:
    """Return the transform of a weight decay, in a tuple; none where it is 0.

    Raises:
        ArgumentError: if there is a mask and no decay.
    """
    if mask is not None and not weight_decay:
        raise ArgumentError(
            f"expected a weight_decay greater than 0 with mask, got {weight_decay}; mask says "
            f"which weights decay (fcnn.optim.partition says which are trained)"
        )
    return (add_decayed_weights(weight_decay, mask=mask),) if weight_decay else ()


@optimizer
def sgd(
    learning_rate: Rate,
    *,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    mask: Mask | None = None,
) -> Transform:
    """Descend along the gradient: ``p - learning_rate · g``, with momentum if it is not 0.

    ``g + weight_decay · p`` takes the place of g; then ``m = momentum · m + g`` takes its
    place, or ``g + momentum · m`` with Nesterov (`trace`). As ``torch.optim.SGD``.

    Args:
        learning_rate: a number or a schedule.
        momentum: the weight of the old momentum.
        nesterov: whether to look one step ahead.
        weight_decay: how much of the weights is added to the gradients.
        mask: the weights that decay; None is all of them.

    Raises:
        ArgumentError: if an argument is out of its range, ``nesterov`` comes without
            momentum, or ``mask`` without weight decay.

    >>> from fcnn import optim
    >>> optim.sgd(0.1, momentum=0.9, nesterov=True)
    sgd(0.1, momentum=0.9, nesterov=True)
    """
    momentum = _check.number(momentum, "momentum", 0.0, 1.0, open_high=True)
    if nesterov and not momentum:
        raise ArgumentError(
            f"expected a momentum greater than 0 for nesterov, got {momentum}; "
            f"pass momentum=0.9, or leave nesterov out"
        )
    inertia = (trace(momentum, nesterov=nesterov),) if momentum else ()
    return descent(learning_rate, *decay_of(weight_decay, mask), *inertia)


@optimizer
def adam(
    learning_rate: Rate, *, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8
) -> Transform:
    """Descend by Adam (Kingma and Ba, 2015): `scale_by_adam`. As ``torch.optim.Adam``.

    Args:
        learning_rate: a number or a schedule.
        b1: the weight of the old average of the gradients.
        b2: the weight of the old average of their squares.
        eps: is added to the root of the latter.

    Raises:
        ArgumentError: if an argument is out of its range.

    >>> from fcnn import optim
    >>> optim.adam(optim.warmup(10, 0.001))
    adam(warmup(10, 0.001))
    """
    return descent(learning_rate, scale_by_adam(b1=b1, b2=b2, eps=eps))


@optimizer
def adamw(
    learning_rate: Rate,
    *,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.01,
    mask: Mask | None = None,
) -> Transform:
    """Descend by Adam with decoupled decay: ``p - learning_rate · (adam(g) + weight_decay · p)``.

    As ``torch.optim.AdamW``, and as ``optax.adamw``, whose default decay is 1e-4.

    Args:
        learning_rate: a number or a schedule.
        b1: the weight of the old average of the gradients.
        b2: the weight of the old average of their squares.
        eps: is added to the root of the latter.
        weight_decay: how much of the weights is added to the direction.
        mask: the weights that decay; None is all of them.

    Raises:
        ArgumentError: if an argument is out of its range.

    Source: I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", 2019,
    https://arxiv.org/abs/1711.05101.

    >>> from fcnn import optim
    >>> optim.adamw(0.001, mask=optim.matrices)
    adamw(0.001, mask=matrices)
    """
    adam = scale_by_adam(b1=b1, b2=b2, eps=eps)
    return descent(learning_rate, adam, *decay_of(weight_decay, mask))


@optimizer
def rmsprop(
    learning_rate: Rate, *, decay: float = 0.9, eps: float = 1e-8, momentum: float = 0.0
) -> Transform:
    """Descend by RMSprop (Tieleman and Hinton, 2012): `scale_by_rms`, with momentum if it is not 0.

    As ``torch.optim.RMSprop`` with ``alpha=decay``, whose default is 0.99; the source's, and
    the one here, is 0.9.

    Args:
        learning_rate: a number or a schedule.
        decay: the weight of the old average of the squared gradients.
        eps: is added to the root of the average.
        momentum: the weight of the old momentum (`trace`).

    Raises:
        ArgumentError: if an argument is out of its range.

    >>> from fcnn import optim
    >>> optim.rmsprop(0.001)
    rmsprop(0.001)
    """
    momentum = _check.number(momentum, "momentum", 0.0, 1.0, open_high=True)
    inertia = (trace(momentum),) if momentum else ()
    return descent(learning_rate, scale_by_rms(decay, eps=eps), *inertia)
