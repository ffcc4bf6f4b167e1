"""Mini-batches, and labels as vectors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fcnn import prng
from fcnn._check import whole
from fcnn._typing import Array
from fcnn.data._dataset import Dataset
from fcnn.errors import DataError, LabelError, ShapeError
from fcnn.prng import Key


def batches(
    data: Dataset | tuple[Array, ...],
    batch_size: int,
    *,
    key: Key | None = None,
    drop_last: bool = False,
) -> Iterator[tuple[Array, ...]]:
    """Mini-batches ``(images, labels)``, shuffled by ``key``, or in order without one.

    Args:
        data: a `Dataset`, or a tuple of arrays of the same length.
        batch_size: how many examples; the last batch may have fewer.
        key: makes the permutation; ``fold_in(key, epoch)`` shuffles each epoch anew.
        drop_last: leave the last batch out if it is smaller.

    Raises:
        DataError: if there is no example, or with ``drop_last`` no whole batch.
        ShapeError: if the arrays are not of the same length.

    >>> import fcnn, numpy as np
    >>> from fcnn.data import batches
    >>> [x.tolist() for x, in batches((np.arange(5),), 2)]
    [[0, 1], [2, 3], [4]]
    >>> shuffled = batches((np.arange(5),), 2, key=fcnn.key(0), drop_last=True)
    >>> sum(len(x) for x, in shuffled)
    4
    """
    given = (data.images, data.labels) if isinstance(data, Dataset) else data
    arrays = tuple([np.asarray(array) for array in given])
    size = whole(batch_size, "batch_size")
    lengths = {array.shape[:1] for array in arrays}
    if len(lengths) != 1 or () in lengths:
        shapes = ", ".join(str(array.shape) for array in arrays)
        raise ShapeError(f"batches are cut from arrays of the same length, and {shapes} came")
    n = len(arrays[0])
    end = n - n % size if drop_last else n
    if end == 0:
        raise DataError(f"there is no batch of {size} in {n} examples")
    return _cut(arrays, size, end, None if key is None else prng.permutation(key, n))


def _cut(
    arrays: tuple[Array, ...], size: int, end: int, order: Array | None
) -> Iterator[tuple[Array, ...]]:
    for start in range(0, end, size):
        rows = slice(start, start + size)
        index = rows if order is None else order[rows]
        yield tuple([array[index] for array in arrays])


def one_hot(labels: Any, classes: int, *, dtype: Any = np.float32) -> Array:
    """A one at each label's place: labels ``(...)`` to vectors ``(..., classes)``.

    Raises:
        LabelError: if a label is no whole number or not from 0 to ``classes - 1``.

    >>> from fcnn.data import one_hot
    >>> one_hot([2, 0], 3)
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    array, n = np.asarray(labels), whole(classes, "classes")
    if array.dtype.kind not in "iu":
        raise LabelError(f"labels must be whole numbers, and an array of {array.dtype} came")
    if array.size and not 0 <= array.min() <= array.max() < n:
        raise LabelError(
            f"labels must be from 0 to {n - 1}, since there are {n} classes, "
            f"and they go from {array.min()} to {array.max()}"
        )
    vectors: Array = (array[..., None] == np.arange(n)).astype(dtype)
    return vectors
