"""Padding and cropping."""

from __future__ import annotations

from typing import Any

import numpy as np

from fcnn._check import number, pair
from fcnn._layer import EVAL, Context, Triple, layer
from fcnn._ops import memory
from fcnn._ops.border import MODES, extend, extend_adjoint
from fcnn._ops.pad import crop, pad
from fcnn._ops.window import Pads, check_padding
from fcnn._typing import Array, ModelPullback, Shape, Size
from fcnn._walk import facts
from fcnn.errors import ArgumentError, ShapeError
from fcnn.prng import Key


@layer
def pad2d(
    padding: int | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]],
    mode: str = "zeros",
    *,
    value: float = 0.0,
) -> Triple:
    """Put margins around images.

    A margin of mode ``"zeros"`` holds ``value``; ``"reflect"`` mirrors the image at the centre of
    its outermost pixels, which are not repeated; ``"replicate"`` repeats the outermost pixels;
    ``"circular"`` goes on at the opposite side.

    Shapes: x ``(n, h, w, c)``, y ``(n, h + padding, w + padding, c)``.

    Args:
        padding: one number for all four sides, ``(rows, columns)``, or
            ``((top, bottom), (left, right))``.
        mode: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.
        value: what a margin of mode ``"zeros"`` holds.

    Raises:
        ArgumentError: if an argument is out of its range.
        ShapeError: if the image is not larger than a margin that reflects it, or smaller than
            one that continues it.

    >>> import numpy as np, fcnn
    >>> x = np.array([1.0, 2, 3]).reshape(1, 1, 3, 1)
    >>> fcnn.pad2d((0, 2), "reflect").apply((), x)[0, 0, :, 0]
    array([3., 2., 1., 2., 3., 2., 1.])
    >>> fcnn.pad2d((0, 2), "circular").apply((), x)[0, 0, :, 0]
    array([2., 3., 1., 2., 3., 1., 2.])
    >>> fcnn.pad2d(((0, 0), (1, 2)), value=9.0).apply((), x)[0, 0, :, 0]
    array([9., 1., 2., 3., 9., 9.])
    """
    return _padding(2, padding, mode, value)


@layer
def pad1d(padding: int | tuple[int, int], mode: str = "zeros", *, value: float = 0.0) -> Triple:
    """Put margins before and after sequences.

    `pad2d` along one axis; the padding is one number for both ends, or ``(before, after)``.

    Shapes: x ``(n, length, c)``, y ``(n, length + padding, c)``.

    >>> import numpy as np, fcnn
    >>> x = np.array([1.0, 2, 3]).reshape(1, 3, 1)
    >>> fcnn.pad1d((2, 0)).apply((), x)[0, :, 0]
    array([0., 0., 1., 2., 3.])
    """
    return _padding(1, padding, mode, value)


