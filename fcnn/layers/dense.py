"""The affine layer."""

from __future__ import annotations

import math
from typing import Any

from fcnn._check import whole
from fcnn._layer import EVAL, Context, Triple, check_dtype, layer
from fcnn._ops import memory
from fcnn._ops.affine import affine, affine_adjoint, affine_input_adjoint
from fcnn._ops.affine_rows import (
    affine_rows,
    affine_rows_adjoint,
    affine_rows_input_adjoint,
    arranged,
)
from fcnn._typing import Array, ModelPullback, Shape
from fcnn._walk import facts
from fcnn.errors import ShapeError
from fcnn.initializers import he_normal, zeros
from fcnn.prng import Key, split
from fcnn.tree import node


@node
class DenseParams:
    """What `dense` learns."""

    weight: Array  # (n_in, units)
    bias: Array  # (units,)


@layer
def dense(units: int, *, weight_init: Any = he_normal, bias_init: Any = zeros) -> Triple:
    """Map the last axis affinely: ``y = x @ weight + bias``.

    Shapes: x ``(n, ..., n_in)``, weight ``(n_in, units)``, bias ``(units,)``,
    y ``(n, ..., units)``. The gradients, with rows the leading axes taken together::

        dweight = xᵀ dy      dbias = sum of dy over rows      dx = dy weightᵀ

    Args:
        units: the number of outputs.
        weight_init: initializer of the weight.
        bias_init: initializer of the bias.

    Raises:
        ArgumentError: if ``units`` is not a positive whole number.
        ShapeError: if the last axis of the input is not the weight's ``n_in``.

    >>> import fcnn
    >>> params, out_shape = fcnn.dense(10).init(fcnn.key(0), (784,))
    >>> params.weight.shape, out_shape
    ((784, 10), (10,))
    """
    units = whole(units, "units")

    def init(key: Key, shape: Shape) -> tuple[DenseParams, Shape]:
        if not shape:
            raise ShapeError("expected an example of at least one axis, (..., n_in), got ()")
        *lead, n_in = shape
        k_weight, k_bias = split(key, 2)
        weight, bias = weight_init(k_weight, (n_in, units)), bias_init(k_bias, (units,))
        return DenseParams(weight, bias), (*lead, units)

    return init, _apply, _vjp


def _apply(params: DenseParams, x: Array, ctx: Context = EVAL) -> Array:
    _check(params, x)
    if x.ndim > 2:
        return affine_rows(arranged(x), params.weight, params.bias)
    return affine(_columns(x), params.weight, params.bias).T


def _vjp(params: DenseParams, x: Array, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
    _check(params, x)
    return (_vjp_of_rows if x.ndim > 2 else _vjp_of_columns)(params, x, ctx)


def _vjp_of_columns(params: DenseParams, x: Array, ctx: Context) -> tuple[Array, ModelPullback]:
    """Return y and the pullback for vectors, ``x (n, n_in)``."""
    columns = _columns(x)

    def pullback(dy: Array) -> tuple[DenseParams, Array | None]:
        dcolumns = _columns(dy)
        grads = DenseParams(*affine_adjoint(columns, dcolumns))
        if not ctx.input_grad:
            return grads, None
        return grads, affine_input_adjoint(params.weight, dcolumns).T

    return affine(columns, params.weight, params.bias).T, pullback


def _vjp_of_rows(params: DenseParams, x: Array, ctx: Context) -> tuple[Array, ModelPullback]:
    """Return y and the pullback for images, sequences and volumes, ``x (n, ..., n_in)``."""
    rows = arranged(x)

    def pullback(dy: Array) -> tuple[DenseParams, Array | None]:
        grads = DenseParams(*affine_rows_adjoint(rows, dy))
        if not ctx.input_grad:
            return grads, None
        return grads, affine_rows_input_adjoint(rows, params.weight, dy)

    return affine_rows(rows, params.weight, params.bias), pullback


def _columns(x: Array) -> Array:
    """Return each example as a column."""
    return memory.ascontiguousarray(x.T)


def _check(params: DenseParams, x: Array) -> None:
    n_in = params.weight.shape[0]
    if x.ndim < 2 or x.shape[-1] != n_in:
        raise ShapeError(
            f"expected an input (n, ..., {n_in}) for the weight {params.weight.shape}, "
            f"got {x.shape}"
        )
    check_dtype(x.dtype, params.weight.dtype)


facts(dense, multiply_adds=lambda layer, i, o: math.prod(o) * i[-1])
