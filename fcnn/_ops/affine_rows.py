"""The affine map of the last axis of images, sequences and volumes, and its adjoints.

The products run where the array lies. With the examples innermost (`fcnn._ops.spatial`) a row of
the images is a matrix ``(c, pixels)``, and ``y = weight.T @ x`` for each row. With the channels
innermost all pixels are one matrix, and ``y = x @ weight``. The result has the order of x.
"""

from __future__ import annotations

import math

import numpy as np

from fcnn._ops import memory
from fcnn._ops.channels import sums
from fcnn._ops.gemm import product, product_of_rows, product_over_rows
from fcnn._ops.spatial import contiguous, innermost, outermost
from fcnn._typing import Array, Shape

SHORT = 32  # columns of a row below which its products are slower than a copy
PIXELS = 1 << 12  # whose parts of dweight are held at a time


def arranged(x: Array) -> Array:
    """Return ``x (n, ..., c)`` as the products take it: a copy if it is in neither order."""
    rows = innermost(x)
    if x.flags.c_contiguous:
        return x
    if math.prod(rows.shape[2:]) < SHORT:
        return memory.ascontiguousarray(x)
    return x if rows.flags.c_contiguous else outermost(contiguous(x))


def affine_rows(x: Array, weight: Array, bias: Array) -> Array:
    """Return ``y = x @ weight + bias`` for an arranged x.

    ``x (n, ..., c)``, ``weight (c, units)``, ``bias (units,)``, ``y (n, ..., units)``.
    """
    if x.flags.c_contiguous:
        pixels = x.reshape(-1, x.shape[-1])
        y = product(pixels, weight, memory.empty((len(pixels), len(bias)), x.dtype))
        y += bias
        return y.reshape(*x.shape[:-1], len(bias))
    y = _mapped(weight.T, x)
    innermost(y)[...] += bias.reshape(-1, *(1 for _ in x.shape[2:]))
    return y


def affine_rows_adjoint(x: Array, dy: Array) -> tuple[Array, Array]:
    """Return ``dweight = sum of x · dy`` and ``dbias = sum of dy`` over pixels."""
    if x.flags.c_contiguous:
        xs, dys = x.reshape(-1, x.shape[-1]), memory.ascontiguousarray(dy).reshape(-1, dy.shape[-1])
        dweight = memory.zeros((x.shape[-1], dy.shape[-1]), x.dtype)
        dbias = memory.zeros(dy.shape[-1])
        for i in range(0, len(xs), PIXELS):
            part = dys[i : i + PIXELS]
            dweight += product_over_rows(xs[i : i + PIXELS], part)
            dbias += memory.ones(len(part), dy.dtype) @ part
        return dweight, dbias.astype(x.dtype)
    rows, drows = _lines(x), _lines(dy)
    dweight = product_of_rows(rows[np.newaxis], drows[np.newaxis])[0]
    return dweight, sums(drows).astype(x.dtype)


def affine_rows_input_adjoint(x: Array, weight: Array, dy: Array) -> Array:
    """Return ``dx = dy @ weight.T``, in the order of x."""
    if x.flags.c_contiguous:
        dys = memory.ascontiguousarray(dy).reshape(-1, dy.shape[-1])
        dx = memory.empty((len(dys), len(weight)), dy.dtype)
        return product(dys, memory.ascontiguousarray(weight.T), dx).reshape(x.shape)
    return _mapped(weight, dy)


def _mapped(matrix: Array, x: Array) -> Array:
    """Return the channels of x, examples innermost, multiplied by a matrix ``(c_out, c_in)``."""
    rows = contiguous(x)
    y = memory.empty((len(rows), len(matrix), *rows.shape[2:]), x.dtype)
    product(memory.ascontiguousarray(matrix), _as_lines(rows), _as_lines(y))
    return outermost(y)


def _lines(x: Array) -> Array:
    return _as_lines(contiguous(x))


def _as_lines(rows: Array) -> Array:
    """View ``(rows, c, ..., n)`` as ``(rows, c, columns)``."""
    shape: Shape = rows.shape
    return rows.reshape(shape[0], shape[1], math.prod(shape[2:]))
