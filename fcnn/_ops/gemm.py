"""Matrix products in pieces that BLAS multiplies without packing them.

A GEMM packs its operands into an order of its own before it multiplies them, which for the
matrices of a small network takes as long as the multiplication. OpenBLAS leaves that out where
``m * k * n <= 100**3`` (for ``a @ b.T``, if also ``m * n <= 1200``). So a product is cut into such
pieces, and one call of ``np.matmul`` on stacks of them computes all of them.

A product is packed (`fcnn._ops.packed`) where it has no divisors for small pieces, and on
processors without AVX-512, for which OpenBLAS has no kernels for small matrices. It stays whole
where BLAS may use several threads and it is large. The cuts follow from shapes, the BLAS kernel and
the number of threads, and so do the bits.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fcnn._blas import BLAS
from fcnn._ops import memory
from fcnn._ops.packed import LIMIT, LIMIT_TRANSPOSED, PACKED, multiply, uses_threads
from fcnn._typing import Array, Shape

VECTOR = 16  # float32 elements in a vector register
SPACE = VECTOR  # elements behind a row, so that the next one falls into another set of the cache


def divisor(n: int, most: int) -> int:
    """Return the largest divisor of n that is not above ``most``."""
    most, root = max(1, most), math.isqrt(n)
    if n <= most:
        return n
    quotients = range(-(-n // most), root + 1)  # increasing, so the divisors n // q decrease
    largest = next((n // q for q in quotients if n % q == 0), None)
    return largest or next(d for d in range(min(most, root), 0, -1) if n % d == 0)


def product(a: Array, b: Array, out: Array) -> Array:
    """Compute ``out = a @ b``, cut in rows and columns; packed, also along the summed axis k.

    ``a (..., m, k)``, ``b (..., k, n)``, ``out (..., m, n)``; the rows of all three are contiguous.
    """
    m, k = a.shape[-2:]
    n = b.shape[-1]
    rows, columns = _piece(m, k, n)
    if rows == m and columns >= n:
        return multiply(a, b, out)
    whole = n - n % columns
    for first, last, width in ((0, whole, columns), (whole, n, n - whole)):
        if first < last:
            np.matmul(
                _cut_rows(a, rows)[..., :, None, :, :],
                _cut_columns(b[..., first:last], width)[..., None, :, :, :],
                out=_cut_columns(_cut_rows(out[..., first:last], rows), width),
            )
    return out


def transform(matrix: Array, rows: Array, out: Array) -> Array:
    """Compute ``out = matrix @ rows`` for a small matrix and long rows, cut along the rows.

    ``matrix (m, k)``, ``rows (..., k, n)``, which may overlap, ``out (..., m, n)``. With fewer
    than 8 rows of the matrix the bits do not depend on where BLAS cuts the columns.
    """
    (m, k), n = matrix.shape, rows.shape[-1]
    length = n if _stays_whole(m * k * n) else divisor(n, LIMIT // (m * k))
    if length == n or length < 4 * VECTOR:
        return np.matmul(matrix, rows, out=out)
    np.matmul(matrix, _cut_columns(rows, length), out=_cut_columns(out, length))
    return out


def spaced(shape: Shape, dtype: Any) -> Array:
    """Return a new array to `transform` from or into, with a cache line behind each row.

    Rows a multiple of 4 KiB apart share a set of the level-1 cache, which holds eight lines. A
    transform reads six rows and writes four or six; with one of both spaced it takes two thirds of
    the time.
    """
    *lead, length = shape
    return memory.empty((*lead, length + SPACE), dtype)[..., :length]


def product_of_rows(a: Array, b: Array) -> Array:
    """Return ``sum over s of a[:, s] @ b[:, s].T``, for each g by itself.

    ``a (g, s, m, n)``, ``b (g, s, k, n)``, the sum ``(g, m, k)``. The summed axis n is cut: first
    each piece is summed by BLAS, then the pieces are added in order.
    """
    g, s, m, n = a.shape
    k = b.shape[2]
    rows, columns, length = _piece_of_rows(m, k, n)
    if (rows, columns, length) == (m, k, n):
        return memory.asarray(np.add.reduce(multiply(a, b.swapaxes(2, 3)), axis=1))
    a = a.reshape(g, s, m // rows, 1, rows, n // length, length)
    b = b.reshape(g, s, 1, k // columns, columns, n // length, length)
    parts = np.matmul(a.transpose(0, 1, 5, 2, 3, 4, 6), b.transpose(0, 1, 5, 2, 3, 6, 4))
    parts = parts.reshape(g, -1, m // rows, k // columns, rows, columns)
    total: Array = np.add.reduce(parts, axis=1).swapaxes(2, 3).reshape(g, m, k)
    return total


def product_over_rows(a: Array, b: Array) -> Array:
    """Return ``a.T @ b`` for ``a (k, m)`` and ``b (k, n)``; the summed axis k is cut.

    A piece has few columns of b, so that it may have many rows, and the sum few terms.
    """
    (k, m), n = a.shape, b.shape[1]
    columns, length = _piece_over_rows(k, m, n, PACKED[a.itemsize])
    if length == k:
        return multiply(a.T, b)
    a, b = a.reshape(-1, 1, length, m), b.reshape(-1, length, n)
    parts = memory.empty((len(b), m, n), a.dtype)
    np.matmul(a.swapaxes(2, 3), _cut_columns(b, columns), out=_cut_columns(parts, columns))
    total: Array = np.add.reduce(parts, axis=0)
    return total


def outer(a: Array, b: Array) -> Array:
    """Return ``a[:, None] * b``.

    The product has a second column of zeros, because BLAS is slow with a single one.
    """
    left = memory.zeros((len(a), 2), a.dtype)
    right = memory.zeros((2, len(b)), b.dtype)
    left[:, 0], right[0] = a, b
    return memory.asarray(left @ right)


def _stays_whole(size: int) -> bool:
    """Whether a product of that many multiplications is as fast without small pieces."""
    return not BLAS.multiplies_in_place or uses_threads(size)


def _piece(m: int, k: int, n: int) -> tuple[int, int]:
    """Rows and columns of a piece of an ``(m, k) @ (k, n)``."""
    size = m * k * n
    if n == 1 or size <= LIMIT or _stays_whole(size):
        return m, n
    rows = divisor(m, LIMIT // (k * n))
    if rows >= VECTOR:
        return rows, n
    rows = divisor(m, VECTOR)
    columns = LIMIT // (rows * k) // VECTOR * VECTOR
    if rows < VECTOR // 2 or columns < 2 * VECTOR:
        return m, n
    even = -(-n // -(-n // columns))
    return rows, -(-even // VECTOR) * VECTOR


def _piece_of_rows(m: int, k: int, n: int) -> tuple[int, int, int]:
    """Rows, columns and length of a piece of an ``(m, n) @ (k, n).T``."""
    size = m * k * n
    if not size or (size <= LIMIT and m * k <= LIMIT_TRANSPOSED) or _stays_whole(size):
        return m, k, n
    columns = divisor(k, 4 * VECTOR)
    rows = divisor(m, LIMIT_TRANSPOSED // columns)
    if min(rows, columns) < VECTOR // 2 and m * k > LIMIT_TRANSPOSED:
        return m, k, n
    length = divisor(n, max(1, LIMIT // (rows * columns)))
    length = length if length >= 4 * VECTOR else n
    return (rows, columns, length) if rows * columns * length <= LIMIT else (m, k, n)


def _piece_over_rows(k: int, m: int, n: int, packed: int) -> tuple[int, int]:
    """Columns of b and rows of a piece of an ``(k, m).T @ (k, n)``."""
    size = m * k * n
    if n <= 1 or uses_threads(size):
        return n, k
    if BLAS.multiplies_in_place:
        columns = 2 * VECTOR if n % (2 * VECTOR) == 0 else n
        length = k if size <= LIMIT else divisor(k, LIMIT // (m * columns))
    else:
        columns, length = n, divisor(k, packed) if n <= packed else k
    return columns, length if length >= VECTOR else k


def _cut_rows(a: Array, rows: int) -> Array:
    """View ``(..., m, k)`` as ``(..., m // rows, rows, k)``."""
    return a.reshape(*a.shape[:-2], -1, rows, a.shape[-1])


def _cut_columns(b: Array, columns: int) -> Array:
    """View ``(..., k, n)`` as ``(..., n // columns, k, columns)``."""
    return b.reshape(*b.shape[:-1], -1, columns).swapaxes(-2, -3)
