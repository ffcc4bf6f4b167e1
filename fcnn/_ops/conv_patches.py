"""Correlation by one GEMM on patches, and its adjoints: the input's by correlations of dz.

Every buffer and view is made once a call, for a block of a few images; then
each block costs a copy, a GEMM and, on the cache-resident result, bias and relu.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import attrs
import numpy as np

from fcnn._ops.window import Pair, Window, inside, strided
from fcnn._typing import Array

BUDGET = 1 << 20  # bytes of scratch for one block


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
            self.shift = np.empty((ow, n), dtype)
            self.shift[...] = bias
        self.zero = np.zeros((ow, n), dtype) if relu else None
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
                np.add(y, self.shift, out=y)
            if self.zero is not None:
                np.maximum(y, self.zero, out=target)
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


@attrs.frozen
class Part:
    """The input pixels of one stride phase and the correlation of ``dz`` that is their gradient."""

    rows: slice
    columns: slice
    plan: Plan | None  # None: no tap meets these pixels
    taps: Array


def input_parts(weight: Array, window: Window, images: int) -> list[Part]:
    """The gradient with respect to the input as correlations of ``dz`` with turned kernels.

    Padded input row ``r = y*sh + i*dh``. For the rows with ``r % sh == p`` only
    the tap rows with ``i*dh % sh == p`` count, and ``y = (r - i*dh) // sh`` runs
    against ``i``: a correlation of stride 1 with those taps in reverse.
    """
    columns_of = list(_phases(window, 1))
    parts = []
    for rows, tap_rows, dil_y, pad_y in _phases(window, 0):
        for columns, tap_columns, dil_x, pad_x in columns_of:
            taps = np.ascontiguousarray(weight[tap_rows, tap_columns].swapaxes(2, 3))
            plan = None
            if taps.size:
                inner = Window(
                    window.out,
                    (taps.shape[0], taps.shape[1]),
                    (1, 1),
                    (dil_y, dil_x),
                    (pad_y, pad_x),
                )
                plan = Plan.of(inner, images, taps.shape[2], taps.shape[3], weight.itemsize)
            parts.append(Part(rows, columns, plan, taps))
    return parts


def _phases(window: Window, axis: int) -> Iterator[tuple[slice, slice, int, Pair]]:
    """Along one axis: input pixels, their taps (reversed), their dilation, and dz's padding."""
    size, kernel, stride = window.image[axis], window.kernel[axis], window.stride[axis]
    dilation, out, low = window.dilation[axis], window.out[axis], window.pads[axis][0]
    common = math.gcd(stride, dilation)
    every, step = stride // common, dilation // common  # every so many taps meet the phase again
    for phase in range(stride):
        first = (phase - low) % stride  # the first input pixel of this phase
        count = len(range(first, size, stride))
        taps = [i for i in range(kernel) if i * dilation % stride == phase]
        if not count:
            continue
        if not taps:
            yield slice(first, None, stride), slice(0, 0), 1, (0, 0)
            continue
        before = taps[-1] * dilation // stride - (first + low) // stride
        after = count - 1 + step * (len(taps) - 1) + 1 - out - before
        backwards = slice(taps[-1], taps[0] - 1 if taps[0] else None, -every)
        yield slice(first, None, stride), backwards, step, (before, after)


class InputAdjoint:
    """Fills dx (n, h, w, c), of any strides, from dz (count, oh, ow, c_out), block by block."""

    def __init__(self, dz: Array, parts: Sequence[Part], dx: Array) -> None:
        self.runs: list[Forward] = []
        for part in parts:
            target = dx[:, part.rows, part.columns]
            if part.plan is None:
                target[...] = 0
            else:
                self.runs.append(Forward(dz, part.taps, part.plan, len(dz), target))

    def __call__(self, image: int) -> None:
        """``dz`` is that of the images from ``image`` on."""
        for run in self.runs:
            run(0, image)
