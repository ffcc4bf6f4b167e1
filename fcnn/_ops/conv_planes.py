"""The correlation of volumes by Winograd's algorithm, plane by plane, and its adjoints.

Both return None where there is NaN or infinity, which the algorithm spreads to voxels that do not
depend on it: `fcnn._ops.conv_volume` then computes everything by images.
"""

from __future__ import annotations

import numpy as np

from fcnn._ops import memory
from fcnn._ops.conv import bias_of, channel_sums, finish
from fcnn._ops.epilogue import Epilogue, check_output
from fcnn._ops.finite import all_finite
from fcnn._ops.values import decide
from fcnn._ops.vector import row_sums
from fcnn._ops.window import Window
from fcnn._ops.winograd import VolumeAdjoint, VolumeForward
from fcnn._ops.winograd.volume import parts, planes_at, planes_met, tile_blocks
from fcnn._typing import Array


def correlate(
    x: Array, weight: Array, window: Window, bias: Array | None, epilogue: Epilogue | None
) -> Array | None:
    """Do as `fcnn._ops.conv_volume.correlate`; None if something is not finite."""
    (depth, high, wide), o, n = window.out, weight.shape[4], len(x)
    forward, clear = VolumeForward(x, weight, window), bias is None or not decide(bias.all())
    y = memory.empty((high, depth, o, wide, n), x.dtype)
    for planes in parts(x, weight, window):
        met, count = planes_met(x, window, planes), planes.stop - planes.start
        part, own = y[:, planes].reshape(high, count * o, wide, n), _bias_of(bias, planes)
        for block in tile_blocks(x, weight, window, planes):
            out = block.of(part)
            if not forward.compute(planes, met, block, out, clear):
                return None
            finish(out, bias_of(own, block), epilogue)
    return y.transpose(4, 1, 0, 3, 2)


def correlate_adjoints(
    x: Array,
    weight: Array,
    dy: Array,
    window: Window,
    y: Array | None,
    epilogue: Epilogue | None,
    bias: str | None,
    input_grad: bool,
) -> tuple[Array, Array | None, Array | None] | None:
    """Do as `fcnn._ops.conv_volume.correlate_adjoints`; None if something is not finite."""
    check_output(epilogue, y)
    drows, yrows = _rows(dy), None if y is None else _rows(y)
    adjoint = VolumeAdjoint(x, weight, window, input_grad)
    n, d, h, w, c = x.shape
    dx = memory.zeros((h, d, c, w, n), x.dtype) if input_grad else None
    sums = memory.zeros(
        (*window.out, weight.shape[4]) if bias == "untied" else weight.shape[4], x.dtype
    )
    for planes in parts(x, weight, window):
        met = planes_met(x, window, planes)
        dmet = None if dx is None else memory.zeros(met.transpose(1, 3, 2, 0).shape, x.dtype)
        for block in tile_blocks(x, weight, window, planes):
            dz, own = adjoint.buffer(planes, block)
            at = block.rows, planes, slice(None), block.cols
            if epilogue is None or yrows is None:
                np.copyto(own, drows[at])
            else:
                epilogue.adjoint(yrows[at], drows[at], own)
            if bias == "tied":
                sums += _tied(own)
            elif bias == "untied":
                sums[planes, block.rows, block.cols] = row_sums(own).transpose(1, 0, 3, 2)
            adjoint.accumulate(met, block, dz, dmet)
        if dx is not None and dmet is not None:
            to, at_planes = planes_at(window, planes)
            target = dx[:, at_planes]
            np.add(target, dmet.reshape(h, -1, c, w, n)[:, to], out=target)
    dweight = adjoint.dweight()
    if not all_finite(dweight, weight):
        return None
    return dweight, sums if bias else None, None if dx is None else dx.transpose(4, 1, 0, 3, 2)


def _tied(dz: Array) -> Array:
    """Return the sums of ``(rows, planes, c, cols, n)`` over all but c."""
    by_plane = channel_sums(dz.reshape(len(dz), -1, *dz.shape[3:]))
    sums: Array = by_plane.reshape(dz.shape[1:3]).sum(axis=0)
    return sums


def _rows(volumes: Array) -> Array:
    """Return ``(n, d, h, w, c)`` as ``(h, d, c, w, n)``."""
    return volumes.transpose(2, 1, 4, 3, 0)


def _bias_of(bias: Array | None, planes: slice) -> Array | None:
    """Return a bias ``(c,)`` or ``(d, h, w, c)`` with these planes as channels."""
    if bias is None:
        return None
    count = planes.stop - planes.start
    if bias.ndim == 1:
        return np.tile(bias, count)
    _, h, w, c = bias.shape
    return bias[planes].transpose(1, 2, 0, 3).reshape(h, w, count * c)
