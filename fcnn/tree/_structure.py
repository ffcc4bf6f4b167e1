"""A tree without its leaves: taken apart, put together, compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar

import attrs
import numpy as np

from fcnn._typing import Tree
from fcnn.errors import TreeError
from fcnn.tree._children import check_leaf, children_of, leaves, sorted_keys
from fcnn.tree._observation import Observation

T = TypeVar("T")


@attrs.frozen
class Structure(Generic[T]):
    """A tree without its leaves: compares, hashes and pickles."""

    kind: type | None
    names: tuple[Any, ...] = ()
    children: tuple[Structure[Any], ...] = ()

    @property
    def size(self) -> int:
        """The number of leaves."""
        return 1 if self.kind is None else sum(child.size for child in self.children)


def structure(tree: T) -> Structure[T]:
    """Return a tree's structure, its leaves left out.

    >>> from fcnn import tree
    >>> tree.structure((1.0, 2.0)) == tree.structure((3.0, 4.0))
    True
    """
    return _structure(tree, "")


def _structure(tree: Any, path: str) -> Structure[Any]:
    children = children_of(tree, path)
    if children is None:
        check_leaf(tree, path)
        return Structure(None)
    names = tuple(sorted_keys(tree)) if type(tree) is dict else ()
    below = tuple([_structure(child, path + step) for step, child, _ in children])
    return Structure(type(tree), names, below)


def flatten(tree: T) -> tuple[list[Any], Structure[T]]:
    """Return the leaves and the structure that puts them back.

    >>> from fcnn import tree
    >>> found, shape = tree.flatten({"a": 1.0, "b": (2.0,)})
    >>> tree.unflatten(shape, [x + 1 for x in found])
    {'a': 2.0, 'b': (3.0,)}
    """
    return leaves(tree), structure(tree)


def unflatten(structure: Structure[T], leaves: Sequence[Any]) -> T:
    """Return the tree with this structure and these leaves: the inverse of `flatten`.

    Raises:
        TreeError: if the number of leaves is not the structure's.

    >>> from fcnn import tree
    >>> tree.unflatten(tree.structure({"a": 1.0, "b": (2.0,)}), [3.0, 4.0])
    {'a': 3.0, 'b': (4.0,)}
    """
    if len(leaves) != structure.size:
        raise TreeError(f"expected {structure.size} leaves for this structure, got {len(leaves)}")
    tree: T = _build(structure, iter(leaves))
    return tree


def _build(structure: Structure[Any], leaves: Iterator[Any]) -> Any:
    kind = structure.kind
    if kind is None:
        return next(leaves)
    return rebuild(kind, structure.names, [_build(child, leaves) for child in structure.children])


def rebuild(kind: type, names: Sequence[Any], children: list[Any]) -> Any:
    """Return a container of this kind; ``names`` are a dict's keys."""
    if kind is tuple:
        return tuple(children)
    if kind is list:
        return children
    if kind is dict:
        return dict(zip(names, children, strict=True))
    if kind is type(None):
        return None
    return kind(*children)


def equal(a: Tree, b: Tree) -> bool:
    """Return whether two trees are the same value: structure, dtypes, shapes and numbers.

    NaN equals NaN, as it should where a run is compared with its repetition.

    >>> from fcnn import tree
    >>> tree.equal((1.0, float("nan")), (1.0, float("nan")))
    True
    """
    return structure(a) == structure(b) and all(
        _same(x, y) for x, y in zip(leaves(a), leaves(b), strict=True)
    )


def _same(x: Any, y: Any) -> bool:
    if isinstance(x, Observation) or isinstance(y, Observation):
        return bool(x == y)
    one, other = np.asarray(x), np.asarray(y)
    if one.dtype != other.dtype:
        return False
    return np.array_equal(one, other, equal_nan=one.dtype.kind in "fc")
