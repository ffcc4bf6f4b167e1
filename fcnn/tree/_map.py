"""`map`: a function at each leaf of several trees of one structure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fcnn._typing import Tree
from fcnn.errors import TreeError
from fcnn.tree._node import children_of


def map(
    function: Callable[..., Any],
    tree: Tree,
    *rest: Tree,
    statistic: Callable[..., Any] | None = None,
) -> Tree:
    """Apply ``function`` to each leaf of ``tree`` and the leaves at its place in ``rest``.

    Args:
        function: takes one leaf of each tree.
        tree: the tree whose structure the result has.
        *rest: trees of the same structure, their arrays of the same shapes.
        statistic: takes the place of ``function`` at leaves that are statistics.

    Raises:
        TreeError: with the path of the first difference, if the trees differ.

    >>> from fcnn import tree
    >>> tree.map(lambda p, g: p - 0.5 * g, (1.0, {"a": 2.0}), (1.0, {"a": 2.0}))
    (0.5, {'a': 1.0})
    """
    try:
        if len(rest) == 1:
            return _map2(function, statistic or function, tree, rest[0])
        return _map(function, statistic or function, tree, rest)
    except _DifferError:
        raise TreeError(_first_difference(tree, *rest)) from None


class _DifferError(Exception):
    """Somewhere below, the trees differ."""


def _map(function: Any, on_statistic: Any, tree: Tree, rest: Sequence[Tree]) -> Tree:
    cls = type(tree)
    if cls is tuple:
        for other in rest:
            if type(other) is not tuple or len(other) != len(tree):
                raise _DifferError
        columns = zip(tree, *rest, strict=True)
        return tuple([_map(function, on_statistic, child, others) for child, *others in columns])
    if cls is dict:
        for other in rest:
            if type(other) is not dict or other.keys() != tree.keys():
                raise _DifferError
        return {
            name: _map(function, on_statistic, tree[name], [other[name] for other in rest])
            for name in sorted(tree)
        }
    names = getattr(cls, "__node_fields__", None)
    if names is None:
        for other in rest:
            if not _alike(tree, other):
                raise _DifferError
        return function(tree, *rest)
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


def _map2(function: Any, on_statistic: Any, tree: Tree, other: Tree) -> Tree:
    """`_map` for two trees, which is every optimizer step: half the time, written out."""
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
        alike = type(child) is type(its) is np.ndarray and child.shape == its.shape
        children.append(here(child, its) if alike else _map2(here, on_statistic, child, its))
    return cls(*children)


def _alike(leaf: Any, other: Any) -> bool:
    """Whether two leaves may meet: arrays of one shape, or one of them a number."""
    if children_of(other) is not None:
        return False
    a, b = np.shape(leaf), np.shape(other)
    return a == b or () in (a, b)


def _describe(leaf: Any) -> str:
    children = children_of(leaf)
    if children is None:
        return f"an array of shape {leaf.shape}" if isinstance(leaf, np.ndarray) else repr(leaf)
    if type(leaf) in (tuple, dict):
        return f"a {type(leaf).__name__} of {len(leaf)}"
    return f"a {type(leaf).__name__}"


def _first_difference(*trees: Tree, path: str = "") -> str:
    """One sentence about the first place where the trees differ; empty if they do not."""
    first = trees[0]
    for other in trees[1:]:
        if children_of(first) is None:
            alike = _alike(first, other)
        else:
            alike = type(first) is type(other)
            if alike and type(first) is tuple:
                alike = len(first) == len(other)
            elif alike and type(first) is dict:
                alike = first.keys() == other.keys()
        if not alike:
            return (
                f"the trees differ at {path or 'their root'}: "
                f"{_describe(first)} against {_describe(other)}"
            )
    for i, (step, child, _) in enumerate(children_of(first) or []):
        others = []
        for other in trees[1:]:
            found = children_of(other) or []
            others.append(found[i][1])
        if difference := _first_difference(child, *others, path=path + step):
            return difference
    return ""
