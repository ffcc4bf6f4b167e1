"""What the checks compare with, and by how much."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np

from fcnn import prng, tree
from fcnn._typing import Array, Shape, Tree
from fcnn._value import Value, values_in
from fcnn.prng import Key

KEY = Key(0)
DTYPES = (np.dtype(np.float32), np.dtype(np.float64))


def normal(key: Key, shape: Shape) -> Array:
    return np.asarray(prng.normal(key, shape, dtype=np.float64))


def misfit(arg: Tree, grad: Tree) -> str:
    """What keeps ``grad`` from being a gradient of ``arg``; empty if nothing."""
    try:
        tree.map(lambda a, g: None if np.shape(a) == np.shape(g) else _refuse(a, g), arg, grad)
    except ValueError as error:
        return str(error)
    return ""


def _refuse(a: Any, g: Any) -> None:
    raise ValueError(f"its shape is {np.shape(g)} instead of {np.shape(a)}")


def places(grads: tuple[Tree, Tree]) -> list[str]:
    """The paths in ``(dparams, dx)``, with the names that the contract gives them."""
    return [
        "dparams" + path[3:] if path.startswith("[0]") else "dx" + path[3:]
        for path in tree.paths(grads)
    ]


def rounding(dtype: np.dtype) -> float:
    """How far apart two orders of the same arithmetic may come out."""
    return 1e-4 if dtype == np.float32 else 1e-9


def gap_between(a: Tree, b: Tree) -> float:
    """The largest difference of two trees, relative to their largest entry.

    Not leaf by leaf: the gradient of a bias in front of batch normalisation is nought
    but rounding, and rounding is relative to what was rounded.
    """
    pairs = [(x, y) for x, y in zip(tree.leaves(a), tree.leaves(b), strict=True) if np.size(x)]
    widest = max((float(np.max(np.abs(np.subtract(x, y)))) for x, y in pairs), default=0.0)
    scale = max((float(np.max(np.abs(leaf))) for pair in pairs for leaf in pair), default=0.0)
    return widest / scale if scale else widest


def importable(value: Value) -> bool:
    """Whether Python can find every constructor by its name, as pickling needs."""
    return all("<locals>" not in v.spec.constructor.__qualname__ for v in values_in(value)) and all(
        v.spec.constructor.__module__ not in ("__main__", "builtins") for v in values_in(value)
    )


def value_problem(value: Value) -> str:
    """What keeps ``value`` from being one: it pickles, compares and prints as its call."""
    if importable(value):
        copy = pickle.loads(pickle.dumps(value))
        if copy != value or hash(copy) != hash(value) or repr(copy) != repr(value):
            return f"its copy by pickle is another one, {copy!r}"
    names: dict[str, Any] = {"np": np, "array": np.array, "inf": np.inf, "nan": np.nan}
    for each in values_in(value):
        found = each if each.spec.is_name else each.spec.constructor
        if names.setdefault(each.spec.name, found) is not found:
            return ""  # two constructors of one name: no namespace could hold both
    try:
        again = eval(repr(value), names)
    except (NameError, SyntaxError, AttributeError):
        return ""  # an argument is something that Python cannot print as an expression
    return "" if again == value else f"{value!r} evaluates to something else, {again!r}"
