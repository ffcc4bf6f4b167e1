"""Cross-correlation with bias and epilogue, and its adjoints.

A convolution of a small network is matrix products and the work of feeding them. Four ideas:

* Images innermost (`fcnn._ops.layout`): every copy, element-wise pass and product has long runs.
* im2col along the width alone (`fcnn._ops.im2col`): ``kw`` times the input is copied instead of
  ``kh * kw`` times; the matrices of neighbouring rows overlap in memory.
* Products in pieces that BLAS does not pack (`fcnn._ops.gemm`).
* Fewer products for 3 x 3 filters (`fcnn._ops.winograd`), and for filters that see one channel
  each (`fcnn._ops.depthwise`).

The output is computed block by block within one budget (`fcnn._ops.blocks`), and bias and epilogue
are applied to each block while it is in the cache. Measurements are in ``fcnn/_ops/NOTES.md``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fcnn._ops import memory
from fcnn._ops.algorithm import Adjoint, algorithm_for, gradients
from fcnn._ops.blocks import Block
from fcnn._ops.conv_tiled import correlate_tiled_transposed, is_tiling
from fcnn._ops.depthwise import depthwise, depthwise_adjoints, is_depthwise
from fcnn._ops.direct_adjoint import DirectAdjoint
from fcnn._ops.epilogue import Epilogue, check_output
from fcnn._ops.im2col import kept_columns
from fcnn._ops.layout import hcwn, images_innermost, nhwc
from fcnn._ops.vector import row_sums
from fcnn._ops.window import Window
from fcnn._typing import Array

SMALL = 1 << 12  # elements of a block, below which repeating the bias takes longer than it gains


def correlate(
    x: Array,
    weight: Array,
    window: Window,
    groups: int = 1,
    bias: Array | None = None,
    epilogue: Epilogue | None = None,
) -> tuple[Array, Array | None]:
    """Return the cross-correlation plus bias, through the epilogue, and its columns or None.

    ``y[n, y, x, o] = bias[o]
    + sum over i, j, k of padded[n, y*sh + i*dh, x*sw + j*dw, k] * weight[i, j, k, o]``

    ``x (n, h, w, c_in)``, ``weight (kh, kw, c_in // groups, c_out)``, ``bias (c_out,)`` or
    ``(oh, ow, c_out)``, ``y (n, oh, ow, c_out)``. Group g takes the g-th part of the input
    channels to the g-th part of the output channels.

    The columns (or the Winograd tiles) are returned where they are small; `correlate_adjoints`
    then need not compute them again.
    """
    x, weight = in_one_dtype(x, weight)
    if (bias is None or bias.ndim == 1) and is_depthwise(x, weight, groups):
        y = depthwise(x, weight, window, bias)
        if epilogue is not None:
            epilogue.apply(hcwn(y), hcwn(y))
        return y, None
    (oh, ow), c_out, n = window.out, weight.shape[3], len(x)
    forward = algorithm_for(x, weight, window, groups).forward(x, weight, window, groups)
    y = memory.empty((oh, c_out, ow, n), x.dtype)
    blocks = forward.blocks()
    for block in blocks:
        out = block.of(y)
        columns = kept_columns(forward.compute(block, out, bias), blocks)
        finish(out, bias_of(bias, block), epilogue)
    return nhwc(y), columns


def correlate_adjoints(
    x: Array,
    weight: Array,
    dy: Array,
    window: Window,
    groups: int = 1,
    *,
    y: Array | None = None,
    epilogue: Epilogue | None = None,
    bias: str | None = "tied",
    input_grad: bool = True,
    columns: Array | None = None,
) -> tuple[Array, Array | None, Array | None]:
    """Return ``(dweight, dbias, dx)`` of `correlate` for ``dy (n, oh, ow, c_out)``.

    ``bias`` is "tied" for a dbias ``(c_out,)``, "untied" for ``(oh, ow, c_out)``, None for None.
    An ``epilogue`` needs the output ``y``. Without ``input_grad`` dx is None.
    """
    x, weight = in_one_dtype(x, weight)
    check_output(epilogue, y)
    drows, yrows = hcwn(dy), None if y is None else hcwn(y)
    if bias != "untied" and is_depthwise(x, weight, groups):
        if epilogue is not None and yrows is not None:
            dz = memory.empty(yrows.shape, x.dtype)
            epilogue.adjoint(yrows, drows, dz)
            dy = nhwc(dz)
        dweight, sums, dx = depthwise_adjoints(x, weight, dy, window, input_grad)
        return dweight, sums if bias == "tied" else None, dx

    def accumulate(adjoint: Adjoint, finite: bool) -> Array | None:
        oh, c_out, ow, _ = drows.shape
        dbias: Any = memory.empty((oh, c_out, ow), x.dtype) if bias == "untied" else None
        for block in adjoint.blocks():
            dz = _before_epilogue(drows, yrows, block, adjoint, epilogue, x.dtype)
            if bias == "tied":
                sums = channel_sums(dz)
                dbias = sums if dbias is None else dbias + sums
            elif bias == "untied":
                row_sums(dz, out=block.of(dbias))
            adjoint.accumulate(block, dz)
        return memory.ascontiguousarray(dbias.swapaxes(1, 2)) if bias == "untied" else dbias

    return gradients(x, weight, window, groups, input_grad, columns, accumulate)


def _before_epilogue(
    drows: Array,
    yrows: Array | None,
    block: Block,
    adjoint: Adjoint,
    epilogue: Epilogue | None,
    dtype: np.dtype[Any],
) -> Array:
    """Return the block's dz: dy as it lies where that will do, else in the adjoint's buffer."""
    dy = block.of(drows)
    in_place = epilogue is None and not adjoint.halo and dy.dtype == dtype
    if in_place and dy.flags.c_contiguous:
        return dy
    dz = adjoint.buffer(block)
    if epilogue is None or yrows is None:
        np.copyto(dz, dy)
    else:
        epilogue.adjoint(block.of(yrows), dy, dz)
    return dz


def correlate_transposed(
    dy: Array,
    weight: Array,
    window: Window,
    groups: int = 1,
    bias: Array | None = None,
) -> Array:
    """Return the adjoint of `correlate` with respect to its input, plus a bias.

    ``dy (n, oh, ow, c_out)``, ``weight (kh, kw, c_in // groups, c_out)``, ``bias (c_in,)`` or
    ``(h, w, c_in)``; the result is ``(n, h, w, c_in)``. With stride 1 it is the correlation with
    the filters rotated, input and output channels exchanged.
    """
    turned = _rotated(window)
    if turned is not None:
        return correlate(dy, _exchanged(weight, groups), turned, groups, bias)[0]
    dy, weight = in_one_dtype(dy, weight)
    if is_tiling(window) and (bias is None or bias.ndim == 1):
        return correlate_tiled_transposed(dy, weight, groups, bias)
    shape = (len(dy), *window.image, weight.shape[2] * groups)
    # The adjoint needs no more of x than its shape and dtype.
    like = np.broadcast_to(memory.zeros((), dy.dtype), shape)
    adjoint, drows = DirectAdjoint(like, weight, window, groups, True), hcwn(dy)
    for block in adjoint.blocks():
        dz = adjoint.buffer(block)
        np.copyto(dz, block.of(drows))
        adjoint.accumulate_dx(block, dz)
    dx = adjoint.take_dx()
    rows, cols = window.image
    finish(hcwn(dx), bias_of(bias, Block(slice(0, rows), slice(0, cols))), None)
    return dx


def _rotated(window: Window) -> Window | None:
    """Return the window by which the rotated filters give the adjoint; None if there is none."""
    reach = [d * (k - 1) for k, d in zip(window.kernel, window.dilation, strict=True)]
    pads = [(r - p, r - q) for r, (p, q) in zip(reach, window.pads, strict=True)]
    if window.stride != (1, 1) or min(map(min, pads)) < 0:
        return None
    return window._replace(image=window.out, pads=tuple(pads), out=window.image)


def _exchanged(weight: Array, groups: int) -> Array:
    """Rotate ``(kh, kw, c // g, f)`` by 180 degrees and exchange the channels, group by group."""
    kh, kw, c, f = weight.shape
    by_group = weight[::-1, ::-1].reshape(kh, kw, c, groups, f // groups)
    return by_group.transpose(0, 1, 4, 3, 2).reshape(kh, kw, f // groups, groups * c)


def finish(out: Array, bias: Array | None, epilogue: Epilogue | None) -> None:
    """Add the bias to a block and apply the epilogue, in place.

    A bias for each pixel is repeated for the images first, which makes the inner loop a row long.
    """
    if bias is not None and bias.ndim == 3 and out.size >= SMALL:
        repeated = memory.empty(out.shape[1:], out.dtype)
        repeated[...] = bias
        np.add(out, repeated, out=out)
    elif bias is not None:
        np.add(out, bias, out=out)
    if epilogue is not None:
        epilogue.apply(out, out)


def bias_of(bias: Array | None, block: Block) -> Array | None:
    """View a bias ``(c,)`` or ``(oh, ow, c)``, if any, so that a block can be added to it."""
    if bias is None:
        return None
    if bias.ndim == 1:
        return bias[:, None, None]
    return block.of(bias.swapaxes(1, 2))[..., None]


def channel_sums(dz: Array) -> Array:
    """Return the sums of ``(rows, c, cols, n)`` over all but c, as products with ones by BLAS."""
    rows, c, wide, n = dz.shape
    by_row = row_sums(dz.reshape(rows, c, wide * n))
    return memory.asarray(np.add.reduce(by_row, axis=0))


def in_one_dtype(x: Array, weight: Array) -> tuple[Array, Array]:
    """Return both as float32 or float64, the images innermost in memory."""
    if x.dtype != weight.dtype or x.dtype.char not in "fd":
        dtype = np.result_type(x, weight)
        if dtype not in (np.float32, np.float64):
            dtype = np.dtype(np.float64)
        x, weight = x.astype(dtype, copy=False), weight.astype(dtype, copy=False)
    return images_innermost(x), weight
