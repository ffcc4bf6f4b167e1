"""A correlation with a max pool behind it, in one pass over memory, and its adjoints."""

from __future__ import annotations

from typing import Any

import numpy as np

from fcnn._ops.conv import adjoint_for, bias_at, finish, method_for, operands
from fcnn._ops.conv_adjoint import channel_sums
from fcnn._ops.epilogue import Epilogue
from fcnn._ops.layout import hcwn, nhwc
from fcnn._ops.lower import worth_keeping
from fcnn._ops.pool import give, reduce_by
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
    """`correlate`, and the maximum of each ``pool`` of its output; what falls off is left out.

    To add a bias keeps the order of numbers, and so must the epilogue: both wait until after the
    pool, where a part of the elements is left. The second result, with ``keep``, is what
    `correlate_pooled_adjoints` needs, and the third what it may be given.
    """
    x, weight = operands(x, weight)
    (oh, ow), c_out, n, (ph, pw) = window.out, weight.shape[3], len(x), pool
    high, wide = oh // ph, ow // pw
    method = method_for(x, weight, window, groups, pool)
    y = np.empty((high, c_out, wide, n), x.dtype)
    raw = np.empty((high * ph, c_out, wide * pw, n), x.dtype) if keep else None
    places = method.places(pool)
    for rows, cols in places:
        many, broad = rows.stop - rows.start, cols.stop - cols.start
        shape = (many, c_out, broad, n)
        out = np.empty(shape, x.dtype) if raw is None else raw[rows, :, cols]
        columns = worth_keeping(method.block(rows, cols, out, bias), places)
        most = y[_pooled(rows, ph), :, _pooled(cols, pw)]
        tops = reduce_by(np.maximum, [out[i::ph] for i in range(ph)])
        reduce_by(np.maximum, [tops[:, :, j::pw] for j in range(pw)], most)
        finish(most, bias_at(bias, rows, cols), epilogue)
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
    """``(dweight, dbias, dx)`` of `correlate_pooled`; ``y`` is its output.

    As `fcnn._ops.pool.max_pool_adjoint` has it, a gradient goes to the first place, row by
    row, that holds the maximum.
    """
    x, weight = operands(x, weight)
    adjoint = adjoint_for(x, weight, window, groups, input_grad, columns, pool)
    ph, pw = pool
    dbias: Any = 0
    drows, yrows = hcwn(dy), None if y is None else hcwn(y)
    for rows, cols in adjoint.places(pool):
        here = _pooled(rows, ph), slice(None), _pooled(cols, pw)
        dmost = drows[here]
        if epilogue is not None and yrows is not None:
            dmost = epilogue.adjoint(yrows[here], dmost)
        if bias:
            dbias = dbias + channel_sums(dmost)
        seen = raw[rows, :, cols]
        lines = reduce_by(np.maximum, [seen[:, :, j::pw] for j in range(pw)])
        most = reduce_by(np.maximum, [lines[i::ph] for i in range(ph)])
        dlines = np.empty(lines.shape, x.dtype)
        give([(lines[i::ph], dlines[i::ph]) for i in range(ph)], most, dmost)
        dz = adjoint.room(len(seen), seen.shape[2])
        give([(seen[:, :, j::pw], dz[:, :, j::pw]) for j in range(pw)], lines, dlines)
        adjoint.add(rows, cols, dz)
    return adjoint.dweight(), dbias if bias else None, adjoint.dx()


def _pooled(places: slice, size: int) -> slice:
    return slice(places.start // size, places.stop // size)
