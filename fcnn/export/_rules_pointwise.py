"""Rules of activations: one operator where every engine computes it right, else a few plain ones.

Softplus, log-softmax, Mish and their like are written by what they are made of, so that no
exponential overflows: engines' own operators differ for inputs of large magnitude.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fcnn._layer import Layer
from fcnn.export._graph import Graph, Tensor
from fcnn.export._rules import refuse, rule, rule_of_function
from fcnn.layers.activations import log_softmax, relu, sigmoid, softmax, tanh
from fcnn.layers.elementwise import elementwise
from fcnn.layers.gates import glu
from fcnn.layers.hard import hard_shrink, hard_sigmoid, hard_swish, hard_tanh, soft_shrink
from fcnn.layers.prelu import prelu
from fcnn.layers.rectifiers import celu, elu, leaky_relu, relu6, selu
from fcnn.layers.smooth import gelu, log_sigmoid, mish, silu, softplus, softsign
from fcnn.layers.softmax_over import log_softmax_over, softmax_over

TANH_IS_ONE = 20.0
"""From here on tanh is 1 in float32 and float64; OpenCV 5.0 gives NaN at some larger inputs."""


def _operator(constructor: Any, op: str) -> None:
    """Register a layer that is one operator without attributes."""
    rule(constructor)(lambda graph, layer, params, x: graph.node(op, x))


for _layer, _op in ((relu, "Relu"), (sigmoid, "Sigmoid"), (softsign, "Softsign")):
    _operator(_layer, _op)


def _ufunc(function: Any, op: str) -> None:
    """Register an element-wise function that an operator computes."""
    rule(function)(lambda graph, layer, params, x: graph.node(op, x))


for _function in (
    *(np.sin, np.cos, np.tan, np.sinh, np.cosh, np.exp, np.log, np.sqrt, np.abs, np.sign),
    *(np.floor, np.ceil),
):
    _ufunc(_function, {"absolute": "Abs"}.get(_function.__name__, _function.__name__.title()))
for _other, _op in ((np.arctan, "Atan"), (np.negative, "Neg"), (np.reciprocal, "Reciprocal")):
    _ufunc(_other, _op)


@rule(elementwise)
def _elementwise(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Any:
    function = layer.spec.arguments["f"]
    known = rule_of_function(function)
    if known is None:
        name = getattr(function, "__name__", "f")
        refuse(
            layer,
            "",
            f"expected a function that a rule for ONNX is registered for, got {name}; put "
            f"@fcnn.export.rule({name}) above def {name}_rule(graph, layer, params, x): "
            f'return graph.node("Sin", x), with the operators that compute it',
        )
    return known(graph, layer, params, x)


def bounded_tanh(graph: Graph, x: Tensor) -> Tensor:
    """Add a Tanh of the input clipped to where it is 1 or -1 to the last bit."""
    return graph.node("Tanh", _clipped(graph, x, -TANH_IS_ONE, TANH_IS_ONE))


def _clipped(graph: Graph, x: Tensor, low: float, high: float) -> Tensor:
    return graph.node("Clip", x, np.float32(low), np.float32(high))


@rule(tanh)
@rule(np.tanh)
def _tanh(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    return bounded_tanh(graph, x)


@rule(relu6)
def _relu6(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    return _clipped(graph, x, 0, 6)


@rule(hard_tanh)
def _hard_tanh(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    given = layer.spec.arguments
    return _clipped(graph, x, given["low"], given["high"])


@rule(leaky_relu)
def _leaky(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    return graph.node("LeakyRelu", x, alpha=float(layer.spec.arguments["negative_slope"]))


@rule(elu)
def _elu(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    return graph.node("Elu", x, alpha=float(layer.spec.arguments["alpha"]))


@rule(selu)
def _selu(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    from fcnn.layers.rectifiers import SELU_ALPHA, SELU_GAIN

    return graph.node("Selu", x, alpha=SELU_ALPHA, gamma=SELU_GAIN)


@rule(celu)
def _celu(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    alpha = float(layer.spec.arguments["alpha"])
    curved = graph.node("Elu", graph.node("Mul", x, 1 / alpha), alpha=1.0)
    return graph.node("Mul", curved, alpha)


@rule(prelu)
def _prelu(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    x = graph.first(x)
    return graph.node("PRelu", x, graph.constant(graph.like(x, params.weight), "slope"))


def _hard_gate(graph: Graph, x: Tensor) -> Tensor:
    return graph.node("HardSigmoid", x, alpha=1 / 6, beta=0.5)


@rule(hard_sigmoid)
def _hard_sigmoid(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    return _hard_gate(graph, x)


@rule(hard_swish)
def _hard_swish(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    return graph.node("Mul", x, _hard_gate(graph, x))


@rule(hard_shrink)
def _hard_shrink(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    large = graph.node("Greater", graph.node("Abs", x), float(layer.spec.arguments["lambd"]))
    return graph.node("Where", large, x, np.float32(0))


@rule(soft_shrink)
def _soft_shrink(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    lambd = float(layer.spec.arguments["lambd"])
    return graph.node("Sub", x, _clipped(graph, x, -lambd, lambd))


@rule(gelu)
def _gelu(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    if layer.spec.arguments["approximate"] == "tanh":
        cubed = graph.node("Mul", graph.node("Mul", x, x), graph.node("Mul", x, 0.044715))
        inner = graph.node("Mul", graph.node("Add", x, cubed), math.sqrt(2 / math.pi))
        curve = bounded_tanh(graph, inner)
    else:
        curve = graph.node("Erf", graph.node("Div", x, math.sqrt(2)))
    return graph.node("Mul", graph.node("Mul", x, graph.node("Add", curve, 1.0)), 0.5)


@rule(silu)
def _silu(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    return graph.node("Mul", x, graph.node("Sigmoid", x))


def _softplus_of(graph: Graph, x: Tensor, beta: float) -> Tensor:
    """Return ``max(x, 0) + log(1 + exp(-beta |x|)) / beta``."""
    small = graph.node("Exp", graph.node("Mul", graph.node("Abs", x), -beta))
    bend = graph.node("Log", graph.node("Add", small, 1.0))
    bend = bend if beta == 1 else graph.node("Div", bend, beta)
    return graph.node("Add", graph.node("Relu", x), bend)


@rule(softplus)
def _softplus(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    return _softplus_of(graph, x, float(layer.spec.arguments["beta"]))


@rule(log_sigmoid)
def _log_sigmoid(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    return graph.node("Neg", _softplus_of(graph, graph.node("Neg", x), 1.0))


@rule(mish)
def _mish(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    return graph.node("Mul", x, bounded_tanh(graph, _softplus_of(graph, x, 1.0)))


def _softmax_at(log: bool) -> Callable[[Graph, Layer, Any, Tensor], Tensor]:
    def write(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
        # softmax_over counts the axes of an example, the negative ones from its end.
        axis = graph.axis(x, int(layer.spec.arguments.get("axis", -1)))
        if not log:
            return graph.node("Softmax", x, axis=axis)
        # OpenCV 5.0 recognises (x - max) - log Σ exp(x - max), and computes log(softmax(x)).
        largest = graph.reduce("ReduceMax", x, [axis])
        total = graph.reduce("ReduceSum", graph.node("Exp", graph.node("Sub", x, largest)), [axis])
        return graph.node("Sub", x, graph.node("Add", largest, graph.node("Log", total)))

    return write


rule(softmax)(_softmax_at(log=False))
rule(softmax_over)(_softmax_at(log=False))
rule(log_softmax)(_softmax_at(log=True))
rule(log_softmax_over)(_softmax_at(log=True))


@rule(glu)
def _glu(graph: Graph, layer: Layer, params: Any, x: Tensor) -> Tensor:
    from fcnn.export._rules_conv import sliced

    axis = int(layer.spec.arguments["axis"])
    place, half = graph.axis(x, axis), x.shape[axis] // 2
    a, b = (sliced(graph, x, {place: (i * half, (i + 1) * half)}) for i in range(2))
    return graph.node("Mul", a, graph.node("Sigmoid", b))
