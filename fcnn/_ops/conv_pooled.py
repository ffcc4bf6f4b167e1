"""Cross-correlation followed by a max pool, in one pass over memory, and its adjoints."""

from __future__ import annotations

from fcnn._ops import memory
from fcnn._ops.algorithm import Adjoint, algorithm_for, gradients
from fcnn._ops.conv import bias_of, channel_sums, finish, in_one_dtype
from fcnn._ops.epilogue import Epilogue, check_output
from fcnn._ops.im2col import kept_columns
from fcnn._ops.layout import hcwn, nhwc
from fcnn._ops.pool.max import pool_tiles, pool_tiles_adjoint
from fcnn._ops.window import Pair, Window
from fcnn._typing import Array


def correlate_pooled(
    x: Array,
    weight: Array,
    window: Window,
    groups: int,
    bias: Array | None,
    epilogue: Epilogue | None,
    pool: Pair,
    keep: bool,
) -> tuple[Array, Array | None, Array | None]:
    """Return the maximum of each ``pool`` of `correlate`'s output, raw output and columns.

    ``y (n, oh // ph, ow // pw, c_out)``; rows and columns that no pool covers are left out. A
    tied bias and a non-decreasing epilogue commute with the maximum, so they are applied after
    it, to a part of the elements. With ``keep``, the second result is the output before pool and
    bias, which `correlate_pooled_adjoints` needs; the third may be None.
    """
    x, weight = in_one_dtype(x, weight)
    (oh, ow), c_out, n, (ph, pw) = window.out, weight.shape[3], len(x), pool
    high, wide = oh // ph, ow // pw
    forward = algorithm_for(x, weight, window, groups, pool).forward(x, weight, window, groups)
    y = memory.empty((high, c_out, wide, n), x.dtype)
    raw = memory.empty((high * ph, c_out, wide * pw, n), x.dtype) if keep else None
    blocks = forward.blocks(pool)
    for block in blocks:
        height, width = block.size
        out = memory.empty((height, c_out, width, n), x.dtype) if raw is None else block.of(raw)
        columns = kept_columns(forward.compute(block, out, bias), blocks)
        pooled = block.pooled(pool)
        most = pool_tiles(out, pool, pooled.of(y))
        finish(most, bias_of(bias, pooled), epilogue)
    return nhwc(y), raw, columns


def correlate_pooled_adjoints(
    x: Array,
    weight: Array,
    dy: Array,
    window: Window,
    groups: int,
    bias: bool,
    pool: Pair,
    raw: Array,
    y: Array | None,
    epilogue: Epilogue | None,
    input_grad: bool,
    columns: Array | None = None,
) -> tuple[Array, Array | None, Array | None]:
    """Return ``(dweight, dbias, dx)`` of `correlate_pooled`; an epilogue needs its output y.

    A gradient goes to one element of its pool, as in `fcnn._ops.pool.max_pool_adjoint`.
    """
    x, weight = in_one_dtype(x, weight)
    check_output(epilogue, y)
    drows, yrows = hcwn(dy), None if y is None else hcwn(y)

    def accumulate(adjoint: Adjoint, finite: bool) -> Array | None:
        dbias = None
        for block in adjoint.blocks(pool):
            pooled = block.pooled(pool)
            dmost = pooled.of(drows)
            if epilogue is not None and yrows is not None:
                dmost = epilogue.adjoint(pooled.of(yrows), dmost)
            if bias:
                sums = channel_sums(dmost)
                dbias = sums if dbias is None else dbias + sums
            dz = adjoint.buffer(block)
            pool_tiles_adjoint(block.of(raw), dmost, pool, dz, finite)
            adjoint.accumulate(block, dz)
        return dbias

    return gradients(x, weight, window, groups, input_grad, columns, accumulate, pool)
