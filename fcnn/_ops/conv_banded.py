"""Correlation of whole image rows with a banded matrix, for narrow images of few channels.

An output row is ``kh`` input rows, one behind the other, times one matrix that
holds every shift of the kernel along the row. The GEMM multiplies by many
zeros, ``w / kw`` times the work; but nothing is gathered a patch at a time: the
copies are of whole rows, and a call is a handful of NumPy operations.
"""

from __future__ import annotations

import numpy as np

from fcnn._ops.relu import relu_adjoint
from fcnn._ops.window import Window, blocks, padded
from fcnn._typing import Array

BUDGET = 1 << 19  # bytes of scratch for one block
LIMIT = 1 << 17  # elements of the banded matrix


def pays(window: Window, c_in: int, c_out: int, input_grad: bool = False) -> bool:
    """Whether the zeros cost less than patches, as measured; with dx wanted, they do more often."""
    (kh, kw), w, ow = window.kernel, window.image[1] + sum(window.pads[1]), window.out[1]
    zeros = 48 if input_grad and window.stride == (1, 1) else 16
    return kh * w * c_in * ow * c_out <= LIMIT and w * c_out <= zeros * kw


def forward(
    x: Array, taps: Array, window: Window, y: Array, bias: Array | None, relu: bool
) -> None:
    """Fills contiguous y (n, oh, ow, c_out) from x (n, h, w, c) and taps (kh, kw, c, c_out)."""
    matrix = _matrix(taps, window)
    shift = None
    if bias is not None:
        shift = np.empty(matrix.shape[1], y.dtype)
        shift.reshape(-1, len(bias))[...] = bias
    zero = np.zeros(matrix.shape[1], y.dtype) if relu else None
    for first, stop, count in blocks(len(x), _images(window, taps)):
        for i in range(first, stop, count):
            lines = y[i : i + count].reshape(-1, matrix.shape[1])
            np.matmul(_rows(padded(x[i : i + count], window), window), matrix, out=lines)
            if shift is not None:
                np.add(lines, shift, out=lines)
            if zero is not None:
                np.maximum(lines, zero, out=lines)


def adjoints(
    x: Array,
    taps: Array,
    dy: Array,
    window: Window,
    y: Array | None,
    dbias: Array | None,
    dx: Array | None,
) -> Array:
    """``dtaps``; adds to dbias, fills dx. Where y is given and 0, dy counts as 0."""
    kh, (oh, ow), (sh, _), (dh, _) = window.kernel[0], window.out, window.stride, window.dilation
    _, _, c, c_out = taps.shape
    matrix = None if dx is None else _matrix(taps, window).T
    dmatrix = None
    for first, stop, count in blocks(len(x), _images(window, taps)):
        for i in range(first, stop, count):
            dz = dy[i : i + count]
            if y is not None:
                dz = relu_adjoint(y[i : i + count], dz)
            lines = np.ascontiguousarray(dz, x.dtype).reshape(-1, ow * c_out)
            seen = padded(x[i : i + count], window)
            product = _rows(seen, window).T @ lines
            dmatrix = product if dmatrix is None else np.add(dmatrix, product, out=dmatrix)
            if dbias is not None:
                dbias += (np.ones(len(lines), lines.dtype) @ lines).reshape(ow, c_out).sum(axis=0)
            if dx is None:
                continue
            height, width = seen.shape[1:3]
            drows = (lines @ matrix).reshape(len(seen), oh, kh, width * c)
            total = np.zeros((len(seen), height, width * c), dx.dtype)
            for k in range(kh):
                total[:, k * dh : k * dh + (oh - 1) * sh + 1 : sh] += drows[:, :, k]
            ((top, _), (left, _)), (h, w) = window.pads, window.image
            dx[i : i + count] = total.reshape(seen.shape)[:, top : top + h, left : left + w]
    if dmatrix is None:
        return np.zeros_like(taps)
    width = len(dmatrix) // (kh * c)
    dtaps: Array = np.add.reduce(
        _diagonals(dmatrix.reshape(kh, width, c, ow, c_out), window), axis=2
    )
    return dtaps


def _matrix(taps: Array, window: Window) -> Array:
    """``B[i, x*sw + j*dw, k, x, o] = taps[i, j, k, o]``, else 0, as (kh*w*c, ow*c_out)."""
    (kh, _, c, c_out), w, ow = taps.shape, window.image[1] + sum(window.pads[1]), window.out[1]
    matrix: Array = np.zeros((kh, w, c, ow, c_out), taps.dtype)
    _diagonals(matrix, window)[...] = taps[:, :, None]
    return matrix.reshape(kh * w * c, ow * c_out)


def _diagonals(matrix: Array, window: Window) -> Array:
    """The entries of (kh, w, c, ow, c_out) that are taps, as a view (kh, kw, ow, c, c_out)."""
    kh, _, c, ow, c_out = matrix.shape
    a, b, d, e, f = matrix.strides
    strides = (a, window.dilation[1] * b, window.stride[1] * b + e, d, f)
    return np.ndarray((kh, window.kernel[1], ow, c, c_out), matrix.dtype, matrix, 0, strides)


def _rows(seen: Array, window: Window) -> Array:
    """The input rows of every output row, (n*oh, kh*w*c), copied from padded seen (n, h, w, c)."""
    n, h, w, c = seen.shape
    seen = np.ascontiguousarray(seen)
    v = seen.itemsize  # and not seen.strides[3], which NumPy leaves open where there is one channel
    s = w * c * v
    t = h * s
    (kh, _), (oh, _) = window.kernel, window.out
    view = np.ndarray(
        (n, oh, kh, w * c),
        seen.dtype,
        seen,
        0,
        (t, window.stride[0] * s, window.dilation[0] * s, v),
    )
    return view.reshape(n * oh, kh * w * c)


def _images(window: Window, taps: Array) -> int:
    """Images in a block."""
    (h, w), (oh, ow), (kh, _, c, c_out) = window.image, window.out, taps.shape
    return max(1, BUDGET // int((oh * (kh * w * c + 2 * ow * c_out) + h * w * c) * taps.itemsize))
