"""Feature maps and filters as images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fcnn._check import whole
from fcnn._typing import Array
from fcnn.errors import ArgumentError, ShapeError
from fcnn.plot._figure import check_images, figure_of, grid, label_row, show, tallness

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def feature_maps(
    maps: Mapping[str, Any] | Array, *, example: int = 0, channels: int = 8, figure: Any = None
) -> Figure:
    """Draw the outputs of layers for one example: a row of channels for each layer.

    Each map is scaled by itself, from its lowest number (dark) to its highest. Outputs that are
    no images are left out.

    Args:
        maps: what `fcnn.explain.feature_maps` returned, or the maps ``(n, h, w, c)`` of one
            layer.
        example: which example of the batch.
        channels: how many channels to show, the first ones.
        figure: where to draw; a new figure if None.

    Raises:
        ImportError: if matplotlib is not installed.
        ShapeError: if none of the outputs are images.
        ArgumentError: if there is no such example.

    >>> import numpy as np
    >>> from fcnn import plot
    >>> figure = plot.feature_maps({"serial[0]": np.zeros((1, 6, 6, 3)), "out": np.zeros((1, 9))})
    >>> len(figure.axes)
    3
    """
    named = {"": maps} if isinstance(maps, np.ndarray) else dict(maps)
    rows = {path: each for path, each in named.items() if getattr(each, "ndim", 0) == 4}
    if not rows:
        raise ShapeError("expected feature maps (n, h, w, c), got none")
    count = len(next(iter(rows.values())))
    if not 0 <= example < count:
        raise ArgumentError(f"expected an example from 0 to {count - 1}, got {example}")
    columns = min(whole(channels, "channels"), max(each.shape[3] for each in rows.values()))
    label = 0.07 * max(map(len, rows))
    height = 0.1 + 0.9 * max(map(tallness, rows.values()))
    drawn = figure_of(label + 0.95 * columns, height * len(rows), figure)
    axes = grid(drawn, len(rows), columns)
    for line, (path, each) in zip(axes, rows.items(), strict=True):
        label_row(line[0], path)
        for channel, ax in enumerate(line):
            if channel < each.shape[3]:
                ax.imshow(each[example, :, :, channel], cmap="viridis")
            else:
                ax.remove()
    return drawn


def filters(weights: Array, *, count: int = 64, figure: Any = None) -> Figure:
    """Draw filters: three channels in colour, one in blue (negative) to red (positive).

    Of other numbers of channels each filter is a row, the first 16 channels its columns. All
    filters have one scale, its middle zero.

    Args:
        weights: ``(filters, h, w, c)``, as `fcnn.explain.filters` returns them.
        count: how many filters at most, the first ones.
        figure: where to draw; a new figure if None.

    Raises:
        ImportError: if matplotlib is not installed.
        ShapeError: if they are no images.

    >>> import fcnn
    >>> params, _ = fcnn.conv2d(6, 3).init(fcnn.key(0), (8, 8, 1))
    >>> len(fcnn.plot.filters(fcnn.explain.filters(params)).axes)
    6
    """
    weights = check_images(weights, "filters")
    weights = (weights if weights.ndim == 4 else weights[..., None])[: whole(count, "count")]
    n, _, _, c = weights.shape
    most = float(np.abs(weights).max()) or 1.0
    if c in (1, 3):
        tiles = list(weights)
        columns = min(n, max(4, math.ceil(math.sqrt(2 * n))))
    else:
        tiles = [each[..., [i]] for each in weights for i in range(min(c, 16))]
        columns = min(c, 16)
    rows = math.ceil(len(tiles) / columns)
    height = 0.1 + 0.65 * tallness(weights)
    drawn = figure_of(0.75 * columns, height * rows, figure)
    axes = grid(drawn, rows, columns)
    for ax, tile in zip(axes.flat, tiles, strict=False):
        if tile.shape[2] == 3:
            show(ax, 0.5 + tile / (2 * most))
        else:
            ax.imshow(tile[..., 0], cmap="RdBu_r", vmin=-most, vmax=most)
    for ax in axes.flat[len(tiles) :]:
        ax.remove()
    return drawn
