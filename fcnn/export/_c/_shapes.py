"""The shape of each operation's output, for a batch of one example."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fcnn._typing import Array, Shape
from fcnn.errors import ArgumentError
from fcnn.export._graph import Node

Shapes = list[Shape]
Constants = dict[int, Array]


def out_shape(node: Node, shapes: Shapes, arrays: Constants) -> Shape:
    """Return the shape of what a node computes.

    Raises:
        ArgumentError: if nobody knows the operator.
    """
    rule = _RULES.get(node.op)
    if rule is None:
        raise ArgumentError(
            f"expected an operator that C is written for ({', '.join(sorted(_RULES))}), "
            f"got {node.op} at {node.name}"
        )
    return rule(node.attributes, shapes, arrays)


def _same(given: dict[str, Any], shapes: Shapes, arrays: Constants) -> Shape:
    return shapes[0]


def _broadcast(given: dict[str, Any], shapes: Shapes, arrays: Constants) -> Shape:
    return tuple(np.broadcast_shapes(*shapes))


def _conv(given: dict[str, Any], shapes: Shapes, arrays: Constants) -> Shape:
    image = _slid(given, shapes[0][2:])
    return (1, arrays[1].shape[0], *image)


def _slid(given: dict[str, Any], image: Shape) -> Shape:
    rank = len(image)
    kernel, strides, pads = given["kernel_shape"], given["strides"], given["pads"]
    dilations = given.get("dilations", [1] * rank)
    return tuple(
        (image[i] + pads[i] + pads[i + rank] - dilations[i] * (kernel[i] - 1) - 1) // strides[i] + 1
        for i in range(rank)
    )


def _transposed(given: dict[str, Any], shapes: Shapes, arrays: Constants) -> Shape:
    image, rank = shapes[0][2:], len(shapes[0]) - 2
    pads = given["pads"]
    out = [
        (image[i] - 1) * given["strides"][i]
        + given["dilations"][i] * (given["kernel_shape"][i] - 1)
        + 1
        + given["output_padding"][i]
        - pads[i]
        - pads[i + rank]
        for i in range(rank)
    ]
    return (1, arrays[1].shape[1] * given["group"], *out)


def _pool(given: dict[str, Any], shapes: Shapes, arrays: Constants) -> Shape:
    return (*shapes[0][:2], *_slid(given, shapes[0][2:]))


def _whole(given: dict[str, Any], shapes: Shapes, arrays: Constants) -> Shape:
    return (*shapes[0][:2], *(1 for _ in shapes[0][2:]))


def _gemm(given: dict[str, Any], shapes: Shapes, arrays: Constants) -> Shape:
    return (1, shapes[1][0])


def _matmul(given: dict[str, Any], shapes: Shapes, arrays: Constants) -> Shape:
    a, b = shapes[0], shapes[1]
    return (*np.broadcast_shapes(a[:-2], b[:-2]), a[-2], b[-1])


def axes_of(given: dict[str, Any], arrays: Constants, rank: int) -> list[int]:
    """Return the axes that a reduction goes over, from an attribute or an input."""
    axes = given["axes"] if "axes" in given else arrays[1].tolist()
    return sorted(int(axis) % rank for axis in axes)


def _reduce(given: dict[str, Any], shapes: Shapes, arrays: Constants) -> Shape:
    axes = axes_of(given, arrays, len(shapes[0]))
    return tuple(1 if i in axes else n for i, n in enumerate(shapes[0]))


def _transpose(given: dict[str, Any], shapes: Shapes, arrays: Constants) -> Shape:
    return tuple(shapes[0][axis] for axis in given["perm"])


def _reshape(given: dict[str, Any], shapes: Shapes, arrays: Constants) -> Shape:
    target = [shapes[0][i] if n == 0 else int(n) for i, n in enumerate(arrays[1].tolist())]
    if -1 in target:
        known = -math.prod(target)
        target[target.index(-1)] = math.prod(shapes[0]) // known
    return tuple(target)


def _pad(given: dict[str, Any], shapes: Shapes, arrays: Constants) -> Shape:
    pads, rank = arrays[1].tolist(), len(shapes[0])
    return tuple(n + pads[i] + pads[i + rank] for i, n in enumerate(shapes[0]))


def cuts_of(shape: Shape, arrays: Constants) -> list[tuple[int, int, int]]:
    """Return ``start, step, size`` along each axis of a Slice."""
    found = [(0, 1, n) for n in shape]
    axes = arrays[3].tolist() if 3 in arrays else range(len(shape))
    steps = arrays[4].tolist() if 4 in arrays else [1] * len(arrays[1])
    for axis, start, stop, step in zip(
        axes, arrays[1].tolist(), arrays[2].tolist(), steps, strict=True
    ):
        first, last, by = slice(start, stop, step).indices(shape[axis])
        found[axis] = first, by, len(range(first, last, by))
    return found


def _slice(given: dict[str, Any], shapes: Shapes, arrays: Constants) -> Shape:
    return tuple(size for _, _, size in cuts_of(shapes[0], arrays))


def _concat(given: dict[str, Any], shapes: Shapes, arrays: Constants) -> Shape:
    axis = given["axis"] % len(shapes[0])
    total = sum(shape[axis] for shape in shapes)
    return (*shapes[0][:axis], total, *shapes[0][axis + 1 :])


def _gather(given: dict[str, Any], shapes: Shapes, arrays: Constants) -> Shape:
    axis = given["axis"] % len(shapes[0])
    return (*shapes[0][:axis], *shapes[1], *shapes[0][axis + 1 :])


def _resize(given: dict[str, Any], shapes: Shapes, arrays: Constants) -> Shape:
    scales = arrays[2].tolist()
    return tuple(int(n * scale) for n, scale in zip(shapes[0], scales, strict=True))


def _to_space(given: dict[str, Any], shapes: Shapes, arrays: Constants) -> Shape:
    (n, c, h, w), size = shapes[0], given["blocksize"]
    return (n, c // size**2, h * size, w * size)


UNARY = (
    *("Relu", "Sigmoid", "Tanh", "Exp", "Log", "Sqrt", "Abs", "Neg", "Sin", "Cos", "Tan", "Sinh"),
    *("Cosh", "Atan", "Sign", "Floor", "Ceil", "Reciprocal", "Erf", "Softsign", "LeakyRelu"),
    *("Elu", "Selu", "HardSigmoid", "Clip", "Identity"),
)
BINARY = ("Add", "Sub", "Mul", "Div", "Pow", "Greater", "PRelu", "Where")
_RULES: dict[str, Callable[[dict[str, Any], Shapes, Constants], Shape]] = {
    **dict.fromkeys((*UNARY, "Softmax", "BatchNormalization", "LRN"), _same),
    **dict.fromkeys(BINARY, _broadcast),
    **dict.fromkeys(("MaxPool", "AveragePool"), _pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), _whole),
    **dict.fromkeys(("ReduceMean", "ReduceMax", "ReduceSum"), _reduce),
    "Conv": _conv,
    "ConvTranspose": _transposed,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Pad": _pad,
    "Slice": _slice,
    "Concat": _concat,
    "Gather": _gather,
    "Resize": _resize,
    "DepthToSpace": _to_space,
}
