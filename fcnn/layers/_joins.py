"""How the outputs of layers side by side become one: their sum, product, concatenation, or tree.

With dy the gradient at the output: in a sum every part gets dy; in a product each gets dy
times the other parts; in a concatenation each gets its slice of dy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from fcnn import tree
from fcnn._typing import Array, Shape
from fcnn._walk import Part
from fcnn.errors import ShapeError

Pull: TypeAlias = Callable[[Any], Sequence[Any]]


class Join(NamedTuple):
    """How outputs become one: the shape, the value, and the value with its adjoint."""

    shape: Callable[[Sequence[Any]], Any]
    value: Callable[[Sequence[Any]], Any]
    vjp: Callable[[Sequence[Any]], tuple[Any, Pull]]


def total_of(parts: Sequence[Any]) -> Any:
    """Return the sum, in order; a single part is returned as it is."""
    total = parts[0]
    for part in parts[1:]:
        total = total + part if isinstance(total, np.ndarray) else tree.map(np.add, total, part)
    return total


def _one_shape(shapes: Sequence[Any]) -> Any:
    if any(shape != shapes[0] for shape in shapes):
        raise ShapeError(f"expected outputs of one shape to add, got {list(shapes)}")
    return shapes[0]


def _added(ys: Sequence[Any]) -> Any:
    _one_shape([y.shape for y in ys])
    return total_of(ys)


def _added_vjp(ys: Sequence[Array]) -> tuple[Array, Pull]:
    n = len(ys)
    return _added(ys), lambda dy: [dy] * n


ADD = Join(_one_shape, _added, _added_vjp)


def _broadcast_shape(shapes: Sequence[Shape]) -> Shape:
    try:
        if len({len(shape) for shape in shapes}) > 1:
            raise ValueError
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise ShapeError(
            f"expected outputs of as many axes that broadcast to multiply, got {list(shapes)}; "
            f"reshape(1, 1, -1) makes (c,) meet (h, w, c)"
        ) from None


def _multiplied(ys: Sequence[Array]) -> Array:
    _broadcast_shape([y.shape[1:] for y in ys])
    product = ys[0]
    for y in ys[1:]:
        product = product * y
    return product


def _multiplied_vjp(ys: Sequence[Array]) -> tuple[Array, Pull]:
    factors = tuple(ys)

    def pull(dy: Array) -> list[Array]:
        dfactors = []
        for i, factor in enumerate(factors):
            others = [other for j, other in enumerate(factors) if j != i]
            dfactors.append(_summed_to(_multiplied([dy, *others]), factor.shape))
        return dfactors

    return _multiplied(ys), pull


def _summed_to(dy: Array, shape: Shape) -> Array:
    """Return dy summed over the axes that were broadcast from ``shape``."""
    axes = tuple([i for i, (n, m) in enumerate(zip(shape, dy.shape, strict=True)) if n != m])
    return dy.sum(axis=axes, keepdims=True) if axes else dy


MULTIPLY = Join(_broadcast_shape, _multiplied, _multiplied_vjp)


def _concat_shape(shapes: Sequence[Shape]) -> Shape:
    if len({shape[:-1] for shape in shapes}) > 1:
        raise ShapeError(
            f"expected outputs that agree in all axes but the last to concatenate, "
            f"got {list(shapes)}"
        )
    return (*shapes[0][:-1], sum(shape[-1] for shape in shapes))


def _concatenated(ys: Sequence[Array]) -> Array:
    _concat_shape([y.shape for y in ys])
    return np.concatenate(ys, axis=-1)


def _concatenated_vjp(ys: Sequence[Array]) -> tuple[Array, Pull]:
    ends = np.cumsum([y.shape[-1] for y in ys])[:-1]
    return _concatenated(ys), lambda dy: np.split(dy, ends, axis=-1)


CONCAT = Join(_concat_shape, _concatenated, _concatenated_vjp)


def items_of(parts: Sequence[Part]) -> Join:
    """Return the join that leaves the outputs apart, in a tuple or in a dict by name."""
    keys = [part.item for part in parts]
    in_dict = isinstance(keys[0], str)

    def together(ys: Sequence[Any]) -> Any:
        return dict(zip(keys, ys, strict=True)) if in_dict else tuple(ys)

    def vjp(ys: Sequence[Any]) -> tuple[Any, Pull]:
        return together(ys), lambda dy: [dy[key] for key in keys]

    return Join(together, together, vjp)
