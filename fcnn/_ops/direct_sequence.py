"""The adjoint of a correlation along one axis.

A sequence is an image of one column. Its rows of output are matrices of n columns, and sums over n
alone are too short for fast products. So the weight's gradient is summed over steps and images at
once: x and dz of a block are copied to ``(c, steps*n)`` and ``(o, steps*n)``, and for each kernel
element the steps that it meets lie together in memory::

    dweight[k] = x[:, k*n : (k + steps)*n] @ dz.T

Under a stride s, x is copied to s such arrays, of the steps ``0, s, ...``, ``1, s + 1, ...``.
"""

from __future__ import annotations

import numpy as np

from fcnn._ops import memory
from fcnn._ops.blocks import Block
from fcnn._ops.direct_adjoint import DirectAdjoint
from fcnn._ops.gemm import product_of_rows
from fcnn._ops.layout import hcwn
from fcnn._ops.window import Window, inside
from fcnn._typing import Array


class SequenceAdjoint(DirectAdjoint):
    """A `fcnn._ops.algorithm.Adjoint` for images of one column."""

    def _dfilters_of(self, block: Block, dz: Array) -> Array:
        """Return the block's part of the gradient of the filters, ``(g, kh*c, o)``."""
        (kh, _), (sh, _), (dh, _) = self._window.kernel, self._window.stride, self._window.dilation
        steps, o, _, n = dz.shape
        groups, by_phase = self._groups, self._by_phase(block)
        beside = memory.ascontiguousarray(dz[:, :, 0].swapaxes(0, 1))
        beside = beside.reshape(groups, 1, o // groups, steps * n)
        parts = []
        for k in range(kh):
            first, phase = divmod(k * dh, sh)
            met = by_phase[phase, ..., first * n : (first + steps) * n]
            parts.append(product_of_rows(met, beside))
        return np.concatenate(parts, axis=1)

    def _by_phase(self, block: Block) -> Array:
        """Return x with the padding that a block meets, ``(phases, g, 1, c, steps*n)``."""
        (kh, _), (sh, _), (dh, _) = self._window.kernel, self._window.stride, self._window.dilation
        (top, _), _ = self._window.pads
        rows = hcwn(self._x)[:, :, 0]
        length, c, n = rows.shape
        last = (kh - 1) * dh
        count, phases = block.size[0] + last // sh, min(sh, last + 1)
        made = memory.empty((phases, c, count, n), rows.dtype)
        for phase in range(phases):
            to, at = inside(block.rows.start * sh + phase - top, sh, count, length)
            made[phase, :, : to.start] = 0
            made[phase, :, to] = rows[at].swapaxes(0, 1)
            made[phase, :, to.stop :] = 0
        groups = self._groups
        return made.reshape(phases, groups, 1, c // groups, count * n)


def is_sequence(window: Window) -> bool:
    """Whether image, filter and output are a single column, without padding beside it."""
    is_column = window.image[1] == window.kernel[1] == window.out[1] == 1
    return is_column and window.pads[1] == (0, 0)
