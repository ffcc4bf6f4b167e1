"""Pixels as tiles of f·g pixels, and back: repeated, or shuffled with the channels.

Copies move runs of images as raw bytes (`fcnn._ops.layout.runs`).
"""

from __future__ import annotations

import numpy as np

from fcnn._ops import memory
from fcnn._ops.layout import copy_runs, hcwn, nhwc, runs
from fcnn._ops.pool.windows import reduce_by, together
from fcnn._ops.spatial import contiguous
from fcnn._ops.window import Pair
from fcnn._typing import Array


def repeat(x: Array, tile: Pair) -> Array:
    """Return ``y (n, h*f, w*g, c)``: each pixel of ``x (n, h, w, c)`` as a tile of copies."""
    rows, (f, g) = contiguous(x), tile
    h, c, w, n = rows.shape
    y = memory.empty((h, f, c, w, g, n), x.dtype)
    for j in range(g):
        runs(y)[:, 0, :, :, j] = runs(rows)
    for i in range(1, f):
        y[:, i] = y[:, 0]
    return nhwc(y.reshape(h * f, c, w * g, n))


def repeat_adjoint(dy: Array, tile: Pair) -> Array:
    """Return ``dx (n, h, w, c)``: the sum of dy over each tile."""
    (f, g), rows = tile, contiguous(dy)
    tall, c, wide, n = rows.shape
    tiles = rows.reshape(tall // f, f, c, wide // g, g, n)
    lines = reduce_by(np.add, [tiles[:, i] for i in range(f)])
    columns = [together(lines[:, :, :, j]) for j in range(g)]
    dx = memory.empty((tall // f, c, wide // g, n), dy.dtype)
    return nhwc(reduce_by(np.add, columns, dx))


def shuffle(x: Array, tile: Pair) -> Array:
    """Return ``y (n, h*f, w*g, c)``: channel ``(k, i, j)`` of x becomes pixel ``(i, j)`` of a tile.

    ``x (n, h, w, c*f*g)``. It is a permutation; its adjoint is `unshuffle`.
    """
    rows, (f, g) = hcwn(x), tile
    h, c, w, n = rows.shape
    c //= f * g
    y = memory.empty((h, f, c, w, g, n), x.dtype)
    for i in range(f):
        for j in range(g):
            copy_runs(rows[:, i * g + j :: f * g], y[:, i, :, :, j])
    return nhwc(y.reshape(h * f, c, w * g, n))


def unshuffle(y: Array, tile: Pair) -> Array:
    """Return ``x (n, h, w, c*f*g)`` of ``y (n, h*f, w*g, c)``: the inverse of `shuffle`."""
    rows, (f, g) = hcwn(y), tile
    h, c, w, n = rows.shape
    x = memory.empty((h // f, c * f * g, w // g, n), y.dtype)
    for i in range(f):
        for j in range(g):
            copy_runs(rows[i::f, :, j::g], x[:, i * g + j :: f * g])
    return nhwc(x)
