"""What is computed of the leaves of a tree."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fcnn._typing import Array, Tree
from fcnn.errors import TreeError
from fcnn.tree._map import map
from fcnn.tree._node import flatten, leaves, structure, unflatten, walk


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
    for _, leaf, is_statistic in walk(tree):
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


def digest(tree: Tree) -> str:
    """The SHA-256 of a tree's paths, dtypes, shapes and bits, in hexadecimal.

    >>> from fcnn import tree
    >>> tree.digest((1.0,)) == tree.digest((1.0,)), tree.digest((0.0,)) == tree.digest((-0.0,))
    (True, False)
    """
    import hashlib

    sha = hashlib.sha256()
    for path, leaf, _ in walk(tree):
        array = np.ascontiguousarray(leaf)
        sha.update(f"{path} {array.dtype.str} {np.shape(leaf)}\n".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()
