"""Which arrays of another framework are the params of a layer: a registry by constructor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import attrs
import numpy as np

from fcnn._layer import Layer
from fcnn._typing import Array, Shape
from fcnn.weights._modules import Convention

F = TypeVar("F", bound=Callable[..., Any])


def _itself(array: Array) -> Array:
    return array


def _names(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


@attrs.frozen
class Slot:
    """A field of a layer's params, and what it is in a file.

    Attributes:
        names: what the array is called in the module, or several names of which one is there;
            the first is written.
        field: the field of the params; ``"[0].weight"`` within a tuple.
        shape: the array's shape in the file.
        load: makes the params' array of the file's; a view will do.
        save: the inverse.
        fill: what stands for an array that is missing; None if it must be there.
        others: other shapes of the same numbers in the same order.
    """

    names: tuple[str, ...] = attrs.field(converter=_names)
    field: str
    shape: Shape
    load: Callable[[Array], Array] = attrs.field(default=_itself, kw_only=True)
    save: Callable[[Array], Array] = attrs.field(default=_itself, kw_only=True)
    fill: float | None = attrs.field(default=None, kw_only=True)
    others: tuple[Shape, ...] = attrs.field(default=(), kw_only=True)


@attrs.frozen(eq=False)
class Target:
    """A layer of a model that needs params.

    Attributes:
        name: what its arrays are called in front of their own names: ``"conv1"``, ``"3"``.
        path: its place in the model, as errors name it.
        layer: the layer.
        in_shape: the shape of an example of its input.
        out_shape: the shape of an example of its output.
        shapes: the shapes of its params, by the paths that a `Slot` calls ``field``.
        params_path: where its params stand, as in `fcnn.tree.paths`.
        convention: whose names and layouts are asked for: ``"torch"``, ``"keras"``, ``"flax"``.
        rows: for the elements of a flat input, where the other framework has them; None if in
            the same order. Channels come first there where an image was flattened.
        columns: the same for a flat output, which becomes an image.
    """

    name: str
    path: str
    layer: Layer
    in_shape: Any
    out_shape: Any
    shapes: Mapping[str, Shape]
    params_path: str
    convention: Convention = "torch"
    rows: Any = None
    columns: Any = None


Rule: TypeAlias = Callable[[Target], "Sequence[Slot]"]
Expansion: TypeAlias = Callable[[Layer, Any], "Sequence[tuple[str, str, Layer, Any, Any]]"]

_RULES: dict[Any, Rule] = {}
_EXPANSIONS: dict[Any, Expansion] = {}


def rule(constructor: Any) -> Callable[[F], F]:
    """Register which arrays of other frameworks the params of a constructor's layers are.

    The function is given a `Target` and returns a `Slot` for each field.

    >>> import fcnn
    >>> from fcnn.weights import Slot, rule
    >>> @fcnn.layer
    ... def scaled():
    ...     def init(key, shape):
    ...         return {"factor": fcnn.initializers.ones(key, shape[-1:])}, shape
    ...     def apply(params, x, ctx=fcnn.EVAL):
    ...         return x * params["factor"]
    ...     def vjp(params, x, ctx=fcnn.EVAL):
    ...         axes = tuple(range(x.ndim - 1))
    ...         factor = params["factor"]
    ...         return x * factor, lambda dy: ({"factor": (x * dy).sum(axes)}, dy * factor)
    ...     return init, apply, vjp
    >>> @rule(scaled)
    ... def slots(target):
    ...     return [Slot("weight", "['factor']", target.in_shape[-1:])]
    """

    def register(function: F) -> F:
        _RULES[constructor] = function
        return function

    return register


def expansion(constructor: Any) -> Callable[[F], F]:
    """Register that a layer is several modules elsewhere.

    The function returns ``(step of the name, way to its params, layer, in shape, out shape)`` of
    each, in order.
    """

    def register(function: F) -> F:
        _EXPANSIONS[constructor] = function
        return function

    return register


def rule_of(layer: Layer) -> Rule | None:
    """Return the rule of a layer; None if it has none."""
    return _RULES.get(layer.spec.constructor)


def expansion_of(layer: Layer) -> Expansion | None:
    """Return what a layer is elsewhere; None if one module."""
    return _EXPANSIONS.get(layer.spec.constructor)


def inverse(order: Any) -> Any:
    """Return the permutation that undoes another."""
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return back
