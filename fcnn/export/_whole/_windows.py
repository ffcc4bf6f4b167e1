"""Windows of arrays with channels first, as views, and sums of products over them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fcnn._typing import Array


def windows(x: Array, given: dict[str, Any], fill: float = 0) -> Array:
    """View each window of ``x (n, c, ...)``, padded: ``(n, c, out..., kernel...)``."""
    kernel, strides, pads = (given[name] for name in ("kernel_shape", "strides", "pads"))
    rank = len(kernel)
    dilations = given.get("dilations", [1] * rank)
    ends = [(0, 0), (0, 0), *[(pads[i], pads[i + rank]) for i in range(rank)]]
    padded = np.pad(x, ends, constant_values=fill)
    reach: Any = tuple([d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)])
    axes: Any = tuple(range(2, 2 + rank))
    view = np.lib.stride_tricks.sliding_window_view(padded, reach, axes)
    steps = [slice(None)] * 2 + [slice(None, None, step) for step in strides]
    steps += [slice(None, None, step) for step in dilations]
    return view[tuple(steps)]


def convolved(x: Array, weight: Array, given: dict[str, Any]) -> Array:
    """Return a convolution in float64: exact for sums of whole numbers of 32 bits."""
    seen = windows(x, given)
    groups, rank = int(given.get("group", 1)), x.ndim - 2
    parts = []
    for part, filters in zip(
        np.split(seen, groups, 1), np.split(weight.astype(float), groups), strict=True
    ):
        axes = [1, *range(2 + rank, 2 + 2 * rank)], [1, *range(2, 2 + rank)]
        made = np.tensordot(part.astype(float), filters, axes)  # (n, out..., filters)
        parts.append(np.moveaxis(made, -1, 1))
    return np.concatenate(parts, 1)


def last_axes(x: Array) -> tuple[int, ...]:
    """Return the axes of the kernel in `windows` of ``x (n, c, ...)``."""
    rank = x.ndim - 2
    return tuple(range(2 + rank, 2 + 2 * rank))
