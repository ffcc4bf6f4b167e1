"""A tree of a file in the place of one that is like it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from fcnn.checkpoint._decode import decode, leaves_of
from fcnn.checkpoint._encode import Encoded
from fcnn.errors import TreeError

T = TypeVar("T")


def into(like: T, doc: Any, arrays: Mapping[str, np.ndarray], *, strict: bool, by_name: bool) -> T:
    """Return a tree like ``like`` with the leaves of the document.

    Args:
        like: the tree.
        doc: the description of the file's tree.
        arrays: the file's arrays.
        strict: refuse a difference; otherwise take what fits, and warn.
        by_name: the file has no description: go by the names of its arrays.

    Raises:
        TreeError: with the first leaf that differs.
    """
    own = Encoded()
    shape = own.encode(like, "")
    ours, theirs = leaves_of(shape, own.arrays), leaves_of(doc, arrays)
    if by_name:
        ours = {_array_name(leaf) or path: leaf for path, leaf in ours.items()}
        theirs = {leaf["array"]: leaf for leaf in theirs.values()}
    left = []
    for path, leaf in ours.items():
        expected, got = _kind(leaf, own.arrays), _kind(theirs.get(path), arrays)
        if expected == got:
            _take(leaf, theirs[path], own.arrays, arrays)
        elif strict:
            raise TreeError(
                f"expected {path or 'the root'} of {expected}, got {got}; load it with like= of "
                f"the same model, or with strict=False to take what fits"
            )
        else:
            left.append(path)
    more = [path for path in theirs if path not in ours]
    if more and strict:
        raise TreeError(
            f"expected no leaf {more[0]}, got {_kind(theirs[more[0]], arrays)}; load it with "
            f"like= of the same model, or with strict=False to take what fits"
        )
    if left or more:
        warnings.warn(_report(len(ours), left, more), UserWarning, stacklevel=3)
    return decode(shape, own.arrays, lambda kind, name: own.found[name])  # type: ignore[no-any-return]


def _array_name(leaf: dict[str, Any]) -> str | None:
    return leaf.get("array")


def _kind(leaf: dict[str, Any] | None, arrays: Mapping[str, np.ndarray]) -> str:
    """Return what two leaves must have in common: the type, and an array's shape and dtype."""
    if leaf is None:
        return "nothing"
    tag = next(iter(leaf))
    if tag not in ("array", "scalar"):
        return f"a number ({tag})"
    array = arrays[leaf[tag]]
    return f"shape {array.shape} {array.dtype}" + " (a scalar)" * (tag == "scalar")


def _take(
    ours: dict[str, Any],
    theirs: dict[str, Any],
    into: dict[str, np.ndarray],
    arrays: Mapping[str, np.ndarray],
) -> None:
    tag = next(iter(ours))
    if tag in ("array", "scalar"):
        into[ours[tag]] = arrays[theirs[tag]]
    else:
        ours[tag] = theirs[tag]


def _report(count: int, left: list[str], more: list[str]) -> str:
    parts = [f"took {count - len(left)} of {count} leaves from the file"]
    if left:
        parts.append(f"kept those of like: {_listed(left)}")
    if more:
        parts.append(f"left in the file: {_listed(more)}")
    return "; ".join(parts)


def _listed(paths: list[str], most: int = 8) -> str:
    return ", ".join(paths[:most]) + (f" and {len(paths) - most} more" if len(paths) > most else "")
