"""Nodes and the trees that they make: how they are built, walked, taken apart and compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar, dataclass_transform

import attrs
import numpy as np

from fcnn._typing import Tree
from fcnn.errors import TreeError

T = TypeVar("T")
_STATISTIC = "fcnn.statistic"


def _freeze(value: Any) -> Any:
    """The value with every array in it as a read-only view; the array itself keeps its flag."""
    cls = type(value)
    if cls is np.ndarray:
        if value.flags.writeable:
            value = value.view()
            value.setflags(write=False)
        return value
    if cls is tuple:
        return tuple([_freeze(child) for child in value])
    if cls is dict:
        return {name: _freeze(child) for name, child in value.items()}
    return value


def statistic() -> Any:
    """Declare a field of a node as a statistic: it follows the data, not the loss.

    A pullback returns ``(1 - momentum) * (stored - observed)`` for it, and an
    optimizer's rule for it is ``stored - gradient`` whatever it does to weights.

    >>> from fcnn import tree
    >>> @tree.node
    ... class Norm:
    ...     scale: object
    ...     mean: object = tree.statistic()
    >>> tree.statistics(Norm(1.0, 0.0))
    [False, True]
    """
    return attrs.field(metadata={_STATISTIC: True})


def _with_converter(_cls: type, fields: list[Any]) -> list[Any]:
    return [field.evolve(converter=field.converter or _freeze) for field in fields]


@dataclass_transform(
    frozen_default=True, eq_default=False, field_specifiers=(attrs.field, statistic)
)
def node(cls: type[T]) -> type[T]:
    """Make a class a tree node: frozen attrs, its arrays read-only views.

    Nodes compare by value (type, dtypes, shapes and numbers; NaN equals NaN),
    hash by structure, pickle, and come back read-only.

    >>> import numpy as np
    >>> from fcnn import tree
    >>> @tree.node
    ... class Affine:
    ...     weight: np.ndarray
    ...     bias: np.ndarray
    >>> w = np.ones((2, 3))
    >>> affine = Affine(w, np.zeros(3))
    >>> affine.weight.flags.writeable, w.flags.writeable
    (False, True)
    >>> affine == Affine(np.ones((2, 3)), np.zeros(3))
    True
    """
    made: Any = attrs.frozen(
        cls, eq=False, getstate_setstate=False, field_transformer=_with_converter
    )
    fields = attrs.fields(made)
    made.__node_fields__ = tuple(field.name for field in fields)
    made.__node_statistics__ = frozenset(f.name for f in fields if _STATISTIC in f.metadata)
    made.__eq__ = _node_eq
    made.__hash__ = _node_hash
    made.__reduce__ = _node_reduce
    return made  # type: ignore[no-any-return]


def _node_eq(self: Any, other: object) -> Any:
    return equal(self, other) if type(self) is type(other) else NotImplemented


def _node_hash(self: Any) -> int:
    return hash((structure(self), tuple(np.shape(leaf) for leaf in leaves(self))))


def _node_reduce(self: Any) -> Any:
    return type(self), tuple(getattr(self, name) for name in type(self).__node_fields__)


def children_of(tree: Tree) -> list[tuple[str, Tree, bool]] | None:
    """The step, the child and whether it is a statistic, for each child; None for a leaf."""
    cls = type(tree)
    if cls is tuple:
        return [(f"[{i}]", child, False) for i, child in enumerate(tree)]
    if cls is dict:
        return [(f"[{name!r}]", tree[name], False) for name in sorted(tree)]
    names = getattr(cls, "__node_fields__", None)
    if names is None:
        return None
    return [(f".{n}", getattr(tree, n), n in cls.__node_statistics__) for n in names]


def walk(tree: Tree, path: str = "", is_statistic: bool = False) -> Iterator[tuple[str, Any, bool]]:
    children = children_of(tree)
    if children is None:
        if not isinstance(tree, np.ndarray | np.generic | int | float):
            raise TreeError(
                f"a tree is made of nodes, tuples, dicts, arrays and numbers, "
                f"and at {path or 'its root'} came a {type(tree).__name__}"
            )
        yield path, tree, is_statistic
    else:
        for step, child, marked in children:
            yield from walk(child, path + step, is_statistic or marked)


def leaves(tree: Tree) -> list[Any]:
    """The arrays and numbers of a tree, in order.

    >>> from fcnn import tree
    >>> tree.leaves((1.0, {"a": 2.0}, ()))
    [1.0, 2.0]
    """
    return [leaf for _, leaf, _ in walk(tree)]


def paths(tree: Tree) -> list[str]:
    """Where each leaf stands, in the order of `leaves`.

    >>> from fcnn import tree
    >>> tree.paths((1.0, {"a": 2.0}, ()))
    ['[0]', "[1]['a']"]
    """
    return [path for path, _, _ in walk(tree)]


def statistics(tree: Tree) -> list[bool]:
    """Whether each leaf is a statistic, in the order of `leaves`.

    >>> from fcnn import tree
    >>> tree.statistics((1.0, 2.0))
    [False, False]
    """
    return [marked for _, _, marked in walk(tree)]


@attrs.frozen
class Structure:
    """A tree without its leaves: compares, hashes and pickles."""

    kind: type | None
    names: tuple[Any, ...] = ()
    children: tuple[Structure, ...] = ()

    @property
    def size(self) -> int:
        """How many leaves the tree has."""
        return 1 if self.kind is None else sum(child.size for child in self.children)


def structure(tree: Tree) -> Structure:
    """The shape of a tree, its leaves left out.

    >>> from fcnn import tree
    >>> tree.structure((1.0, 2.0)) == tree.structure((3.0, 4.0))
    True
    """
    children = children_of(tree)
    if children is None:
        return Structure(None)
    names = tuple(sorted(tree)) if type(tree) is dict else ()
    return Structure(type(tree), names, tuple(structure(child) for _, child, _ in children))


def flatten(tree: Tree) -> tuple[list[Any], Structure]:
    """The leaves, and what it takes to put them back.

    >>> from fcnn import tree
    >>> found, shape = tree.flatten({"a": 1.0, "b": (2.0,)})
    >>> tree.unflatten(shape, [x + 1 for x in found])
    {'a': 2.0, 'b': (3.0,)}
    """
    return leaves(tree), structure(tree)


def unflatten(structure: Structure, leaves: Sequence[Any]) -> Tree:
    """The tree with this structure and these leaves: the inverse of `flatten`.

    Raises:
        TreeError: if the number of leaves is not the structure's.

    >>> from fcnn import tree
    >>> tree.unflatten(tree.structure({"a": 1.0, "b": (2.0,)}), [3.0, 4.0])
    {'a': 3.0, 'b': (4.0,)}
    """
    if len(leaves) != structure.size:
        raise TreeError(f"this tree has {structure.size} leaves, and {len(leaves)} came")
    return _build(structure, iter(leaves))


def _build(structure: Structure, leaves: Iterator[Any]) -> Tree:
    kind = structure.kind
    if kind is None:
        return next(leaves)
    children = [_build(child, leaves) for child in structure.children]
    if kind is tuple:
        return tuple(children)
    if kind is dict:
        return dict(zip(structure.names, children, strict=True))
    return kind(*children)


def equal(a: Tree, b: Tree) -> bool:
    """Whether two trees are the same value: structure, dtypes, shapes and numbers.

    NaN equals NaN, as it should where a run is compared with its repetition.

    >>> from fcnn import tree
    >>> tree.equal((1.0, float("nan")), (1.0, float("nan")))
    True
    """
    return structure(a) == structure(b) and all(
        np.asarray(x).dtype == np.asarray(y).dtype and np.array_equal(x, y, equal_nan=True)
        for x, y in zip(leaves(a), leaves(b), strict=True)
    )
