"""The stages of a step, each a transform that treats each weight by itself, run in one pass.

Each weight goes through all stages in turn, so that params, gradients and moments are walked
over once, and only what is kept becomes a tree.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import numpy as np

from fcnn import tree
from fcnn._ops.memory import array, asarray
from fcnn._typing import Array, Tree
from fcnn.errors import FcnnError, TreeError
from fcnn.optim._leaves import (
    RefusedError,
    check_fit,
    check_floats,
    check_state,
    mixed,
    observed,
    of_kind,
)
from fcnn.optim._rows import DifferError, refill, rows
from fcnn.tree._children import shape_of


@attrs.frozen(eq=False)
class Stage:
    """What a transform does in one step.

    Attributes:
        at: ``at(p, u, *moments, *numbers) -> update``, or ``-> (update, *moments)`` where there
            are moments. All arrays have the dtype of the weight p and at least one axis.
        after: ``after(*moments) -> state``, of the new moments.
        moments: trees like the params; None in the place of leaves that are flagged False.
        numbers: are given to ``at`` as arrays without axes, in the dtype of the weight: an
            operation with them takes half the time of one with a Python float.
        fresh: whether the update is a new array that is no moment, so that it may be written
            into.
        flags: which leaves it acts on; None is all of them.
    """

    at: Callable[..., Any]
    after: Callable[..., Any]
    moments: tuple[Tree, ...] = ()
    numbers: tuple[float, ...] = ()
    fresh: bool = True
    flags: list[bool] | None = None


def run(
    stages: Sequence[Stage], params: Tree, updates: Tree, *, add: bool = False
) -> tuple[Any, list[Any]]:
    """Return the updates that come out of the stages, or params plus these, and the states.

    Raises:
        TreeError: with the path, if updates or moments are not of these params.
        DTypeError: with the path, if a leaf has no place there.
    """
    moments = [each for stage in stages for each in stage.moments]
    if not moments:
        return _run_without_moments(stages, params, updates, add)
    columns: list[list[Any]] = [[] for _ in moments]
    made: list[Any] = []
    plan = _Plan(stages)
    try:
        found, marks = rows([params, updates, *moments])
        for i, row in enumerate(found):
            if marks[i]:
                update, new = _at_statistic(row, add)
            elif _is_plain(row):
                update, new = _at_weight(i, row, plan.at(row[0].dtype), add)
            else:
                update, new = _at_other_weight(i, row, plan, add)
            made.append(update)
            for column, m in zip(columns, new):  # noqa: B905 (as many as there are, by rows)
                if m is not None:
                    column.append(m)
    except DifferError:
        raise _difference(stages, params, updates) from None
    except RefusedError as refused:
        error: FcnnError = refused.args[0]
        raise error.within(tree.paths(params)[len(made)] or "the root") from None
    trees = [refill(old, iter(leaves)) for old, leaves in zip(moments, columns, strict=True)]
    return refill(params, iter(made)), plan.states(trees)


def _run_without_moments(
    stages: Sequence[Stage], params: Tree, updates: Tree, add: bool
) -> tuple[Any, list[Any]]:
    """Do what `run` does where nothing is kept: a map of two trees, in less time than rows."""
    plan, count = _Plan(stages), itertools.count()
    only = stages[0] if len(stages) == 1 and stages[0].flags is None else None

    def at(p: Any, u: Any) -> Any:
        i = next(count)
        if type(p) is not np.ndarray or type(u) is not np.ndarray or p.dtype is not u.dtype:
            return _at_other_weight(i, (p, u), plan, add)[0]
        if p.shape != u.shape or p.dtype.kind != "f" or not p.ndim:
            return _at_other_weight(i, (p, u), plan, add)[0]
        entries = plan.known.get(p.dtype) or plan.at(p.dtype)
        if only is None:
            return _at_weight(i, (p, u), entries, add)[0]
        u = only.at(p, u, *entries[0][1])
        if add:
            u = np.add(u, p, out=u) if only.fresh else u + p
        u.setflags(False)  # write=False; by its name it takes twice the time
        return u

    def at_statistic(*row: Any) -> Any:
        next(count)
        return _at_statistic(row, add)[0]

    try:
        made = tree.map(at, params, updates, statistic=at_statistic)
    except (DifferError, TreeError):
        raise _difference(stages, params, updates) from None
    except RefusedError as refused:
        error: FcnnError = refused.args[0]
        raise error.within(tree.paths(params)[next(count) - 1] or "the root") from None
    return made, plan.states([])


class _Plan:
    """The stages, with their numbers in each dtype that the params have."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self.stages = stages
        self.known: dict[Any, list[Any]] = {}

    def at(self, dtype: Any) -> list[Any]:
        """Return ``(at, numbers, flags, fresh, first moment, last moment)`` for each stage."""
        found = self.known.get(dtype)
        if found is None:
            found, first = [], 0
            for stage in self.stages:
                numbers = tuple([array(number, dtype) for number in stage.numbers])
                last = first + len(stage.moments)
                found.append((stage.at, numbers, stage.flags, stage.fresh, first, last))
                first = last
            self.known[dtype] = found
        return found

    def states(self, trees: list[Tree]) -> list[Any]:
        """Return the new states, of the new moments."""
        taken = iter(trees)
        return [stage.after(*[next(taken) for _ in stage.moments]) for stage in self.stages]


