"""Cross-entropy with class weights, label smoothing and labels that are left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import attrs
import numpy as np

from fcnn import _check
from fcnn._ops import memory, stable
from fcnn._ops.values import called, number
from fcnn._typing import Array
from fcnn.errors import ArgumentError, LabelError, ShapeError
from fcnn.losses._classes import in_range, labels_or_soft, rows_of
from fcnn.losses._focal import by_class
from fcnn.losses._loss import Pair, loss, pair

ClassWeights: TypeAlias = Sequence[float] | Array


@loss
def cross_entropy(
    *,
    class_weights: ClassWeights | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
) -> Pair:
    """Average the weighted cross-entropy of ``softmax(z)`` over examples or pixels, from logits z.

    For a label y the loss is ``Σ_c q_c · -log_softmax(z)_c`` with
    ``q_c = w_c ((1 - ε) [c = y] + ε / classes)``; ``dz = (softmax(z) Σ q - q) / Σ w_y``. The
    mean is PyTorch's: the sum of the losses over the sum of the weights ``w_y`` of the labels,
    without those of ``ignore_index``. So a batch's loss is not the mean of the losses of its
    parts weighted by their lengths; `fcnn.value_and_grad` weights shards by their Σ w_y, and the
    loss is the same whatever the shards. One-hot or soft labels t have
    ``q = w ((1 - ε) t + ε / classes)`` and a mean over their number, as in PyTorch.

    A batch without a label (all of them ``ignore_index``, or of weight 0) has the loss 0 and
    the gradient 0; PyTorch's is NaN.

    Shapes: as in `softmax_cross_entropy`; one-hot labels are floats.

    Args:
        class_weights: w, a number from 0 for each class; all 1 if None.
        label_smoothing: ε, from 0 to 1.
        ignore_index: a label, of any value, whose examples or pixels do not count.

    Raises:
        ArgumentError: if an argument is out of its range.
        ShapeError: on a call, if the shapes do not fit or the batch is empty.
        LabelError: on a call, if a label is not a whole number from 0 to classes - 1.

    Source of label smoothing: C. Szegedy et al., "Rethinking the Inception architecture for
    computer vision", 2016, https://arxiv.org/abs/1512.00567, section 7.

    >>> import numpy as np
    >>> from fcnn.losses import cross_entropy
    >>> z = np.zeros((3, 2))
    >>> round(cross_entropy(class_weights=[1.0, 3.0])(z, np.array([0, 1, 1])), 4)
    0.6931
    >>> cross_entropy(ignore_index=255)(np.array([[9.0, 9.0], [0.0, 50.0]]), np.array([255, 1]))
    0.0
    """
    made = CrossEntropy(
        by_class(class_weights),
        _check.number(label_smoothing, "label_smoothing", 0.0, 1.0),
        None if ignore_index is None else _index(ignore_index),
    )
    return pair(made.prepare, made.formula, made.weigh if made.has_weights else None)


@attrs.frozen(eq=False)
class CrossEntropy:
    """The arguments of a `cross_entropy`, checked, and what can be computed with them."""

    weights: Array | None
    smoothing: float
    ignored: int | None

    @property
    def has_weights(self) -> bool:
        """Whether some examples count more than others."""
        return self.weights is not None or self.ignored is not None

    def prepare(self, z: Array, target: Any) -> tuple[Array, float]:
        """Return q in the dtype of z, and what to divide by."""
        given = _float_if_soft(z, target)
        classes = z.shape[-1]
        if self.weights is not None and len(self.weights) != classes:
            raise ShapeError(
                f"expected a prediction of {len(self.weights)} classes, one a class weight, "
                f"got {z.shape}"
            )
        by_class = memory.ones(classes) if self.weights is None else self.weights
        if given.dtype.kind == "f":
            soft = rows_of(given)
            q = by_class * ((1 - self.smoothing) * soft + self.smoothing / classes)
            return q.astype(z.dtype), float(len(soft))
        labels = given.reshape(-1)
        counts = _counted(labels, self.ignored)
        labels = np.where(counts, labels, 0)
        in_range(labels, classes)
        q = memory.zeros((labels.size, classes))
        q += by_class * (self.smoothing / classes)
        of_label = called(np.take, by_class, labels)
        q[np.arange(labels.size), labels] += (1 - self.smoothing) * of_label
        q *= counts[:, None]
        return q.astype(z.dtype), number(of_label @ counts)

    def formula(
        self, z: Array, prepared: tuple[Array, float]
    ) -> tuple[Array, float, Callable[[], Array]]:
        """Return the terms of the loss, their count, and the function for dz."""
        q, count = prepared
        log_p = stable.log_softmax(rows_of(z))
        # A class of weight zero counts nothing, whatever its logit; in PyTorch as well.
        terms = -np.multiply(q, log_p, out=memory.zeros_like(q), where=q != 0)

        def slope() -> Array:
            dz: Array = np.exp(log_p) * q.sum(axis=1, keepdims=True)
            dz -= q
            dz /= count
            return dz.reshape(z.shape)

        return terms, count, slope

    def weigh(self, target: Any) -> Array:
        """Return the weight of each example: the sum over its labels."""
        labels = memory.asarray(target)
        if labels.dtype.kind not in "iu":
            return memory.ones(len(labels))
        rows = labels.reshape(len(labels), -1)
        counts = _counted(rows, self.ignored)
        if self.weights is None:
            numbers: Array = np.add.reduce(counts, axis=1, dtype=np.float64)
            return numbers
        kept = in_range(np.where(counts, rows, 0), len(self.weights))
        sums: Array = (called(np.take, self.weights, kept) * counts).sum(axis=1)
        return sums


def _float_if_soft(z: Array, target: Any) -> Array:
    """Return whole numbers (n, ...) or floats of the prediction's shape.

    Raises:
        LabelError: if one-hot labels are whole numbers, which nothing but the prediction tells
            from the labels of an image.
    """
    given = memory.asarray(target)
    if given.shape == z.shape and given.dtype.kind in "iub":
        raise LabelError(
            f"expected one-hot labels of floats, got {given.dtype}; "
            f"convert with target.astype(np.float32)"
        )
    return labels_or_soft(z, given)


def _index(given: Any) -> int:
    if isinstance(given, int | np.integer) and not isinstance(given, bool):
        return int(given)
    raise ArgumentError(f"expected a whole number or None for ignore_index, got {given!r}")


def _counted(labels: Array, ignored: int | None) -> Array:
    """Return which labels count."""
    if ignored is None:
        return memory.ones(labels.shape, bool)
    counted: Array = labels != ignored
    return counted
