"""Normalisation over the pixels and the channels of a group, example by example, and its adjoint.

Over the m elements of a group, with ``r = 1 / sqrt(var + eps)`` and ``u = r * (x - mean)``:

    y = scale*u + bias        dbias = sum of dy, dscale = sum of dy*u, of a channel
    dx = r * (scale*dy - sum(scale*dy)/m - u * sum(scale*dy*u)/m), sums over the group

Both are sums and products of whole arrays with one number for each channel of each example. These
numbers are computed in float64.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fcnn._ops import memory
from fcnn._ops.batch_norm import NEAR
from fcnn._ops.groups import Groups, Piece, Repeated
from fcnn._ops.passes import passes_over
from fcnn._ops.values import decide
from fcnn._typing import Array


class Groupwise(NamedTuple):
    """What was subtracted first, then the mean, and ``1 / sqrt(var + eps)``, channel by channel."""

    shift: Array | None
    mean: Array
    inverse: Array


def normalise_groups(
    x: Array, count: int, scale: Array, bias: Array, eps: float
) -> tuple[Array, Groupwise]:
    """Return ``y = (x - mean) / sqrt(var + eps) * scale + bias``, and what the adjoint needs.

    ``x (n, ..., c)``; mean and (biased) variance over the pixels of an example and the channels of
    one of ``count`` groups. Where a mean is far from 0, x is centred before its squares are summed.
    """
    groups = Groups.of(x, count)
    (y, outs), pieces = groups.empty(x), groups.pieces(x)
    shift = None
    with passes_over(_run(pieces)):
        mean, var = _moments(groups, pieces, x)
        if not decide((mean * mean <= NEAR * var).all()):
            shift = mean
            pieces = _shifted(pieces, shift, outs)
            mean, var = _moments(groups, pieces, x)
        inverse = 1 / np.sqrt(var + eps)
        factor = groups.per_channel(scale) * inverse
        factors = Repeated(factor)
        offsets = Repeated(groups.per_channel(bias) - mean * factor)
        for piece, out in zip(pieces, outs, strict=True):
            np.multiply(piece.array, factors.over(piece), out=out.array)
            np.add(out.array, offsets.over(piece), out=out.array)
    return y, Groupwise(shift, mean, inverse)


def normalise_groups_adjoint(
    x: Array, count: int, scale: Array, dy: Array, seen: Groupwise
) -> tuple[Array, Array, Array]:
    """Return ``(dscale, dbias, dx)`` of `normalise_groups`."""
    groups, (shift, mean, inverse) = Groups.of(x, count), seen
    (dx, outs), pieces, douts = groups.empty(x), groups.pieces(x), groups.pieces(dy)
    each_dscale, each_dbias = groups.zeros(x), groups.zeros(x)
    with passes_over(_run(pieces)):
        if shift is not None:
            pieces = _shifted(pieces, shift, outs)
        for piece, dout in zip(pieces, douts, strict=True):
            each_dscale[piece.at] += piece.dots(dout)
            each_dbias[piece.at] += dout.sums()
        each_dscale = (each_dscale - mean * each_dbias) * inverse

        factor, m = groups.per_channel(scale), groups.elements(x)
        slope = -inverse * inverse * groups.totals(factor * each_dscale) / m
        levels = Repeated(-inverse * groups.totals(factor * each_dbias) / m - slope * mean)
        slopes, factors = Repeated(slope), Repeated(factor * inverse)
        scratch = memory.empty(max((piece.array.size for piece in pieces), default=0), x.dtype)
        for piece, dout, out in zip(pieces, douts, outs, strict=True):
            line = scratch[: piece.array.size].reshape(piece.array.shape)
            np.multiply(piece.array, slopes.over(piece), out=line)
            np.add(line, levels.over(piece), out=line)
            np.multiply(dout.array, factors.over(piece), out=out.array)
            np.add(out.array, line, out=out.array)
    dscale, dbias = groups.over_examples(each_dscale), groups.over_examples(each_dbias)
    return dscale.astype(x.dtype), dbias.astype(x.dtype), dx


def _shifted(pieces: list[Piece], shift: Array, outs: list[Piece]) -> list[Piece]:
    """Write the pieces minus a shift ``(b, k)`` of each channel into others, and return these."""
    shifts = Repeated(shift)
    for piece, out in zip(pieces, outs, strict=True):
        np.subtract(piece.array, shifts.over(piece), out=out.array)
    return outs


def _moments(groups: Groups, pieces: list[Piece], x: Array) -> tuple[Array, Array]:
    """Return mean and variance of the group of each channel of each example."""
    total, squares = groups.zeros(x), groups.zeros(x)
    for piece in pieces:
        squares[piece.at] += piece.dots(piece)
        total[piece.at] += piece.sums()
    m = groups.elements(x)
    mean = groups.totals(total) / m
    return mean, np.maximum(groups.totals(squares) / m - mean * mean, 0)


def _run(pieces: list[Piece]) -> int:
    """Return the number of elements of a row of a piece."""
    return int(np.prod(pieces[0].array.shape[1:])) if pieces else 1
