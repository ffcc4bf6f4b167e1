"""The registry of rules: how the layers of a constructor are written.

Each file of rules registers those of its family; a user registers those of theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeAlias, TypeVar

from fcnn._layer import Layer
from fcnn.errors import ArgumentError
from fcnn.export._graph import Graph

Rule: TypeAlias = Callable[[Graph, Layer, Any, Any], Any]
R = TypeVar("R", bound=Callable[..., Any])
_RULES: dict[Any, Rule] = {}


def rule(constructor: Any) -> Callable[[R], R]:
    """Register how the layers of a constructor are written to ONNX.

    What is decorated is called as ``f(graph, layer, params, x)``, adds nodes to the graph and
    returns the `Tensor` of the output. x is the `Tensor` of the input, a tuple or dict of them
    where the input is one. Arguments of the layer are in ``layer.spec.arguments``.

    Args:
        constructor: the decorated constructor, or the layer itself where it takes no arguments,
            or the function that an `fcnn.elementwise` applies.

    >>> import fcnn
    >>> @fcnn.layer
    ... def scale(factor):
    ...     def init(key, shape):
    ...         return (), shape
    ...     def apply(params, x, ctx=fcnn.EVAL):
    ...         return factor * x
    ...     def vjp(params, x, ctx=fcnn.EVAL):
    ...         return factor * x, lambda dy: ((), factor * dy)
    ...     return init, apply, vjp
    >>> @fcnn.export.rule(scale)
    ... def scale_rule(graph, layer, params, x):
    ...     return graph.node("Mul", x, layer.spec.arguments["factor"])
    """

    def register(function: R) -> R:
        _RULES[_made_by(constructor)] = function
        return function

    return register


def rule_of(layer: Layer) -> Rule | None:
    """Return the rule of a layer's constructor; None if there is none."""
    return _RULES.get(layer.spec.constructor)


def rule_of_function(function: Any) -> Rule | None:
    """Return the rule of an element-wise function."""
    try:
        return _RULES.get(function)
    except TypeError:  # it does not hash
        return None


def refuse(layer: Layer, path: str, why: str = "") -> NoReturn:
    """Refuse a layer without a rule, and say how to add one.

    Raises:
        ArgumentError: always.
    """
    name = layer.spec.name
    raise ArgumentError(
        why
        or f"expected a layer with a rule for ONNX, got one of {name}; register one: put "
        f"@fcnn.export.rule({name}) above def {name}_rule(graph, layer, params, x): "
        f'return graph.node("Relu", x), with the operators that compute what the layer does',
        path,
        repr(layer),
    )


def _made_by(constructor: Any) -> Any:
    return constructor.spec.constructor if isinstance(constructor, Layer) else constructor
