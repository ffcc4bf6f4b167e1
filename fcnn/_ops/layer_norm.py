"""Normalisation over the channels of each pixel, and its adjoint.

Over the c channels of a pixel, with ``r = 1 / sqrt(var + eps)`` and ``u = r * (x - mean)``:

    y = scale*u + bias        dbias = sum of dy, dscale = sum of dy*u, over pixels
    dx = r * (scale*dy - sum(scale*dy)/c - u * sum(scale*dy*u)/c), sums over channels

Normalisation by the root mean square has 0 in place of the mean, and of the sum of scale*dy.

The passes go through blocks ``(c, pixels)`` that stay in the cache; sums are products with vectors.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fcnn._ops import memory
from fcnn._ops.batch_norm import NEAR
from fcnn._ops.passes import passes_over
from fcnn._ops.pixels import Order
from fcnn._ops.values import decide
from fcnn._ops.vector import row_sums, times_vector
from fcnn._typing import Array


class Pixelwise(NamedTuple):
    """What was subtracted first, then the mean, and ``1 / sqrt(var + eps)``, of each pixel."""

    shift: Array | None
    mean: Array
    inverse: Array


def normalise_pixels(
    x: Array, scale: Array, bias: Array | None, eps: float, centred: bool = True
) -> tuple[Array, list[Pixelwise]]:
    """Return ``y = (x - mean) / sqrt(var + eps) * scale + bias``, and what the adjoint needs.

    ``x (..., c)``; mean and (biased) variance over the channels, or 0 and the mean of squares.
    Where a mean is far from 0 the block is centred before its squares are summed.
    """
    order = Order.of(x)
    y, targets = order.empty(x)
    factors = order.per_channel(scale, x)
    offsets = None if bias is None else order.per_channel(bias, x)
    seen, eps = [], x.dtype.type(eps)
    with passes_over(order.run(x)):
        for source, out in zip(order.blocks(x), targets, strict=True):
            mean, var = _moments(source, centred)
            shift = None
            if centred and not decide((mean * mean <= NEAR * var).all()):
                shift, source = mean, np.subtract(source, mean, out=out)
                mean, var = _moments(source, centred)
            inverse = 1 / np.sqrt(var + eps)
            np.multiply(source, inverse, out=out)
            if centred:
                np.subtract(out, mean * inverse, out=out)
            np.multiply(out, factors(out), out=out)
            if offsets is not None:
                np.add(out, offsets(out), out=out)
            seen.append(Pixelwise(shift, mean, inverse))
    return y, seen


def normalise_pixels_adjoint(
    x: Array, scale: Array, dy: Array, seen: list[Pixelwise], centred: bool = True
) -> tuple[Array, Array, Array]:
    """Return ``(dscale, dbias, dx)`` of `normalise_pixels`."""
    order, c = Order.of(x), x.shape[-1]
    dx, targets = order.empty(x)
    scratch, factors = order.scratch(x), order.per_channel(scale, x)
    dscale, dbias = memory.zeros(c), memory.zeros(c)
    with passes_over(order.run(x)):
        blocks = zip(order.blocks(x), order.blocks(dy), targets, seen, strict=True)
        for source, dout, out, (shift, mean, inverse) in blocks:
            if shift is not None:
                source = np.subtract(source, shift, out=out)
            product = np.multiply(source, dout, out=scratch(out))
            dscale += times_vector(product, inverse)
            dbias += row_sums(dout)
            slope = scale @ product
            if centred:
                level = scale @ dout
                dscale -= times_vector(dout, mean * inverse)
                slope -= mean * level
            slope *= -inverse * inverse / c
            line = np.multiply(source, slope, out=product)
            np.multiply(dout, factors(out), out=out)
            np.add(out, line, out=out)
            if centred:
                np.subtract(out, level / c + slope * mean, out=out)
            np.multiply(out, inverse, out=out)
    return dscale.astype(x.dtype), dbias.astype(x.dtype), dx


def _moments(block: Array, centred: bool) -> tuple[Array, Array]:
    """Return mean and variance of each pixel, or 0 and the mean of squares."""
    share = block.dtype.type(1 / len(block))
    squares = np.einsum("cp,cp->p", block, block) * share
    if not centred:
        return memory.zeros_like(squares), squares
    mean: Array = memory.full(len(block), share) @ block
    return mean, np.maximum(squares - mean * mean, 0)