@layer
def crop2d(
    cropping: int | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]] | None = None,
    *,
    size: Size | None = None,
) -> Triple:
    """Cut margins off images, or cut out their centre.

    Shapes: x ``(n, h, w, c)``, y ``(n, h - cropping, w - cropping, c)`` or ``(n, *size, c)``.

    Args:
        cropping: what is cut off: one number for all four sides, ``(rows, columns)``, or
            ``((top, bottom), (left, right))``.
        size: in its place, the size of what is left, of the centre; where an odd number is cut
            off, the larger part is at the bottom and the right.

    Raises:
        ArgumentError: unless one of the two is given, and in its range.
        ShapeError: if nothing is left, or the image is smaller than ``size``.

    >>> import numpy as np, fcnn
    >>> x = np.arange(16.0).reshape(1, 4, 4, 1)
    >>> fcnn.crop2d(((0, 2), (1, 1))).apply((), x)[0, :, :, 0]
    array([[1., 2.],
           [5., 6.]])
    >>> fcnn.crop2d(size=2).apply((), x)[0, :, :, 0]
    array([[ 5.,  6.],
           [ 9., 10.]])
    """
    if (cropping is None) == (size is None):
        raise ArgumentError(f"expected either cropping or size, got {cropping!r} and {size!r}")
    cut = None if cropping is None else _checked(cropping, 2, "cropping")
    target = None if size is None else pair(size, "size")

    def cut_of(shape: Shape) -> Pads:
        if len(shape) != 3:
            raise ShapeError(f"expected images (n, h, w, c), got (n, {str(shape)[1:]}")
        over = [own - left for own, left in zip(shape, target or (1, 1), strict=False)]
        cuts = tuple([(each // 2, each - each // 2) for each in over]) if cut is None else cut
        if any(sum(sides) > most for sides, most in zip(cuts, over, strict=True)) or min(over) < 0:
            left = f"of at least {target}" if target else f"larger than the cropping {cut}"
            raise ShapeError(f"expected images {left}, got {shape[:2]}")
        return cuts

    def init(key: Key, shape: Shape) -> tuple[tuple[()], Shape]:
        rows, columns = cut_of(shape)
        return (), (shape[0] - sum(rows), shape[1] - sum(columns), shape[2])

    def apply(params: tuple[()], x: Array, ctx: Context = EVAL) -> Array:
        return crop(x, cut_of(x.shape[1:]))

    def vjp(params: tuple[()], x: Array, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
        cuts = cut_of(x.shape[1:])
        return crop(x, cuts), lambda dy: ((), pad(dy, cuts))

    return init, apply, vjp


def _checked(padding: Any, rank: int, what: str) -> Pads:
    """Return what is added to, or cut off, both ends of each axis."""
    if isinstance(padding, str):
        raise ArgumentError(f"expected {what} as a number or numbers, got {padding!r}")
    pads = check_padding(padding, rank)
    return () if isinstance(pads, str) else pads


def _padding(rank: int, padding: Any, mode: str, value: float) -> Triple:
    pads = _checked(padding, rank, "padding")
    fill = number(value, "value", -float("inf"))
    if mode not in MODES:
        raise ArgumentError(f"expected mode {', '.join(map(repr, MODES))}, got {mode!r}")
    if fill and mode != "zeros":
        raise ArgumentError(
            f'expected a value with mode "zeros" alone, got {value!r} with {mode!r}'
        )

    def out_shape(shape: Shape) -> Shape:
        if len(shape) != rank + 1:
            kind = "images (n, h, w, c)" if rank == 2 else "sequences (n, length, c)"
            raise ShapeError(f"expected {kind}, got (n, {str(shape)[1:]}")
        spare = {"reflect": 1, "circular": 0}.get(mode)
        if spare is not None:
            for size, sides in zip(shape, pads, strict=False):
                if max(sides) + spare > size:
                    raise ShapeError(
                        f"expected at least {max(sides) + spare} elements along an axis that is "
                        f"padded by {max(sides)} in mode {mode!r}, got {size}"
                    )
        return (*(s + sum(p) for s, p in zip(shape, pads, strict=False)), shape[-1])

    def init(key: Key, shape: Shape) -> tuple[tuple[()], Shape]:
        return (), out_shape(shape)

    def apply(params: tuple[()], x: Array, ctx: Context = EVAL) -> Array:
        out_shape(x.shape[1:])
        if mode == "zeros":
            return pad(x, pads, fill)
        return extend(x, pads, mode) if np.any(pads) else memory.array(x)

    def vjp(params: tuple[()], x: Array, ctx: Context = EVAL) -> tuple[Array, ModelPullback]:
        def pullback(dy: Array) -> tuple[tuple[()], Array]:
            if mode == "zeros" or not np.any(pads):
                return (), crop(dy, pads)
            return (), extend_adjoint(dy, pads, mode)

        return apply(params, x), pullback

    return init, apply, vjp


facts(pad1d, multiply_adds=0, window=(1, 1))
facts(pad2d, multiply_adds=0, window=(1, 1))
facts(crop2d, multiply_adds=0, window=(1, 1))
