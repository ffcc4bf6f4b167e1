"""Two correlations, one after the other with nothing between them, as one.

The second is without padding. With strides S and T along an axis::

    y[n, u, o] = sum over j, i, c, k of  x[n, S·(T·u + j) + i, c] · first[i, c, k] · second[j, k, o]

This is a correlation with stride ``S·T`` and ``S·(k2 - 1) + k1`` elements along the axis, whose
filters are what the adjoint of the first correlation makes of those of the second, taken for
images::

    weight[S·j + i, c, o] = sum over k of  first[i, c, k] · second[j, k, o]
"""

from __future__ import annotations

from fcnn._ops.conv import correlate, correlate_adjoints, correlate_transposed
from fcnn._ops.window import Sizes, Window, slide
from fcnn._typing import Array


def composed(first: Array, second: Array, stride: Sizes) -> Array:
    """Return the filters ``(kh, kw, c, o)`` of both correlations as one.

    ``first (k1h, k1w, c, k)``, whose ``stride`` is given, and ``second (k2h, k2w, k, o)``.
    """
    made = correlate_transposed(_images(second), first, _window(first, second, stride))
    return made.transpose(1, 2, 3, 0)


def composed_adjoint(
    dweight: Array, first: Array, second: Array, stride: Sizes
) -> tuple[Array, Array]:
    """Return ``(dfirst, dsecond)`` for the gradient of `composed`'s result."""
    dmade, window = _images(dweight), _window(first, second, stride)
    dfirst, _, _ = correlate_adjoints(
        dmade, first, _images(second), window, bias=None, input_grad=False
    )
    dsecond, _ = correlate(dmade, first, window)
    return dfirst, dsecond.transpose(1, 2, 3, 0)


def composed_kernel(first: Sizes, second: Sizes, stride: Sizes) -> Sizes:
    """Return the size of the filters of both correlations as one."""
    return tuple([k + s * (j - 1) for k, j, s in zip(first, second, stride, strict=True)])


def _window(first: Array, second: Array, stride: Sizes) -> Window:
    """Return how the first filters slide over the composed ones."""
    kernel, over = first.shape[:2], second.shape[:2]
    return slide(composed_kernel(kernel, over, stride), kernel, stride, (1, 1), "valid")


def _images(weight: Array) -> Array:
    """View filters ``(kh, kw, c, o)`` as images, one an output channel."""
    return weight.transpose(3, 0, 1, 2)
