"""Figures, colours and images that all pictures have in common."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from fcnn._typing import Array
from fcnn.errors import ArgumentError, ShapeError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#666666"
"""Of M. Okabe and K. Ito's palette, which the colour-blind tell apart,
https://jfly.uni-koeln.de/color/."""
SMALL, NORMAL = 8, 9
"""Sizes of type in points."""


def figure_of(width: float, height: float, given: Any = None, pad: float = 0.06) -> Figure:
    """Return a new figure of this size in inches, its axes ``pad`` apart, or the one given.

    Raises:
        ImportError: if matplotlib is not installed.
        ArgumentError: if what is given is no figure.
    """
    try:
        from matplotlib.figure import Figure, FigureBase
    except ImportError:
        raise ImportError(
            "fcnn.plot draws with matplotlib, which is not installed; pip install 'fcnn[plot]'"
        ) from None
    if given is None:
        made = Figure(figsize=(width, height), dpi=120, layout="constrained")
        made.get_layout_engine().set(w_pad=pad)  # type: ignore[union-attr, call-arg]
        # IPython shows figures by itself only where pyplot was imported.
        made._repr_png_ = partial(png, made)  # type: ignore[attr-defined]
        return made
    if not isinstance(given, FigureBase):
        raise ArgumentError(f"expected a matplotlib figure, got {type(given).__name__}")
    return given  # type: ignore[return-value]


def png(figure: Figure) -> bytes:
    """Return the figure as a PNG file, for notebooks."""
    from io import BytesIO

    file = BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def axes_of(width: float, height: float, given: Any = None) -> Axes:
    """Return the only axes of a new figure, or those given.

    Raises:
        ImportError: if matplotlib is not installed.
        ArgumentError: if what is given are no axes.
    """
    if given is None:
        return figure_of(width, height).subplots()
    if not hasattr(given, "plot") or not hasattr(given, "figure"):
        raise ArgumentError(f"expected matplotlib axes, got {type(given).__name__}")
    return given  # type: ignore[no-any-return]


def grid(figure: Figure, rows: int, columns: int) -> Array:
    """Return rows and columns of empty axes without frames."""
    axes = figure.subplots(rows, columns, squeeze=False)
    for each in axes.flat:
        each.set_axis_off()
    return axes


def label_row(ax: Axes, text: str) -> None:
    """Write a label at the left of a row of images."""
    ax.text(
        -0.08, 0.5, text, transform=ax.transAxes, ha="right", va="center", fontsize=SMALL,
        color="black",
    )  # fmt: skip


def check_images(images: Any, what: str = "images") -> Array:
    """Return images ``(n, h, w)`` or ``(n, h, w, c)``.

    Raises:
        ShapeError: if they are something else, or there is none.
    """
    found = np.asarray(images)
    if found.ndim not in (3, 4) or found.size == 0:
        raise ShapeError(f"expected {what} (n, h, w, c) or (n, h, w), got {found.shape}")
    return found


def tallness(images: Array) -> float:
    """Return height by width of images ``(n, h, w, ...)``, within bounds that a page has."""
    return float(min(2.5, max(0.3, images.shape[1] / images.shape[2])))


def show(ax: Axes, image: Array) -> None:
    """Draw an image: three channels in colour, others in grey, the mean if there are several.

    Numbers outside [0, 1] are stretched to it.
    """
    is_colour = image.ndim == 3 and image.shape[2] == 3
    drawn = image if is_colour or image.ndim == 2 else image.mean(axis=2)
    low, high = float(drawn.min()), float(drawn.max())
    if low < 0 or high > 1:
        drawn = (drawn - low) / ((high - low) or 1)
    ax.imshow(drawn, cmap=None if is_colour else "gray", vmin=0, vmax=1)


def short(name: Any, most: int = 14) -> str:
    """Return a name that fits under a small image."""
    text = str(name)
    return text if len(text) <= most else text[: most - 1] + "…"


def names_of(classes: Sequence[str] | int | None, count: int) -> list[str]:
    """Return a name for each of ``count`` classes: their numbers where none are given."""
    if classes is None or isinstance(classes, int) or len(classes) == 0:
        return [str(i) for i in range(count)]
    return [str(name) for name in classes]
