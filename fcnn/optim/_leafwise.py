"""Transforms that treat each weight by itself, and their chains.

Such a transform says what it does in a step by a `Stage`. Where transforms are chained, and
where their updates are added to the params, their stages are run in one pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

import attrs

from fcnn._typing import Tree
from fcnn.optim._stages import Stage, run
from fcnn.optim._states import EmptyState, expect

T = TypeVar("T")

Begin: TypeAlias = Callable[[Any, Tree], tuple[list[Stage], Callable[[list[Any]], Any]]]


@attrs.frozen(eq=False)
class Leafwise:
    """The ``update`` of a transform that treats each weight by itself.

    Attributes:
        begin: ``begin(state, params) -> (stages, after)``; ``after(states)`` makes the new
            state of those of the stages.
        masked: whether a stage may be restricted to some weights.
    """

    begin: Begin
    masked: bool = False

    def __call__(self, updates: T, state: Any, params: Tree) -> tuple[T, Any]:
        """Return ``(updates, state)``."""
        stages, after = self.begin(state, params)
        made, states = run(stages, params, updates)
        return made, after(states)

    def step(self, params: T, grads: Tree, state: Any) -> tuple[T, Any]:
        """Return ``(params + updates, state)``."""
        stages, after = self.begin(state, params)
        made, states = run(stages, params, grads, add=True)
        return made, after(states)


def leafwise(begin: Callable[[Any], Stage]) -> Leafwise:
    """Return the update of a transform of one stage, ``begin(state)``."""

    def begun(state: Any, params: Tree) -> tuple[list[Stage], Callable[[list[Any]], Any]]:
        return [begin(state)], lambda states: states[0]

    return Leafwise(begun)


def stateless(at: Callable[..., Any], *numbers: float) -> Leafwise:
    """Return the update ``at(p, u, *numbers)`` of a transform that keeps nothing."""

    def begin(state: Any) -> Stage:
        expect(state, EmptyState)
        return Stage(at, lambda: state, numbers=numbers)

    return leafwise(begin)


def in_turn(updates: Sequence[Leafwise]) -> Leafwise:
    """Return the update that applies several in turn; its state is the tuple of their states."""

    def begin(state: Any, params: Tree) -> tuple[list[Stage], Callable[[list[Any]], Any]]:
        begun = [each.begin(its, params) for each, its in zip(updates, state, strict=True)]

        def after(states: list[Any]) -> tuple[Any, ...]:
            made, start = [], 0
            for stages, join in begun:
                made.append(join(states[start : start + len(stages)]))
                start += len(stages)
            return tuple(made)

        return [stage for stages, _ in begun for stage in stages], after

    return Leafwise(begin, any(each.masked for each in updates))


def checked(update: Leafwise, check: Callable[[Any, Tree], None]) -> Leafwise:
    """Return the update with ``check(state, params)`` before it."""

    def begin(state: Any, params: Tree) -> tuple[list[Stage], Callable[[list[Any]], Any]]:
        check(state, params)
        return update.begin(state, params)

    return Leafwise(begin, update.masked)


def flagged(stage: Stage, flags: list[bool]) -> Stage:
    """Return the stage for some of the leaves."""
    return Stage(stage.at, stage.after, stage.moments, stage.numbers, stage.fresh, flags)
