"""What a convolution algorithm has to offer, and which one is used.

`fcnn._ops.conv` and `fcnn._ops.conv_pooled` go through the blocks of an output; an algorithm
computes them. Blocks are arrays ``(rows, c_out, cols, n)``, views of outputs in the order of
`fcnn._ops.layout`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from fcnn._ops.blocks import Block
from fcnn._ops.direct import DirectForward
from fcnn._ops.direct_adjoint import DirectAdjoint
from fcnn._ops.direct_sequence import SequenceAdjoint, is_sequence
from fcnn._ops.finite import all_finite
from fcnn._ops.window import Pair, Window
from fcnn._ops.winograd import (
    FewAdjoint,
    FewForward,
    PlainForward,
    WinogradAdjoint,
    WinogradForward,
    is_few,
    is_plain,
    suits,
)
from fcnn._typing import Array


class Forward(Protocol):
    """A correlation of ``x (n, h, w, c_in)`` with ``weight (kh, kw, c_in // groups, c_out)``."""

    def blocks(self, pool: Pair = (1, 1)) -> list[Block]:
        """Cut the output into blocks of whole pools."""

    def compute(self, block: Block, out: Array, bias: Array | None) -> Array | None:
        """Write a block of the output without its bias into ``out``.

        Return the arranged input (columns or tiles), which the adjoint may reuse, or None. The
        bias is passed because it decides whether the rounding of a 0 can be seen.
        """


class Adjoint(Protocol):
    """The gradients of a correlation, summed over blocks of dz.

    Attributes:
        halo: the rows that `buffer` keeps above and below dz; 0 if dz may be any array.
    """

    halo: int

    def blocks(self, pool: Pair = (1, 1)) -> list[Block]:
        """Cut the output into blocks of whole pools."""

    def buffer(self, block: Block) -> Array:
        """Return an array for this block's dz."""

    def accumulate(self, block: Block, dz: Array) -> None:
        """Add the block's part of both gradients."""

    def dweight(self) -> Array:
        """Return the gradient of the weight."""

    def dx(self) -> Array | None:
        """Return the gradient of the input; None if it was not asked for."""


class Algorithm(NamedTuple):
    """How to make a `Forward` and an `Adjoint`."""

    forward: Callable[[Array, Array, Window, int], Forward]
    """``forward(x, weight, window, groups)``."""
    adjoint: Callable[[Array, Array, Window, int, bool, Array | None], Adjoint]
    """``adjoint(x, weight, window, groups, input_grad, columns)``, columns of a `compute`."""


DIRECT = Algorithm(DirectForward, DirectAdjoint)
SEQUENCE = Algorithm(DirectForward, SequenceAdjoint)
WINOGRAD = Algorithm(WinogradForward, WinogradAdjoint)
WINOGRAD_FEW = Algorithm(FewForward, FewAdjoint)
WINOGRAD_ADJOINT = Algorithm(PlainForward, FewAdjoint)
WINOGRADS = WINOGRAD, WINOGRAD_FEW, WINOGRAD_ADJOINT


def algorithm_for(
    x: Array, weight: Array, window: Window, groups: int, pool: Pair = (1, 1)
) -> Algorithm:
    """Return the faster algorithm for these shapes, and for a max pool of its output."""
    if is_sequence(window):
        return SEQUENCE
    if not suits(x, weight, window, groups, pool):
        return DIRECT
    if is_plain(x, weight, window):
        return WINOGRAD_ADJOINT
    return WINOGRAD_FEW if is_few(x, window) else WINOGRAD


def gradients(
    x: Array,
    weight: Array,
    window: Window,
    groups: int,
    input_grad: bool,
    columns: Array | None,
    accumulate: Callable[[Adjoint, bool], Array | None],
    pool: Pair = (1, 1),
) -> tuple[Array, Array | None, Array | None]:
    """Return ``(dweight, dbias, dx)``.

    ``accumulate(adjoint, finite)`` feeds all blocks to the adjoint and returns dbias. Winograd's
    tiles spread NaN and infinity to pixels and weights that do not depend on them, and a pool's
    fast adjoint takes no account of NaN. Where there are any, which always shows in dweight or
    the weight, everything is computed again directly, with ``finite`` false.
    """
    algorithm = algorithm_for(x, weight, window, groups, pool)
    adjoint = algorithm.adjoint(x, weight, window, groups, input_grad, columns)
    dbias, dweight = accumulate(adjoint, True), adjoint.dweight()
    spreads = algorithm in WINOGRADS or pool != (1, 1)
    if spreads and not all_finite(dweight, weight):
        adjoint = DIRECT.adjoint(x, weight, window, groups, input_grad, None)
        dbias, dweight = accumulate(adjoint, False), adjoint.dweight()
    return dweight, dbias, adjoint.dx()
