"""The correlation of volumes ``(n, d, h, w, c)``, as that of images.

What a filter of ``kd`` planes meets in a volume, for one plane of output, are ``kd`` images; laid
side by side as channels they are one image, and the filter's planes are channels too::

    y[n, o] = correlate(concatenate over k of x[n, S·o + D·k], concatenate over k of weight[k])

The planes of output are images of one batch. So a volume is copied ``kd`` times instead of
``kd * kh * kw`` times, and everything else is `fcnn._ops.conv`. Volumes lie in memory as
``(h, c, w, d, n)``: their planes are then images in the order of `fcnn._ops.layout`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fcnn._ops import blocks, conv, conv_planes, memory
from fcnn._ops.epilogue import Epilogue
from fcnn._ops.layout import images_innermost, nhwc
from fcnn._ops.window import Window, inside
from fcnn._ops.winograd import volume
from fcnn._typing import Array


def arranged(x: Array) -> Array:
    """Return ``x (n, d, h, w, c)`` with volumes innermost, if it is in C order and no large copy.

    Every pass makes a copy in its own order, of runs of n elements.
    """
    if not x.flags.c_contiguous or len(x) == 1:
        return x
    n, d, h, w, c = x.shape
    return images_innermost(x.reshape(n, d, h * w, c)).reshape(x.shape)


def correlate(
    x: Array,
    weight: Array,
    window: Window,
    groups: int = 1,
    bias: Array | None = None,
    epilogue: Epilogue | None = None,
) -> tuple[Array, None]:
    """Do as `fcnn._ops.conv.correlate`, for ``weight (kd, kh, kw, c_in // groups, c_out)``."""
    x = arranged(x)
    if volume.suits(x, weight, window, groups):
        y = conv_planes.correlate(x, weight, window, bias, epilogue)
        if y is not None:
            return y, None
    n, filters, images = len(x), _filters(weight), window.without_first()
    parts = []
    for planes in _parts(x, window, bias is not None and bias.ndim > 1):
        stack, tied = _stacked(x, window, groups, planes), _of(bias, planes)
        part, _ = conv.correlate(stack, filters, images, groups, tied, epilogue)
        rows = part.transpose(1, 3, 2, 0)
        parts.append(rows.reshape(*rows.shape[:3], planes.stop - planes.start, n))
    return _volumes(parts[0] if len(parts) == 1 else np.concatenate(parts, axis=3)), None


def correlate_adjoints(
    x: Array,
    weight: Array,
    dy: Array,
    window: Window,
    groups: int = 1,
    *,
    y: Array | None = None,
    epilogue: Epilogue | None = None,
    bias: str | None = "tied",
    input_grad: bool = True,
    columns: None = None,
) -> tuple[Array, Array | None, Array | None]:
    """Do as `fcnn._ops.conv.correlate_adjoints`."""
    x, dy = arranged(x), arranged(dy)
    if volume.suits(x, weight, window, groups):
        grads = conv_planes.correlate_adjoints(x, weight, dy, window, y, epilogue, bias, input_grad)
        if grads is not None:
            return grads
    filters, images = _filters(weight), window.without_first()
    dfilters: Any = 0
    dbias: Any = [] if bias == "untied" else 0
    dx = _zeros(x.shape, np.result_type(x, weight)) if input_grad else None
    for planes in _parts(x, window, bias == "untied"):
        part, of_bias, dstack = conv.correlate_adjoints(
            _stacked(x, window, groups, planes),
            filters,
            _images(dy[:, planes]),
            images,
            groups,
            y=None if y is None else _images(y[:, planes]),
            epilogue=epilogue,
            bias=bias,
            input_grad=input_grad,
        )
        dfilters = dfilters + part
        if bias:
            dbias = [*dbias, of_bias] if bias == "untied" else dbias + of_bias
        if dx is not None and dstack is not None:
            _add_stacked(dx, dstack, window, groups, planes)
    dbias = np.stack(dbias) if bias == "untied" else dbias
    return _weight(dfilters, weight.shape), dbias if bias else None, dx


def correlate_transposed(
    dy: Array, weight: Array, window: Window, groups: int = 1, bias: Array | None = None
) -> Array:
    """Do as `fcnn._ops.conv.correlate_transposed`."""
    shape = (len(dy), *window.image, weight.shape[3] * groups)
    dx = _zeros(shape, np.result_type(dy, weight))
    filters, images = _filters(weight), window.without_first()
    for planes in _parts(dx, window, False):
        stack = conv.correlate_transposed(_images(dy[:, planes]), filters, images, groups)
        _add_stacked(dx, stack, window, groups, planes)
    if bias is not None:
        np.add(dx, bias, out=dx)
    return dx


def _parts(x: Array, window: Window, single: bool) -> Iterator[slice]:
    """Cut the planes of output into parts whose stacks are within the budget.

    With ``single`` each part is one plane, for a bias that differs from plane to plane.
    """
    depth = window.out[0]
    size = x[:, 0].size * x.itemsize * window.kernel[0]
    share = 0 if single else 1
    yield from blocks.bands(depth, max(1, size), share)


def _stacked(x: Array, window: Window, groups: int, planes: slice) -> Array:
    """Return what the filters meet for these planes, ``(planes * n, h, w, g * kd * c / g)``."""
    n, d, h, w, c = x.shape
    kd, count = window.kernel[0], planes.stop - planes.start
    stack = memory.empty((h, groups, kd, c // groups, w, count, n), x.dtype)
    source = x.transpose(2, 4, 3, 1, 0).reshape(h, groups, c // groups, w, d, n)
    for k in range(kd):
        to, at = _met(window, planes, k)
        one = stack[:, :, k]
        one[..., : to.start, :] = 0
        one[..., to, :] = source[..., at, :]
        one[..., to.stop :, :] = 0
    return nhwc(stack.reshape(h, kd * c, w, count * n))


def _add_stacked(dx: Array, dstack: Array, window: Window, groups: int, planes: slice) -> None:
    """Add to dx the adjoint of `_stacked`."""
    n, d, h, w, c = dx.shape
    kd, count = window.kernel[0], planes.stop - planes.start
    stack = dstack.transpose(1, 3, 2, 0).reshape(h, groups, kd, c // groups, w, count, n)
    target = dx.transpose(2, 4, 3, 1, 0).reshape(h, groups, c // groups, w, d, n)
    for k in range(kd):
        to, at = _met(window, planes, k)
        view = target[..., at, :]
        np.add(view, stack[:, :, k, :, :, to], out=view)


def _met(window: Window, planes: slice, k: int) -> tuple[slice, slice]:
    """Return which of these planes of output see a plane of x by the filter's plane k.

    As a slice of the planes of output, and as a slice of the planes of x that they see.
    """
    first = planes.start * window.stride[0] + k * window.dilation[0] - window.pads[0][0]
    return inside(first, window.stride[0], planes.stop - planes.start, window.image[0])


def _filters(weight: Array) -> Array:
    """Return ``weight (kd, kh, kw, c, f)`` with its planes as channels, ``(kh, kw, kd * c, f)``."""
    kd, kh, kw, c, f = weight.shape
    return weight.transpose(1, 2, 0, 3, 4).reshape(kh, kw, kd * c, f)


def _weight(filters: Array, shape: tuple[int, ...]) -> Array:
    """Return the inverse of `_filters`."""
    kd, kh, kw, c, f = shape
    by_plane = filters.reshape(kh, kw, kd, c, f).transpose(2, 0, 1, 3, 4)
    return memory.ascontiguousarray(by_plane)


def _images(volumes: Array) -> Array:
    """Return ``(n, d, h, w, c)`` as images ``(d * n, h, w, c)``, innermost in memory."""
    rows = volumes.transpose(2, 4, 3, 1, 0)
    return nhwc(rows.reshape(*rows.shape[:3], rows.shape[3] * rows.shape[4]))


def _volumes(rows: Array) -> Array:
    """Return ``(h, c, w, d, n)`` as ``(n, d, h, w, c)``."""
    return rows.transpose(4, 3, 0, 2, 1)


def _zeros(shape: tuple[int, ...], dtype: Any) -> Array:
    n, d, h, w, c = shape
    return _volumes(memory.zeros((h, c, w, d, n), dtype))


def _of(bias: Array | None, planes: slice) -> Array | None:
    """Return the bias for a part: that of its only plane, if each plane has its own."""
    return bias if bias is None or bias.ndim == 1 else bias[planes.start]
