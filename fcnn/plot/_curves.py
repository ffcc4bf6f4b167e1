"""Learning curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fcnn.errors import ArgumentError
from fcnn.plot._figure import BLUE, GREY, NORMAL, ORANGE, SMALL, figure_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fcnn.train import Report, Run


def learning_curves(run: Run | Sequence[Report], *, figure: Any = None) -> Figure:
    """Draw the loss and every metric over the epochs of a run, training and validation.

    With ``keep_best`` the best epoch is marked.

    Args:
        run: what `fcnn.fit` returned, or the reports of epochs.
        figure: where to draw; a new figure if None.

    Raises:
        ImportError: if matplotlib is not installed.
        ArgumentError: if it is no run, or one without epochs.

    >>> from fcnn import plot
    >>> from fcnn.train import Report
    >>> history = [Report(i, 3, 1 / i, {"accuracy": 1 - 1 / i}, None, 1.0) for i in (1, 2, 3)]
    >>> [ax.get_ylabel() for ax in plot.learning_curves(history).axes]
    ['loss', 'accuracy']
    """
    history = getattr(run, "history", run)
    if not isinstance(history, Sequence) or not all(hasattr(each, "cells") for each in history):
        raise ArgumentError(f"expected a run or reports of epochs, got {type(run).__name__}")
    if not history:
        raise ArgumentError("expected a run of at least one epoch, got none")
    rows = [each.cells() for each in history]
    found = list(dict.fromkeys(name for row in rows for name in row))
    names = list(dict.fromkeys(name.removeprefix("val_") for name in found))
    numbers = [each.number for each in history]
    drawn = figure_of(0.6 + 3.4 * len(names), 2.8, figure, pad=0.12)
    for ax, name in zip(drawn.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for key, label, colour, style in (
            (name, "training", BLUE, "-"),
            (f"val_{name}", "validation", ORANGE, "--"),
        ):
            if key in found:
                values = [row.get(key, float("nan")) for row in rows]
                ax.plot(
                    numbers, values, style, color=colour, label=label, linewidth=1.6,
                    marker="o" if len(rows) <= 20 else None, markersize=3,
                )  # fmt: skip
        best = getattr(getattr(getattr(run, "best", None), "report", None), "number", None)
        if best is not None:
            ax.axvline(best, color=GREY, linewidth=0.8, linestyle=":", label="best epoch")
        _finish(ax, name)
    drawn.axes[0].legend(fontsize=SMALL, frameon=False)
    return drawn


def _finish(ax: Axes, name: str) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.set_xlabel("epoch", fontsize=NORMAL)
    ax.set_ylabel(name, fontsize=NORMAL)
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.tick_params(labelsize=SMALL)
    ax.grid(color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