def _at_statistic(row: Sequence[Any], add: bool) -> tuple[Any, Sequence[Any]]:
    """Return the observation, or the statistic with it mixed in, and the moments as they are."""
    p, seen, *moments = row
    if any(m is not None and shape_of(m) != shape_of(p) for m in moments):
        raise DifferError
    return (mixed if add else observed)(p, seen), moments


def _is_plain(row: Sequence[Any]) -> bool:
    """Whether all are arrays of one floating-point dtype and one shape, with axes: as most are."""
    p = row[0]
    if type(p) is not np.ndarray or not p.ndim:
        return False
    shape, dtype = p.shape, p.dtype
    for each in row:
        if type(each) is not np.ndarray or each.dtype is not dtype or each.shape != shape:
            return False
    return bool(dtype.kind == "f")


def _at_weight(i: int, row: Sequence[Any], plan: list[Any], add: bool) -> tuple[Any, list[Any]]:
    """Return the update of a weight, or the new weight, and its new moments."""
    p, u, *moments = row
    acted = fresh = False
    for at, numbers, flags, is_fresh, first, last in plan:
        if flags is not None and not flags[i]:
            for m in moments[first:last]:
                if m is not None:
                    raise DifferError
            continue
        if first == last:
            u = at(p, u, *numbers)
        else:
            u, *moments[first:last] = at(p, u, *moments[first:last], *numbers)
        acted, fresh = True, is_fresh
    if add:
        u = np.add(u, p, out=u) if fresh else u + p
    elif not acted:
        return row[1], moments
    u.setflags(False)  # write=False; by its name it takes twice the time
    for m in moments:
        if m is not None:
            m.setflags(False)
    return u, moments


def _at_other_weight(i: int, row: Sequence[Any], plan: _Plan, add: bool) -> tuple[Any, list[Any]]:
    """Do what `_at_weight` does where the weight is no array with axes, or something differs."""
    p = row[0]
    fitted = [_fitted(p, each) for each in row]
    entries = plan.at(fitted[0].dtype)
    for _, numbers, flags, _, first, last in entries:
        acts = flags is None or flags[i]
        if acts and numbers:
            check_floats(fitted[0])
        if acts and any(m is None for m in fitted[2 + first : 2 + last]):
            raise DifferError
    update, moments = _at_weight(i, fitted, entries, add)
    kept = [m if m is None else _like(p, m) for m in moments]
    return (row[1] if update is fitted[1] else _like(p, update)), kept


def _fitted(p: Any, other: Any) -> Any:
    """Return a leaf as an array of the weight's dtype with one axis or more; None as it is."""
    if other is None:
        return None
    if not isinstance(other, np.ndarray | np.generic | int | float) or shape_of(other) != shape_of(
        p
    ):
        raise DifferError
    if getattr(other, "dtype", None) != getattr(p, "dtype", None):
        check_floats(p)
    return np.atleast_1d(asarray(other, getattr(p, "dtype", np.float64)))


def _like(p: Any, made: Array) -> Any:
    """Return a result as what the weight is: an array or a number."""
    if isinstance(p, np.ndarray) and p.ndim:
        return made
    return of_kind(p, made.reshape(np.shape(p)))


def _difference(stages: Sequence[Stage], params: Tree, updates: Tree) -> TreeError:
    """Return the error for trees that differ, or raise the one that says where."""
    check_fit(params, updates)
    for stage in stages:
        flag = iter(stage.flags or ())
        inside = params if stage.flags is None else tree.map(
            lambda p, flag=flag: p if next(flag) else None, params
        )  # fmt: skip
        for each in stage.moments:
            check_state(inside, each)
    return TreeError("expected params, gradients and state of one structure")
