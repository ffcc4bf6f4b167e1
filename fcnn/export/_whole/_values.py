"""Operations of ONNX in NumPy, those that tables and the last layers are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fcnn._typing import Array
from fcnn.export._c._shapes import axes_of, cuts_of

Given = dict[str, Any]

LAYERS = ("Conv", "Gemm", "MatMul")
"""What computes sums of products, in whole numbers."""


def _elu(x: Array, alpha: float, gamma: float = 1.0) -> Array:
    found: Array = gamma * np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x)
    return found


ONE_BY_ONE: dict[str, Callable[..., Array]] = {
    "Relu": lambda given, x: np.maximum(x, 0),
    "Sigmoid": lambda given, x: 1 / (1 + np.exp(-x)),
    "Tanh": lambda given, x: np.tanh(x),
    "Exp": lambda given, x: np.exp(x),
    "Log": lambda given, x: np.log(x),
    "Sqrt": lambda given, x: np.sqrt(x),
    "Abs": lambda given, x: np.abs(x),
    "Neg": lambda given, x: -x,
    "Sin": lambda given, x: np.sin(x),
    "Cos": lambda given, x: np.cos(x),
    "Tan": lambda given, x: np.tan(x),
    "Sinh": lambda given, x: np.sinh(x),
    "Cosh": lambda given, x: np.cosh(x),
    "Atan": lambda given, x: np.arctan(x),
    "Sign": lambda given, x: np.sign(x),
    "Floor": lambda given, x: np.floor(x),
    "Ceil": lambda given, x: np.ceil(x),
    "Reciprocal": lambda given, x: 1 / x,
    "Erf": lambda given, x: _erf(x),
    "Softsign": lambda given, x: x / (1 + np.abs(x)),
    "Identity": lambda given, x: x,
    "LeakyRelu": lambda given, x: np.where(x < 0, given.get("alpha", 0.01) * x, x),
    "Elu": lambda given, x: _elu(x, given["alpha"]),
    "Selu": lambda given, x: _elu(x, given["alpha"], given["gamma"]),
    "HardSigmoid": lambda given, x: np.clip(given["alpha"] * x + given["beta"], 0, 1),
    "Clip": lambda given, x, low=-np.inf, high=np.inf: np.clip(x, low, high),
    "Add": lambda given, a, b: a + b,
    "Sub": lambda given, a, b: a - b,
    "Mul": lambda given, a, b: a * b,
    "Div": lambda given, a, b: a / b,
    "Pow": lambda given, a, b: np.power(a, b),
    "Greater": lambda given, a, b: a > b,
    "PRelu": lambda given, a, b: np.where(a < 0, b * a, a),
    "Where": lambda given, a, b, c: _where(a, b, c),
    "BatchNormalization": lambda given, x, scale, bias, mean, var: _normed(
        given, x, scale, bias, mean, var
    ),
}
"""Of elements alone."""


def _normed(given: Given, x: Array, scale: Array, bias: Array, mean: Array, var: Array) -> Array:
    factor = scale / np.sqrt(var.astype(float) + given["epsilon"])
    offset = bias - mean * factor
    spread = (-1, *[1] * (x.ndim - 2))
    found: Array = x * factor.reshape(spread) + offset.reshape(spread)
    return found


def _where(a: Array, b: Array, c: Array) -> Array:
    found: Array = np.where(a, b, c)
    return found


def _softmax(given: Given, x: Array) -> Array:
    axis = given.get("axis", -1)
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    found: Array = powers / powers.sum(axis=axis, keepdims=True)
    return found


def _erf(x: Array) -> Array:
    from scipy.special import erf  # type: ignore[import-untyped]

    found: Array = erf(x)
    return found


def _reduced(function: Callable[..., Any]) -> Callable[..., Array]:
    def reduce(given: Given, x: Array, *rest: Array) -> Array:
        axes = axes_of(given, dict(enumerate((x, *rest))), x.ndim)
        found: Array = function(x, axis=tuple(axes), keepdims=True)
        return found

    return reduce


def _reshaped(given: Given, x: Array, target: Array) -> Array:
    shape = [x.shape[i] if n == 0 else int(n) for i, n in enumerate(target.tolist())]
    return x.reshape(shape)


def _sliced(given: Given, x: Array, *bounds: Array) -> Array:
    cuts = cuts_of(x.shape, dict(enumerate((x, *bounds))))
    index = tuple([np.arange(start, start + by * size, by) for start, by, size in cuts])
    found: Array = x[np.ix_(*index)]
    return found


def _padded(given: Given, x: Array, pads: Array, value: Any = 0) -> Array:
    ends = list(zip(pads.tolist()[: x.ndim], pads.tolist()[x.ndim :], strict=True))
    mode = given.get("mode", "constant")
    if mode == "constant":
        return np.pad(x, ends, constant_values=np.asarray(value, x.dtype))
    found: Array = np.pad(x, ends, mode)
    return found


def _spaced(given: Given, x: Array) -> Array:
    (n, c, h, w), f = x.shape, given["blocksize"]
    apart = x.reshape(n, c // f**2, f, f, h, w).transpose(0, 1, 4, 2, 5, 3)
    return apart.reshape(n, c // f**2, h * f, w * f)


def _nearest(given: Given, x: Array, scales: Array) -> Array:
    factors = [int(each) for each in scales.tolist()]
    for axis, factor in enumerate(factors):
        x = np.repeat(x, factor, axis)
    return x


MOVES: dict[str, Callable[..., Array]] = {
    "Transpose": lambda given, x: x.transpose(given["perm"]),
    "Reshape": _reshaped,
    "Slice": _sliced,
    "Pad": _padded,
    "Gather": lambda given, x, index: np.take(x, index, given["axis"]),
    "DepthToSpace": _spaced,
    "Resize": _nearest,
}
"""Of elements of any type, which stay what they are."""
LAST: dict[str, Callable[..., Array]] = {
    **ONE_BY_ONE,
    **MOVES,
    "Softmax": _softmax,
    "ReduceMax": _reduced(np.max),
    "ReduceSum": _reduced(np.sum),
    "ReduceMean": _reduced(np.mean),
}
"""What may follow the last layer of whole numbers, in float32."""
