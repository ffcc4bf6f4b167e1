"""Going on from a state: what it was run with must fit, unless the caller says what changed."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import attrs
import numpy as np

from fcnn import _doors, tree
from fcnn._batch import first_of
from fcnn._layer import Layer
from fcnn._typing import Tree
from fcnn.errors import ArgumentError, TreeError
from fcnn.optim import Optimizer
from fcnn.train._state import Setup, State

if TYPE_CHECKING:
    from fcnn.data import Examples

Change: TypeAlias = Literal["model", "optimizer", "data", "key"]
Changes: TypeAlias = Change | Collection[Change]
"""What a run that goes on from a state may have another one of."""


def resume(
    state: State, model: Layer, optimizer: Optimizer, data: Examples, changed: Changes
) -> State:
    """Return the state to go on from with this model, optimizer and data set.

    With another data set the pass that has begun starts anew. With another optimizer or model
    the optimizer's state is kept if the new one has a state of the same structure.

    Raises:
        ArgumentError: if ``state`` is not a state, or ``changed`` holds something else.
        TreeError: if the state is of another model, optimizer or data set, which ``changed``
            does not name.
    """
    check_state(state)
    setup, names = Setup.of(model, optimizer, data), _names(changed)
    before = state.setup
    if setup == before:
        return state
    for what in ("model", "optimizer", "data"):
        refuse_change(what, getattr(setup, what), getattr(before, what), names)
    _doors.check_params(model, state.params, first_of(data).inputs)
    opt_state = optimizer.init(state.params)
    if _shapes(opt_state) == _shapes(state.opt_state):
        opt_state = state.opt_state
    state = attrs.evolve(state, opt_state=opt_state, setup=setup)
    return state if setup.data == before.data else attrs.evolve(state, seen=0, totals={})


def refuse_change(what: str, ours: Any, theirs: Any, changed: Collection[str]) -> None:
    """Refuse a state of another model, optimizer, data set or key, unless ``changed`` names it.

    Raises:
        TreeError: with both.
    """
    if ours == theirs or what in _names(changed):
        return
    expected, got = _around_difference(str(ours), str(theirs))
    raise TreeError(
        f"expected a state of the {what} {expected}, got one of {got}; "
        f"pass changed={what!r} to go on anyway"
    )


def check_state(state: Any) -> None:
    """Refuse what is not a state.

    Raises:
        ArgumentError: with what to do.
    """
    if isinstance(state, State):
        return
    hint = "fcnn.train.init(model, optimizer, data, key) makes the first one"
    if isinstance(getattr(state, "state", None), State):
        hint = f"pass {type(state).__name__.lower()}.state"
    raise ArgumentError(f"expected a State, got {_doors.kind_of(state)}; {hint}")


def _names(changed: Any) -> set[str]:
    names = {changed} if isinstance(changed, str) else set(changed)
    if unknown := names - {"model", "optimizer", "data", "key"}:
        raise ArgumentError(
            f"expected 'model', 'optimizer', 'data' or 'key' in changed, "
            f"got {sorted(map(str, unknown))}"
        )
    return names


def _around_difference(one: str, other: str, length: int = 100) -> tuple[str, str]:
    """Return two texts that differ, cut around their first difference where they are long."""
    shorter = min(len(one), len(other))
    first = next((i for i in range(shorter) if one[i] != other[i]), shorter)
    start = max(0, first - length // 2) if max(len(one), len(other)) > length else 0

    def cut(text: str) -> str:
        return "…" * (start > 0) + text[start : start + length] + "…" * (start + length < len(text))

    return cut(one), cut(other)


def _shapes(state: Tree) -> Any:
    return tree.structure(state), [np.shape(leaf) for leaf in tree.leaves(state)]
