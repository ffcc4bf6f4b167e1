"""Parts of a data set: one to learn from and one to validate on, or k folds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np

from fcnn import prng
from fcnn._check import number, whole
from fcnn._doors import check_data, check_key
from fcnn._typing import Array
from fcnn.errors import ArgumentError, DataError
from fcnn.prng import Key

D = TypeVar("D")


def split(data: D, part: float, *, key: Key, stratify: bool = False) -> tuple[D, D]:
    """Cut a data set into the rest and a part drawn at random, each in the data's order.

    Args:
        data: a `Dataset`, or a `LazyDataset`, of which nothing is read.
        part: the part's size, as a fraction of the examples or as a whole number of them.
        key: draws the part.
        stratify: give the part of each class its proportion, up to one example. Targets must be
            whole numbers (n,).

    Raises:
        ArgumentError: if an argument is out of its range.
        DataError: if one of the two would be empty.

    >>> import fcnn
    >>> from fcnn.data import mnist, split
    >>> train, validation = split(mnist("train", 1000), 0.2, key=fcnn.key(0), stratify=True)
    >>> len(train), len(validation)
    (800, 200)
    """
    n = _check(data, key)
    if isinstance(part, int | np.integer):
        m = whole(part, "part")
    else:
        m = round(n * number(part, "part", 0.0, 1.0, open_high=True))
    if not 0 < m < n:
        raise DataError(f"expected at least one example in each part, got {m} and {n - m} of {n}")
    order = _order(data, n, key, stratify)
    chosen = np.zeros(n, bool)
    # Evenly spaced through examples that are sorted by class: each class gets its proportion.
    chosen[order[(2 * np.arange(m) + 1) * n // (2 * m)]] = True
    return _rows(data, np.flatnonzero(~chosen)), _rows(data, np.flatnonzero(chosen))


def k_folds(data: D, k: int, *, key: Key, stratify: bool = False) -> Iterator[tuple[D, D]]:
    """Return k pairs (the rest, fold); each example is in one fold, drawn at random.

    The sizes of folds differ by one example at most. A pair is made when it is asked for.

    Args:
        data: see `split`.
        k: the number of folds, 2 or more.
        key: draws the folds.
        stratify: let the folds' examples of a class differ by one at most. Targets must be
            whole numbers (n,).

    Raises:
        ArgumentError: if an argument is out of its range.
        DataError: if there are fewer examples than folds.

    >>> import fcnn
    >>> from fcnn.data import k_folds, mnist
    >>> folds = k_folds(mnist("train", 10), 3, key=fcnn.key(0))
    >>> [(len(train), len(validation)) for train, validation in folds]
    [(6, 4), (7, 3), (7, 3)]
    """
    n = _check(data, key)
    if whole(k, "k", 2) > n:
        raise DataError(f"expected at least {k} examples for {k} folds, got {n}")
    order = _order(data, n, key, stratify)
    fold = np.empty(n, np.int64)
    fold[order] = np.arange(n) % k  # a class's examples follow each other
    return _pairs(data, fold, k)


def _pairs(data: D, fold: Array, k: int) -> Iterator[tuple[D, D]]:
    for i in range(k):
        yield _rows(data, np.flatnonzero(fold != i)), _rows(data, np.flatnonzero(fold == i))


def _check(data: Any, key: Any) -> int:
    check_data(data)
    check_key(key)
    return len(data)


def _order(data: Any, n: int, key: Key, stratify: bool) -> Array:
    """Return the examples in random order, or sorted by class, each class in random order."""
    order = prng.permutation(key, n)
    if not stratify:
        return order
    targets = getattr(data, "targets", None)
    if not (isinstance(targets, np.ndarray) and targets.ndim == 1 and targets.dtype.kind in "iu"):
        raise ArgumentError(
            "expected targets of whole numbers (n,) for stratify, got others; use stratify=False"
        )
    return order[np.argsort(targets[order], kind="stable")]


def _rows(data: Any, rows: Array) -> Any:
    """Return some examples, as lazy as the data are."""
    subset = getattr(data, "subset", None)
    return data[rows] if subset is None else subset(rows)
