"""Functions of the weights of several trees: what transforms and steps are made of.

Each is a `fcnn.tree.map` that also

- casts the other trees' leaves to the dtype of the first tree's, and returns leaves of its
  kind: an array of its dtype, or a number where it holds a number;
- marks the arrays that it makes as read-only, so that a node needs no view of them;
- passes observations of statistics on, or mixes them in;
- refuses, with the path, a leaf of another shape, an array in place of an observation and an
  observation in place of an array.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from fcnn import tree
from fcnn._ops.memory import array, asarray, is_array
from fcnn._typing import Tree
from fcnn.errors import DTypeError, FcnnError, TreeError
from fcnn.tree import Observation
from fcnn.tree._children import shape_of

T = TypeVar("T")


class RefusedError(Exception):
    """A leaf does not fit its place; ``args[0]`` is the error to raise, without its path."""


def keep_first(first: Any, *_: Any) -> Any:
    """Return the first of several leaves."""
    return first


def moment(
    function: Callable[..., Any],
    kept: Tree,
    updates: Tree,
    params: Tree,
    statistic: Callable[..., Any] = keep_first,
) -> Tree:
    """Return ``function(kept, update)`` at each weight: a moment, which a state keeps.

    At statistics it is ``statistic(kept, observation)``.

    Raises:
        TreeError: with the path, if the updates or the moment are of other params.
    """
    try:
        return _map(function, statistic, kept, updates)
    except TreeError:
        check_fit(params, updates)
        check_state(params, kept)
        raise


def transformed(function: Callable[..., Any], updates: Tree, *like: Tree) -> Tree:
    """Return ``function(*leaves of like, update)`` at each weight, and the observations.

    The results are of the kind of the first of ``like``.
    """
    return _map(function, observed, *like, updates)


def moved(function: Callable[..., Any], params: T, updates: Tree) -> T:
    """Return ``function(param, update)`` at each weight, and mix the observations in."""
    try:
        return _map(function, mixed, params, updates)
    except TreeError:
        check_fit(params, updates)
        raise


def blended(
    function: Callable[..., Any],
    kept: T,
    params: Tree,
    statistic: Callable[..., Any] | None = None,
) -> T:
    """Return ``function(kept, param)`` at each leaf, statistics included if they have no other.

    Raises:
        TreeError: with the path, if structures or shapes differ.
    """
    return _map(function, statistic, kept, params)


def averaged_step(
    iterate: Callable[..., Any],
    between: Callable[..., Any],
    params: T,
    z: Tree,
    updates: Tree,
) -> tuple[T, Tree]:
    """Return ``between(param, z, new z)`` and the new ``z``, which is ``iterate(z, update)``.

    Observations are mixed into the params.

    Raises:
        TreeError: with the path, if updates or z are of other params.
    """
    try:
        new = _map(iterate, keep_first, z, updates)
        return _map(lambda p, a, b, _: between(p, a, b), mixed, params, z, new, updates), new
    except TreeError:
        check_fit(params, updates)
        check_state(params, z)
        raise


def check_fit(params: Tree, updates: Tree) -> None:
    """Refuse gradients or updates that are not of these params.

    Raises:
        TreeError: with the path, if structures or shapes differ.
        DTypeError: with the path, if there is an array in place of an observation, or the
            reverse.
    """
    try:
        tree.map(_check, params, updates, statistic=observed)
    except RefusedError as refused:
        raise _with_path(refused, observed, params, updates) from None
    except TreeError as error:
        raise TreeError(f"{error}; gradients and params must be of one model") from None


def check_state(params: Tree, moment: Tree) -> None:
    """Refuse a moment that is not of these params.

    Raises:
        TreeError: with the path, if structures or shapes differ.
    """
    try:
        try:
            tree.map(_check, params, moment)
        except RefusedError as refused:
            raise _with_path(refused, None, params, moment) from None
    except TreeError as error:
        raise TreeError(f"{error}; the state is of other params, start from init(params)") from None


def _map(function: Any, at_statistic: Any, first: T, *rest: Tree) -> T:
    def at(leaf: Any, other: Any, *more: Any) -> Any:
        if not alike(leaf, other):
            other = cast(leaf, other)
        if more:
            more = tuple([each if alike(leaf, each) else cast(leaf, each) for each in more])
        made = function(leaf, other, *more)
        if is_array(leaf) and is_array(made) and made.dtype is leaf.dtype:
            made.setflags(write=False)
            return made
        return of_kind(leaf, made)

    try:
        return tree.map(at, first, *rest, statistic=at_statistic)
    except RefusedError as refused:
        raise _with_path(refused, at_statistic, first, *rest) from None


def alike(leaf: Any, other: Any) -> bool:
    """Whether both are arrays of one dtype and one shape, as most are."""
    return (
        is_array(leaf)
        and is_array(other)
        and leaf.dtype is other.dtype
        and leaf.shape == other.shape
    )


def cast(leaf: Any, other: Any) -> Any:
    """Return ``other`` in the dtype of ``leaf``."""
    _check(leaf, other)
    check_floats(leaf)
    has_dtype = isinstance(leaf, np.ndarray | np.generic)
    return asarray(other, leaf.dtype) if has_dtype else other


def of_kind(leaf: Any, made: Any) -> Any:
    """Return a result as what ``leaf`` is: an array of its dtype, a NumPy scalar or a number."""
    check_floats(leaf)
    if isinstance(leaf, np.ndarray):  # NumPy makes scalars of arrays without axes
        copied = array(made, leaf.dtype)
        copied.setflags(write=False)
        return copied
    if isinstance(leaf, np.generic):
        return leaf.dtype.type(made)
    return float(made) if isinstance(leaf, int | float) else made


def _check(leaf: Any, other: Any) -> Any:
    """Refuse what cannot stand in the place of a weight; return the weight."""
    if isinstance(other, Observation):
        raise RefusedError(
            DTypeError(
                "expected a gradient, got an Observation of a running statistic; declare the "
                "field of the params with fcnn.tree.statistic()"
            )
        )
    if shape_of(other) != shape_of(leaf):
        raise RefusedError(
            TreeError(f"expected shape {shape_of(leaf)}, got shape {shape_of(other)}")
        )
    return leaf


def check_floats(leaf: Any) -> None:
    """Refuse params of whole numbers."""
    if isinstance(leaf, np.ndarray | np.generic) and leaf.dtype.kind != "f":
        raise RefusedError(
            DTypeError(
                f"expected params of floats, got {leaf.dtype}; convert them to float32, or leave "
                f"them out with fcnn.optim.partition"
            )
        )


def observed(stored: Any, *others: Any) -> Any:
    """Return the last leaf, which must be an observation."""
    seen = others[-1]
    if type(seen) is not Observation:
        raise RefusedError(
            DTypeError(
                f"expected an Observation of a running statistic, got {type(seen).__name__}; "
                f"pass the gradients as a pullback returns them"
            )
        )
    if seen.value.shape != shape_of(stored):
        raise RefusedError(
            TreeError(f"expected shape {shape_of(stored)}, got shape {seen.value.shape}")
        )
    return seen


def mixed(stored: Any, *others: Any) -> Any:
    """Return a statistic with an observation, the last leaf, mixed in."""
    return of_kind(stored, tree.mix(asarray(stored), observed(stored, *others)))


def _with_path(refused: RefusedError, at_statistic: Any, first: Tree, *rest: Tree) -> FcnnError:
    """Return the error with the path of the first leaf that is refused."""
    error: FcnnError = refused.args[0]
    marks = tree.statistics(first)
    columns = zip(tree.paths(first), marks, *map(tree.leaves, (first, *rest)), strict=False)
    for path, is_statistic, *leaves in columns:
        try:
            if is_statistic and at_statistic is not None:
                at_statistic(*leaves)
            else:
                check_floats(leaves[0])
                for other in leaves:
                    _check(leaves[0], other)
        except RefusedError:
            return error.within(path or "the root")
    return error
