"""Optimizers: sgd, adam, adamw, rmsprop, each a chain of transforms, and `descend` for your own.

``rate`` is a number or a schedule. Weight decay applies to all leaves, biases too, as
in PyTorch and Optax; ``decay_where=matrices`` spares the biases and the scales. Statistics
never decay.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from fcnn import _check
from fcnn.errors import ArgumentError
from fcnn.optim._contracts import Transform, chain, optimizer
from fcnn.optim._elementwise import Where
from fcnn.optim.transforms import (
    add_decayed_weights,
    scale_by_adam,
    scale_by_learning_rate,
    scale_by_rms,
    trace,
)

Rate: TypeAlias = float | Callable[[int], float]


@optimizer
def descend(transform: Transform) -> Transform:
    """The optimizer that adds a transform's updates: ``p + update(gradient)``.

    >>> from fcnn import optim
    >>> optim.descend(
    ...     optim.chain(optim.clip_by_global_norm(1.0), optim.scale_by_learning_rate(0.1))
    ... )
    descend(chain(clip_by_global_norm(1.0), scale_by_learning_rate(0.1)))
    """
    return transform


def _decay(rate: float, where: Where | None) -> tuple[Transform, ...]:
    return (add_decayed_weights(rate, where=where),) if rate else ()


@optimizer
def sgd(
    rate: Rate,
    *,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    decay_where: Where | None = None,
) -> Transform:
    """Stochastic gradient descent: ``p - rate * g``, with momentum if it is not 0.

    ``g + weight_decay * p`` takes the place of g; ``m = momentum * m + g`` then takes
    its place, or ``g + momentum * m`` with Nesterov (`trace`). As ``torch.optim.SGD``.

    >>> from fcnn import optim
    >>> optim.sgd(0.1, momentum=0.9, nesterov=True)
    sgd(0.1, momentum=0.9, nesterov=True)
    """
    if nesterov and not momentum:
        raise ArgumentError("nesterov needs a momentum greater than 0")
    inertia = (trace(momentum, nesterov=nesterov),) if momentum else ()
    return chain(*_decay(weight_decay, decay_where), *inertia, scale_by_learning_rate(rate))


@optimizer
def adam(rate: Rate, *, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> Transform:
    """Adam (Kingma and Ba, 2015): `scale_by_adam`. As ``torch.optim.Adam``.

    >>> from fcnn import optim
    >>> optim.adam(optim.warmup(10, 0.001))
    adam(warmup(10, 0.001))
    """
    return chain(scale_by_adam(b1=b1, b2=b2, eps=eps), scale_by_learning_rate(rate))


@optimizer
def adamw(
    rate: Rate,
    *,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.01,
    decay_where: Where | None = None,
) -> Transform:
    """Adam with decoupled decay: ``p - rate * (adam(g) + weight_decay * p)``.

    As ``torch.optim.AdamW``.

    Source: I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", 2019,
    https://arxiv.org/abs/1711.05101.

    >>> from fcnn import optim
    >>> optim.adamw(0.001, decay_where=optim.matrices)
    adamw(0.001, decay_where=matrices)
    """
    return chain(
        scale_by_adam(b1=b1, b2=b2, eps=eps),
        *_decay(weight_decay, decay_where),
        scale_by_learning_rate(rate),
    )


@optimizer
def rmsprop(
    rate: Rate, *, decay: float = 0.9, eps: float = 1e-8, momentum: float = 0.0
) -> Transform:
    """RMSprop (Tieleman and Hinton, 2012): `scale_by_rms`, then momentum if it is not 0.

    As ``torch.optim.RMSprop`` with ``alpha=decay``, whose default is 0.99; Hinton's,
    and ours, is 0.9.

    >>> from fcnn import optim
    >>> optim.rmsprop(0.001)
    rmsprop(0.001)
    """
    momentum = _check.number(momentum, "momentum", 0.0, 1.0, open_high=True)
    inertia = (trace(momentum),) if momentum else ()
    return chain(scale_by_rms(decay, eps=eps), *inertia, scale_by_learning_rate(rate))
