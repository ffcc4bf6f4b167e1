"""Products that BLAS packs, with bits that do not depend on the processor's caches.

BLAS cuts a product that it packs along the summed axis and along the columns. Where it cuts follows
from the size of the level-2 cache (OpenBLAS 0.3.34: for 1 MiB elsewhere than for other sizes) and
changes the bits: a sum has other terms, and columns meet other kernels. So it is given pieces that
it cuts no further, and those of a sum are added here, in order.
"""

from __future__ import annotations

import numpy as np

from fcnn._blas import BLAS
from fcnn._ops import memory
from fcnn._ops.values import holds
from fcnn._ops.vector import raises_by_mistake
from fcnn._typing import Array

LIMIT = 100**3  # of m * k * n, for a product without packing
LIMIT_TRANSPOSED = 1200  # of m * n, for a product a @ b.T without packing
LARGE = 8 * LIMIT  # of m * k * n, where several threads gain more than pieces
PACKED = {4: 320, 8: 192}  # terms, and columns, that are never cut; by the bytes of an element
ROWS = 8  # of a; with fewer, the bits do not depend on where columns are cut


def multiply(a: Array, b: Array, out: Array | None = None) -> Array:
    """Compute ``a @ b``: in one call if BLAS does not cut it, else piece by piece, in order.

    ``a (..., m, k)``, ``b (..., k, n)``, ``out (..., m, n)``.
    """
    m, k = a.shape[-2:]
    n, most = b.shape[-1], PACKED[a.itemsize]
    width = most if m >= ROWS else n
    is_uncut = (k <= most and n <= width) or m <= 1 or n <= 1  # a vector is not cut
    if raises_by_mistake(k, a.itemsize):
        if n == 1:
            return memory.asarray(
                np.add.reduce(a * b.swapaxes(-1, -2), axis=-1, keepdims=True, out=out)
            )
        if b.strides[-1] != b.itemsize:
            b = memory.ascontiguousarray(b)
    if is_uncut or _is_in_place(m, k, n, b) or uses_threads(m * k * n):
        return memory.asarray(np.matmul(a, b, out=out))
    if out is None:
        stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        out = memory.empty((*stack, m, n), a.dtype)
    first, *others = _evenly(k, most) or [slice(0)]
    for columns in _evenly(n, width):
        total, right = out[..., columns], b[..., columns]
        np.matmul(a[..., first], right[..., first, :], out=total)
        for terms in others:
            total += np.matmul(a[..., terms], right[..., terms, :])
    return out


def _is_in_place(m: int, k: int, n: int, b: Array) -> bool:
    """Whether BLAS multiplies ``(m, k) @ (k, n)`` without packing."""
    is_transposed = b.strides[-1] != b.itemsize
    is_small = m * k * n <= LIMIT and not (is_transposed and m * n > LIMIT_TRANSPOSED)
    return is_small and BLAS.multiplies_in_place


def uses_threads(size: int) -> bool:
    """Whether BLAS may use several threads for that many multiplications, and gains by them."""
    return size >= LARGE and holds(_has_threads)


def _has_threads() -> bool:
    return BLAS.threads > 1


def _evenly(n: int, most: int) -> list[slice]:
    """Cut ``n`` places into as few slices of at most ``most`` as possible, of even lengths."""
    length = -(-n // max(1, -(-n // most))) or 1
    return [slice(start, min(start + length, n)) for start in range(0, n, length)]
