"""Where the windows of a pooling layer stand, along one, two or three axes.

The pools of this package slide over images. A sequence is taken for an image whose rows are the
channels, so that bands of rows are blocks of channels. A volume is pooled in two steps, each plane
over rows and columns, and the results over depth: `Windows.steps`.
"""

from __future__ import annotations

import functools
from typing import Any, Self, TypeAlias

import attrs
import numpy as np

from fcnn._check import pair, whole
from fcnn._ops.window import Pair, Window, check_padding, slide
from fcnn._typing import Shape
from fcnn.errors import ArgumentError, ShapeError

Pads: TypeAlias = str | tuple[Pair, ...]
"""``"valid"``, ``"same"``, or what is added before and after each axis."""

_INPUTS = {
    1: "sequences (n, length, c)",
    2: "images (n, h, w, c)",
    3: "volumes (n, d, h, w, c)",
}


@attrs.frozen
class Windows:
    """The arguments of a pooling layer, checked; each field has one entry an axis."""

    pool_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: Pads
    dilation: tuple[int, ...]

    @classmethod
    def checked(
        cls, rank: int, pool_size: Any, stride: Any, padding: Any, dilation: Any = 1
    ) -> Self:
        """Return the arguments of a layer that pools over ``rank`` axes in one form.

        Raises:
            ArgumentError: if one is out of its range.
        """
        size, pads = sizes(pool_size, rank, "pool_size"), margins(padding, rank)
        apart = sizes(dilation, rank, "dilation")
        if not isinstance(pads, str):
            for k, d, margin in zip(size, apart, pads, strict=True):
                if max(margin) > d * (k - 1):
                    raise ArgumentError(
                        f"expected padding smaller than the window, which would else hold nothing "
                        f"but padding, got {max(margin)} for a window of {d * (k - 1) + 1}"
                    )
        return cls(size, size if stride is None else sizes(stride, rank, "stride"), pads, apart)

    @property
    def is_tiling(self) -> bool:
        """Whether the windows lie side by side without padding."""
        beside = self.pool_size == self.stride and set(self.dilation) == {1}
        return beside and (self.padding == "valid" or not np.any(self.padding))

    @property
    def reach(self) -> tuple[int, ...]:
        """How many elements of each axis a window spans, dilation included."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.pool_size, self.dilation, strict=True))

    def window(self, image: Shape) -> Window:
        """Return where the windows of a two-dimensional pool stand on an image ``(h, w, c)``."""
        return self.steps(image)[0]

    def steps(self, shape: Shape) -> tuple[Window, ...]:
        """Return the windows over images of which the pool of an example is made.

        One for a sequence or an image; for a volume first those over its planes, then those over
        images of depth by one column.
        """
        rank = len(self.pool_size)
        if len(shape) != rank + 1:
            raise ShapeError(f"expected {_INPUTS[rank]}, got (n, {str(shape)[1:]}")
        if rank == 1:
            return (self._slide((shape[1], shape[0]), (None, 0)),)
        planes = self._slide((shape[-3], shape[-2]), (rank - 2, rank - 1))
        return (planes,) if rank == 2 else (planes, self._slide((shape[0], 1), (0, None)))

    def out_shape(self, shape: Shape) -> Shape:
        """Return the shape of an example's output."""
        first, *rest = self.steps(shape)
        out = first.out[-len(self.pool_size) :]
        return (*(depth.out[0] for depth in rest), *out, shape[-1])

    def _slide(self, image: Pair, axes: tuple[int | None, int | None]) -> Window:
        """Slide over an image whose rows and columns are these axes; None: not along it."""
        kernel, stride, dilation = (
            _pick(each, axes) for each in (self.pool_size, self.stride, self.dilation)
        )
        padding = self.padding
        if not isinstance(padding, str):
            rows, columns = ((0, 0) if axis is None else padding[axis] for axis in axes)
            padding = (rows, columns)
        window = slide(image, kernel, stride, dilation, padding)
        if dilation != (1, 1) and window.is_padded:
            _check_filled(window)
        return window


def _pick(values: tuple[int, ...], axes: tuple[int | None, int | None]) -> Pair:
    rows, columns = (1 if axis is None else values[axis] for axis in axes)
    return rows, columns


@functools.lru_cache(maxsize=1024)
def _check_filled(window: Window) -> None:
    """Refuse a dilated window all of whose elements are padding."""
    for axis in (0, 1):
        if not counts(window, axis).all():
            raise ShapeError(
                f"expected windows that hold an element of the image, got one whose elements, "
                f"{window.dilation[axis]} apart, are all padding; use less padding or dilation"
            )


def counts(window: Window, axis: int) -> np.ndarray[Any, np.dtype[np.intp]]:
    """Return how many of the elements of each window along an axis are inside the image."""
    first = np.arange(window.out[axis]) * window.stride[axis] - window.pads[axis][0]
    pixels = first[:, None] + np.arange(window.kernel[axis]) * window.dilation[axis]
    inside: np.ndarray[Any, np.dtype[np.intp]] = (
        (pixels >= 0) & (pixels < window.image[axis])
    ).sum(axis=1)
    return inside


def sizes(value: Any, rank: int, what: str, least: int = 1) -> tuple[int, ...]:
    """Return one whole number an axis, from one number for all of them or a tuple.

    Raises:
        ArgumentError: if there are more or fewer, or one is less than ``least``.
    """
    if rank == 2:
        return pair(value, what, least)
    each = value if isinstance(value, tuple | list) else (value,) * rank
    if len(each) != rank:
        raise ArgumentError(
            f"expected {'one whole number' if rank == 1 else f'one whole number or {rank}'} "
            f"for {what}, got {value!r}"
        )
    return tuple([whole(number, what, least) for number in each])


def margins(padding: Any, rank: int) -> Pads:
    """Return ``"valid"``, ``"same"``, or what is added before and after each axis.

    Raises:
        ArgumentError: if ``padding`` is none of these, nor a number for all sides, nor one a
            axis; for a sequence also ``(before, after)``.
    """
    if rank == 2 or isinstance(padding, str):
        return check_padding(padding)
    if isinstance(padding, tuple | list):
        if rank == 1 and len(padding) == 2:
            return (pair(padding, "padding", 0),)
        if len(padding) == rank:
            return tuple([pair(each, "padding", 0) for each in padding])
    elif isinstance(padding, int | np.integer):
        both = whole(padding, "padding", 0)
        return ((both, both),) * rank
    forms = "(before, after)" if rank == 1 else "a number or (before, after) for each of 3 axes"
    raise ArgumentError(
        f'expected padding "valid", "same", a whole number or {forms}, got {padding!r}'
    )
