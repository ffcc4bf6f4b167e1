"""The description of a data set in a run: its SHA-256, and which set of `fcnn.data` it is."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from fcnn import tree
from fcnn.errors import DataError, FcnnError

_BLOCK = 1024
"""How many examples are read at a time, so that data beyond memory have a digest too."""

_SETS = ("mnist", "fashion_mnist")


def about(data: Any) -> dict[str, Any]:
    """Return how a data set prints, its SHA-256, size, classes, and where it is from.

    >>> from fcnn._folder._sources import about
    >>> from fcnn.data import mnist
    >>> about(mnist("train", 5000)[100:300])["source"]
    {'set': 'mnist', 'split': 'train', 'rows': [100, 300]}
    """
    return {
        "printed": repr(data),
        "sha256": sha256(data),
        "examples": len(data),
        "classes": list(data.classes),
        "source": recognise(data),
    }


def sha256(data: Any) -> str:
    """Return the SHA-256 of the class names and of the digests of blocks of 1,024 examples."""
    digest = hashlib.sha256(repr(tuple(data.classes)).encode())
    for start in range(0, len(data), _BLOCK):
        block = data[start : start + _BLOCK]
        digest.update(tree.digest((block.inputs, block.targets)).encode())
    return digest.hexdigest()


def recognise(data: Any) -> dict[str, Any] | None:
    """Return which rows of which set of `fcnn.data` a data set is; None if it is none of them."""
    from fcnn import data as sets

    if not isinstance(data, sets.Dataset) or len(data) == 0:
        return None
    x, _ = data[0]
    if not isinstance(x, np.ndarray) or x.shape != (28, 28, 1) or len(data.classes) != 10:
        return None
    for name, split in itertools.product(_SETS, ("train", "test")):
        try:
            whole = getattr(sets, name)(split)
        except (FcnnError, OSError):
            continue  # none of it is here
        rows = _rows_in(whole, data) if whole.classes == data.classes else None
        if rows is not None:
            return {"set": name, "split": split, "rows": rows}
    return None


def _rows_in(whole: Any, data: Any) -> list[int] | None:
    """Return the first and the last row, plus one, of a data set that hold another; else None."""
    x, target = data[0]
    for start in np.flatnonzero(whole.targets == target).tolist():
        rows = [start, start + len(data)]
        if np.array_equal(whole.inputs[start], x) and whole[rows[0] : rows[1]] == data:
            return rows
    return None


def load(source: Mapping[str, Any] | None) -> Any:
    """Return the data that `recognise` recognised; None for None.

    Raises:
        DataError: if the set has fewer examples here, or there is no such set.
    """
    if source is None:
        return None
    from fcnn import data as sets

    if source.get("set") not in _SETS:
        raise DataError(f"expected one of the sets {', '.join(_SETS)}, got {source.get('set')!r}")
    start, stop = source["rows"]
    return getattr(sets, source["set"])(source["split"], stop)[start:]


def check(data: Any, held: Mapping[str, Any], what: str) -> None:
    """Refuse other data than those of a run.

    Raises:
        DataError: with both.
    """
    found = sha256(data)
    if found != held["sha256"]:
        raise DataError(
            f"expected the run's {what}, {held['printed']} of SHA-256 {held['sha256'][:12]}…, "
            f"got {data!r} of {found[:12]}…; pass the {what} that the run was made with"
        )
