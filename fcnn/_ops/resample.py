"""Linear maps along the spatial axes of a batch, each a sparse matrix, and their adjoints.

Interpolation, the means of adaptive pooling, and the copies of nearest neighbours compute each
element of an axis from a few neighbouring elements of the input's axis. Such a map is a sparse
matrix per axis, and its adjoint is the product with the transpose. SciPy multiplies a row of the
matrix into runs of memory, and touches nothing where there is no entry, so that NaN and infinity
reach only the elements that are computed from them. Along an axis that is not the first, the
matrix stands repeatedly on the diagonal of a larger one.

Source of the coordinates: with pixel centres at half integers, output pixel o lies at
``(o + 1/2)·in/out - 1/2`` of the input, clamped to its first and last pixel, as in PyTorch with
``align_corners=False``.
"""

from __future__ import annotations

import functools
import importlib
import math
import operator
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from fcnn._ops import memory
from fcnn._ops.spatial import axis_of, contiguous, outermost
from fcnn._ops.values import called
from fcnn._typing import Array

PIECE = 1 << 14
"""Elements along an axis for which one sparse matrix is made, so that it stays in the cache."""

Taps: TypeAlias = Callable[[int, int], tuple[Any, Any, Any]]
"""``taps(size, out)``: rows, columns and values of the entries of a matrix (out, size)."""


def linear(size: int, out: int) -> tuple[Any, Any, Any]:
    """Interpolate between the two nearest pixels."""
    at = np.clip((np.arange(out) + 0.5) * size / out - 0.5, 0, size - 1)
    low = np.floor(at).astype(int)
    share, o = at - low, np.arange(out)
    high = share > 0
    return np.r_[o, o[high]], np.r_[low, low[high] + 1], np.r_[1 - share, share[high]]


def nearest(size: int, out: int) -> tuple[Any, Any, Any]:
    """Take pixel ``floor(o·in/out)``, as PyTorch's "nearest" does."""
    return np.arange(out), nearest_index(size, out), np.ones(out)


def nearest_index(size: int, out: int) -> Any:
    """Return ``floor(o·in/out)`` for each output pixel o."""
    return np.arange(out) * size // out


def means(size: int, out: int) -> tuple[Any, Any, Any]:
    """Take the mean of each window of `adaptive_windows`."""
    cuts = adaptive_windows(size, out)
    rows = np.repeat(np.arange(out), [stop - start for start, stop in cuts])
    columns = np.concatenate([np.arange(start, stop) for start, stop in cuts])
    values = np.concatenate([np.full(stop - start, 1 / (stop - start)) for start, stop in cuts])
    return rows, columns, values


def adaptive_windows(size: int, out: int) -> list[tuple[int, int]]:
    """Return ``(floor(o·in/out), ceil((o + 1)·in/out))`` for each output element o."""
    return [(o * size // out, -(-(o + 1) * size // out)) for o in range(out)]


def resample(x: Array, sizes: tuple[int, ...], taps: Taps) -> Array:
    """Return ``y (n, *sizes, c)`` of ``x (n, ..., c)``: the taps along each spatial axis."""
    rows, rank = contiguous(x), len(sizes)
    for i in reversed(range(rank)):
        rows = _along(rows, axis_of(i), taps, x.shape[1 + i], sizes[i], False)
    return outermost(rows.copy() if np.may_share_memory(rows, x) else rows)


def resample_adjoint(dy: Array, sizes: tuple[int, ...], taps: Taps) -> Array:
    """Return ``dx (n, *sizes, c)`` of `resample` from dy: the transposed taps along each axis."""
    rows, rank = contiguous(dy), len(sizes)
    for i in range(rank):
        rows = _along(rows, axis_of(i), taps, sizes[i], dy.shape[1 + i], True)
    return outermost(rows.copy() if np.may_share_memory(rows, dy) else rows)


def take_nearest(x: Array, sizes: tuple[int, ...]) -> Array:
    """Return ``y (n, *sizes, c)`` of ``x (n, ..., c)``: the pixels of `nearest`, copied."""
    rows, rank = contiguous(x), len(sizes)
    for i in reversed(range(rank)):
        if sizes[i] != x.shape[1 + i]:
            rows = np.take(rows, nearest_index(x.shape[1 + i], sizes[i]), axis=axis_of(i))
    return outermost(rows.copy() if np.may_share_memory(rows, x) else rows)


def _along(rows: Array, axis: int, taps: Taps, size: int, out: int, is_transposed: bool) -> Array:
    """Multiply along one axis of a contiguous array by the matrix (out, size), or transposed."""
    if size == out:
        return rows  # each of the taps is then the identity
    count, shape = size if is_transposed else out, rows.shape
    lines = rows.reshape(math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :]))
    many = max(1, min(len(lines), PIECE // max(size, out)))

    def product(part: Array) -> Array:
        copies, length, width = part.shape
        matrix = _matrix(taps, size, out, is_transposed, copies, rows.dtype.char)
        result: Array = called(operator.matmul, matrix, part.reshape(copies * length, width))
        return result.reshape(copies, count, width)

    if many == len(lines):
        y = product(lines)
    else:
        y = memory.empty((len(lines), count, lines.shape[2]), rows.dtype)
        for first in range(0, len(lines), many):
            y[first : first + many] = product(lines[first : first + many])
    return y.reshape(*shape[:axis], count, *shape[axis + 1 :])


@functools.lru_cache(maxsize=64)
def _matrix(taps: Taps, size: int, out: int, is_transposed: bool, copies: int, dtype: str) -> Any:
    """Return the taps as a sparse matrix, so many times on the diagonal."""
    sparse: Any = importlib.import_module("scipy.sparse")
    rows, columns, values = taps(size, out)
    matrix = sparse.coo_array((values, (rows, columns)), shape=(out, size))
    matrix = matrix.T if is_transposed else matrix
    return sparse.kron(sparse.eye_array(copies), matrix, format="csr").astype(dtype)
