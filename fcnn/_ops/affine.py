"""The affine map of columns, and its adjoints.

An example is a column, so a batch lies in memory with the examples innermost, like images
(`fcnn._ops.layout`): the products run over the examples, however few inputs and units there are.
"""

from __future__ import annotations

from fcnn._ops import memory
from fcnn._ops.gemm import outer, product, product_over_rows
from fcnn._ops.vector import row_sums
from fcnn._typing import Array


def affine(x: Array, weight: Array, bias: Array) -> Array:
    """Return ``y = weight.T @ x + bias``.

    ``x (n_in, n)``, ``weight (n_in, units)``, ``bias (units,)``, ``y (units, n)``.
    """
    y = product_over_rows(weight, x)
    y += bias[:, None]
    return y


def affine_adjoint(x: Array, dy: Array) -> tuple[Array, Array]:
    """Return ``dweight = x @ dy.T`` and dbias, the sum over the columns of ``dy (units, n)``."""
    (n_in, n), units = x.shape, len(dy)
    if n == 1:
        return outer(x[:, 0], dy[:, 0]), dy[:, 0].copy()
    dweight = product(x, memory.ascontiguousarray(dy.T), memory.empty((n_in, units), x.dtype))
    return dweight, row_sums(dy)


def affine_input_adjoint(weight: Array, dy: Array) -> Array:
    """Return ``dx = weight @ dy``, ``(n_in, n)``."""
    return product(weight, dy, memory.empty((len(weight), dy.shape[1]), dy.dtype))
