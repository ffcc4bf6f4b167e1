"""Two correlations, one after the other with nothing between them, as one.

The second is without padding. With strides S and T along an axis::

    y[n, u, o] = sum over j, i, c, k of  x[n, S·(T·u + j) + i, c] · first[i, c, k] · second[j, k, o]

This is a correlation with stride ``S·T`` and ``S·(k2 - 1) + k1`` elements along the axis::

    weight[S·j + i, c, o] = sum over k of  first[i, c, k] · second[j, k, o]

One product gives the terms for all i and j. They are added first along one axis, then along the
other.
"""

from __future__ import annotations

from fcnn._ops import memory
from fcnn._ops.gemm import product_over_rows
from fcnn._ops.packed import multiply
from fcnn._ops.strided import strided
from fcnn._ops.window import Sizes
from fcnn._typing import Array


def composed(first: Array, second: Array, stride: Sizes) -> Array:
    """Return the filters ``(kh, kw, c, o)`` of both correlations as one.

    ``first (k1h, k1w, c, k)``, whose ``stride`` is given, and ``second (k2h, k2w, k, o)``.
    """
    (k1h, k1w, c, k), (k2h, k2w, _, o) = first.shape, second.shape
    (high, wide), (down, along) = composed_kernel(first.shape, second.shape, stride), stride
    terms = multiply(first.reshape(-1, k), _by_channel(second))
    terms = terms.reshape(k1h, k1w, c, k2h, k2w, o)
    rows = memory.zeros((high, k1w, c, k2w, o), first.dtype)
    for j in range(k2h):
        rows[j * down : j * down + k1h] += terms[:, :, :, j]
    weight = memory.zeros((high, wide, c, o), first.dtype)
    for j in range(k2w):
        weight[:, j * along : j * along + k1w] += rows[:, :, :, j]
    return weight


def composed_adjoint(
    dweight: Array, first: Array, second: Array, stride: Sizes
) -> tuple[Array, Array]:
    """Return ``(dfirst, dsecond)`` for the gradient of `composed`'s result."""
    (k1h, k1w, c, k), (k2h, k2w, _, o) = first.shape, second.shape
    dweight = memory.ascontiguousarray(dweight)
    row, col, channel, each = dweight.strides
    strides = (row, col, channel, stride[0] * row, stride[1] * col, each)
    dterms = strided(dweight, (k1h, k1w, c, k2h, k2w, o), strides)
    dterms = memory.ascontiguousarray(dterms).reshape(k1h * k1w * c, -1)
    dfirst = multiply(dterms, _by_channel(second).T).reshape(first.shape)
    dsecond = product_over_rows(memory.ascontiguousarray(first.reshape(-1, k)), dterms)
    return dfirst, dsecond.reshape(k, k2h, k2w, o).transpose(1, 2, 0, 3)


def composed_kernel(first: Sizes, second: Sizes, stride: Sizes) -> Sizes:
    """Return the size of the filters of both correlations as one."""
    return tuple([k + s * (j - 1) for k, j, s in zip(first, second, stride, strict=False)])


def _by_channel(second: Array) -> Array:
    """Return ``(k2h, k2w, k, o)`` as a matrix ``(k, k2h * k2w * o)``."""
    return memory.ascontiguousarray(second.transpose(2, 0, 1, 3)).reshape(second.shape[2], -1)
