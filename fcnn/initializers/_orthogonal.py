"""Initializers that preserve norms: orthogonal matrices, and the identity."""

from __future__ import annotations

import math

import numpy as np

from fcnn import prng
from fcnn._check import number, whole
from fcnn._typing import Array, Shape
from fcnn.errors import ShapeError
from fcnn.initializers._initializer import LARGEST, Draw, centre, initializer, parts
from fcnn.prng import Key


@initializer
def orthogonal(scale: float = 1.0) -> Draw:
    """Draw a matrix with orthonormal columns or rows, whichever are fewer, times ``scale``.

    A weight ``(..., n_in, n_out)`` is the matrix of all axes but the last, by the last. It is
    uniform among all such matrices: the Q of normal numbers' QR decomposition, with the signs
    that make R's diagonal positive. LAPACK computes it in float64, so that the rounding to
    float32 hides nearly all differences between processors, but not by contract.

    Raises:
        ArgumentError: if ``scale`` is not finite.
        ShapeError: on a call, if the shape has less than two axes.

    Source: A. M. Saxe, J. L. McClelland and S. Ganguli, "Exact solutions to the nonlinear dynamics
    of learning in deep linear neural networks", 2014, https://arxiv.org/abs/1312.6120; the signs:
    F. Mezzadri, "How to generate random matrices from the classical compact groups", 2007,
    https://arxiv.org/abs/math-ph/0609050.

    >>> import fcnn, numpy as np
    >>> w = fcnn.initializers.orthogonal()(fcnn.key(0), (3, 3, 2, 5)).reshape(18, 5)
    >>> bool(np.allclose(w.T @ w, np.eye(5), atol=1e-6))
    True
    """
    factor = number(scale, "scale", -LARGEST, LARGEST)

    def draw(key: Key, shape: Shape) -> Array:
        parts(shape)
        return (
            (factor * _matrix(key, math.prod(shape[:-1]), shape[-1]))
            .astype(np.float32)
            .reshape(shape)
        )

    return draw


@initializer
def delta_orthogonal(scale: float = 1.0) -> Draw:
    """Draw a convolution that is an orthogonal matrix at each pixel: zero but at its centre.

    With padding "same" it keeps the length of each pixel's vector, and the whole image's. A
    weight ``(..., n_in, n_out)`` has orthonormal rows in its middle tap.

    Raises:
        ArgumentError: if ``scale`` is not finite.
        ShapeError: on a call, if the shape has less than two axes or ``n_in > n_out``.

    Source: L. Xiao et al., "Dynamical isometry and a mean field theory of CNNs", 2018,
    https://arxiv.org/abs/1806.05393, algorithm 1.

    >>> import fcnn, numpy as np
    >>> w = fcnn.initializers.delta_orthogonal()(fcnn.key(0), (3, 3, 2, 4))
    >>> bool(np.allclose(w[1, 1] @ w[1, 1].T, np.eye(2), atol=1e-6)), int(np.count_nonzero(w))
    (True, 8)
    """
    factor = number(scale, "scale", -LARGEST, LARGEST)

    def draw(key: Key, shape: Shape) -> Array:
        _, n_in, n_out = parts(shape)
        if n_in > n_out:
            raise ShapeError(
                f"expected at least as many filters as input channels, (..., n_in, n_out), "
                f"got {shape}"
            )
        weight = np.zeros(shape, np.float32)
        weight[centre(shape)] = factor * _matrix(key, n_in, n_out)
        return weight

    return draw


def _matrix(key: Key, rows: int, columns: int) -> Array:
    """Return a matrix with orthonormal columns or rows, in float64."""
    long, short = max(rows, columns), min(rows, columns)
    q, r = np.linalg.qr(prng.normal(key, (long, short), dtype=np.float64))
    q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return q if rows >= columns else q.T


@initializer
def identity(scale: float = 1.0, *, groups: int = 1) -> Draw:
    """Return the weight that passes its input on: ``scale`` at the centre of channel i, filter i.

    A dense layer multiplies by ``scale``; so does a convolution with padding "same". Further
    filters, or further channels, are zero. This is PyTorch's ``dirac_``.

    Args:
        scale: any finite number.
        groups: of the convolution; each group passes its first channels on.

    Raises:
        ArgumentError: if an argument is out of its range.
        ShapeError: on a call, if the shape has less than two axes, or its filters are not in
            equal groups.

    >>> import fcnn
    >>> fcnn.initializers.identity()(fcnn.key(0), (2, 3))
    array([[1., 0., 0.],
           [0., 1., 0.]], dtype=float32)
    """
    factor, parted = number(scale, "scale", -LARGEST, LARGEST), whole(groups, "groups")

    def fill(key: Key, shape: Shape) -> Array:
        _, channels, filters = parts(shape)
        if filters % parted:
            raise ShapeError(
                f"expected filters in {parted} equal groups, got {filters} of shape {shape}"
            )
        weight = np.zeros(shape, np.float32)
        own = np.arange(filters) % (filters // parted)
        there = np.flatnonzero(own < channels)
        weight[centre(shape)][own[there], there] = factor
        return weight

    return fill
