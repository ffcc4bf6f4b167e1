"""What a tree is made of: the children of its containers, and its leaves with their paths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fcnn._typing import Tree
from fcnn.errors import TreeError
from fcnn.tree._observation import Observation


def is_namedtuple(cls: type) -> bool:
    """Whether a type is a namedtuple."""
    return issubclass(cls, tuple) and hasattr(cls, "_fields")


def sorted_keys(tree: dict[Any, Any], path: str = "") -> list[Any]:
    """Return a dict's keys in the order of its leaves.

    Raises:
        TreeError: if the keys do not sort.
    """
    try:
        return sorted(tree)
    except TypeError:
        kinds = ", ".join(sorted({type(key).__name__ for key in tree}))
        raise TreeError(
            f"expected dict keys of one type that sorts, got {kinds} at {path or 'the root'}; "
            f"use strings"
        ) from None


def children_of(tree: Any, path: str = "") -> list[tuple[str, Any, bool]] | None:
    """Return the step, the child and whether it is a statistic, for each child; None for a leaf."""
    cls = type(tree)
    if cls is tuple or cls is list:
        return [(f"[{i}]", child, False) for i, child in enumerate(tree)]
    if cls is dict:
        return [(f"[{name!r}]", tree[name], False) for name in sorted_keys(tree, path)]
    if tree is None:
        return []
    names = getattr(cls, "__node_fields__", None)
    if names is not None:
        return [(f".{n}", getattr(tree, n), n in cls.__node_statistics__) for n in names]
    if is_namedtuple(cls):
        return [(f".{n}", child, False) for n, child in zip(cls._fields, tree, strict=True)]
    return None


def check_leaf(leaf: Any, path: str = "") -> None:
    """Refuse what is neither an array nor a number.

    Raises:
        TreeError: with the path.
    """
    if isinstance(leaf, np.ndarray | np.generic | int | float | Observation):
        return
    if not (hasattr(leaf, "dtype") and hasattr(leaf, "shape")):  # an array of another library
        raise TreeError(
            f"expected a node, tuple, list, dict, None, array or number, "
            f"got {type(leaf).__name__} at {path or 'the root'}"
        )


def shape_of(leaf: Any) -> tuple[int, ...]:
    """Return the shape of an array, an observation or a number."""
    shape: tuple[int, ...] = getattr(leaf, "shape", ())
    return shape


def walk(tree: Tree, path: str = "", is_statistic: bool = False) -> Iterator[tuple[str, Any, bool]]:
    """Yield the path, the leaf and whether it is a statistic, for each leaf in order."""
    children = children_of(tree, path)
    if children is None:
        check_leaf(tree, path)
        yield path, tree, is_statistic
    else:
        for step, child, marked in children:
            yield from walk(child, path + step, is_statistic or marked)


def leaves(tree: Tree) -> list[Any]:
    """Return the arrays, numbers and observations of a tree, in order.

    Raises:
        TreeError: with the path, if something else is among them.

    >>> from fcnn import tree
    >>> tree.leaves((1.0, {"a": 2.0}, [3.0, None]))
    [1.0, 2.0, 3.0]
    """
    return [leaf for _, leaf, _ in walk(tree)]


def paths(tree: Tree) -> list[str]:
    """Return where each leaf stands, in the order of `leaves`.

    >>> from fcnn import tree
    >>> tree.paths((1.0, {"a": 2.0}, ()))
    ['[0]', "[1]['a']"]
    """
    return [path for path, _, _ in walk(tree)]


def statistics(tree: Tree) -> list[bool]:
    """Return whether each leaf is a statistic, in the order of `leaves`.

    >>> from fcnn import tree
    >>> tree.statistics((1.0, 2.0))
    [False, False]
    """
    return [marked for _, _, marked in walk(tree)]
