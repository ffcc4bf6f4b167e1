"""The confusion matrix as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fcnn import metrics
from fcnn.plot._figure import NORMAL, SMALL, axes_of, names_of, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def confusion_matrix(
    prediction: Any, target: Any, *, classes: Any = None, ax: Any = None
) -> Figure:
    """Draw how often each class was predicted as each class.

    Cells are counted as by `fcnn.metrics.confusion_matrix`, and coloured by their share of the
    true class, so that rare classes are seen.

    Args:
        prediction: labels ``(n,)`` or scores ``(n, classes)``.
        target: labels ``(n,)``.
        classes: the number of classes, or their names.
        ax: where to draw; a new figure if None.

    Raises:
        ImportError: if matplotlib is not installed.
        FcnnError: all that `fcnn.metrics.confusion_matrix` raises.

    >>> from fcnn import plot
    >>> figure = plot.confusion_matrix([0, 1, 1], [0, 1, 0], classes=["cat", "dog"])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['1', '1', '0', '1']
    """
    counts = metrics.confusion_matrix(prediction, target, classes)
    n = len(counts)
    names = [short(name, 18) for name in names_of(classes, n)]
    inches = min(9.0, 1.6 + 0.42 * n)
    ax = axes_of(max(3.2, inches + 0.4), max(2.9, inches), ax)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
    if n <= 30:
        size = SMALL if n <= 12 else 7 if n <= 20 else 6
        for (row, column), count in np.ndenumerate(counts):
            colour = "white" if share[row, column] > 0.5 else "black" if count else "0.75"
            ax.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=size)
    is_long = max(map(len, names)) > 3
    ax.set_xticks(range(n), names, rotation=45 if is_long else 0, fontsize=SMALL)
    if is_long:
        for label in ax.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    ax.set_yticks(range(n), names, fontsize=SMALL)
    ax.set_xlabel("predicted class", fontsize=NORMAL)
    ax.set_ylabel("true class", fontsize=NORMAL)
    ax.set_title(f"{int(np.trace(counts))} of {int(counts.sum())} right", fontsize=NORMAL)
    ax.tick_params(length=0)
    ax.spines[:].set_color("0.8")
    drawn: Any = ax.figure
    return drawn  # type: ignore[no-any-return]
