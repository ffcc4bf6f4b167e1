"""Vectors, norms, casts and digests: what is computed from the leaves of a tree."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from fcnn._typing import Array, Tree
from fcnn.errors import TreeError
from fcnn.tree._children import leaves, statistics, walk
from fcnn.tree._map import map
from fcnn.tree._observation import Observation
from fcnn.tree._structure import flatten, structure, unflatten

T = TypeVar("T")
_LEAST = {"f": 1e-20, "d": 1e-280}
"""Sums of squares, by dtype, above which what underflow may have lost does not count."""


def ravel(tree: T, *, statistics: bool = False) -> tuple[Array, Callable[[Array], T]]:
    """Return the weights of a tree as one vector, and the function that puts such a vector back.

    The vector has the dtype that holds all leaves; the function gives each leaf its own dtype
    again, and statistics the values that they had in ``tree``. A tree of gradients may hold
    observations, which are left out.

    Args:
        tree: params or gradients.
        statistics: also take statistics (of params; an observation is no number).

    Raises:
        TypeError: with ``statistics``, if the tree holds observations.
        TreeError: from the function, if the vector has another length.

    >>> import numpy as np
    >>> from fcnn import tree
    >>> vector, unravel = tree.ravel((np.ones((2, 2)), np.zeros(1)))
    >>> vector
    array([1., 1., 1., 1., 0.])
    >>> unravel(vector + 1)[1]
    array([1.])
    """
    found, shape = flatten(tree)
    taken = [statistics or not marked for marked in _marks(tree)]
    arrays = [np.asarray(leaf) for leaf, take in zip(found, taken, strict=True) if take]
    ends = np.cumsum([array.size for array in arrays])[:-1]
    vector = np.concatenate([array.ravel() for array in arrays]) if arrays else np.zeros(0)

    def unravel(vector: Array) -> T:
        size = sum(array.size for array in arrays)
        if np.shape(vector) != (size,):
            raise TreeError(f"expected a vector of {size} numbers, got shape {np.shape(vector)}")
        parts = iter(np.split(vector, ends) if arrays else [])
        new = [
            _restored(next(parts), leaf) if take else leaf
            for leaf, take in zip(found, taken, strict=True)
        ]
        return unflatten(shape, new)

    return vector, unravel


_marks = statistics  # `ravel` has a parameter of that name


def _restored(part: Array, leaf: Any) -> Any:
    """Return numbers in the shape and the type of a leaf."""
    if isinstance(leaf, np.ndarray):
        return part.reshape(leaf.shape).astype(leaf.dtype, copy=False)
    return type(leaf)(part[0])


def zeros_like(tree: T) -> T:
    """Return the same tree with every leaf zero; in gradients nothing is observed.

    An observation becomes one of weight 1, which leaves the stored statistic as it is.

    >>> from fcnn import tree
    >>> tree.zeros_like((1.0, {"a": 2}))
    (0.0, {'a': 0})
    """

    def zero(leaf: Any) -> Any:
        if isinstance(leaf, Observation):
            return Observation(np.zeros_like(leaf.value), 1.0)
        return np.zeros_like(leaf) if isinstance(leaf, np.ndarray) else type(leaf)(0)

    return map(zero, tree)


def astype(tree: T, dtype: Any) -> T:
    """Return the same tree with its floating-point arrays in ``dtype``.

    >>> import numpy as np
    >>> from fcnn import tree
    >>> tree.astype((np.ones(2, np.float32), np.arange(2)), np.float64)[0].dtype
    dtype('float64')
    """

    def cast(leaf: Any) -> Any:
        if isinstance(leaf, Observation):
            return Observation(leaf.value.astype(dtype), leaf.weight)
        if isinstance(leaf, np.ndarray | np.generic) and leaf.dtype.kind == "f":
            return leaf.astype(dtype)
        return leaf

    return map(cast, tree)


def norm(tree: Tree) -> float:
    """Return the Euclidean norm of all leaves together, statistics left out.

    ``sqrt(Σ |x|²)``, for leaves of any dtype of numbers, whatever their range: where the squares
    overflow or underflow, the leaves are first divided by the largest of them.

    >>> import numpy as np
    >>> from fcnn import tree
    >>> tree.norm((np.array([3.0]), np.array([4.0])))
    5.0
    >>> tree.norm((np.array([3e-200, 4e-200]),))
    5e-200
    """
    arrays = [np.asarray(leaf).ravel() for _, leaf, is_statistic in walk(tree) if not is_statistic]
    arrays = [np.abs(a) if a.dtype.kind == "c" else a for a in arrays]
    arrays = [a if a.dtype.char in _LEAST else a.astype(np.float64) for a in arrays if a.size]
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        total = sum(_square(array) for array in arrays)
    least = max((_LEAST[array.dtype.char] for array in arrays), default=0.0)
    return math.sqrt(total) if least < total < math.inf else _scaled_norm(arrays)


def _square(flat: Array) -> float:
    """Return the sum of squares, in pieces so short that BLAS uses one thread: one set of bits."""
    pieces = [flat[i : i + 4096] for i in range(0, flat.size, 4096)]
    return sum(float(np.dot(piece, piece)) for piece in pieces)


def _scaled_norm(arrays: list[Array]) -> float:
    """Return the norm by way of the largest number."""
    largest = max((float(np.max(np.abs(array))) for array in arrays), default=0.0)
    if any(np.isnan(array).any() for array in arrays):
        return math.nan
    if largest == 0 or math.isinf(largest):
        return largest
    # A quotient whose square underflows is at most 1e-154 of the largest: it adds nothing.
    with np.errstate(under="ignore"):
        squares = [np.square(np.divide(array, largest, dtype=np.float64)) for array in arrays]
        return largest * math.sqrt(sum(float(np.sum(square)) for square in squares))


def allclose(a: Tree, b: Tree, *, rtol: float = 1e-5, atol: float = 1e-8) -> bool:
    """Return whether two trees have the same structure and nearly the same numbers.

    >>> from fcnn import tree
    >>> tree.allclose((1.0,), (1.0 + 1e-9,)), tree.allclose((1.0,), (1.0, 2.0))
    (True, False)
    """

    def close(x: Any, y: Any) -> bool:
        if isinstance(x, Observation) and isinstance(y, Observation):
            return x.weight == y.weight and close(x.value, y.value)
        if isinstance(x, Observation) or isinstance(y, Observation) or np.shape(x) != np.shape(y):
            return False
        return bool(np.allclose(x, y, rtol=rtol, atol=atol, equal_nan=True))

    return structure(a) == structure(b) and all(
        close(x, y) for x, y in zip(leaves(a), leaves(b), strict=True)
    )


def digest(tree: Tree) -> str:
    """Return the SHA-256 of a tree's paths, dtypes, shapes and bits, in hexadecimal.

    >>> from fcnn import tree
    >>> tree.digest((1.0,)) == tree.digest((1.0,)), tree.digest((0.0,)) == tree.digest((-0.0,))
    (True, False)
    """
    import hashlib

    sha = hashlib.sha256()
    for path, leaf, _ in walk(tree):
        weight = f" weight {leaf.weight!r}" if isinstance(leaf, Observation) else ""
        array = np.asarray(leaf.value if isinstance(leaf, Observation) else leaf)
        sha.update(f"{path} {array.dtype.str} {array.shape}{weight}\n".encode())
        sha.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return sha.hexdigest()
