"""The steps of a quantized model in NumPy, with the bits that the C file computes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fcnn._typing import Array, IntArray
from fcnn.export._c._shapes import axes_of
from fcnn.export._whole._fixed import rescaled
from fcnn.export._whole._quantized import Quantized
from fcnn.export._whole._tables import Step
from fcnn.export._whole._values import LAST, MOVES
from fcnn.export._whole._windows import convolved, last_axes, windows


def run(model: Quantized, inputs: dict[str, Array]) -> dict[str, Array]:
    """Return the outputs for inputs ``(n, ...)`` in the file's layout."""
    values: dict[str, Any] = {n: model.scales[n].quantized(x) for n, x in inputs.items()}
    for step in model.steps:
        given: list[Any] = [values.get(name) for name in step.inputs]
        values[step.output] = _RUN[step.kind](model, step, given)
    return {name: values[of] for name, of in model.results.items()}


def _array(x: Any) -> Array:
    found: Array = x
    return found


def _layer(model: Quantized, step: Step, given: list[Array]) -> Array:
    (x,), own, arrays = given, step.node, step.arrays
    weight, bias = arrays["weight"], arrays["bias"]
    centred = x.astype(np.int32) - model.scales[step.inputs[0]].zero
    if own.op == "Conv":
        total = convolved(centred, weight, own.attributes).astype(np.int64)
        spread = (-1, *[1] * (total.ndim - 2))
    else:  # sums of 32 bits are exact in float64
        total = (centred.astype(float) @ weight.T.astype(float)).astype(np.int64)
        spread = (-1,)
    total = total + bias.astype(np.int64).reshape(spread)
    if "multiplier" not in arrays:
        found: Array = total.astype(np.float32) * arrays["unit"].reshape(spread)
        return found
    multiplier, shift = (arrays[name].reshape(spread) for name in ("multiplier", "shift"))
    return rescaled(total, multiplier, shift, model.scales[step.output].zero)


def _table(model: Quantized, step: Step, given: list[Array]) -> Array:
    (x,), table = given, step.arrays["table"]
    if len(table) == 1:
        return _array(table[0][x])
    spread = (len(table), *[1] * (x.ndim - 2))
    return _array(table[np.arange(len(table)).reshape(spread), x])


def _add(model: Quantized, step: Step, given: list[Array]) -> Array:
    total = np.int64(0)
    for x, name, by in zip(given, step.inputs, step.arrays["multiplier"], strict=True):
        total = total + (x.astype(np.int64) - model.scales[name].zero) * by
    one, shift = np.array(1), step.arrays["shift"][0]
    return rescaled(np.asarray(total), one, shift, model.scales[step.output].zero)


def _multiply(model: Quantized, step: Step, given: list[Array]) -> Array:
    a, b = (
        x.astype(np.int64) - model.scales[name].zero
        for x, name in zip(given, step.inputs, strict=True)
    )
    multiplier, shift = step.arrays["multiplier"][0], step.arrays["shift"][0]
    return rescaled(a * b, multiplier, shift, model.scales[step.output].zero)


def _concat(model: Quantized, step: Step, given: list[Array]) -> Array:
    parts = [table[x] for table, x in zip(step.arrays["tables"], given, strict=True)]
    return np.concatenate(parts, step.node.attributes["axis"])


def _over(model: Quantized, step: Step, x: Array) -> tuple[int, ...]:
    """Return the axes of a pool over the whole image, or of a reduction."""
    if step.node.op.startswith("Global"):
        return tuple(range(2, x.ndim))
    return tuple(axes_of(step.node.attributes, step.node.constants(model.arrays), x.ndim))


def _max(model: Quantized, step: Step, given: list[Array]) -> Array:
    (x,) = given
    if step.node.op == "MaxPool":  # padding is never the maximum: 0 is the least of all
        return _array(windows(x, step.node.attributes).max(axis=last_axes(x)))
    return _array(x.max(axis=_over(model, step, x), keepdims=True))


def _mean(model: Quantized, step: Step, given: list[Array]) -> Array:
    (x,), zero = given, model.scales[step.inputs[0]].zero
    centred = x.astype(np.int64) - zero
    if step.node.op != "AveragePool":
        axes = _over(model, step, x)
        total = centred.sum(axis=axes, keepdims=True)
        count: IntArray = np.array(math.prod(x.shape[axis] for axis in axes))
    else:
        over = last_axes(x)
        total = windows(centred, step.node.attributes).sum(axis=over)
        ones = np.ones((1, 1, *x.shape[2:]), np.int64)
        count = windows(ones, step.node.attributes).sum(axis=over)
        if step.node.attributes.get("count_include_pad", 0):
            count = np.full_like(count, math.prod(step.node.attributes["kernel_shape"]))
    multiplier, shift = (step.arrays[name][count - 1] for name in ("multiplier", "shift"))
    return rescaled(total, multiplier, shift, model.scales[step.output].zero)


def _move(model: Quantized, step: Step, given: list[Array]) -> Array:
    (x,) = given
    rest = [model.arrays[name] for name in step.node.inputs[1:] if name]
    if "value" in step.arrays:
        rest[1:2] = [step.arrays["value"][0]]
    return MOVES[step.node.op](step.node.attributes, x, *rest)


def _real(model: Quantized, step: Step, given: list[Array]) -> Array:
    return _table(model, step, given)


def _float(model: Quantized, step: Step, given: list[Array]) -> Array:
    values = [
        model.arrays.get(name) if x is None else x
        for x, name in zip(given, step.inputs, strict=True)
    ]
    made = LAST[step.node.op](step.node.attributes, *[v for v in values if v is not None])
    return np.asarray(made, np.float32)


_RUN: dict[str, Callable[[Quantized, Step, list[Array]], Array]] = {
    "layer": _layer,
    "table": _table,
    "add": _add,
    "multiply": _multiply,
    "concat": _concat,
    "max": _max,
    "mean": _mean,
    "move": _move,
    "real": _real,
    "float": _float,
}
