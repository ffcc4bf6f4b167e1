"""The adjoint of a correlation whose windows lie side by side, with respect to its input.

Where the stride is the filter's size and nothing is padded, each element of the input belongs to
one window: the products of a block are written once and nothing is added, as it is where windows
overlap (`fcnn._ops.direct_adjoint`).
"""

from __future__ import annotations

import numpy as np

from fcnn._ops import blocks, memory
from fcnn._ops.direct import as_matrices
from fcnn._ops.gemm import product
from fcnn._ops.layout import hcwn, nhwc, runs
from fcnn._ops.window import Window
from fcnn._typing import Array


def is_tiling(window: Window) -> bool:
    """Whether every element of the image belongs to one window."""
    image = tuple([o * k for o, k in zip(window.out, window.kernel, strict=True)])
    is_side_by_side = window.stride == window.kernel and set(window.dilation) == {1}
    return is_side_by_side and image == window.image and not window.is_padded


def correlate_tiled_transposed(
    dy: Array, weight: Array, groups: int = 1, bias: Array | None = None
) -> Array:
    """Return the adjoint for ``dy (n, oh, ow, c_out)``, plus a bias ``(c_in,)``.

    ``weight (kh, kw, c_in // groups, c_out)``, the result ``(n, oh * kh, ow * kw, c_in)``.
    """
    n, high, wide, f = dy.shape
    kh, kw, c, _ = weight.shape
    by_group = weight.reshape(kh, kw, c, groups, f // groups).transpose(3, 0, 1, 2, 4)
    filters = by_group.reshape(groups, 1, kh * kw * c, f // groups)
    dx = memory.empty((high, kh, groups, c, wide, kw, n), dy.dtype)
    rows, size = hcwn(dy), kh * kw * c * groups * wide * n * dy.itemsize
    for band in blocks.bands(high, size, blocks.ELEMENTWISE):
        count = band.stop - band.start
        matrices = as_matrices(memory.ascontiguousarray(rows[band]), groups)
        parts = memory.empty((groups, count, kh * kw * c, wide * n), dy.dtype)
        product(filters, matrices, parts)
        parts = parts.reshape(groups, count, kh, kw, c, wide, n)
        if bias is not None:
            np.add(parts, bias.reshape(groups, 1, 1, 1, c, 1, 1), out=parts)
        target = dx[band].transpose(2, 0, 1, 5, 3, 4, 6)
        np.copyto(runs(target), runs(parts))
    return nhwc(dx.reshape(high * kh, groups * c, wide * kw, n))
