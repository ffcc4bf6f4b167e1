"""Correlation by one GEMM on patches, and its adjoints: the input's by correlations of dz.

Every buffer and view is made once a call, for a block of a few images; then
each block costs a copy, a GEMM and, on the cache-resident result, bias and relu.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import attrs
import numpy as np

from fcnn._ops.window import Pair, Window, blocks, inside, strided
from fcnn._typing import Array

BUDGET = 1 << 21  # bytes of scratch for one block


@attrs.frozen
class Plan:
    """How one geometry is computed: ``images`` at a time and, in them, ``rows`` rows of output.

    ``planar`` stores patches a plane a tap, for few channels: runs of a row's
    length are copied instead of runs of ``kw * c`` elements.
    """

    window: Window
    planar: bool
    images: int
    rows: int

    @classmethod
    def of(cls, window: Window, images: int, c_in: int, c_out: int, itemsize: int) -> Plan:
        """The plan for a batch of ``images``."""
        (kh, kw), (oh, ow) = window.kernel, window.out
        row = ow * (kh * kw * c_in + 2 * c_out) * itemsize
        count = max(1, min(images, BUDGET // (row * oh)))
        count = -(-images // -(-images // count))  # blocks of one size
        bands = -(-oh * row * count // (2 * BUDGET))
        return cls(window, kh * kw * c_in > 1 and kw * c_in < max(ow, 2), count, -(-oh // bands))

    def bands(self) -> Iterator[Pair]:
        """The output rows of each band: all of them whenever a block has several images."""
        oh = self.window.out[0]
        for start in range(0, oh, self.rows):
            yield start, min(start + self.rows, oh)


class Patches:
    """All taps of every output pixel, ``(b*y*x, taps)``, for blocks of ``count`` images.

    Planar ones are stored by taps and, with ``ones``, end in a column of ones:
    the bias's tap. ``x`` has unit stride along c. Scratch that belongs to one call.
    """

    def __init__(self, x: Array, plan: Plan, count: int, ones: bool = False) -> None:
        window, band, dtype = plan.window, plan.rows, x.dtype
        (kh, kw), (sh, sw), (dh, dw), (oh, ow) = (
            window.kernel,
            window.stride,
            window.dilation,
            window.out,
        )
        ((top, _), (left, _)), (_, h, w, c) = window.pads, x.shape
        self.x, self.plan, self.count, self.halo = x, plan, count, dh * (kh - 1) + 1
        width = (ow - 1) * sw + dw * (kw - 1) + 1
        self.to, self.columns = inside(-left, width - left, w)
        within = (
            top <= 0 and left <= 0 and (oh - 1) * sh + self.halo - top <= h and width - left <= w
        )
        self.direct = within and not (plan.planar and c > 1)
        height = (band - 1) * sh + self.halo
        if self.direct:
            self.seen = x if top == left == 0 else x[:, -top:, self.columns]
        elif plan.planar:
            self.seen = np.zeros((c, count, height, width), dtype).transpose(1, 2, 3, 0)
        else:
            self.seen = np.zeros((count, height, width, c), dtype)
        t, s, u, v = self.seen.strides
        n, lines, taps = len(self.seen), (self.seen.shape[1] - self.halo) // sh + 1, kh * kw * c
        if plan.planar:
            self.low = np.empty((taps + ones, count * band * ow), dtype)
            self.low[taps:] = 1
            self.dst = (
                self.low[:taps].reshape(kh, kw, c, count, band, ow).transpose(3, 4, 0, 1, 2, 5)
            )
            self.src = strided(
                self.seen, (n, lines, kh, kw, c, ow), (t, sh * s, dh * s, dw * u, v, sw * u)
            )
            return
        near = dw == 1 and u == c * v  # the taps of a kernel row are one run of memory
        run, steps = ((kw * c,), (v,)) if near else ((kw, c), (dw * u, v))
        self.low = np.empty((count * band * ow, taps), dtype)
        self.dst = self.low.reshape(count, band, ow, kh, *run)
        self.src = strided(self.seen, (n, lines, ow, kh, *run), (t, sh * s, sw * u, dh * s, *steps))

    def load(self, image: int, start: int, stop: int) -> Array:
        """The patches of output rows ``start:stop`` of the images from ``image`` on."""
        (sh, _), ow, count = self.plan.window.stride, self.plan.window.out[1], stop - start
        row, first = start, image
        if not self.direct:
            row, first = 0, 0
            low = start * sh - self.plan.window.pads[0][0]
            to, rows = inside(low, low + (count - 1) * sh + self.halo, self.x.shape[1])
            if self.plan.rows < self.plan.window.out[0]:
                self.seen[...] = 0
            self.seen[:, to, self.to] = self.x[image : image + self.count, rows, self.columns]
        np.copyto(self.dst[:, :count], self.src[first : first + self.count, row : row + count])
        if not self.plan.planar:
            return self.low[: self.count * count * ow]
        return (
            self.low if count == self.plan.rows else np.ascontiguousarray(self.low[:, : count * ow])
        ).T


class Forward:
    """``correlate`` for one block after the other.

    ``out[b, y, x, o] = bias[o]
    + sum over i, j, k of padded[b, y*sh + i*dh, x*sw + j*dw, k] * taps[i, j, k, o]``

    ``taps (kh, kw, c, c_out)`` is contiguous, ``out (n, oh, ow, c_out)`` has any strides.
    """

    def __init__(
        self,
        x: Array,
        taps: Array,
        plan: Plan,
        count: int,
        out: Array,
        bias: Array | None = None,
        relu: bool = False,
    ) -> None:
        ow, n, dtype = plan.window.out[1], taps.shape[3], taps.dtype
        ones = plan.planar and bias is not None
        self.plan, self.count, self.out = plan, count, out
        self.patches = Patches(x, plan, count, ones)
        self.flat = taps.reshape(-1, n)
        self.shift = None
        if bias is not None and ones:
            self.flat = np.concatenate([self.flat, bias.reshape(1, n)])
        elif bias is not None:
            self.shift = np.empty((plan.rows, ow, n), dtype)
            self.shift[...] = bias
        self.zero = np.zeros((plan.rows, ow, n), dtype) if relu else None
        whole = out[:count, : plan.rows].flags.c_contiguous  # one image: so is any band of its rows
        self.scratch = None if whole else np.empty((count, plan.rows, ow, n), dtype)

    def __call__(self, image: int, to: int) -> None:
        """From images ``image, ...`` of x to images ``to, ...`` of out."""
        for start, stop in self.plan.bands():
            low, target = (
                self.patches.load(image, start, stop),
                self.out[to : to + self.count, start:stop],
            )
            y = target if self.scratch is None else self.scratch[:, : stop - start]
            pixels = y.reshape(-1, y.shape[3])
            if y.shape[3] == 1:
                np.matmul(self.flat.T, low.T, out=pixels.T)
            else:
                np.matmul(low, self.flat, out=pixels)
            if self.shift is not None:
                np.add(y, self.shift[: stop - start], out=y)
            if self.zero is not None:
                np.maximum(y, self.zero[: stop - start], out=target)
            elif y is not target:
                np.copyto(target, y)


class WeightAdjoint:
    """The adjoint in the taps and the bias, one block after the other.

    ``dtaps[i, j, k, o] +=
    sum over b, y, x of padded[b, y*sh + i*dh, x*sw + j*dw, k] * dz[b, y, x, o]``

    And ``dbias[o] += sum of dz[..., o]``. ``dz (count, oh, ow, c_out)`` and
    ``dtaps (kh, kw, c, c_out)`` are contiguous; dtaps and dbias the caller's own.
    """

    def __init__(
        self, x: Array, dz: Array, plan: Plan, dtaps: Array, dbias: Array | None = None
    ) -> None:
        self.dz, self.plan, self.dtaps, self.dbias = dz, plan, dtaps, dbias
        self.patches = Patches(x, plan, len(dz), plan.planar and dbias is not None)
        self.ones = np.ones(dz.size // dz.shape[3], dz.dtype)

    def __call__(self, image: int) -> None:
        """Adds what the images from ``image`` on contribute, dz being theirs."""
        shape, c_out = self.dtaps.shape, self.dz.shape[3]
        for start, stop in self.plan.bands():
            pixels = self.dz[:, start:stop].reshape(-1, c_out)
            both = self.patches.load(image, start, stop).T @ pixels
            self.dtaps += both[: math.prod(shape[:3])].reshape(shape)
            if self.dbias is not None:
                self.dbias += both[-1] if self.plan.planar else self.ones[: len(pixels)] @ pixels


def turned(weight: Array, window: Window) -> tuple[Array, Window]:
    """The correlation of ``dz`` that is the input's gradient where the stride is 1.

    Input row ``r`` met output row ``r + top - i*dh`` through tap ``i``: the taps in
    reverse, the channels exchanged, and ``dh*(kh - 1) - top`` rows of padding above.
    """
    taps = np.ascontiguousarray(weight[::-1, ::-1].swapaxes(2, 3))
    pads = []
    for axis in (0, 1):
        reach = window.dilation[axis] * (window.kernel[axis] - 1)
        before = reach - window.pads[axis][0]
        pads.append((before, window.image[axis] + reach - window.out[axis] - before))
    return taps, Window(window.out, window.kernel, (1, 1), window.dilation, (pads[0], pads[1]))


class Fold:
    """The input's gradient where the stride is larger: each patch's gradient, added in place.

    ``dz @ tapsᵀ`` is the gradient of every patch. It is made for a few taps at a time, those
    that stand side by side within one step of the window: what they add to a row of the
    image is then one run of memory, in the product and in the image. There are
    ``kh * ceil(kw / sw)`` products and additions.
    """

    def __init__(self, dz: Array, taps: Array, window: Window, dx: Array) -> None:
        (kh, kw, c, c_out), (oh, ow), count = taps.shape, window.out, len(dz)
        (sh, sw), (dh, dw) = window.stride, window.dilation
        (top, bottom), (left, right) = window.pads
        h, w = window.image
        self.pixels, self.dx = dz.reshape(-1, c_out), dx
        self.total = np.empty((count, h + top + bottom, w + left + right, c), dz.dtype)
        self.image = self.total[:, top : top + h, left : left + w]
        n, s, u, v = (self.total[:1].nbytes, *self.total.strides[1:3], dz.itemsize)
        run = min(sw, kw) if dw == 1 else 1
        self.low = np.empty(len(self.pixels) * run * c, dz.dtype)
        self.parts: list[tuple[Array, Array]] = []
        for i in range(kh):
            for j in range(0, kw, run):
                flat = np.ascontiguousarray(taps[i, j : j + run].reshape(-1, c_out).T)
                many, start = flat.shape[1], i * dh * s + j * dw * u
                strides: tuple[int, ...] = (n, sh * s, sw * u, v)
                shape: tuple[int, ...] = (count, oh, ow, many)
                if sw * u == many * v:  # side by side all along the row
                    shape, strides = (count, oh, ow * many), (n, sh * s, v)
                self.parts.append((np.ndarray(shape, dz.dtype, self.total, start, strides), flat))

    def __call__(self, image: int) -> None:
        """``dz`` is that of the images from ``image`` on."""
        self.total[...] = 0
        for place, flat in self.parts:
            low = self.low[: len(self.pixels) * flat.shape[1]].reshape(-1, flat.shape[1])
            np.matmul(self.pixels, flat, out=low)
            np.add(place, low.reshape(place.shape), out=place)
        self.dx[image : image + len(self.total)] = self.image


class Turned:
    """The input's gradient where the stride is 1: a correlation of dz with the turned taps."""

    def __init__(self, dz: Array, taps: Array, window: Window, dx: Array) -> None:
        taps, inner = turned(taps, window)
        plan = Plan.of(inner, len(dz), taps.shape[2], taps.shape[3], taps.itemsize)
        self.runs = [
            (first, last, Forward(dz, taps, plan, count, dx))
            for first, last, count in blocks(len(dz), plan.images)
        ]

    def __call__(self, image: int) -> None:
        """``dz`` is that of the images from ``image`` on."""
        for first, last, run in self.runs:
            for i in range(first, last, run.count):
                run(i, image + i)
