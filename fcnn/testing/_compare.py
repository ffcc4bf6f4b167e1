"""How the checks compare trees: by bits, by the largest difference, by structure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from fcnn import tree
from fcnn._typing import Array, Tree
from fcnn.tree import Observation
from fcnn.tree._children import children_of, shape_of

DTYPES = (np.dtype(np.float32), np.dtype(np.float64))


def is_float(leaf: Any) -> bool:
    """Whether a leaf is a floating-point number or an array of them."""
    return not isinstance(leaf, Observation) and np.asarray(leaf).dtype.kind == "f"


def numbers(values: Tree) -> list[Array]:
    """Return the arrays of a tree; those of observations are their values."""
    leaves = tree.leaves(values)
    return [np.asarray(x.value if isinstance(x, Observation) else x) for x in leaves]


def largest(values: Tree) -> float:
    """Return the largest absolute value in a tree; 0 for an empty one."""
    arrays = [np.abs(array) for array in numbers(values) if array.size]
    return max((float(np.max(array)) for array in arrays), default=0.0)


def gap_between(a: Tree, b: Tree) -> float:
    """Return the largest difference of two trees, relative to their largest entry; NaN is inf.

    Not leaf by leaf: the gradient of a bias in front of batch normalisation is zero but for
    rounding, and rounding is relative to what was rounded.
    """
    pairs = [(x, y) for x, y in zip(numbers(a), numbers(b), strict=True) if x.size]
    if any(x.shape != y.shape for x, y in pairs):
        return math.inf
    widest = max((float(np.max(np.abs(np.subtract(x, y)))) for x, y in pairs), default=0.0)
    scale = max(largest(a), largest(b))
    gap = widest / scale if scale else widest
    return gap if math.isfinite(gap) else math.inf


def rounding(dtype: Any) -> float:
    """Return how far apart two orders of the same arithmetic may come out."""
    return 1e-4 if dtype == np.float32 else 1e-9


def finite(values: Tree) -> bool:
    """Whether all numbers of a tree are finite."""
    return all(bool(np.isfinite(array).all()) for array in numbers(values))


def aligned(arg: Tree, grad: Tree, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield the path, the leaf and the gradient for each leaf of ``arg``.

    Where a leaf is no float, its gradient may be None.

    Raises:
        ValueError: with the path, if the structures differ.
    """
    children, grads = children_of(arg, path), children_of(grad, path)
    if children is None:
        yield path, arg, grad
        return
    steps = [step for step, _, _ in children]
    if type(arg) is not type(grad) or grads is None or steps != [step for step, _, _ in grads]:
        where = f" at {path}" if path else ""
        raise ValueError(f"expected {_kind(arg)}{where}, got {_kind(grad)}")
    for (step, child, _), (_, its, _) in zip(children, grads, strict=True):
        yield from aligned(child, its, path + step)


def misfit(arg: Tree, grad: Tree) -> str:
    """Return what keeps ``grad`` from being a gradient of ``arg``; empty if nothing."""
    try:
        rows = list(aligned(arg, grad))
    except ValueError as error:
        return str(error)
    for (path, leaf, its), is_statistic in zip(rows, tree.statistics(arg), strict=True):
        if problem := _leaf_misfit(leaf, its, is_statistic):
            return f"{problem} at {path}" if path else problem
    return ""


def _leaf_misfit(leaf: Any, its: Any, is_statistic: bool) -> str:
    if not is_float(leaf):
        return "" if its is None or not np.any(its) else "expected None for whole numbers"
    if is_statistic and not isinstance(its, Observation):
        kind = type(its).__name__
        return f"expected a fcnn.tree.Observation(value, weight) of a statistic, got {kind}"
    if its is None or children_of(its) is not None:
        return f"expected an array of shape {shape_of(leaf)}, got {_kind(its)}"
    if not is_statistic and isinstance(its, Observation):
        return "expected a gradient of a weight, got an Observation"
    if not isinstance(its, np.ndarray | np.generic | float | Observation):
        return f"expected an array, got {type(its).__name__}"
    if shape_of(its) != shape_of(leaf):
        return f"expected the shape {shape_of(leaf)}, got {shape_of(its)}"
    return ""


def _kind(value: Any) -> str:
    if isinstance(value, tuple | list | dict):
        return f"a {type(value).__name__} of {len(value)}"
    return "None" if value is None else f"a {type(value).__name__}"


def places(grads: Any) -> list[str]:
    """Return the paths in ``(dparams, dx)``, with the names that the contract gives them."""
    return [
        "dparams" + path[3:] if path.startswith("[0]") else "dx" + path[3:]
        for path in tree.paths(grads)
    ]
