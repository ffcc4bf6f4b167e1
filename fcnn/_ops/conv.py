"""Correlation of images with a kernel, and its adjoints.

Why this is fast
================

A convolution of a small network is a matrix product and the work of feeding it. One core
of the machine that this was measured on (Zen 4, AVX-512, 1 MiB of L2; OpenBLAS 0.3.31, float32)
multiplies at 115 GFLOP/s and passes over an array in cache in 0.1 to 0.2 ns an element,
out of it in twice that. For 32x32x16 -> 16 channels, 3x3, an image is 43 us of products;
its input and output have 16,384 elements each, so that a pass is 2 to 3 us. Four ideas:

* **Images innermost** (``layout``). A batch lies in memory as ``(h, c, w, n)``. NumPy sees arrays
  ``(n, h, w, c)`` all the same, since they are views; layers behind one another keep the order,
  and only the first one copies. With it every copy and every element-wise pass is made of long
  runs, the vectors of a product run over the images however few the channels are, and sums
  over a channel are BLAS products with ones.

* **Rows are lowered along their width alone** (``lower``). Each input row is stored once, as a
  block of ``kw * c`` lines of ``ow * n`` elements: for each tap of a kernel row, the columns that
  it meets. Since the blocks of neighbouring rows lie one behind the other, ``kh`` of them are,
  without a copy, the matrix ``(kh*kw*c, ow*n)`` of one output row::

      y[r] (o, ow*n) = taps (o, kh*kw*c) @ low[r*sh : r*sh + kh] (kh*kw*c, ow*n)

  The matrices of neighbouring rows overlap in memory, and one ``np.matmul`` multiplies the
  stack of them. So ``kw`` times the input is copied, in runs of a row, not ``kh*kw`` times. A
  convolution is two NumPy calls: the copy and the product.

* **Products in pieces** (``gemm``) of at most a million multiplications, which OpenBLAS
  multiplies where they lie instead of packing them first: 53 GFLOP/s become 112 for the
  convolution above, 20 become 105 for 6 filters of 5x5.

* **Fewer products** (``winograd``) for 3 x 3, from 16 channels and 16 images or 32 and 8 on: rows
  and columns are mixed in tiles so that 36 products do the work of 144.

The adjoints use the same rows. The weight's gradient is the sum over rows of ``low[r] @ dz[r].T``.
The input's is a product of the taps with ``kh`` neighbouring rows of dz, which are a matrix as they
lie (rows of zeros above and below serve the border), and then ``kw`` additions in runs of a row;
a stride makes one such product for each of its phases, and multiplies no zeros. Under a stride
the additions are slow, since their runs are single columns; where few channels of dz meet many
of dx, dz's columns are lowered too, and one addition a phase is left (003's step: 56 -> 52 us).

What stands behind a convolution in a `serial` shares its pass over memory: bias and relu are
applied block by block; a max pool that tiles its input goes before both (``conv_pooled``), since
they keep the order of numbers, so they touch a quarter of the elements. The relu's mask
is likewise taken at the pooled size. With bias and relu alone the bits are those of the layers
one by one. With a pool, which leaves out the columns that it drops, they are within the rounding
of a product of another width and of sums taken in another order: 1e-5 of the terms' sizes; and
where two elements of a window become equal only by the rounding of ``x + bias``, the gradient
goes to the larger, not to the first.

In evaluation a batch norm behind a convolution is ``x * factor + offset``, so it is folded into
its weight and bias (`fcnn.layers.conv2d`), within rounding: a pass less over every output.

Scratch is at most ``BUDGET`` for what is lowered and as much again for what the input's adjoint
multiplies; more images, rows or columns make more blocks. Mixed tiles and what is made of them take
as much, the mixed taps four times the weight and at most 12 MiB. A block of up to 1 MiB is kept
from the forward pass for its adjoint.

How far from the limit
----------------------

Microseconds an image, one thread, 32 images, forward and adjoints (with dx but for the first of a
network), and what the products alone take at 110 GFLOP/s::

    28x28x1 -> 6, 5x5, padded       4.6   5.3     2.1   2.1
    14x14x6 -> 16, 5x5              5.5  15.1     4.4   8.7
    26x26x32 -> 64, 3x3             113   219      48    97
    32x32x16 -> 16, 3x3, padded      58   111      11    22
    16x16x32 -> 32, 3x3, padded      34    67      11    22
    8x8x64 -> 64, 3x3, padded        27    56      11    22

The last four have fewer products; by the plain ones they took 223 and 553, 75 and 179, 60 and 129,
53 and 123 in the same run. A whole ResNet-20 step is 2.9 ms an image, of which 0.9 are these
products, 0.8 mixing, 0.45 batch norm; the plain products alone were 2.5.

What was tried and lost
-----------------------

* Patches of all taps, pixel by pixel, one product of a block of images (the form before this
  one): LeNet-5's step 110 us an image against 50, ResNet-20's 3.7 ms against 2.5 with two
  threads, article 003's 98 against 46. Its products of few columns ran at 20 GFLOP/s.
* Columns sorted into planes, so that a pool's or a stride's neighbours are runs of a row: what the
  pool gained (a tenth of LeNet-5's step) the finer copies lost twice.
* Smaller blocks, which stay in L2: LeNet-5 at budgets of 256 KiB, 512 KiB, 1, 2, 4 and 8 MiB: 87,
  61, 57, 52, 51, 55 us an image; ResNet-20 6.3, 5.3, 4.6, 4.3, 4.3, 4.4 ms.
* A pool's gradient written where it belongs at once: NumPy multiplies into runs of 32 elements
  slower (94 us for LeNet-5's first pool) than it multiplies in one run and copies (80 us).
* The weight as a view, not in the product's order: 5 to 15 % slower, but for a single image and
  32 taps or more, where it is done.
* Winograd's F(4, 3) along the rows alone, with columns lowered: half the products, but three
  times the copies: 139 us for 26x26x32 -> 64 where both now take 113, its adjoints 400 where they
  take 219. F(2, 3): 194. For a single image, whose tiles make short runs, both ways gain nothing.
* Winograd's tiles straight from the image, without a padded copy, the border's columns by a part of
  the matrix: ResNet-20's step level (1.00, 1.02), the PyTorch example's 1 %. Huge pages for all
  arrays (by the C library's setting): level and 2 %. Columns of tiles added where they belong,
  which saves a temporary copy: level.
* Blocks so small that also the output of one input channel stays in L2: 28x28x1 -> 32, 26 rows at
  once and 6: 9.8 and 11.2 us.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fcnn._ops.conv_adjoint import Adjoint, as_lines, channel_sums
from fcnn._ops.epilogue import Epilogue
from fcnn._ops.gemm import product
from fcnn._ops.layout import PIECE, hcwn, images_innermost, nhwc
from fcnn._ops.lower import BUDGET, Place, blocks, lower, worth_keeping
from fcnn._ops.window import Pair, Window
from fcnn._ops.winograd import Winograd, WinogradAdjoint, suits
from fcnn._typing import Array


def correlate(
    x: Array,
    weight: Array,
    window: Window,
    groups: int = 1,
    bias: Array | None = None,
    epilogue: Epilogue | None = None,
) -> tuple[Array, Array | None]:
    """Cross-correlation, plus bias, and the epilogue of that.

    ``y[n, y, x, o] = bias[o]
    + sum over i, j, k of padded[n, y*sh + i*dh, x*sw + j*dw, k] * weight[i, j, k, o]``

    ``x (n, h, w, c_in)``, ``weight (kh, kw, c_in // groups, c_out)``, ``bias (c_out,)`` or
    ``(oh, ow, c_out)``, ``y (n, oh, ow, c_out)``. Group g takes the g-th part of the input
    channels to the g-th part of the output channels.

    The second result, if it is small, may be given to `correlate_adjoints` as ``columns``, which
    then need not be made again.
    """
    x, weight = operands(x, weight)
    (oh, ow), c_out, n = window.out, weight.shape[3], len(x)
    method = method_for(x, weight, window, groups)
    y = np.empty((oh, c_out, ow, n), x.dtype)
    places = method.places()
    for rows, cols in places:
        out = y[rows, :, cols]
        columns = worth_keeping(method.block(rows, cols, out, bias), places)
        finish(out, bias_at(bias, rows, cols), epilogue)
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
    """``(dweight, dbias, dx)`` of `correlate` for ``dy (n, oh, ow, c_out)``.

    Those that are not wanted are None. ``bias`` is "tied" for a dbias ``(c_out,)``, "untied"
    for ``(oh, ow, c_out)``. With an ``epilogue`` pass the output ``y`` too.
    """
    x, weight = operands(x, weight)
    adjoint = adjoint_for(x, weight, window, groups, input_grad, columns)
    (oh, ow), c_out = window.out, weight.shape[3]
    dbias: Any = np.empty((oh, c_out, ow), x.dtype) if bias == "untied" else 0
    drows, yrows = hcwn(dy), None if y is None else hcwn(y)
    for rows, cols in adjoint.places():
        dz = drows[rows, :, cols]
        as_it_is = epilogue is None and not adjoint.halo and dz.dtype == x.dtype
        if not (as_it_is and dz.flags.c_contiguous):
            source, dz = dz, adjoint.room(len(dz), dz.shape[2])
            if epilogue is None or yrows is None:
                np.copyto(dz, source)
            else:
                epilogue.adjoint(yrows[rows, :, cols], source, dz)
        if bias == "tied":
            dbias = dbias + channel_sums(dz)
        elif bias == "untied":
            np.matmul(dz, np.ones(dz.shape[3], x.dtype), out=dbias[rows, :, cols])
        adjoint.add(rows, cols, dz)
    if bias == "untied":
        dbias = np.ascontiguousarray(dbias.swapaxes(1, 2))
    return adjoint.dweight(), None if bias is None else dbias, adjoint.dx()


class Direct:
    """A correlation by its definition: each output row from its own rows of input."""

    def __init__(self, x: Array, weight: Array, window: Window, groups: int) -> None:
        taps = weight.reshape(-1, groups, 1, weight.shape[3] // groups).transpose(1, 2, 3, 0)
        as_it_is = len(x) == 1 and taps.shape[3] >= 32  # a copy would not pay
        self._taps = taps if as_it_is else np.ascontiguousarray(taps)  # (g, 1, o, kh*kw*c)
        self._x, self._window, self._groups = x, window, groups

    def places(self, pool: Pair = (1, 1)) -> list[Place]:
        """The blocks of output."""
        return blocks(self._window, self._x, BUDGET, pool)

    def block(self, rows: slice, columns: slice, out: Array, bias: Array | None) -> Array:
        """A block of output, the bias still missing, into ``out (rows, c_out, columns, n)``.

        Returns what was lowered for it, which the adjoint may be given.
        """
        low = lower(self._x, self._window, self._groups, rows, columns)
        product(self._taps, low, as_lines(out, self._groups))
        return low


def method_for(
    x: Array, weight: Array, window: Window, groups: int, pool: Pair = (1, 1)
) -> Direct | Winograd:
    """The faster way for these shapes, and for a pool behind."""
    if suits(x, weight, window, groups, pool):
        return Winograd(x, weight, window)
    return Direct(x, weight, window, groups)


def adjoint_for(
    x: Array,
    weight: Array,
    window: Window,
    groups: int,
    input_grad: bool,
    low: Array | None,
    pool: Pair = (1, 1),
) -> Adjoint | WinogradAdjoint:
    """The adjoint of `method_for`'s choice."""
    if suits(x, weight, window, groups, pool):
        return WinogradAdjoint(x, weight, window, input_grad, low)
    return Adjoint(x, weight, window, groups, input_grad, low)


def finish(out: Array, bias: Array | None, epilogue: Epilogue | None) -> None:
    """Add the bias and apply the epilogue, in place.

    The bias is repeated to a row of the image, which makes the inner loops longer.
    """
    if bias is not None and bias.ndim == 3 and out.size > PIECE:
        line = np.empty(out.shape[1:], out.dtype)
        line[...] = bias
        np.add(out, line, out=out)
    elif bias is not None:
        np.add(out, bias, out=out)
    if epilogue is not None:
        epilogue.apply(out, out)


def bias_at(bias: Array | None, rows: slice, columns: slice) -> Array | None:
    """A bias ``(c,)`` or ``(oh, ow, c)``, if any, to meet a block ``(rows, c, columns, n)``."""
    if bias is None:
        return None
    if bias.ndim == 1:
        return bias[:, None, None]
    return bias.swapaxes(1, 2)[rows, :, columns, None]


def operands(x: Array, weight: Array) -> tuple[Array, Array]:
    """Both in one precision, float32 or float64, the images innermost in memory."""
    if x.dtype != weight.dtype or x.dtype.char not in "fd":
        dtype = np.result_type(x, weight)
        if dtype not in (np.float32, np.float64):
            dtype = np.dtype(np.float64)
        x, weight = x.astype(dtype, copy=False), weight.astype(dtype, copy=False)
    return images_innermost(x), weight
