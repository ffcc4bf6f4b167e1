"""Matrices times vectors, without a floating-point exception that BLAS raises by mistake.

The AVX-512 kernel of OpenBLAS 0.3.31 (NumPy 2.4.6) for float32 rows of five elements also computes
lanes that it has not loaded. It leaves them out of the result, but if the bits that happened to be
in them are a signalling NaN, the flag for invalid operations is set, and NumPy warns. OpenBLAS
0.3.29, 0.3.30 and 0.3.34, other lengths, float64 and kernels without AVX-512 do not. Measured with
such bits on the stack: ``tests/ops/test_vector.py``.
"""

from __future__ import annotations

import numpy as np

from fcnn._ops import memory
from fcnn._typing import Array


def raises_by_mistake(length: int, itemsize: int) -> bool:
    """Whether BLAS may set the flag of invalid operations for rows of so many finite elements."""
    return length == 5 and itemsize == 4


def times_vector(a: Array, v: Array) -> Array:
    """Return ``a @ v`` for ``a (..., m, n)`` and ``v (n,)``."""
    if raises_by_mistake(a.shape[-1], a.itemsize):
        return memory.asarray(np.add.reduce(a * v, axis=-1))
    return memory.asarray(a @ v)


def row_sums(a: Array, out: Array | None = None) -> Array:
    """Return the sums of the rows of ``a (..., m, n)``, as a product with ones by BLAS."""
    n = a.shape[-1]
    if n == 1:
        return memory.asarray(np.add(a[..., 0], 0, out=out))  # 0 for -0, as in the product
    if raises_by_mistake(n, a.itemsize):
        return memory.asarray(np.add.reduce(a, axis=-1, out=out))
    return memory.asarray(np.matmul(a, memory.ones(n, a.dtype), out=out))
