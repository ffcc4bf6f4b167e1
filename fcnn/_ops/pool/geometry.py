"""Where the windows of a pooling layer stand, along one, two or three axes.

The pools of this package slide over images. A sequence is an image of one column. A volume is
pooled in two steps, each plane over rows and columns, and the results over depth as an image of
one column: `Windows.steps`.
"""

from __future__ import annotations

import functools
from typing import Any, Self

import attrs
import numpy as np

from fcnn._check import sizes
from fcnn._ops.window import AXES, Pads, Sizes, Window, check_padding, slide
from fcnn._typing import IntArray, Shape
from fcnn.errors import ArgumentError, ShapeError

_INPUTS = {
    1: "sequences (n, length, c)",
    2: "images (n, h, w, c)",
    3: "volumes (n, d, h, w, c)",
}


@attrs.frozen
class Windows:
    """The arguments of a pooling layer, checked; each field has one entry an axis."""

    pool_size: Sizes
    stride: Sizes
    padding: str | Pads
    dilation: Sizes

    @classmethod
    def checked(
        cls, rank: int, pool_size: Any, stride: Any, padding: Any, dilation: Any = 1
    ) -> Self:
        """Return the arguments of a layer that pools over ``rank`` axes in one form.

        Raises:
            ArgumentError: if one is out of its range.
        """
        axes, pads = AXES[rank], check_padding(padding, rank)
        size, apart = sizes(pool_size, "pool_size", axes), sizes(dilation, "dilation", axes)
        if not isinstance(pads, str):
            for k, d, margin in zip(size, apart, pads, strict=True):
                if max(margin) > d * (k - 1):
                    raise ArgumentError(
                        f"expected padding smaller than the window, which would else hold nothing "
                        f"but padding, got {max(margin)} for a window of {d * (k - 1) + 1}"
                    )
        return cls(size, size if stride is None else sizes(stride, "stride", axes), pads, apart)

    @property
    def is_tiling(self) -> bool:
        """Whether the windows lie side by side without padding."""
        beside = self.pool_size == self.stride and set(self.dilation) == {1}
        return beside and (self.padding == "valid" or not np.any(self.padding))

    @property
    def reach(self) -> Sizes:
        """How many elements of each axis a window spans, dilation included."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.pool_size, self.dilation, strict=True))

    def window(self, shape: Shape) -> Window:
        """Return where the windows stand on an example ``(..., c)``.

        Raises:
            ShapeError: if they do not fit.
        """
        rank = len(self.pool_size)
        if len(shape) != rank + 1:
            raise ShapeError(f"expected {_INPUTS[rank]}, got (n, {str(shape)[1:]}")
        window = slide(shape[:-1], self.pool_size, self.stride, self.dilation, self.padding)
        if set(self.dilation) != {1} and window.is_padded:
            _check_filled(window)
        return window

    def steps(self, shape: Shape) -> tuple[Window, ...]:
        """Return the windows over images of which the pool of an example is made.

        One for a sequence or an image; for a volume first those over its planes, then those over
        images of depth by one column.
        """
        window = self.window(shape)
        if len(window.image) == 2:
            return (window,)
        image, kernel, stride, dilation, pads, out = window
        first = Window(image[:1], kernel[:1], stride[:1], dilation[:1], pads[:1], out[:1])
        column = first.with_axis(1)
        return (column,) if len(image) == 1 else (window.without_first(), column)

    def out_shape(self, shape: Shape) -> Shape:
        """Return the shape of an example's output."""
        return (*self.window(shape).out, shape[-1])


@functools.lru_cache(maxsize=1024)
def _check_filled(window: Window) -> None:
    """Refuse a dilated window all of whose elements are padding."""
    for axis, apart in enumerate(window.dilation):
        if not counts(window, axis).all():
            raise ShapeError(
                f"expected windows that hold an element of the input, got one whose elements, "
                f"{apart} apart, are all padding; use less padding or dilation"
            )


def counts(window: Window, axis: int) -> IntArray:
    """Return how many of the elements of each window along an axis are inside the image."""
    first = np.arange(window.out[axis]) * window.stride[axis] - window.pads[axis][0]
    pixels = first[:, None] + np.arange(window.kernel[axis]) * window.dilation[axis]
    inside: IntArray = ((pixels >= 0) & (pixels < window.image[axis])).sum(axis=1)
    return inside
