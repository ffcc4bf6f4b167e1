"""Gradient transforms made of others, and the way from a transform to an optimizer."""

from __future__ import annotations

from typing import Any

from fcnn._typing import Tree
from fcnn.optim._contracts import (
    Init,
    Step,
    Transform,
    Update,
    adding,
    check_transform,
    optimizer,
    transform,
)
from fcnn.optim._states import names, refuse


@transform
def chain(*transforms: Transform) -> tuple[Init, Update]:
    """Apply transforms one after the other, each to the updates of the one before.

    The state is the tuple of their states.

    Raises:
        ArgumentError: if one of them is no gradient transform.

    >>> from fcnn import optim
    >>> both = optim.chain(optim.scale(0.5), optim.scale(-1.0))
    >>> both
    chain(scale(0.5), scale(-1.0))
    >>> both.update((4.0,), both.init((1.0,)), (1.0,))[0]
    (-2.0,)
    """
    for each in transforms:
        check_transform(each)

    def init(params: Tree) -> tuple[Any, ...]:
        return tuple([each.init(params) for each in transforms])

    def update(updates: Tree, state: Any, params: Tree) -> tuple[Tree, tuple[Any, ...]]:
        if type(state) is not tuple or len(state) != len(transforms):
            raise refuse(names(init(params)), names(state))
        after = []
        for each, before in zip(transforms, state, strict=True):
            updates, now = each.update(updates, before, params)
            after.append(now)
        return updates, tuple(after)

    return init, update


@optimizer
def descend(transform: Transform) -> tuple[Init, Step]:
    """Make an optimizer of a transform: ``p + update(gradient)``.

    Raises:
        ArgumentError: if it is no gradient transform.

    >>> from fcnn import optim
    >>> clip, adam = optim.clip_by_global_norm(1.0), optim.scale_by_adam()
    >>> optimizer = optim.descend(optim.chain(clip, adam, optim.scale_by_learning_rate(0.001)))
    >>> params, state = optimizer.step((1.0,), (7.0,), optimizer.init((1.0,)))
    >>> round(params[0], 6)
    0.999
    """
    check_transform(transform)
    return adding(transform)
