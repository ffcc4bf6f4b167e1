"""What a kernel applies to its output block by block: an activation and its adjoint."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from fcnn._ops.relu import relu, relu_adjoint
from fcnn._typing import Array


class Epilogue(NamedTuple):
    """An element-wise function whose adjoint needs its output alone.

    ``apply(z, out=None) -> y``, where ``out`` may be z, and ``adjoint(y, dy, out=None) -> dz``,
    where ``out`` is neither y nor dy. Both take blocks: arrays of any shape and strides. With a max
    pool (`fcnn._ops.conv_pooled`) the function has to be non-decreasing, because it is applied
    after the maximum.
    """

    apply: Callable[..., Array]
    adjoint: Callable[..., Array]


def check_output(epilogue: Epilogue | None, y: Array | None) -> None:
    """Check that the adjoint of an epilogue has the output that it needs.

    Raises:
        TypeError: if there is an epilogue and no output.
    """
    if epilogue is not None and y is None:
        raise TypeError("expected the output y for the adjoint of an epilogue, got None; pass y")


RELU = Epilogue(relu, relu_adjoint)
