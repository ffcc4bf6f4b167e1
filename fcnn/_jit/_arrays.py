"""Questions about arrays and their indices that a recorder asks."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from fcnn._typing import Array


def digest_of(outs: Sequence[Array]) -> bytes:
    """Return a digest of the bytes of arrays."""
    found = hashlib.blake2b(digest_size=16)
    for each in outs:
        found.update(each.tobytes())
    return found.digest()


def is_basic(key: Any) -> bool:
    """Whether an index gives a view."""
    parts = key if isinstance(key, tuple) else (key,)
    return all(
        part is None or part is Ellipsis or isinstance(part, slice | np.integer)
        or (isinstance(part, int) and not isinstance(part, bool))
        for part in parts
    )  # fmt: skip


def as_view(key: Any) -> tuple[Any, ...]:
    """Return a basic index with which NumPy gives an array for an element too."""
    parts = key if isinstance(key, tuple) else (key,)
    return parts if any(part is Ellipsis for part in parts) else (*parts, ...)


def is_same(a: Array, b: Array) -> bool:
    return (
        a.__array_interface__["data"] == b.__array_interface__["data"]
        and a.shape == b.shape
        and a.strides == b.strides
        and a.dtype == b.dtype
    )
