"""Gradient transforms made of others, and the way from a transform to an optimizer."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, cast

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
from fcnn.optim._leafwise import Leafwise, checked, in_turn
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

    def check(state: Any, params: Tree) -> None:
        if type(state) is not tuple or len(state) != len(transforms):
            raise refuse(names(init(params)), names(state))

    runs = _runs([each.update for each in transforms])

    def update(updates: Tree, state: Any, params: Tree) -> tuple[Tree, tuple[Any, ...]]:
        check(state, params)
        after: list[Any] = []
        for run, some in runs:
            updates, now = run(updates, state[some], params)
            after.extend(now)
        return updates, tuple(after)

    if len(runs) == 1 and isinstance(runs[0][0], Leafwise):
        return init, checked(runs[0][0], check)
    return init, update


def _runs(updates: Sequence[Update]) -> list[tuple[Update, slice]]:
    """Return the updates with those that follow each other and treat each weight by itself as one.

    Each takes and returns a tuple of states: its slice of the chain's.
    """
    runs: list[tuple[Update, slice]] = []
    start = 0
    for is_leafwise, group in itertools.groupby(updates, lambda u: isinstance(u, Leafwise)):
        some = list(group)
        for part in [in_turn(cast(list[Leafwise], some))] if is_leafwise else map(_of_one, some):
            n = len(some) if is_leafwise else 1
            runs.append((part, slice(start, start + n)))
            start += n
    return runs or [(in_turn([]), slice(0, 0))]


def _of_one(update: Update) -> Update:
    """Return the update with its state as a tuple of one."""

    def of_one(updates: Tree, state: Any, params: Tree) -> tuple[Tree, tuple[Any]]:
        updates, after = update(updates, state[0], params)
        return updates, (after,)

    return of_one


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
