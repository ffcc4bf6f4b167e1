"""The initializer contract, and the fans of a weight."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ParamSpec, TypeAlias

import attrs
import numpy as np

from fcnn import prng
from fcnn._typing import Array, Shape
from fcnn._value import Spec, Value, remember
from fcnn.errors import ShapeError
from fcnn.prng import Key

P = ParamSpec("P")
Draw: TypeAlias = Callable[[Key, Shape], Array]
LARGEST = float(np.finfo(np.float32).max)


@attrs.frozen(eq=False, repr=False, slots=False)
class Initializer(Value):
    """A function ``(key, shape) -> array`` that prints as the call that made it.

    For an abstract key (``fcnn.prng.abstract_key``) it returns zeros of the shape and
    draws nothing.

    >>> import fcnn
    >>> from fcnn import initializers
    >>> initializers.uniform(-0.5, 0.5)
    uniform(-0.5, 0.5)
    >>> initializers.he_normal(fcnn.key(0), (3, 3, 1, 8)).shape
    (3, 3, 1, 8)
    """

    draw: Draw
    spec: Spec

    def __call__(self, key: Key, shape: Shape) -> Array:
        """Draw an array."""
        return prng.abstract_array(shape) if prng.is_abstract(key) else self.draw(key, shape)


def initializer(constructor: Callable[P, Draw]) -> Callable[P, Initializer]:
    """Make a function that returns ``(key, shape) -> array`` return an `Initializer`.

    >>> import numpy as np
    >>> from fcnn import initializers
    >>> @initializers.initializer
    ... def full(value):
    ...     return lambda key, shape: np.full(shape, value, np.float32)
    >>> full(2.0)
    full(2.0)
    """
    return remember(constructor, Initializer)


def fans(shape: Any, groups: int = 1, transposed: bool = False) -> tuple[float, float]:
    """Return how many inputs an output has, and how many outputs an input has.

    Raises:
        ShapeError: if it is no shape of a weight, or its filters are not in equal groups.
    """
    window, a, b = parts(shape)
    if b % groups:
        raise ShapeError(f"expected filters in {groups} equal groups, got {b} of shape {shape}")
    before, after = window * a, window * b // groups
    return (after, before) if transposed else (before, after)


def parts(shape: Any) -> tuple[int, int, int]:
    """Return the size of the window, and the two lengths after it.

    Raises:
        ShapeError: if it is no shape of a weight.
    """
    if not isinstance(shape, tuple | list) or len(shape) < 2:
        raise ShapeError(
            f"expected a shape of two axes or more, (..., n_in, n_out), got {shape}; "
            f"initialize biases with zeros, constant, normal or uniform"
        )
    return math.prod(shape[:-2]), shape[-2], shape[-1]


def centre(shape: Shape) -> tuple[int, ...]:
    """Return the tap of a window that reads an output's own place, with padding "same"."""
    return tuple([(length - 1) // 2 for length in shape[:-2]])
