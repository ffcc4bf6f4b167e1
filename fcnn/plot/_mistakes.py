"""The examples that a model is most wrong about."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fcnn._check import whole
from fcnn._ops.stable import softmax
from fcnn.errors import ArgumentError, LabelError, ShapeError
from fcnn.plot._figure import SMALL, check_images, figure_of, grid, names_of, short, show, tallness

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fcnn._typing import Array, IntArray
    from fcnn.data import Dataset


def worst_mistakes(
    prediction: Array, data: Dataset[Any, Any], *, count: int = 12, figure: Any = None
) -> Figure:
    r"""Draw the wrongly classified images, those first whose true class seemed least probable.

    Each says its true class, what it was taken for, and how probable that seemed.

    Args:
        prediction: scores ``(n, classes)`` of the images of ``data``, as `fcnn.predict` gives
            them: logits, or probabilities if every row is one distribution.
        data: images and labels.
        count: how many.
        figure: where to draw; a new figure if None.

    Raises:
        ImportError: if matplotlib is not installed.
        ShapeError: if the scores are not those of the data, or the inputs no images.
        LabelError: if the targets are no labels.

    >>> import numpy as np
    >>> from fcnn import plot
    >>> from fcnn.data import Dataset
    >>> data = Dataset(np.zeros((2, 4, 4, 1), np.float32), [0, 1], ("cat", "dog"))
    >>> figure = plot.worst_mistakes(np.array([[0.0, 5.0], [0.0, 5.0]]), data)
    >>> [ax.get_title() for ax in figure.axes]
    ['cat\nas dog (99 %)']
    """
    if not hasattr(data, "inputs"):
        raise ArgumentError(f"expected a Dataset, got {type(data).__name__}")
    images, scores, labels = check_images(data.inputs), np.asarray(prediction), data.targets
    if scores.ndim != 2 or len(scores) != len(images):
        raise ShapeError(f"expected scores ({len(images)}, classes), got {scores.shape}")
    if not isinstance(labels, np.ndarray) or labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise LabelError("expected labels (n,) of whole numbers as targets")
    probabilities = _probabilities(scores)
    order = _mistakes(probabilities, labels)[: whole(count, "count")]
    names = names_of(data.classes, scores.shape[1])
    # Of 4 to 6 columns, those that leave the fewest places empty.
    columns = max(1, min(len(order), min((6, 5, 4), key=lambda each: -len(order) % each)))
    rows = max(1, math.ceil(len(order) / columns))
    drawn = figure_of(1.35 * columns, (0.4 + 1.3 * tallness(images)) * rows, figure)
    if not len(order):
        drawn.text(0.5, 0.5, "no mistakes", ha="center", va="center", fontsize=SMALL)
        return drawn
    axes = grid(drawn, rows, columns)
    for ax, i in zip(axes.flat, order, strict=False):
        seen = int(probabilities[i].argmax())
        show(ax, images[i])
        ax.set_title(
            f"{short(names[int(labels[i])])}\nas {short(names[seen], 11)} "
            f"({math.floor(100 * probabilities[i, seen])} %)",
            fontsize=SMALL,
        )
    for ax in axes.flat[len(order) :]:
        ax.remove()
    return drawn


def _probabilities(scores: Array) -> Array:
    """Return scores as they are if they are probabilities, else their softmax."""
    wide = scores.astype(np.float64)
    if (wide >= 0).all() and np.allclose(wide.sum(axis=1), 1, atol=1e-3):
        return wide
    return softmax(wide)


def _mistakes(probabilities: Array, labels: IntArray) -> IntArray:
    """Return the indices of wrong predictions, the least probable true class first."""
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    order: IntArray = wrong[np.argsort(probabilities[wrong, labels[wrong]], kind="stable")]
    return order
