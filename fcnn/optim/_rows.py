"""Several trees of one structure as rows of leaves, and leaves as a tree again.

A step reads the params, the gradients and one to three moments at each weight: one walk over
all of them takes a fraction of the time of a `fcnn.tree.map` for each pair.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from fcnn._typing import Tree
from fcnn.tree._children import children_of, sorted_keys
from fcnn.tree._structure import rebuild


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
    _collect([tuple(trees)], False, found, marks)
    return found, marks


def _collect(
    places: Iterable[Sequence[Any]], marked: bool, found: list[Sequence[Any]], marks: list[bool]
) -> None:
    """Append the leaves at and below each place, where the trees have the children given."""
    for below in places:
        first = below[0]
        kind = type(first)
        if kind is np.ndarray:
            found.append(below)
            marks.append(marked)
            continue
        names = getattr(kind, "__node_fields__", None)
        if names is None and kind is not tuple:
            _collect_others(below, marked, found, marks)
            continue
        for other in below:
            if type(other) is not kind:
                raise DifferError
        if names is None:
            n = len(first)
            for other in below:
                if len(other) != n:
                    raise DifferError
            if n:
                _collect(zip(*below), marked, found, marks)  # noqa: B905 (checked)
            continue
        children = zip(*map(_fields(kind), below))  # noqa: B905 (of one class)
        special = kind.__node_statistics__
        if marked or not special:
            _collect(children, marked, found, marks)
        else:
            for name, child in zip(names, children, strict=True):
                _collect((child,), name in special, found, marks)


def _collect_others(
    trees: Sequence[Any], marked: bool, found: list[Sequence[Any]], marks: list[bool]
) -> None:
    """Do what `_collect` does where the first tree is no array, tuple or node, as most are."""
    inside = [children_of(each) for each in trees]
    if inside[0] is None:
        if not isinstance(trees[0], np.ndarray | np.generic | int | float):
            raise DifferError
        found.append(trees)
        marks.append(marked)
        return
    kind, steps = type(trees[0]), [step for step, *_ in inside[0]]
    for other, its in zip(trees, inside, strict=True):
        if type(other) is not kind or its is None or [step for step, *_ in its] != steps:
            raise DifferError
    places = zip(
        *[[child for _, child, _ in its] for its in inside if its is not None], strict=True
    )
    _collect(places, marked, found, marks)


def _getter(kind: Any) -> Callable[[Any], tuple[Any, ...]]:
    """Return the function of a node that gives its fields."""
    names = kind.__node_fields__
    if len(names) > 1:
        return operator.attrgetter(*names)
    return lambda node: tuple([getattr(node, name) for name in names])


_fields: Callable[[Any], Callable[[Any], tuple[Any, ...]]] = functools.cache(_getter)


def refill(tree: Any, leaves: Iterator[Any]) -> Any:
    """Return the tree with other leaves in the place of its own."""
    kind = type(tree)
    if kind is tuple:
        return tuple(
            [next(leaves) if type(child) is np.ndarray else refill(child, leaves) for child in tree]
        )
    if getattr(kind, "__node_fields__", None) is not None:
        return kind(
            *[
                next(leaves) if type(child) is np.ndarray else refill(child, leaves)
                for child in _fields(kind)(tree)
            ]
        )
    inside = children_of(tree)
    if inside is None:
        return next(leaves)
    below = [refill(child, leaves) for _, child, _ in inside]
    return rebuild(kind, sorted_keys(tree) if kind is dict else (), below)
