"""Mini-batches, and labels as one-hot vectors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar, overload

import numpy as np

from fcnn import prng
from fcnn._batch import take
from fcnn._check import whole
from fcnn._prefetch import prefetched
from fcnn._typing import Array
from fcnn.data._dataset import Dataset, X, Y
from fcnn.data._examples import Examples
from fcnn.data._lazy import LazyDataset
from fcnn.data._leaves import leaves, map_leaves
from fcnn.errors import ArgumentError, DataError, LabelError, ShapeError
from fcnn.prng import Key

T = TypeVar("T", bound=tuple[Any, ...])


@overload
def batches(
    data: Dataset[X, Y] | LazyDataset[X, Y],
    batch_size: int,
    *,
    key: Key | None = None,
    epoch: int = 0,
    start: int = 0,
    drop_last: bool = False,
) -> Iterator[tuple[X, Y]]: ...
@overload
def batches(
    data: T,
    batch_size: int,
    *,
    key: Key | None = None,
    epoch: int = 0,
    start: int = 0,
    drop_last: bool = False,
) -> Iterator[T]: ...
@overload
def batches(
    data: Examples,
    batch_size: int,
    *,
    key: Key | None = None,
    epoch: int = 0,
    start: int = 0,
    drop_last: bool = False,
) -> Iterator[tuple[Any, Any]]: ...
def batches(
    data: Any,
    batch_size: int,
    *,
    key: Key | None = None,
    epoch: int = 0,
    start: int = 0,
    drop_last: bool = False,
) -> Iterator[Any]:
    """Yield the mini-batches ``(inputs, targets)`` of one epoch.

    The order of an epoch is ``permutation(fold_in(key, epoch), n)``, or the data's own
    order without a key. It depends neither on ``batch_size`` nor on ``start``, so an
    epoch that was interrupted after ``start`` examples continues with the next one.

    Args:
        data: a `Dataset`, `LazyDataset` or other `Examples`, or a tuple of arrays (or of
            tuples and dicts of arrays) with the same number of examples.
        batch_size: the number of examples in a batch; the last batch may have fewer.
        key: shuffles the epochs.
        epoch: the number of the epoch, which selects its order.
        start: the number of this epoch's examples to skip.
        drop_last: leave out a last batch of fewer than ``batch_size`` examples.

    Raises:
        ArgumentError: if an argument is out of its range.
        DataError: if there is no example, or with ``drop_last`` no full batch.
        ShapeError: if the arrays have not the same number of examples.

    >>> import fcnn, numpy as np
    >>> from fcnn.data import batches
    >>> [x.tolist() for x, in batches((np.arange(5),), 2)]
    [[0, 1], [2, 3], [4]]
    >>> [x.tolist() for x, in batches((np.arange(5),), 2, start=3)]
    [[3, 4]]
    >>> shuffled = batches((np.arange(5),), 2, key=fcnn.key(0), epoch=7, drop_last=True)
    >>> sum(len(x) for x, in shuffled)
    4
    """
    is_lazy = not isinstance(data, Dataset | tuple) and isinstance(data, Examples)
    if is_lazy:
        tree, n = data, len(data)
    else:
        tree = (data.inputs, data.targets) if isinstance(data, Dataset) else _arrays(data)
        n = len(next(leaves(tree))[1])
    size, first = whole(batch_size, "batch_size"), whole(start, "start", 0)
    number = whole(epoch, "epoch", 0)
    if n == 0 or (drop_last and n < size):
        raise DataError(f"expected at least {size if drop_last else 1} examples, got {n}")
    if first > n:
        raise ArgumentError(
            f"expected start to be at most {n}, the examples there are, got {start}"
        )
    order = None
    if key is not None:
        order = prng.permutation(prng.fold_in(key, number), n)
    end = n - (n - first) % size if drop_last else n
    starts = range(first, end, size)
    return _read(data, starts, order) if is_lazy else _cut(tree, starts, order)


def _read(data: Any, starts: range, order: Array | None) -> Iterator[Any]:
    """Yield the batches of a data set that is not in memory, the next ones being read ahead."""

    def read(start: int) -> Any:
        rows = np.arange(start, min(start + starts.step, starts.stop))
        some = data[rows if order is None else order[rows]]
        return some.inputs, some.targets

    ahead, threads = getattr(data, "prefetch", 2), getattr(data, "threads", 1)
    return prefetched(read, starts, ahead=ahead, threads=threads)


def _cut(tree: Any, starts: range, order: Array | None) -> Iterator[Any]:
    for start in starts:
        rows = slice(start, start + starts.step)
        yield take(tree, rows if order is None else order[rows])


def _arrays(data: Any) -> Any:
    if not isinstance(data, tuple):
        raise ArgumentError(
            f"expected a Dataset or a tuple of arrays, got {type(data).__name__}; "
            f"pass (inputs, targets)"
        )
    tree = map_leaves(lambda leaf, _: np.asarray(leaf), data)
    found = list(leaves(tree, "data"))
    for path, array in found:
        if array.ndim == 0 or len(array) != len(found[0][1]):
            shapes = ", ".join([f"{path} of shape {array.shape}" for path, array in found])
            raise ShapeError(f"expected arrays with the same number of examples, got {shapes}")
    if not found:
        raise ShapeError("expected at least one array, got an empty tuple")
    return tree


def one_hot(labels: Any, classes: int, *, dtype: Any = np.float32) -> Array:
    """Turn labels ``(...)`` into vectors ``(..., classes)`` with a one at the label.

    Args:
        labels: whole numbers from 0 to ``classes - 1``.
        classes: the number of classes.
        dtype: of the result.

    Raises:
        LabelError: if a label is no whole number or not from 0 to ``classes - 1``.

    >>> from fcnn.data import one_hot
    >>> one_hot([2, 0], 3)
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    array, n = np.asarray(labels), whole(classes, "classes")
    if array.dtype.kind not in "iu" and array.size:
        raise LabelError(
            f"expected labels to be whole numbers, got {array.dtype}; "
            f"pass labels.astype(np.int64), or encode strings with "
            f"np.unique(labels, return_inverse=True)"
        )
    if array.size and not 0 <= array.min() <= array.max() < n:
        raise LabelError(
            f"expected labels from 0 to {n - 1} for {n} classes, "
            f"got labels from {array.min()} to {array.max()}"
        )
    vectors: Array = (array[..., None] == np.arange(n)).astype(dtype)
    return vectors
