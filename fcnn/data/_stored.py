"""Arrays in memory or mapped from a file: some of their rows, and whole numbers as floats."""

from __future__ import annotations

import math
import mmap
import os
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from fcnn._typing import Array
from fcnn.data._leaves import leaves, map_leaves
from fcnn.errors import ArgumentError, DataError, DTypeError


def opened(leaf: Any, path: str) -> Any:
    """Return an array as it is, a list as an array, and the path of a ``.npy`` as a mapped array.

    Raises:
        DataError: if the file is no ``.npy``, or shorter than it says.
    """
    if not isinstance(leaf, str | os.PathLike):
        return leaf if isinstance(leaf, np.ndarray) else np.asarray(leaf)
    try:
        return np.load(Path(leaf), mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DataError(f"expected a .npy file of numbers, got {leaf}: {error}", path) from error


def in_memory(tree: Any) -> bool:
    """Whether no leaf is mapped from a file, vectors aside, which are small."""
    return all(_mapping(leaf) is None or leaf.ndim == 1 for _, leaf in leaves(tree))


def read_rows(tree: Any, rows: Array) -> Any:
    """Return some rows of every leaf; of a mapped array as a copy, its pages released."""
    return map_leaves(lambda leaf, _: _rows(leaf, rows), tree)


def _rows(array: Array, rows: Array) -> Array:
    mapping = _mapping(array)
    plain = array.view(np.ndarray)
    first, n = (int(rows[0]), len(rows)) if len(rows) else (0, 0)
    if n and rows[-1] - first == n - 1 and (n == 1 or (np.diff(rows) == 1).all()):
        part = plain[first : first + n]
        part = part if mapping is None else part.copy()
    else:
        part = plain[rows]
    # Pages of a mapped file that were read count as this process's memory until the system
    # needs them, which would be the whole file; they stay in the system's cache.
    if mapping is not None and hasattr(mapping, "madvise"):
        mapping.madvise(mmap.MADV_DONTNEED)
    if part.dtype == np.float16:
        part = part.astype(np.float32)
    if not part.dtype.isnative:
        part = part.astype(part.dtype.newbyteorder("="))
    return part


def _mapping(array: Any) -> mmap.mmap | None:
    """Return the mapping of a file that an array is a view of, if the array cannot change it.

    Copy-on-write mappings (mode "c") keep their changes in the pages.
    """
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap) and array.mode == "c":
            return None
        array = array.base
    return array if isinstance(array, mmap.mmap) else None


@attrs.frozen
class Scale:
    """A factor for whole numbers, or None."""

    factor: float | None

    @classmethod
    def of(cls, factor: Any) -> Scale:
        """Check the factor.

        Raises:
            ArgumentError: if it is no finite number, or zero.
        """
        if factor is None:
            return cls(None)
        if (
            not isinstance(factor, float | int | np.floating | np.integer)
            or isinstance(factor, bool)
            or not math.isfinite(factor)
            or factor == 0
        ):
            raise ArgumentError(f"expected a finite number other than 0 for scale, got {factor!r}")
        return cls(float(factor))

    def apply(self, leaf: Any, path: str) -> Any:
        """Scale an array of whole numbers; return any other as it is.

        Raises:
            DTypeError: if it holds uint8, and there is no factor.
        """
        array = np.asarray(leaf)
        if array.dtype.kind not in "iu":
            return leaf
        if self.factor is None:
            if array.dtype == np.uint8:
                raise DTypeError(
                    "expected float32, float64 or whole numbers, got uint8; pass scale=1/255 for "
                    "pixels",
                    path,
                )
            return leaf
        # Products in float64, rounded once: times 1/255 they are the quotients by 255 rounded.
        # NumPy takes them through a small buffer, so that no array of float64 is made.
        out = np.empty(array.shape, np.float32)
        return np.multiply(array, self.factor, out=out, dtype=np.float64, casting="same_kind")
