"""A pool over a sequence, an image or a volume, as one or two pools over images.

The maximum of a box is the maximum over depth of the maxima of its planes, and the first element
in row-major order that equals it is the first such element of the first such plane: so ties, and
NaN, are decided as in one pass. Means compose as well, because the elements inside the volume are
those inside along each axis.

In the steps of a volume ``(n, d, h, w, c)`` the planes of all examples are images ``(d*n, h, w,
c)``; their results are then images ``(n, d, 1, oh*c*ow)``, which is a view.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from fcnn._ops import memory
from fcnn._ops.layout import hcwn, nhwc
from fcnn._ops.pool.average import avg_pool, avg_pool_adjoint
from fcnn._ops.pool.max import max_pool, max_pool_adjoint
from fcnn._ops.window import Window
from fcnn._typing import Array

Pull: TypeAlias = Callable[[Array], Array]
"""From the gradient of an output to that of its input."""

Pool: TypeAlias = Callable[[Array, Window], tuple[Array, Pull]]


def max_pool_vjp(x: Array, window: Window) -> tuple[Array, Pull]:
    """Return `max_pool` of images, and its pullback."""
    y = max_pool(x, window)
    return y, lambda dy: max_pool_adjoint(x, y, dy, window)


def avg_pool_vjp(x: Array, window: Window) -> tuple[Array, Pull]:
    """Return `avg_pool` of images, padding not counted, and its pullback."""
    return avg_pool(x, window), lambda dy: avg_pool_adjoint(dy, window)


def avg_pool_padded_vjp(x: Array, window: Window) -> tuple[Array, Pull]:
    """Return `avg_pool` of images, padding counted as zeros, and its pullback."""
    y = avg_pool(x, window, count_include_pad=True)
    return y, lambda dy: avg_pool_adjoint(dy, window, count_include_pad=True)


def pool_vjp(x: Array, steps: tuple[Window, ...], pool: Pool) -> tuple[Array, Pull]:
    """Return the pool of ``x (n, ..., c)`` in these steps, and its pullback."""
    if len(steps) == 2:
        return _volume_vjp(x, steps[0], steps[1], pool)
    if x.ndim == 4:
        return pool(x, steps[0])
    y, pull = pool(x[:, :, None], steps[0])
    return y[:, :, 0], lambda dy: pull(dy[:, :, None])[:, :, 0]


def _volume_vjp(x: Array, planes: Window, lines: Window, pool: Pool) -> tuple[Array, Pull]:
    n, d, h, w, c = x.shape
    rows = memory.ascontiguousarray(x.transpose(2, 4, 3, 1, 0)).reshape(h, c, w, d * n)
    in_planes, pull_planes = pool(nhwc(rows), planes)
    over_planes = hcwn(in_planes).shape
    oh, _, ow, _ = over_planes
    depths = hcwn(in_planes).reshape(oh * c * ow, d, n)
    y, pull_lines = pool(depths.transpose(2, 1, 0)[:, :, None], lines)

    def pull(dy: Array) -> Array:
        od = dy.shape[1]
        drows = memory.ascontiguousarray(dy.transpose(1, 2, 4, 3, 0)).reshape(od, oh * c * ow, 1, n)
        ddepths = pull_lines(nhwc(drows))[:, :, 0].transpose(2, 1, 0)  # (oh*c*ow, d, n)
        dplanes = nhwc(memory.ascontiguousarray(ddepths).reshape(over_planes))
        dx = hcwn(pull_planes(dplanes)).reshape(h, c, w, d, n)
        return dx.transpose(4, 3, 0, 2, 1)

    return hcwn(y).reshape(y.shape[1], oh, c, ow, n).transpose(4, 0, 1, 3, 2), pull
