"""The few types that the whole package speaks of."""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
"""An array of floats: float32 unless the user's params and inputs are float64."""

IntArray: TypeAlias = np.ndarray[Any, np.dtype[np.integer[Any]]]
"""An array of class labels."""

Shape: TypeAlias = tuple[int, ...]
"""The shape of one example: no batch axis."""


class Tree(Protocol):
    """A pytree: a node, a tuple, a list, a dict, None or a leaf, nested to any depth.

    Everything may be passed where a tree is expected. What the library returns as one is
    opaque to a type checker until ``isinstance`` says what it is; functions that return a tree
    of an argument's structure (`fcnn.tree.map`, an optimizer's ``step``) return its type.
    """


Size: TypeAlias = int | tuple[int, int]
"""A height and a width, or one number for both."""

Padding: TypeAlias = str | int | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]]
"""``"valid"``, ``"same"``, one number for all four sides, ``(rows, columns)``,
or ``((top, bottom), (left, right))``."""

Size1d: TypeAlias = int | tuple[int]
"""A length."""

Size3d: TypeAlias = int | tuple[int, int, int]
"""A depth, a height and a width, or one number for all three."""

Padding1d: TypeAlias = str | int | tuple[int, int]
"""``"valid"``, ``"same"``, ``"causal"``, one number for both ends, or ``(before, after)``."""

Padding3d: TypeAlias = (
    str | int | tuple[int, int, int] | tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
)
"""``"valid"``, ``"same"``, one number for all six sides, ``(planes, rows, columns)``, or
``(before, after)`` for each of them."""

ModelPullback: TypeAlias = Callable[[Array], tuple[Any, Any]]
"""``pullback(dy) -> (dparams, dx)``; ``dx`` is None where the context asked for none."""

LossPullback: TypeAlias = Callable[[float], Array]
"""``pullback(dvalue) -> dprediction``."""
