"""Predictions of a model for a data set, computed a block of examples at a time."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from fcnn._evaluate import predict
from fcnn._layer import Layer
from fcnn._ops.stable import softmax
from fcnn._typing import Array, IntArray, Tree

_BLOCK = 512


@attrs.frozen(eq=False)
class Scores:
    """Predictions and true classes.

    Attributes:
        data: the examples.
        prediction: of all of them.
        labels: the true classes ``(n,)``; None if the targets are not classes.
        probabilities: ``(n, classes)``; None likewise.
        names: the classes' names.
        numbers: the targets, of the predictions' shape, where they are numbers; else None.
    """

    data: Any
    prediction: Any
    labels: IntArray | None
    probabilities: Array | None
    names: list[str]
    numbers: Array | None = None

    @property
    def mistakes(self) -> IntArray:
        """The wrongly classified examples, the least probable true class first."""
        labels, probabilities = self.labels, self.probabilities
        if labels is None or probabilities is None:
            return np.zeros(0, np.intp)
        wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
        order: IntArray = wrong[np.argsort(probabilities[wrong, labels[wrong]], kind="stable")]
        return order

    def images(self, rows: Any) -> Array | None:
        """Return examples ``(n, h, w, c)``; None if they are no images."""
        found = self.data[np.asarray(rows, np.intp)].inputs
        is_image = isinstance(found, np.ndarray) and found.ndim == 4 and found.dtype.kind == "f"
        return found if is_image else None


def scores_of(model: Layer, params: Tree, data: Any) -> Scores:
    """Return the predictions of a model for a data set, and the targets."""
    blocks = [data[start : start + _BLOCK] for start in range(0, len(data), _BLOCK)]
    outputs = [predict(model, params, block.inputs) for block in blocks]
    if not all(isinstance(each, np.ndarray) for each in outputs):
        return Scores(data, outputs, None, None, [])
    prediction = np.concatenate(outputs)
    targets = [block.targets for block in blocks]
    if not all(isinstance(each, np.ndarray) for each in targets):
        return Scores(data, prediction, None, None, [])
    target = np.concatenate(targets)
    if target.ndim == 2 and len(data.classes) == target.shape[1]:
        target = target.argmax(axis=1)
    if target.dtype.kind == "f" and target.shape == prediction.shape:
        return Scores(data, prediction, None, None, [], target)
    if target.ndim != 1 or target.dtype.kind not in "iu" or prediction.ndim != 2:
        return Scores(data, prediction, None, None, [])
    n = prediction.shape[1]
    if n < 2 or target.max() >= n:
        return Scores(data, prediction, None, None, [])
    names = [str(name) for name in data.classes] or [str(i) for i in range(n)]
    return Scores(data, prediction, target, _probabilities(prediction), names)


def _probabilities(scores: Array) -> Array:
    """Return scores as they are if they are probabilities, else their softmax."""
    wide = scores.astype(np.float64)
    if (wide >= 0).all() and np.allclose(wide.sum(axis=1), 1, atol=1e-3):
        return wide
    return softmax(wide)
