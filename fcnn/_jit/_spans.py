"""Where an array lies in memory: its owner, and a view of other memory at the same place."""

from __future__ import annotations

from typing import Any, NamedTuple

import attrs
import numpy as np

from fcnn._typing import Array

ALIGNED = 64  # bytes: a cache line, and the widest vector


@attrs.define(eq=False)
class Owner:
    """An array that owns its memory, or did: the array itself may be gone.

    Attributes:
        shape: its shape, its strides and dtype.
        address: of its first element.
        first: where that lies in its memory, in bytes.
        nbytes: how long its memory is.
        array: the array, while it depends on no argument.
    """

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype[Any]
    address: int
    first: int
    nbytes: int
    array: Array | None = None

    @classmethod
    def of(cls, array: Array) -> Owner:
        """Describe an array."""
        start = address(array)
        if array.flags.forc:
            first, nbytes = 0, array.nbytes
        else:
            low, high = np.lib.array_utils.byte_bounds(array)
            first, nbytes = start - low, high - low
        return cls(array.shape, array.strides, array.dtype, start, first, nbytes, array)

    @property
    def whole(self) -> Place:
        """The place of the array itself."""
        return Place(self, self.first, self.shape, self.strides, self.dtype)

    @property
    def axes(self) -> tuple[int, ...] | None:
        """The axes by which it is contiguous in C order; None if there are none."""
        return in_memory_order(self.whole)


class Place(NamedTuple):
    """An array as a part of the memory of its owner."""

    owner: Owner
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype[Any]


def owner_of(array: Array) -> Array:
    """Return the array at the end of the chain of bases."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def place_in(owner: Owner, array: Array) -> Place:
    """Return where an array lies in the memory of its base, which the owner describes."""
    shape, strides, dtype = array.shape, array.strides, array.dtype
    if strides == owner.strides and shape == owner.shape and dtype == owner.dtype:
        return Place(owner, owner.first, shape, strides, dtype)  # as long: it begins there as well
    offset = address(array) - owner.address + owner.first
    return Place(owner, offset, shape, strides, dtype)


def address(array: Array) -> int:
    """Return the address of an array's first element."""
    return int(array.__array_interface__["data"][0])


def at(place: Place, memory: Array, start: int = 0) -> Array:
    """Return the view of ``memory``, bytes of the owner from ``start`` on, at this place."""
    return np.ndarray(place.shape, place.dtype, memory, start + place.offset, place.strides)


def aligned(size: int) -> Array:
    """Return bytes that begin at a cache line."""
    whole = np.empty(size + ALIGNED, np.uint8)
    return whole[-address(whole) % ALIGNED :][:size]


def copy_of(array: Array) -> Array:
    """Return the bytes of an array's memory, copied."""
    owner = Owner.of(array)
    copied = aligned(owner.nbytes)
    np.copyto(at(owner.whole, copied), array)
    return copied


def in_memory_order(place: Place) -> tuple[int, ...] | None:
    """Return the axes by which a place is contiguous in C order; None if there are none."""
    axes = tuple(range(len(place.shape)))
    if _is_contiguous(place, axes):
        return axes
    axes = tuple(sorted(axes, key=lambda axis: -place.strides[axis]))
    return axes if _is_contiguous(place, axes) else None


def _is_contiguous(place: Place, axes: tuple[int, ...]) -> bool:
    if 0 in place.shape:
        return True
    step = place.dtype.itemsize
    for axis in reversed(axes):
        n = place.shape[axis]
        if n != 1 and place.strides[axis] != step:
            return False
        step *= n
    return True


def same_bits(a: Any, b: Any) -> bool:
    """Whether two arrays or numbers have one dtype, one shape and the same bytes."""
    x, y = np.asarray(a), np.asarray(b)
    return x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes()
