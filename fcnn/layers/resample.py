"""Upsampling and resizing of images, and pixel shuffling.

Sizes are those of PyTorch's `interpolate` with ``align_corners=False``: pixel centres lie at half
integers, and output pixel o at ``(o + 1/2)·in/out - 1/2`` of the input.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from fcnn._check import pair
from fcnn._layer import EVAL, Context, Layer, Triple, layer
from fcnn._ops.resample import linear, nearest, resample, resample_adjoint, take_nearest
from fcnn._ops.tiles import repeat, repeat_adjoint, shuffle, unshuffle
from fcnn._ops.window import Pair, Sizes
from fcnn._typing import Array, ModelPullback, Shape, Size
from fcnn._walk import Steps, facts
from fcnn.errors import ArgumentError, ShapeError
from fcnn.prng import Key


@layer
def upsample2d(factor: Size, mode: str = "nearest") -> Triple:
    """Enlarge images by a whole factor.

    ``"nearest"`` repeats each pixel: ``y[n, o, c] = x[n, floor(o / factor), c]``. ``"bilinear"``
    interpolates between the four pixels around ``(o + 1/2) / factor - 1/2``, clamped to the
    image, as PyTorch does with ``align_corners=False``.

    Shapes: x ``(n, h, w, c)``, y ``(n, h·factor, w·factor, c)``.

    Args:
        factor: for rows and columns, or one number for both.
        mode: ``"nearest"`` or ``"bilinear"``.

    Raises:
        ArgumentError: if an argument is out of its range.

    >>> import numpy as np, fcnn
    >>> x = np.array([0.0, 4.0]).reshape(1, 1, 2, 1)
    >>> fcnn.upsample2d(2).apply((), x)[0, :, :, 0]
    array([[0., 0., 4., 4.],
           [0., 0., 4., 4.]])
    >>> fcnn.upsample2d((1, 2), "bilinear").apply((), x)[0, :, :, 0]
    array([[0., 1., 3., 4.]])
    """
    rows, columns = tile = pair(factor, "factor")
    if _checked(mode) == "nearest":
        return _linear_map(
            lambda shape: (shape[0] * rows, shape[1] * columns, shape[2]),
            lambda x: repeat(x, tile),
            lambda dy, shape: repeat_adjoint(dy, tile),
        )
    return _resize(lambda shape: (shape[0] * rows, shape[1] * columns), mode)


@layer
def resize2d(size: Size, mode: str = "nearest") -> Triple:
    """Resize images to a given size.

    With ``"nearest"`` output pixel o is input pixel ``floor(o·in/size)``, computed in whole
    numbers; ``"bilinear"`` interpolates as in `upsample2d`. Where the image becomes smaller, both
    skip pixels, as PyTorch does without ``antialias``; `adaptive_avg_pool` takes means.

    Shapes: x ``(n, h, w, c)``, y ``(n, *size, c)``.

    Args:
        size: rows and columns, or one number for both.
        mode: ``"nearest"`` or ``"bilinear"``.

    Raises:
        ArgumentError: if an argument is out of its range.

    >>> import numpy as np, fcnn
    >>> x = np.array([0.0, 3.0, 6.0]).reshape(1, 1, 3, 1)
    >>> fcnn.resize2d((1, 2), "bilinear").apply((), x)[0, 0, :, 0].round(3)
    array([0.75, 5.25])
    >>> fcnn.resize2d((1, 4)).apply((), x)[0, 0, :, 0]
    array([0., 0., 3., 6.])
    """
    target = pair(size, "size")
    return _resize(lambda shape: target, _checked(mode))


@layer
def pixel_shuffle(factor: Size) -> Triple:
    """Move channels to pixels: every f·f channels become a tile of f times f pixels.

    ``y[n, f·h + i, f·w + j, c] = x[n, h, w, (c·f + i)·f + j]``. The order of channels is
    PyTorch's: with x in its layout ``(n, c, h, w)``, its result is this one in its layout.
    (TensorFlow's ``depth_to_space`` reads channel ``(i·f + j)·channels + c`` instead.)

    Shapes: x ``(n, h, w, f·f·c)``, y ``(n, f·h, f·w, c)``.

    Args:
        factor: f, for rows and columns, or one number for both.

    Raises:
        ShapeError: if f·f does not divide the number of channels.

    >>> import numpy as np, fcnn
    >>> x = np.arange(4.0).reshape(1, 1, 1, 4)
    >>> fcnn.pixel_shuffle(2).apply((), x)[0, :, :, 0]
    array([[0., 1.],
           [2., 3.]])

    Source: W. Shi et al., "Real-time single image and video super-resolution using an efficient
    sub-pixel convolutional neural network", 2016, https://arxiv.org/abs/1609.05158.
    """
    rows, columns = tile = pair(factor, "factor")

    def out_shape(shape: Shape) -> Shape:
        if shape[2] % (rows * columns):
            raise ShapeError(
                f"expected channels in a multiple of {rows * columns}, for tiles of {rows} by "
                f"{columns} pixels, got {shape[2]}"
            )
        return shape[0] * rows, shape[1] * columns, shape[2] // (rows * columns)

    return _linear_map(out_shape, lambda x: shuffle(x, tile), lambda dy, shape: unshuffle(dy, tile))


@layer
def pixel_unshuffle(factor: Size) -> Triple:
    """Move pixels to channels: every tile of f times f pixels becomes f·f channels.

    The inverse of `pixel_shuffle`, in PyTorch's order of channels:
    ``y[n, h, w, (c·f + i)·f + j] = x[n, f·h + i, f·w + j, c]``.

    Shapes: x ``(n, f·h, f·w, c)``, y ``(n, h, w, f·f·c)``.

    Args:
        factor: f, for rows and columns, or one number for both.

    Raises:
        ShapeError: if f does not divide the number of rows and of columns.

    >>> import numpy as np, fcnn
    >>> x = np.arange(4.0).reshape(1, 2, 2, 1)
    >>> fcnn.pixel_unshuffle(2).apply((), x)[0, 0, 0]
    array([0., 1., 2., 3.])
    """
    rows, columns = tile = pair(factor, "factor")

    def out_shape(shape: Shape) -> Shape:
        if shape[0] % rows or shape[1] % columns:
            raise ShapeError(
                f"expected images of whole tiles of {rows} by {columns} pixels, "
                f"got {shape[0]} by {shape[1]}; pad or crop them first"
            )
        return shape[0] // rows, shape[1] // columns, shape[2] * rows * columns

    return _linear_map(out_shape, lambda x: unshuffle(x, tile), lambda dy, shape: shuffle(dy, tile))


def _checked(mode: str) -> str:
    if mode not in ("nearest", "bilinear"):
        raise ArgumentError(f'expected mode "nearest" or "bilinear", got {mode!r}')
    return mode


def _resize(size: Callable[[Shape], Pair], mode: str) -> Triple:
    def forward(x: Array) -> Array:
        target = size(x.shape[1:])
        return take_nearest(x, target) if mode == "nearest" else resample(x, target, linear)

    def adjoint(dy: Array, shape: Shape) -> Array:
        taps = nearest if mode == "nearest" else linear
        return resample_adjoint(dy, (shape[0], shape[1]), taps)

    return _linear_map(lambda shape: (*size(shape), shape[2]), forward, adjoint)


def _linear_map(
    out_shape: Callable[[Shape], Shape],
    forward: Callable[[Array], Array],
    adjoint: Callable[[Array, Shape], Array],
) -> Triple:
    """Return the layer of a linear map of images; ``adjoint`` also takes an example's shape."""

    def checked(shape: Shape) -> Shape:
        if len(shape) != 3:
            raise ShapeError(f"expected images (n, h, w, c), got (n, {str(shape)[1:]}")
        return out_shape(shape)

    def init(key: Key, shape: Shape) -> tuple[tuple[()], Shape]:
        return (), checked(shape)

    def apply(params: tuple[()], x: Array, ctx: Context = EVAL) -> Array:
        checked(x.shape[1:])
        return forward(x)

    def vjp(params: tuple[()], x: Array, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
        shape = x.shape[1:]
        return apply(params, x), lambda dy: ((), adjoint(dy, shape))

    return init, apply, vjp


def _multiply_adds(layer: Layer, in_shape: Shape, out_shape: Shape) -> int:
    """Four neighbours for each element that is interpolated."""
    return 4 * math.prod(out_shape) if layer.spec.arguments["mode"] == "bilinear" else 0


def _enlarged(layer: Layer) -> tuple[Sizes, Steps]:
    """An output sees one pixel, or two of each axis; its neighbour is a part of a pixel away."""
    factors = pair(layer.spec.arguments["factor"], "factor")
    is_bilinear = layer.spec.arguments.get("mode") == "bilinear"
    seen = tuple([2 if is_bilinear and factor > 1 else 1 for factor in factors])
    return seen, tuple([Fraction(1, factor) for factor in factors])


def _tile(layer: Layer) -> tuple[Sizes, Steps]:
    tile = pair(layer.spec.arguments["factor"], "factor")
    return tile, tile


facts(upsample2d, multiply_adds=_multiply_adds, window=_enlarged)
facts(resize2d, multiply_adds=_multiply_adds)
facts(pixel_shuffle, multiply_adds=0, window=_enlarged)
facts(pixel_unshuffle, multiply_adds=0, window=_tile)
