"""Trees of arrays: the inputs and targets of a data set, leaf by leaf.

A tree is an array, or a tuple or dict of trees. Anything else, a list among them,
is converted to one array.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fcnn._typing import Array, Tree
from fcnn.errors import DataError, DTypeError, NonFiniteError, ShapeError, TreeError


def map_leaves(function: Callable[[Any, str], Any], tree: Any, path: str = "") -> Any:
    """Apply ``function(leaf, path)`` to every leaf; dicts come out in the order of their keys."""
    if type(tree) is tuple:
        return tuple([map_leaves(function, child, f"{path}[{i}]") for i, child in enumerate(tree)])
    if type(tree) is dict:
        keys = _sorted(tree, path)
        return {key: map_leaves(function, tree[key], f"{path}[{key!r}]") for key in keys}
    return function(tree, path)


def _sorted(tree: dict[Any, Any], path: str) -> list[Any]:
    try:
        return sorted(tree)
    except TypeError:
        raise TreeError(f"expected dict keys of one type, got {list(tree)}", path) from None


def leaves(tree: Tree, path: str = "") -> Iterator[tuple[str, Array]]:
    """Yield the path and the array of every leaf."""
    found: list[tuple[str, Array]] = []
    map_leaves(lambda leaf, path: found.append((path, leaf)), tree, path)
    yield from found


def describe(tree: Any) -> str:
    """Write the shape of one example and the dtype of every leaf."""
    if type(tree) is tuple:
        children = ", ".join([describe(child) for child in tree])
        return f"({children},)" if len(tree) == 1 else f"({children})"
    if type(tree) is dict:
        return f"{{{', '.join([f'{name!r}: {describe(tree[name])}' for name in tree])}}}"
    return f"{tree.shape[1:]} {tree.dtype}"


def as_inputs(tree: Any, *, known: bool = False) -> Any:
    """Convert and check inputs: floats, or whole numbers as int64.

    ``known`` says that the numbers are known to be finite.
    """
    return _converted(_as_input, tree, "inputs", known)


def as_targets(tree: Any, *, known: bool = False) -> Any:
    """Convert and check targets: floats, or whole numbers as int64; see `as_inputs`."""
    return _converted(_as_target, tree, "targets", known)


def count(inputs: Tree, targets: Tree) -> int:
    """Return the number of examples, which every leaf must have."""
    (first, array), *rest = [*leaves(inputs, "inputs"), *leaves(targets, "targets")]
    for path, other in rest:
        if len(other) != len(array):
            raise ShapeError(
                f"expected {len(array)} examples, as in {first} of shape {array.shape}, "
                f"got shape {other.shape}",
                path,
            )
    return len(array)


def _converted(convert: Callable[[Any, str], Array], tree: Any, path: str, known: bool) -> Any:
    def checked(leaf: Any, path: str) -> Array:
        array = convert(leaf, path)
        return array if known or array.dtype.kind != "f" else _finite(array, path)

    made = map_leaves(checked, tree, path)
    if not list(leaves(made)):
        raise TreeError(f"expected at least one array, got {tree!r}", path)
    return made


def _as_array(leaf: Any, path: str) -> Array:
    """Convert one leaf to an array with a first axis."""
    if isinstance(leaf, tuple | dict):
        kind = "tuple" if isinstance(leaf, tuple) else "dict"
        raise TreeError(
            f"expected a tuple, a dict or an array, got {type(leaf).__name__}; "
            f"convert with {kind}(...)",
            path,
        )
    if isinstance(leaf, np.ma.MaskedArray) and np.ma.is_masked(leaf):
        raise DataError(
            "expected an array without masked elements, got a masked array; fill it with "
            "filled(...) or leave the examples out",
            path,
        )
    try:
        array = np.asarray(leaf)
    except ValueError as error:
        raise ShapeError(
            f"expected an array, got a {type(leaf).__name__} of unequal lengths ({error}); "
            f"pad the examples to one shape",
            path,
        ) from None
    if array.ndim == 0:
        raise ShapeError(
            f"expected an array of examples, got a single {type(leaf).__name__}; "
            f"a tuple is a tree of arrays, a list is one array",
            path,
        )
    return array


def _as_input(leaf: Any, path: str) -> Array:
    array = _as_array(leaf, path)
    if array.dtype.kind in "iu" and array.dtype != np.uint8:
        return _whole(array, path)
    if array.dtype not in (np.float32, np.float64):
        hint = " / 255" if array.dtype == np.uint8 else ""
        raise DTypeError(
            f"expected float32, float64 or whole numbers, got {array.dtype}; "
            f"pass {path}.astype(np.float32){hint}"
            + (" for pixels, or astype(np.int64) for indices" if hint else ""),
            path,
        )
    return _frozen(array)


def _as_target(leaf: Any, path: str) -> Array:
    array = _as_array(leaf, path)
    if array.dtype.kind in "iu":
        return _whole(array, path)
    if array.dtype.kind in "SUT" or _is_text(array):
        raise DTypeError(
            f"expected whole numbers or floats, got strings; encode them with "
            f"classes, numbers = np.unique({path}, return_inverse=True)",
            path,
        )
    if array.dtype not in (np.float32, np.float64):
        raise DTypeError(
            f"expected whole numbers, float32 or float64, got {array.dtype}; "
            f"pass {path}.astype(np.int64) for classes, or astype(np.float32)",
            path,
        )
    return _frozen(array)


def _is_text(array: Array) -> bool:
    """Tell whether an array of objects, as pandas makes them, holds strings."""
    return array.dtype == object and array.size > 0 and isinstance(array.flat[0], str)


def _whole(array: Array, path: str) -> Array:
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
        raise DTypeError(f"expected whole numbers below 2**63, got {array.max()}", path)
    return _frozen(array.astype(np.int64, copy=False))


def _finite(array: Array, path: str) -> Array:
    # min and max are NaN where any number is, and need no array of booleans.
    if array.size and not (np.isfinite(array.min()) and np.isfinite(array.max())):
        first = np.argwhere(~np.isfinite(array))[0].tolist()
        raise NonFiniteError(
            f"expected finite numbers, got {array[tuple(first)]} at {first}; "
            f"replace it or leave the example out",
            path,
        )
    return array


def _frozen(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view
