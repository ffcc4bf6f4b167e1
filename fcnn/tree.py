"""Trees of arrays: parameters, gradients and optimizer states.

A tree is a node, a tuple, a dict (taken in the order of its sorted keys) or ``()``,
nested to any depth; whatever else
stands in it is a leaf: an array or a number. A node is a frozen attrs class made
by `node`; the arrays in it are read-only views, so a tree is a value: nothing
that holds it can change it, and every change makes a new tree.

A field declared with `statistic` holds something that follows the data instead
of minimising the loss, such as the running mean of batch normalisation. The
functions that measure a tree (`norm`) pass statistics over, and `map` can treat
them by a function of their own.

Source: the idea and the names are those of JAX,
https://docs.jax.dev/en/latest/pytrees.html.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, dataclass_transform

import attrs
import numpy as np

from fcnn._typing import Array, Tree
from fcnn.errors import TreeError

__all__ = [
    "Structure",
    "allclose",
    "astype",
    "digest",
    "equal",
    "flatten",
    "leaves",
    "map",
    "node",
    "norm",
    "paths",
    "ravel",
    "statistic",
    "statistics",
    "structure",
    "unflatten",
    "zeros_like",
]

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


def _children(tree: Tree) -> list[tuple[str, Tree, bool]] | None:
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


def _walk(
    tree: Tree, path: str = "", is_statistic: bool = False
) -> Iterator[tuple[str, Any, bool]]:
    children = _children(tree)
    if children is None:
        if not isinstance(tree, np.ndarray | np.generic | int | float):
            raise TreeError(
                f"a tree is made of nodes, tuples, dicts, arrays and numbers, "
                f"and at {path or 'its root'} came a {type(tree).__name__}"
            )
        yield path, tree, is_statistic
    else:
        for step, child, marked in children:
            yield from _walk(child, path + step, is_statistic or marked)


def leaves(tree: Tree) -> list[Any]:
    """The arrays and numbers of a tree, in order.

    >>> from fcnn import tree
    >>> tree.leaves((1.0, {"a": 2.0}, ()))
    [1.0, 2.0]
    """
    return [leaf for _, leaf, _ in _walk(tree)]


def paths(tree: Tree) -> list[str]:
    """Where each leaf stands, in the order of `leaves`.

    >>> from fcnn import tree
    >>> tree.paths((1.0, {"a": 2.0}, ()))
    ['[0]', "[1]['a']"]
    """
    return [path for path, _, _ in _walk(tree)]


def statistics(tree: Tree) -> list[bool]:
    """Whether each leaf is a statistic, in the order of `leaves`.

    >>> from fcnn import tree
    >>> tree.statistics((1.0, 2.0))
    [False, False]
    """
    return [marked for _, _, marked in _walk(tree)]


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
    children = _children(tree)
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
    if _children(other) is not None:
        return False
    a, b = np.shape(leaf), np.shape(other)
    return a == b or () in (a, b)


def _describe(leaf: Any) -> str:
    children = _children(leaf)
    if children is None:
        return f"an array of shape {leaf.shape}" if isinstance(leaf, np.ndarray) else repr(leaf)
    if type(leaf) in (tuple, dict):
        return f"a {type(leaf).__name__} of {len(leaf)}"
    return f"a {type(leaf).__name__}"


def _first_difference(*trees: Tree, path: str = "") -> str:
    """One sentence about the first place where the trees differ; empty if they do not."""
    first = trees[0]
    for other in trees[1:]:
        if _children(first) is None:
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
    for i, (step, child, _) in enumerate(_children(first) or []):
        others = []
        for other in trees[1:]:
            found = _children(other) or []
            others.append(found[i][1])
        if difference := _first_difference(child, *others, path=path + step):
            return difference
    return ""


def ravel(tree: Tree) -> tuple[Array, Callable[[Array], Tree]]:
    """All leaves as one vector, and the function that makes the tree of such a vector.

    >>> import numpy as np
    >>> from fcnn import tree
    >>> vector, unravel = tree.ravel((np.ones((2, 2)), np.zeros(1)))
    >>> vector
    array([1., 1., 1., 1., 0.])
    >>> unravel(vector + 1)[1]
    array([1.])
    """
    found, shape = flatten(tree)
    arrays = [np.asarray(leaf) for leaf in found]
    ends = np.cumsum([array.size for array in arrays])[:-1]
    vector = np.concatenate([array.ravel() for array in arrays]) if arrays else np.zeros(0)

    def unravel(vector: Array) -> Tree:
        size = sum(array.size for array in arrays)
        if np.shape(vector) != (size,):
            raise TreeError(f"this tree is a vector of {size}, and {np.shape(vector)} came")
        parts = np.split(vector, ends) if arrays else []
        return unflatten(shape, [p.reshape(a.shape) for p, a in zip(parts, arrays, strict=True)])

    return vector, unravel


def zeros_like(tree: Tree) -> Tree:
    """The same tree with every leaf zero.

    >>> from fcnn import tree
    >>> tree.zeros_like((1.0, {"a": 2}))
    (0.0, {'a': 0})
    """
    return map(lambda leaf: np.zeros_like(leaf) if isinstance(leaf, np.ndarray) else leaf * 0, tree)


def astype(tree: Tree, dtype: Any) -> Tree:
    """The same tree with its floating-point arrays in ``dtype``.

    >>> import numpy as np
    >>> from fcnn import tree
    >>> tree.astype((np.ones(2, np.float32), np.arange(2)), np.float64)[0].dtype
    dtype('float64')
    """

    def cast(leaf: Any) -> Any:
        if isinstance(leaf, np.ndarray | np.generic) and leaf.dtype.kind == "f":
            return leaf.astype(dtype)
        return leaf

    return map(cast, tree)


def norm(tree: Tree) -> float:
    """The Euclidean norm of all leaves together, statistics left out.

    >>> import numpy as np
    >>> from fcnn import tree
    >>> tree.norm((np.array([3.0]), np.array([4.0])))
    5.0
    """
    total = 0.0
    for _, leaf, is_statistic in _walk(tree):
        if not is_statistic:
            total += _square(np.asarray(leaf).ravel())
    return math.sqrt(total)


def _square(flat: Array) -> float:
    """The sum of squares, in pieces so short that BLAS uses one thread: the bits are the same."""
    pieces = [flat[i : i + 4096] for i in range(0, flat.size, 4096)]
    total = sum(float(np.dot(piece, piece)) for piece in pieces)
    if math.isinf(total):  # too large for float32, perhaps
        total = float(np.square(flat, dtype=np.float64).sum())
    return total


def allclose(a: Tree, b: Tree, *, rtol: float = 1e-5, atol: float = 1e-8) -> bool:
    """Whether two trees have the same structure and nearly the same numbers.

    >>> from fcnn import tree
    >>> tree.allclose((1.0,), (1.0 + 1e-9,)), tree.allclose((1.0,), (1.0, 2.0))
    (True, False)
    """
    return structure(a) == structure(b) and all(
        np.shape(x) == np.shape(y) and np.allclose(x, y, rtol=rtol, atol=atol, equal_nan=True)
        for x, y in zip(leaves(a), leaves(b), strict=True)
    )


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


def digest(tree: Tree) -> str:
    """The SHA-256 of a tree's paths, dtypes, shapes and bits, in hexadecimal.

    >>> from fcnn import tree
    >>> tree.digest((1.0,)) == tree.digest((1.0,)), tree.digest((0.0,)) == tree.digest((-0.0,))
    (True, False)
    """
    import hashlib

    sha = hashlib.sha256()
    for path, leaf, _ in _walk(tree):
        array = np.ascontiguousarray(leaf)
        sha.update(f"{path} {array.dtype.str} {np.shape(leaf)}\n".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()
