"""`map`: a function at each leaf of several trees of one structure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, overload

import numpy as np

from fcnn._typing import Tree
from fcnn.errors import TreeError
from fcnn.tree._children import (
    check_leaf,
    children_of,
    is_namedtuple,
    leaves,
    shape_of,
    sorted_keys,
)
from fcnn.tree._observation import Observation, mix
from fcnn.tree._structure import rebuild

T = TypeVar("T")


@overload
def map(
    function: Callable[[Any], Any], tree: T, *, statistic: Callable[[Any], Any] | None = None
) -> T: ...
@overload
def map(
    function: Callable[[Any, Any], Any],
    tree: T,
    other: Tree,
    /,
    *,
    statistic: Callable[[Any, Any], Any] | None = None,
) -> T: ...
@overload
def map(
    function: Callable[[Any, Any, Any], Any],
    tree: T,
    other: Tree,
    another: Tree,
    /,
    *,
    statistic: Callable[[Any, Any, Any], Any] | None = None,
) -> T: ...
@overload
def map(
    function: Callable[..., Any],
    tree: T,
    *rest: Tree,
    statistic: Callable[..., Any] | None = None,
) -> T: ...
def map(
    function: Callable[..., Any],
    tree: T,
    *rest: Tree,
    statistic: Callable[..., Any] | None = None,
) -> T:
    """Apply ``function`` to each leaf of ``tree`` and the leaves at its place in ``rest``.

    Tuples, namedtuples, lists, dicts, None and nodes are kept as they are; each leaf is an
    array, a number or, in gradients, an `fcnn.tree.Observation`.

    Args:
        function: takes one leaf of each tree.
        tree: the tree whose structure the result has.
        *rest: trees of the same structure, their arrays of the same shapes.
        statistic: takes the place of ``function`` at leaves that are statistics.

    Raises:
        TreeError: with the path, if the trees differ or a leaf is neither array nor number.
        TypeError: if ``function`` computes with an observation of a statistic.

    >>> from fcnn import tree
    >>> tree.map(lambda p, g: p - 0.5 * g, (1.0, {"a": 2.0}), (1.0, {"a": 2.0}))
    (0.5, {'a': 1.0})
    """
    at_statistic = statistic or function
    try:
        if len(rest) == 1:
            result = _map2(function, at_statistic, tree, rest[0])
        else:
            result = _map(function, at_statistic, tree, rest)
    except _DifferError:
        for each in (tree, *rest):
            leaves(each)  # raises, with the path, if a leaf is neither array nor number
        raise TreeError(_first_difference(tree, *rest)) from None
    return result  # type: ignore[no-any-return]


def observe(params: T, grads: Tree) -> T:
    """Mix the observations in ``grads`` into the statistics of ``params``; keep the weights.

    For steps that are not an fcnn optimizer's, which updates weights by itself:

    >>> import numpy as np, fcnn
    >>> norm = fcnn.batch_norm()
    >>> params, _ = norm.init(fcnn.key(0), (1,))
    >>> y, pullback = norm.vjp(params, np.array([[1.0], [3.0]], np.float32), fcnn.training())
    >>> grads, _ = pullback(np.ones_like(y))
    >>> fcnn.tree.observe(params, grads).mean
    array([0.2], dtype=float32)
    """
    return map(lambda p, g: p, params, grads, statistic=mix)


class _DifferError(Exception):
    """Somewhere below, the trees differ, or something is no tree."""


def _map(function: Any, on_statistic: Any, tree: Any, rest: Sequence[Any]) -> Any:
    cls = type(tree)
    if cls is np.ndarray or cls is float:
        return _at_leaf(function, tree, rest)
    names = getattr(cls, "__node_fields__", None)
    if names is not None:
        for other in rest:
            if type(other) is not cls:
                raise _DifferError
        special = cls.__node_statistics__
        children = []
        for name in names:
            here = on_statistic if name in special else function
            others = [getattr(other, name) for other in rest]
            children.append(_map(here, on_statistic, getattr(tree, name), others))
        return cls(*children)
    if cls is tuple or cls is list or tree is None or is_namedtuple(cls):
        for other in rest:
            if type(other) is not cls or (tree is not None and len(other) != len(tree)):
                raise _DifferError
        columns = () if tree is None else zip(tree, *rest, strict=True)
        below = [_map(function, on_statistic, child, others) for child, *others in columns]
        return rebuild(cls, (), below)
    if cls is dict:
        for other in rest:
            if type(other) is not dict or other.keys() != tree.keys():
                raise _DifferError
        return {
            name: _map(function, on_statistic, tree[name], [other[name] for other in rest])
            for name in _keys(tree)
        }
    return _at_leaf(function, tree, rest)


def _keys(tree: dict[Any, Any]) -> list[Any]:
    try:
        return sorted_keys(tree)
    except TreeError:
        raise _DifferError from None


def _at_leaf(function: Any, leaf: Any, rest: Sequence[Any]) -> Any:
    for other in rest:
        if not _alike(leaf, other):
            raise _DifferError
    if not rest:
        try:
            check_leaf(leaf)
        except TreeError:
            raise _DifferError from None
    return function(leaf, *rest)


def _map2(function: Any, on_statistic: Any, tree: Any, other: Any) -> Any:
    """Do what `_map` does for two trees in half the time: every optimizer step is one."""
    cls = type(tree)
    if cls is np.ndarray and type(other) is np.ndarray:
        if tree.shape != other.shape:
            raise _DifferError
        return function(tree, other)
    if cls is tuple:
        if type(other) is not tuple or len(other) != len(tree):
            raise _DifferError
        return tuple([_map2(function, on_statistic, *pair) for pair in zip(tree, other)])  # noqa: B905 (checked)
    names = getattr(cls, "__node_fields__", None)
    if names is None:
        return _map(function, on_statistic, tree, (other,))
    if type(other) is not cls:
        raise _DifferError
    special = cls.__node_statistics__
    children = []
    for name in names:
        child, its = getattr(tree, name), getattr(other, name)
        here = on_statistic if name in special else function
        kind = type(its)
        alike = type(child) is np.ndarray and (kind is np.ndarray or kind is Observation)
        alike = alike and child.shape == its.shape
        children.append(here(child, its) if alike else _map2(here, on_statistic, child, its))
    return cls(*children)


def _alike(leaf: Any, other: Any) -> bool:
    """Whether two leaves may meet: arrays of one shape, or one of them a number."""
    if type(leaf) is type(other) is np.ndarray and leaf.shape == other.shape:
        return True
    if children_of(other) is not None:
        return False
    try:
        check_leaf(leaf)
        check_leaf(other)
    except TreeError:
        return False
    a, b = shape_of(leaf), shape_of(other)
    return a == b or () in (a, b)


def _describe(leaf: Any) -> str:
    children = children_of(leaf)
    if children is None:
        is_array = isinstance(leaf, np.ndarray)
        return f"an array of shape {leaf.shape}" if is_array else repr(leaf)
    if type(leaf) is dict:
        keys = ", ".join([repr(key) for key in sorted_keys(leaf)])
        return f"a dict of {keys}" if leaf else "an empty dict"
    if type(leaf) in (tuple, list):
        return f"a {type(leaf).__name__} of {len(leaf)}"
    return "None" if leaf is None else f"a {type(leaf).__name__}"


def _first_difference(*trees: Any, path: str = "") -> str:
    """Describe the first place where the trees differ; empty if they do not."""
    first = trees[0]
    for other in trees[1:]:
        if children_of(first) is None:
            alike = _alike(first, other)
        else:
            alike = type(first) is type(other)
            if alike and type(first) is dict:
                alike = first.keys() == other.keys()
            elif alike and isinstance(first, tuple | list):
                alike = len(first) == len(other)
        if not alike:
            return (
                f"expected trees of one structure, got {_describe(first)} and "
                f"{_describe(other)} at {path or 'the root'}"
            )
    for i, (step, child, _) in enumerate(children_of(first) or []):
        others = []
        for other in trees[1:]:
            found = children_of(other) or []
            others.append(found[i][1])
        if difference := _first_difference(child, *others, path=path + step):
            return difference
    return ""
