"""The correlation of sequences ``(n, length, c)``, as that of images.

A sequence is an image of one column or of one row. As a column it has nothing to copy: the steps
that a filter meets lie together in memory (`fcnn._ops.im2col`), and each step is a matrix of n
columns. Few examples make short matrices; as a row, a sequence has ``length * n`` columns, for
which the steps are copied once per kernel element.
"""

from __future__ import annotations

import numpy as np

from fcnn._ops import conv
from fcnn._ops.epilogue import Epilogue
from fcnn._ops.layout import images_innermost
from fcnn._ops.window import Window
from fcnn._typing import Array

FEW = 16  # examples, below which a sequence is a row


def arranged(x: Array) -> Array:
    """Return ``x (n, length, c)`` in the order of `fcnn._ops.layout`, if the copy is small."""
    axis = _new_axis(len(x))
    return images_innermost(np.expand_dims(x, axis)).squeeze(axis)


def correlate(
    x: Array,
    weight: Array,
    window: Window,
    groups: int = 1,
    bias: Array | None = None,
    epilogue: Epilogue | None = None,
) -> tuple[Array, Array | None]:
    """Do as `fcnn._ops.conv.correlate`, for ``weight (k, c_in // groups, c_out)``."""
    axis = _new_axis(len(x))
    y, columns = conv.correlate(
        np.expand_dims(x, axis),
        np.expand_dims(weight, axis - 1),
        window.with_axis(axis - 1),
        groups,
        _of_image(bias, axis),
        epilogue,
    )
    return y.squeeze(axis), columns


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
    """Do as `fcnn._ops.conv.correlate_adjoints`."""
    axis = _new_axis(len(x))
    dweight, dbias, dx = conv.correlate_adjoints(
        np.expand_dims(x, axis),
        np.expand_dims(weight, axis - 1),
        np.expand_dims(dy, axis),
        window.with_axis(axis - 1),
        groups,
        y=None if y is None else np.expand_dims(y, axis),
        epilogue=epilogue,
        bias=bias,
        input_grad=input_grad,
        columns=columns,
    )
    if dbias is not None and dbias.ndim == 3:
        dbias = dbias.squeeze(axis - 1)
    return dweight.squeeze(axis - 1), dbias, None if dx is None else dx.squeeze(axis)


def correlate_transposed(
    dy: Array, weight: Array, window: Window, groups: int = 1, bias: Array | None = None
) -> Array:
    """Do as `fcnn._ops.conv.correlate_transposed`."""
    axis = _new_axis(len(dy))
    dx = conv.correlate_transposed(
        np.expand_dims(dy, axis),
        np.expand_dims(weight, axis - 1),
        window.with_axis(axis - 1),
        groups,
        _of_image(bias, axis),
    )
    return dx.squeeze(axis)


def _new_axis(examples: int) -> int:
    """Which axis of the images is not one of the sequences."""
    return 1 if examples < FEW else 2


def _of_image(bias: Array | None, axis: int) -> Array | None:
    return bias if bias is None or bias.ndim == 1 else np.expand_dims(bias, axis - 1)
