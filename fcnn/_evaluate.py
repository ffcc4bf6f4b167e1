"""Applying a trained model: predictions, how good they are, and statistics made new."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar, overload

import attrs
import numpy as np

from fcnn import _batch, parallel, tree
from fcnn._check import whole
from fcnn._layer import Layer, training
from fcnn._typing import Array, Tree
from fcnn.errors import DataError
from fcnn.losses import Loss
from fcnn.prng import Key, fold_in

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from fcnn.data import Dataset

T = TypeVar("T")
SHARD_SIZE = 64
"""How many examples are computed at a time, unless the caller says otherwise."""


def count_correct(prediction: Array, target: Array) -> int | None:
    """How many rows have their largest score at the target's class; None without classes."""
    if prediction.ndim != 2 or prediction.shape[1] < 2:
        return None
    if target.ndim == 2:
        target = target.argmax(axis=1)
    return int(np.count_nonzero(prediction.argmax(axis=1) == target))


@attrs.frozen
class Evaluation:
    """How good a model is on a data set; prints as ``0.9712 (9712/10000)``.

    >>> from fcnn.train import Evaluation
    >>> print(Evaluation(loss=0.1, correct=9712, total=10000))
    0.9712 (9712/10000)
    """

    loss: float
    correct: int | None
    total: int

    @property
    def accuracy(self) -> float | None:
        """The fraction classified right; None if the targets are no classes."""
        return None if self.correct is None else self.correct / self.total

    def __str__(self) -> str:
        if self.correct is None:
            return f"loss {self.loss:.4f} ({self.total})"
        return f"{self.accuracy:.4f} ({self.correct}/{self.total})"


def _apply_shard(model: Layer, params: Tree, x: Array) -> Array:
    y: Array = model.apply(params, x)
    return y


@overload
def predict(
    model: Layer,
    params: Tree,
    images: Array,
    *,
    shard_size: int = SHARD_SIZE,
    executor: Executor | None = None,
) -> Array: ...
@overload
def predict(
    model: Layer,
    params: Tree,
    images: Tree,
    *,
    shard_size: int = SHARD_SIZE,
    executor: Executor | None = None,
) -> Any: ...
def predict(
    model: Layer,
    params: Tree,
    images: Tree,
    *,
    shard_size: int = SHARD_SIZE,
    executor: Executor | None = None,
) -> Any:
    """What the model makes of each image, as in evaluation.

    Args:
        model: a layer.
        params: its parameters.
        images: any number of examples, ``(n, ...)``.
        shard_size: how many are computed at a time, with one BLAS thread.
        executor: who computes the shards; this thread if None.

    Raises:
        DataError: if there are no images.

    >>> import numpy as np, fcnn
    >>> params, _ = fcnn.dense(3).init(fcnn.key(0), (2,))
    >>> fcnn.predict(fcnn.dense(3), params, np.zeros((5, 2), np.float32)).shape
    (5, 3)
    """
    shards = [_batch.take(images, part) for part in _parts(images, shard_size, "predict")]
    outputs = parallel.map_shards(functools.partial(_apply_shard, model), params, shards, executor)
    return _batch.concatenate(outputs)


def _parts(images: Tree, shard_size: int, purpose: str) -> list[slice]:
    """Where the shards are."""
    whole(shard_size, "shard_size")
    if _batch.length(images) == 0:
        raise DataError(f"there is nothing to {purpose}: no images came")
    return parallel.cut(_batch.length(images), shard_size)


def evaluate(
    model: Layer,
    loss: Loss,
    params: Tree,
    data: Dataset[Any, Any],
    *,
    shard_size: int = SHARD_SIZE,
    executor: Executor | None = None,
) -> Evaluation:
    """The mean loss and the accuracy on a data set.

    >>> import numpy as np, fcnn
    >>> from fcnn.data import Dataset
    >>> params, _ = fcnn.dense(2).init(fcnn.key(0), (2,))
    >>> data = Dataset(np.zeros((4, 2), np.float32), np.zeros(4, np.int64))
    >>> loss = fcnn.losses.softmax_cross_entropy
    >>> print(fcnn.evaluate(fcnn.dense(2), loss, params, data))
    1.0000 (4/4)
    """
    scores = predict(model, params, data.inputs, shard_size=shard_size, executor=executor)
    return Evaluation(loss(scores, data.targets), count_correct(scores, data.targets), len(data))


def _observe_shard(model: Layer, key: Key, params: T, shard: tuple[Any, int]) -> T:
    x, i = shard
    y, pullback = model.vjp(params, x, training(fold_in(key, i)))
    dparams: T = pullback(tree.zeros_like(y))[0]
    return dparams


def calibrate(
    model: Layer,
    params: T,
    images: Tree,
    *,
    key: Key,
    shard_size: int = SHARD_SIZE,
    executor: Executor | None = None,
) -> T:
    """Replace the statistics by the mean of what each shard shows.

    Args:
        model: a layer.
        params: its parameters.
        images: what to observe; a last shard that is not full is left out, unless
            there is no other.
        key: for the dropout on the way.
        shard_size: how many examples are observed at a time.
        executor: who computes the shards; this thread if None.

    Raises:
        DataError: if there are no images.

    >>> import numpy as np, fcnn
    >>> model = fcnn.batch_norm()
    >>> params, _ = model.init(fcnn.key(0), (1,))
    >>> x = np.array([[1.0], [3.0]], np.float32)
    >>> fcnn.train.calibrate(model, params, x, key=fcnn.key(0)).mean
    array([2.], dtype=float32)
    """
    parts = _parts(images, shard_size, "observe")
    full = [part for part in parts if part.stop - part.start == shard_size] or parts
    shards = [(_batch.take(images, part), i) for i, part in enumerate(full)]
    observe = functools.partial(_observe_shard, model, key)
    seen = parallel.map_shards(observe, params, shards, executor)
    equal = [1 / len(seen)] * len(seen)

    def observed(stored: Array, *observations: tree.Observation) -> Array:
        return tree.average(observations, equal).value.astype(stored.dtype, copy=False)

    return tree.map(lambda stored, *_: stored, params, *seen, statistic=observed)
