"""What a kernel applies to its output block by block: an activation and its adjoint."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from fcnn._ops.relu import relu, relu_adjoint
from fcnn._typing import Array


class Epilogue(NamedTuple):
    """An element-wise function whose adjoint needs its output alone.

    ``apply(z, out=None) -> y``, where ``out`` may be z, and ``adjoint(y, dy, out=None) -> dz``,
    where ``out`` is neither y nor dy. Both take arrays of any shape and strides, because they are
    given blocks. With a max pool (`fcnn._ops.conv_pooled`) the function has to be non-decreasing,
    because it is applied after the maximum.
    """

    apply: Callable[..., Array]
    adjoint: Callable[..., Array]


RELU = Epilogue(relu, relu_adjoint)
