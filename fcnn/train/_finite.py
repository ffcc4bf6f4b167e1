"""What is left after an error: the last state whose params are finite, on the exception."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from fcnn import tree
from fcnn.errors import NonFiniteError
from fcnn.train._state import State

HINT = (
    "try a smaller learning rate, fcnn.optim.clip_by_global_norm, or inputs of a smaller scale; "
    "the last good state is error.state"
)


def refuse_not_finite(state: State) -> None:
    """Refuse params with a NaN or an infinity.

    Raises:
        NonFiniteError: with the path.
    """
    paths = tree.paths(state.params)
    for path, leaf in zip(paths, tree.leaves(state.params), strict=True):
        if not _is_finite(leaf):
            raise NonFiniteError(
                f"expected finite params, got NaN or infinity in params{path} "
                f"after step {state.step}; {HINT}"
            )


def last_finite(*states: State) -> State:
    """Return the first of the states whose params are finite; the last if none are."""
    for state in states:
        if all(_is_finite(leaf) for leaf in tree.leaves(state.params)):
            return state
    return states[-1]


def _is_finite(leaf: Any) -> bool:
    array = np.asarray(leaf)
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def keep(error: BaseException, state: State) -> State:
    """Give an exception the attribute ``state``, unless it has one, and return it.

    An exception that takes no attributes stays as it is.
    """
    kept = getattr(error, "state", None)
    if isinstance(kept, State):
        return kept
    with contextlib.suppress(AttributeError, TypeError):
        error.state = state  # type: ignore[attr-defined]
        if not isinstance(error, NonFiniteError):  # whose message says so
            error.add_note(f"error.state is the state after step {state.step}; go on from it")
    return state
