"""Nodes and the trees that they make: built, walked, flattened, compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar, dataclass_transform

import attrs
import numpy as np

from fcnn._typing import Tree
from fcnn.errors import TreeError
from fcnn.tree._observation import Observation

T = TypeVar("T")
_STATISTIC, _NUMBER = "fcnn.statistic", "fcnn.number"


def _freeze(value: Any) -> Any:
    """Return a node's field with its arrays as read-only views and its lists as tuples."""
    cls = type(value)
    if cls is np.ndarray:
        if value.flags.writeable:
            value = value.view()
            value.setflags(write=False)
        return value
    if cls is tuple or cls is list:
        return tuple([_freeze(child) for child in value])
    if cls is dict:
        return {name: _freeze(child) for name, child in value.items()}
    if is_namedtuple(cls):
        return cls(*[_freeze(child) for child in value])
    return value


def statistic() -> Any:
    """Declare a field of a node as a statistic: it follows the data, not the loss.

    A pullback returns an `fcnn.tree.Observation` in its place, which an optimizer's step
    mixes in, whatever it does to weights.

    >>> from fcnn import tree
    >>> @tree.node
    ... class Norm:
    ...     scale: object
    ...     mean: object = tree.statistic()
    >>> tree.statistics(Norm(1.0, 0.0))
    [False, True]
    """
    return attrs.field(metadata={_STATISTIC: True})


def number() -> Any:
    """Declare a field of a node as a Python number that changes, such as a count of steps.

    `fcnn.jit` takes it as an argument, as it does arrays; a number elsewhere is recorded anew for
    each of its values.

    >>> from fcnn import tree
    >>> @tree.node
    ... class Counted:
    ...     count: int = tree.number()
    >>> Counted(3)
    Counted(count=3)
    """
    return attrs.field(metadata={_NUMBER: True})


def _with_converter(_cls: type, fields: list[Any]) -> list[Any]:
    return [field.evolve(converter=field.converter or _freeze) for field in fields]


@dataclass_transform(
    frozen_default=True, eq_default=False, field_specifiers=(attrs.field, statistic, number)
)
def node(cls: type[T]) -> type[T]:
    """Make a class a tree node: frozen attrs whose arrays are read-only views.

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
    made.__node_numbers__ = frozenset(f.name for f in fields if _NUMBER in f.metadata)
    # attrs shows the converter's type, Any, in the signature.
    made.__init__.__annotations__ = {field.name: field.type for field in fields}
    made.__eq__ = _node_eq
    made.__hash__ = _node_hash
    made.__reduce__ = _node_reduce
    return made  # type: ignore[no-any-return]


def _node_eq(self: Any, other: object) -> Any:
    return equal(self, other) if type(self) is type(other) else NotImplemented


def _node_hash(self: Any) -> int:
    return hash((structure(self), tuple(shape_of(leaf) for leaf in leaves(self))))


def _node_reduce(self: Any) -> Any:
    return type(self), tuple(getattr(self, name) for name in type(self).__node_fields__)


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
