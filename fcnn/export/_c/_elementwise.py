"""Operations of one element at a time, reductions and softmax, in C."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fcnn._typing import Shape
from fcnn.export._c._operands import Operation
from fcnn.export._c._shapes import axes_of
from fcnn.export._c._text import index, loop_names, number, strides_of

Expression = Callable[[Operation], str]
"""The value of an operation, of the elements ``a``, ``b`` and ``c`` of its inputs."""


def _attribute(name: str, default: float) -> Callable[[Operation], str]:
    return lambda op: number(float(op.get(name, default)))


def _fixed(text: str) -> Expression:
    return lambda op: text


def _filled(text: str, **values: Callable[[Operation], str]) -> Expression:
    return lambda op: text.format(**{name: value(op) for name, value in values.items()})


def _clip(op: Operation) -> str:
    low, high = (float(op.arrays[i]) if i in op.arrays else None for i in (1, 2))
    text = "a"
    if low is not None:
        text = f"a < {number(low)} ? {number(low)} : a"
    if high is None:
        return text
    return f"a > {number(high)} ? {number(high)} : {text}"


ALPHA = _attribute("alpha", 1.0)
EXPRESSIONS: dict[str, Expression] = {
    "Relu": _fixed("a < 0.0f ? 0.0f : a"),
    "Sigmoid": _fixed("1.0f / (1.0f + expf(-a))"),
    "Tanh": _fixed("tanhf(a)"),
    "Exp": _fixed("expf(a)"),
    "Log": _fixed("logf(a)"),
    "Sqrt": _fixed("sqrtf(a)"),
    "Abs": _fixed("fabsf(a)"),
    "Neg": _fixed("-a"),
    "Sin": _fixed("sinf(a)"),
    "Cos": _fixed("cosf(a)"),
    "Tan": _fixed("tanf(a)"),
    "Sinh": _fixed("sinhf(a)"),
    "Cosh": _fixed("coshf(a)"),
    "Atan": _fixed("atanf(a)"),
    "Sign": _fixed("a > 0.0f ? 1.0f : a < 0.0f ? -1.0f : a"),
    "Floor": _fixed("floorf(a)"),
    "Ceil": _fixed("ceilf(a)"),
    "Reciprocal": _fixed("1.0f / a"),
    "Erf": _fixed("erff(a)"),
    "Softsign": _fixed("a / (1.0f + fabsf(a))"),
    "Identity": _fixed("a"),
    "LeakyRelu": _filled("a < 0.0f ? {alpha} * a : a", alpha=_attribute("alpha", 0.01)),
    "Elu": _filled("a < 0.0f ? {alpha} * expm1f(a) : a", alpha=ALPHA),
    "Selu": _filled(
        "{gamma} * (a < 0.0f ? {alpha} * expm1f(a) : a)", alpha=ALPHA, gamma=_attribute("gamma", 1)
    ),
    "HardSigmoid": _filled(
        "fminf(fmaxf({alpha} * a + {beta}, 0.0f), 1.0f)",
        alpha=_attribute("alpha", 0.2),
        beta=_attribute("beta", 0.5),
    ),
    "Clip": _clip,
    "Add": _fixed("a + b"),
    "Sub": _fixed("a - b"),
    "Mul": _fixed("a * b"),
    "Div": _fixed("a / b"),
    "Pow": _fixed("powf(a, b)"),
    "Greater": _fixed("a > b ? 1.0f : 0.0f"),
    "PRelu": _fixed("a < 0.0f ? b * a : a"),
    "Where": _fixed("a != 0.0f ? b : c"),
}


def elementwise(op: Operation) -> None:
    """Write a loop over all elements, or one over each axis where the inputs are broadcast."""
    count = len(op.shapes) - 1
    if op.node.op == "Clip":
        count = 1
    inputs = [
        (letter, i) for letter, i in zip("abc", range(count), strict=False) if op.node.inputs[i]
    ]
    value = EXPRESSIONS[op.node.op](op)
    axes = merged(op.out, [op.shapes[i] for _, i in inputs])
    names = loop_names(len(axes))
    with op.lines.loops(*zip(names, [size for size, _ in axes], strict=True)):
        for letter, i in inputs:
            terms = [(name, steps[i]) for name, (_, steps) in zip(names, axes, strict=True)]
            single = op.arrays.get(i)
            if single is not None and single.size == 1:
                op.lines.add(f"const float {letter} = {number(float(single.reshape(())))};")
            else:
                op.lines.add(f"const float {letter} = {op.names[i]}[{index(*terms)}];")
        steps = strides_of(tuple([size for size, _ in axes]))
        op.lines.add(f"{op.y}[{index(*zip(names, steps, strict=True))}] = {value};")


def merged(out: Shape, shapes: list[Shape]) -> list[tuple[int, list[int]]]:
    """Return loops ``(size, stride of each input)`` over all of ``out``, as few as can be."""
    rank = len(out)
    strides = []
    for shape in shapes:
        whole = (1,) * (rank - len(shape)) + tuple(shape)
        steps = strides_of(whole)
        strides.append([0 if whole[k] == 1 else steps[k] for k in range(rank)])
    axes: list[tuple[int, list[int]]] = []
    for k in range(rank):
        here = out[k], [each[k] for each in strides]
        if here[0] == 1:
            continue
        if axes and all(
            outer == inner * here[0] for outer, inner in zip(axes[-1][1], here[1], strict=True)
        ):
            axes[-1] = axes[-1][0] * here[0], here[1]
        else:
            axes.append(here)
    return axes or [(1, [0] * len(shapes))]


def batch_norm(op: Operation) -> None:
    """Write ``y = factor · x + offset`` with both computed here, in float64."""
    scale, bias, mean, var = (op.array(i).astype(float) for i in (1, 2, 3, 4))
    factor = scale / np.sqrt(var + op.get("epsilon", 1e-5))
    by = op.constant(1, factor, "factor")
    more = op.constant(2, bias - mean * factor, "offset")
    channels, size = op.out[1], math.prod(op.out[2:])
    with op.lines.loops(("c", channels), ("i", size)):
        at = index(("c", size), ("i", 1))
        op.lines.add(f"{op.y}[{at}] = {by}[c] * {op.x}[{at}] + {more}[c];")


def reduction(op: Operation) -> None:
    """Write a sum, a mean or a maximum over some axes."""
    shape, axes = op.shapes[0], axes_of(op.node.attributes, op.arrays, len(op.shapes[0]))
    names, steps = loop_names(len(shape)), strides_of(shape)
    kept = [k for k in range(len(shape)) if k not in axes and shape[k] > 1]
    over = [k for k in axes if shape[k] > 1]
    to = strides_of(op.out)
    is_max = op.node.op == "ReduceMax"
    count = math.prod(shape[k] for k in axes)
    with op.lines.loops(*[(names[k], shape[k]) for k in kept]):
        op.lines.add(f"float sum = {'-INFINITY' if is_max else '0.0f'};")
        with op.lines.loops(*[(names[k], shape[k]) for k in over]):
            at = index(*[(names[k], steps[k]) for k in sorted([*kept, *over])])
            given = f"{op.x}[{at}]"
            if is_max:
                op.lines.add(f"sum = {given} > sum ? {given} : sum;")
            else:
                op.lines.add(f"sum += {given};")
        at = index(*[(names[k], to[k]) for k in kept])
        by = f" / {number(count)}" if op.node.op == "ReduceMean" else ""
        op.lines.add(f"{op.y}[{at}] = sum{by};")


def softmax(op: Operation) -> None:
    """Write ``exp(x - max) / Σ exp(x - max)`` along an axis."""
    shape = op.out
    axis = op.get("axis", -1) % len(shape)
    size, inner = shape[axis], math.prod(shape[axis + 1 :])
    outer = math.prod(shape[:axis])
    at = index(("o", size * inner), ("i", inner), ("j", 1))
    with op.lines.loops(("o", outer), ("j", inner)):
        op.lines.add("float most = -INFINITY, sum = 0.0f;")
        with op.lines.loops(("i", size)):
            op.lines.add(f"most = {op.x}[{at}] > most ? {op.x}[{at}] : most;")
        with op.lines.loops(("i", size)):
            op.lines.add(f"{op.y}[{at}] = expf({op.x}[{at}] - most);", f"sum += {op.y}[{at}];")
        with op.lines.loops(("i", size)):
            op.lines.add(f"{op.y}[{at}] /= sum;")


def response_norm(op: Operation) -> None:
    """Write ``x / (bias + alpha / size · Σ x²) ** beta`` over neighbouring channels."""
    given: dict[str, Any] = op.node.attributes
    channels, inner, size = op.out[1], math.prod(op.out[2:]), given["size"]
    before, after = (size - 1) // 2, size // 2
    with op.lines.loops(("c", channels), ("i", inner)):
        op.lines.add("float sum = 0.0f;")
        low, high = f"c < {before} ? 0 : c - {before}", f"c + {after}"
        with op.lines.block(f"for (int k = {low}; k <= {high} && k < {channels}; k++)"):
            near = f"{op.x}[{index(('k', inner), ('i', 1))}]"
            op.lines.add(f"sum += {near} * {near};")
        at = index(("c", inner), ("i", 1))
        base = f"{number(given['bias'])} + {number(given['alpha'] / size)} * sum"
        op.lines.add(f"{op.y}[{at}] = {op.x}[{at}] * powf({base}, {number(-given['beta'])});")
