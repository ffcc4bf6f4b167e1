"""Attributions over the images that they are of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fcnn._typing import Array
from fcnn.errors import ShapeError
from fcnn.plot._figure import SMALL, check_images, figure_of, grid, short, show, tallness

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def attributions(
    images: Array, attribution: Array, *, titles: Sequence[str] = (), figure: Any = None
) -> Figure:
    """Draw images, and over each what `fcnn.explain` found in it.

    The brighter and less transparent, the more the place matters: the largest absolute value
    over the channels, relative to the 99th percentile of the image. A map smaller than its
    image, as of `fcnn.explain.grad_cam` or `fcnn.explain.occlusion`, is stretched over it.

    Args:
        images: ``(n, h, w, c)`` or ``(n, h, w)``.
        attribution: of the shape of the images, or ``(n, rows, columns)``.
        titles: what to write above each image.
        figure: where to draw; a new figure if None.

    Raises:
        ImportError: if matplotlib is not installed.
        ShapeError: if there are not as many maps as images, or one is no image.

    >>> import numpy as np
    >>> from fcnn import plot
    >>> images = np.zeros((2, 8, 8, 1))
    >>> len(plot.attributions(images, np.ones((2, 4, 4))).axes)
    4
    """
    images, maps = check_images(images), check_images(attribution, "attributions")
    if len(maps) != len(images):
        raise ShapeError(f"expected {len(images)} attributions, got {len(maps)}")
    n = len(images)
    drawn = figure_of(max(2.2, 1.35 * n), 0.3 + 2.6 * tallness(images), figure)
    axes = grid(drawn, 2, n)
    for i, (image, found) in enumerate(zip(images, maps, strict=True)):
        show(axes[0, i], image)
        if i < len(titles):
            axes[0, i].set_title(short(titles[i], 20), fontsize=SMALL)
        show(axes[1, i], image if image.ndim == 2 else image.mean(axis=2))
        heat = _heat(found)
        axes[1, i].imshow(
            heat, cmap="inferno", alpha=0.9 * heat, vmin=0, vmax=1, interpolation="bilinear",
            extent=axes[1, i].images[0].get_extent(),
        )  # fmt: skip
    return drawn


def _heat(attribution: Array) -> Array:
    """Return ``max over channels of |attribution|``, scaled to [0, 1]."""
    size = np.abs(attribution)
    size = size if size.ndim == 2 else size.max(axis=2)
    most = np.percentile(size, 99) or size.max() or 1
    heat: Array = np.minimum(size / most, 1)
    return heat
