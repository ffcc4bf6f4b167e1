"""Correlation of channels-last images with a kernel, and its adjoints.

Why this is fast
================

A convolution of a small network is a GEMM and the work of feeding it. One core
multiplies at 80 to 90 GFLOP/s here (OpenBLAS 0.3.31, Zen 3), yet reads and
writes memory at 4 to 6 G elements/s in cache and a third of that outside. For
26x26x32 -> 24x24x64, 3x3, one image is 21 MFLOP: 250 us of GEMM, and every
element-wise pass over its output costs 8 us if that is in cache. So:

* **One GEMM a block of images** (``conv_patches``). Patches of as many images
  as fit in 2 MiB of scratch are copied into a buffer that the call makes once,
  multiplied by NumPy's ``matmul`` straight into ``y``, and bias and relu are
  applied to that block while it is in cache. Views (``as_strided`` takes 10 us),
  padding borders and constant rows are made once a call, not once a block.
* **Copies in long runs.** The taps of a kernel row are ``kw * c`` neighbours in
  memory, one run. With few channels that run is short, so patches are stored a
  plane a tap (``planar``): each row of a plane is one run of ``ow`` elements and
  BLAS takes the transpose for nothing. A last plane of ones makes the bias part
  of the GEMM, and its gradient part of the weight's.
* **No fold at stride 1.** The input gradient is a correlation of dz with the
  turned kernel: one more GEMM on patches, nothing is scattered. At a larger stride
  that would multiply zeros; there each patch's gradient is added where the patch
  came from, ``sw`` taps of a row at a time, which makes runs of the image's width.
* **dz is made once a block**: the relu mask (a comparison, a cast and a product: 8
  us for 21632 elements; the product with booleans 16, ``np.where`` 55), then the
  weight's, the bias's and the input's gradient read it from cache. The bias
  gradient is a product with ones (5 us; ``sum(axis=0)`` 21).
* **relu is a maximum with an array of zeros** (7 us), not with a number (25 us).
* **Whole rows times a banded matrix** (``conv_banded``) where ``w * c_out`` is
  small next to ``kw``: w/kw times the multiplications, but the copies are of
  rows, and a call is a dozen NumPy operations. 28x28 by one 6x6 filter: half the
  time of patches at batch 64.
* **Small work at once** (``conv_once``): where all patches together are less than 1
  MiB, a dozen NumPy calls do without blocks, bands and buffers. One image of 28x28 by
  5 filters of 3x3: forward 37 us down to 19, back 48 to 22.
* **1x1** kernels read the batch as one tall image, with no copy where strides
  allow; **depthwise** ones multiply and add whole rows, a tap at a time.
* **Freed memory stays** with the process (``memory``): the arrays of a step come
  from the pages of the step before.

How far from the limit
----------------------

GEMMs of few columns are slow by themselves: with 64 output channels 70 to 83
GFLOP/s, with 16 about 55, with 5 or 6 about 20. For 26x26x32 -> 24x24x64 the GEMM
is five sixths of the forward pass; for 32x32x16 -> 16 it is two thirds, the copy of
patches most of the rest.

What was tried and lost (us an image, one thread, 26x26x32 -> 24x24x64 unless said)
------------------------------------------------------------------------------

* Lowering along the width alone, ``kh`` GEMMs that add into y through BLAS's
  function pointer (``scipy.linalg.cython_blas``): forward 390, backward 1051,
  where patches took 368 and 932; for 16x16x32 98 and 240 against 93 and 195. Its
  GEMMs are as fast (K = 96: 83 GFLOP/s, K = 288: 87), its copies smaller, and its
  calls more. It wins 10 to 20 % forward on 32x32x16 alone, and would import SciPy.
  With 2 MiB of L2 and AVX-512 it may win more.
* No copy at all (rows of the flat image taken every kw-th pixel, kw*kh GEMMs
  that add): forward 493 against 420 lowered, backward equal.
* Winograd F(2, 3) along the rows: 413 to 461 against 404; F(4, 3): 431 to 513:
  what the GEMM gains, the transforms' passes and ``beta=1`` lose.
* One correlation for each phase of the stride: 205 against 101 for one image of
  21x21x16, 4x4 with stride 2 to 8 channels, 150 against 114 for 32x32x16, 3x3.
* Blocks of one image: 1.2 to 2 times slower; 512 KiB: 10 to 20 % slower.
* Banded rows for 16 filters of 8x8 on 28x28, 6 of 5x5 on 32x32, 8 of 4x4 with
  stride 2 on 21x21x16: 1.1 to 1.6 times slower than patches.
* Transposed products (channels first, as BLAS likes a few columns better): 21
  GFLOP/s instead of 11 for 5 channels, and the copy back takes twice what it gains.

Non-finite inputs: a NaN or infinity can spread along its image row in the banded
form (0 * inf); finite ones never meet it.
"""

