"""Several trees of one structure as rows of leaves, and leaves as a tree again.

A step reads the params, the gradients and one to three moments at each weight: one walk over
all of them takes a fraction of the time of a `fcnn.tree.map` for each pair.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from fcnn._typing import Tree
from fcnn.tree._node import children_of, rebuild, sorted_keys


class DifferError(Exception):
    """The trees have different structures."""


def rows(trees: Sequence[Tree]) -> tuple[list[Sequence[Any]], list[bool]]:
    """Return the leaves of several trees, a list for each place, and which are statistics.

    The structure is that of the first tree. A later tree may hold None in the place of a leaf.

    Raises:
        DifferError: if the trees differ otherwise.
    """
    found: list[Sequence[Any]] = []
    marks: list[bool] = []
    _collect(list(trees), False, found, marks)
    return found, marks


def _collect(
    trees: Sequence[Any], marked: bool, found: list[Sequence[Any]], marks: list[bool]
) -> None:
    first = trees[0]
    kind = type(first)
    if kind is np.ndarray:
        found.append(trees)
        marks.append(marked)
        return
    names = getattr(kind, "__node_fields__", None)
    if names is None and kind is not tuple:
        _collect_others(trees, marked, found, marks)
        return
    for other in trees:
        if type(other) is not kind:
            raise DifferError
    if names is None:
        if any(len(other) != len(first) for other in trees):
            raise DifferError
        for below in zip(*trees, strict=True):
            _collect(below, marked, found, marks)
        return
    special = kind.__node_statistics__
    for name in names:
        children = [getattr(each, name) for each in trees]
        here = marked or name in special
        if type(children[0]) is np.ndarray:
            found.append(children)
            marks.append(here)
        else:
            _collect(children, here, found, marks)


def _collect_others(
    trees: Sequence[Any], marked: bool, found: list[Sequence[Any]], marks: list[bool]
) -> None:
    """Do what `_collect` does where the first tree is no array, tuple or node, as most are."""
    inside = [children_of(each) for each in trees]
    if inside[0] is None:
        if not isinstance(trees[0], np.generic | int | float):
            raise DifferError
        found.append(trees)
        marks.append(marked)
        return
    kind, steps = type(trees[0]), [step for step, *_ in inside[0]]
    for other, its in zip(trees, inside, strict=True):
        if type(other) is not kind or its is None or [step for step, *_ in its] != steps:
            raise DifferError
    for i, (_, _, is_statistic) in enumerate(inside[0]):
        below = [its[i][1] for its in inside if its is not None]
        _collect(below, marked or is_statistic, found, marks)


def refill(tree: Any, leaves: Iterator[Any]) -> Any:
    """Return the tree with other leaves in the place of its own."""
    kind = type(tree)
    if kind is np.ndarray:
        return next(leaves)
    names = getattr(kind, "__node_fields__", None)
    if names is not None:
        children = [getattr(tree, name) for name in names]
        return kind(*[
            next(leaves) if type(child) is np.ndarray else refill(child, leaves)
            for child in children
        ])  # fmt: skip
    if kind is tuple:
        return tuple([refill(child, leaves) for child in tree])
    inside = children_of(tree)
    if inside is None:
        return next(leaves)
    below = [refill(child, leaves) for _, child, _ in inside]
    return rebuild(kind, sorted_keys(tree) if kind is dict else (), below)