from __future__ import annotations

import numpy as np

from fcnn._ops import conv_banded as banded
from fcnn._ops import conv_depthwise as depthwise
from fcnn._ops import conv_once as once
from fcnn._ops import conv_patches as patches
from fcnn._ops.relu import relu_adjoint
from fcnn._ops.window import Window, blocks
from fcnn._typing import Array


def correlate(
    x: Array,
    weight: Array,
    window: Window,
    groups: int = 1,
    bias: Array | None = None,
    relu: bool = False,
) -> Array:
    """Cross-correlation, plus bias, and if asked for the larger of that and 0.

    ``y[n, y, x, o] = bias[o]
    + sum over i, j, k of padded[n, y*sh + i*dh, x*sw + j*dw, k] * weight[i, j, k, o]``

    ``x (n, h, w, c_in)``, ``weight (kh, kw, c_in // groups, c_out)``,
    ``bias (c_out,)``, ``y (n, oh, ow, c_out)``. Group g takes the g-th part of
    the input channels to the g-th part of the output channels. With ``relu``,
    ``max(y, 0)``.
    """
    x, weight = _operands(x, weight)
    n, c_in, c_out = len(x), x.shape[3], weight.shape[3]
    if bias is not None:
        bias = bias.astype(x.dtype, copy=False)
    if groups == 1 and once.pays(window, n, c_in):
        return once.forward(x, weight, window, bias, relu)
    y = np.empty((n, *window.out, c_out), x.dtype)
    if groups == 1 and banded.pays(window, c_in, c_out):
        banded.forward(x, weight, window, y, bias, relu)
        return y
    if groups > 1 and groups == c_in:
        x = _repeated(x, c_out)
        for first, stop, count in blocks(n, depthwise.images_at_once(window, c_out, x.itemsize)):
            for i in range(first, stop, count):
                depthwise.forward(
                    x[i : i + count], weight[:, :, 0], window, y[i : i + count], bias, relu
                )
        return y
    x, out, window = *_tall(window, x, y), _tall_window(window, n)
    plan = patches.Plan.of(window, len(x), c_in // groups, c_out // groups, x.itemsize)
    for ins, outs in _groups(groups, c_in, c_out):
        taps, shift = np.ascontiguousarray(weight[..., outs]), None if bias is None else bias[outs]
        for first, stop, count in blocks(len(x), plan.images):
            run = patches.Forward(x[..., ins], taps, plan, count, out[..., outs], shift, relu)
            for i in range(first, stop, count):
                run(i, i)
    return y


def correlate_adjoints(
    x: Array,
    weight: Array,
    dy: Array,
    window: Window,
    groups: int = 1,
    *,
    y: Array | None = None,
    bias: bool = True,
    input_grad: bool = True,
) -> tuple[Array, Array | None, Array | None]:
    """``(dweight, dbias, dx)`` of `correlate` for ``dy (n, oh, ow, c_out)``.

    Those that are not wanted are None.

    Pass the output ``y`` if relu was applied: where it is 0, no gradient flows.
    """
    x, weight = _operands(x, weight)
    n, c_in, c_out = len(x), x.shape[3], weight.shape[3]
    if groups == 1 and once.pays(window, n, c_in):
        return once.adjoints(x, weight, dy, window, y, bias, input_grad)
    dx = np.empty(x.shape, x.dtype) if input_grad else None
    dbias = np.zeros(c_out, x.dtype) if bias else None
    if groups == 1 and banded.pays(window, c_in, c_out, input_grad):
        return banded.adjoints(x, weight, dy, window, y, dbias, dx), dbias, dx
    dweight = np.zeros(weight.shape, x.dtype)
    if groups > 1 and groups == c_in:
        _depthwise_adjoints(x, weight, dy, window, y, dweight, dbias, dx)
        return dweight, dbias, dx
    x, dy, live, dx_out = _tall(window, x, dy, dy if y is None else y, x if dx is None else dx)
    window = _tall_window(window, n)
    plan = patches.Plan.of(window, len(x), c_in // groups, c_out // groups, x.itemsize)
    to_input = patches.Turned if window.stride == (1, 1) else patches.Fold
    for ins, outs in _groups(groups, c_in, c_out):
        taps = np.ascontiguousarray(weight[..., outs])
        dtaps = dweight if groups == 1 else np.zeros(taps.shape, x.dtype)
        dshift = None if dbias is None else dbias[outs]
        for first, stop, count in blocks(len(x), plan.images):
            dz = np.empty((count, *window.out, taps.shape[3]), x.dtype)
            add_weight = patches.WeightAdjoint(x[..., ins], dz, plan, dtaps, dshift)
            fill_input = None if dx is None else to_input(dz, taps, window, dx_out[..., ins])
            for i in range(first, stop, count):
                block = slice(i, i + count)
                _masked(dy[block, ..., outs], None if y is None else live[block, ..., outs], dz)
                add_weight(i)
                if fill_input is not None:
                    fill_input(i)
        if dtaps is not dweight:
            dweight[..., outs] = dtaps
    return dweight, dbias, dx


def _masked(dy: Array, y: Array | None, dz: Array) -> None:
    """``dz = dy``, without what relu stopped."""
    if y is None:
        np.copyto(dz, dy)
    else:
        relu_adjoint(y, dy, dz)


def _depthwise_adjoints(
    x: Array,
    weight: Array,
    dy: Array,
    window: Window,
    y: Array | None,
    dweight: Array,
    dbias: Array | None,
    dx: Array | None,
) -> None:
    """Adds to dweight and dbias and fills dx, where one input channel feeds m output channels."""
    n, c, c_out = len(x), x.shape[3], weight.shape[3]
    x = _repeated(x, c_out)
    step = depthwise.images_at_once(window, c_out, x.itemsize)
    for i in range(0, n, step):
        block = slice(i, i + step)
        dz = np.empty(dy[block].shape, x.dtype)
        _masked(dy[block], None if y is None else y[block], dz)
        depthwise.weight_adjoint(x[block], dz, window, dweight[:, :, 0])
        if dbias is not None:
            dbias += np.ones(dz.size // c_out, dz.dtype) @ dz.reshape(-1, c_out)
        if dx is not None:
            spread = depthwise.input_adjoint(dz, weight[:, :, 0], window)
            dx[block] = spread if c == c_out else spread.reshape(*dx[block].shape, -1).sum(axis=4)


def _operands(x: Array, weight: Array) -> tuple[Array, Array]:
    """Both in one floating type, with unit stride along the channels of x."""
    dtype = np.result_type(x, weight)
    if dtype not in (np.float32, np.float64):
        dtype = np.dtype(np.float64)
    x, weight = x.astype(dtype, copy=False), weight.astype(dtype, copy=False)
    return (x if x.strides[3] == x.itemsize else np.ascontiguousarray(x)), weight


def _repeated(x: Array, channels: int) -> Array:
    return x if x.shape[3] == channels else np.repeat(x, channels // x.shape[3], axis=3)


def _groups(groups: int, c_in: int, c_out: int) -> list[tuple[slice, slice]]:
    a, b = c_in // groups, c_out // groups
    return [(slice(g * a, g * a + a), slice(g * b, g * b + b)) for g in range(groups)]


def _is_pointwise(window: Window) -> bool:
    return window.kernel == window.stride == (1, 1) and not window.is_padded


def _tall_window(window: Window, images: int) -> Window:
    """A 1x1 kernel knows no borders: all images are one tall image, cut into bands."""
    h, w = window.image
    return Window((images * h, w), (1, 1)) if _is_pointwise(window) else window


def _tall(window: Window, *arrays: Array) -> list[Array]:
    if not _is_pointwise(window):
        return list(arrays)
    return [a.reshape(1, -1, *a.shape[2:]) for a in arrays]
