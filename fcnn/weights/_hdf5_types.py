"""The datatypes and shapes that HDF5 files of weights have.

Source: the HDF5 File Format Specification, version 3.0, sections IV.A.2.b and IV.A.2.d.
"""

from __future__ import annotations

import struct

import attrs

from fcnn._typing import Shape
from fcnn.errors import DataError
from fcnn.weights._stored import BF16

# Place and size of exponent and mantissa, and the exponent's bias.
_FLOATS = {
    (2, 10, 5, 0, 10, 15): "f2",
    (2, 7, 8, 0, 7, 127): BF16,
    (4, 23, 8, 0, 23, 127): "f4",
    (8, 52, 11, 0, 52, 1023): "f8",
}


@attrs.frozen
class Datatype:
    """What the elements of an array or attribute are.

    Attributes:
        name: in words.
        size: in bytes.
        numbers: as `fcnn.weights._stored.numbers` takes it; None if they are no numbers.
    """

    name: str
    size: int
    numbers: str | None = None


def datatype(data: memoryview) -> Datatype:
    """Return the datatype of a message.

    >>> import struct
    >>> from fcnn.weights._hdf5_types import datatype
    >>> content = struct.pack("<BBBBIHHBBBBI", 0x11, 0x20, 31, 0, 4, 0, 32, 23, 8, 0, 23, 127)
    >>> datatype(memoryview(content)).numbers
    '<f4'
    """
    kind, flags, _, _, size = struct.unpack("<BBBBI", data[:8])
    order = ">" if flags & 1 else "<"
    match kind & 15:
        case 0 if size in (1, 2, 4, 8):
            return Datatype("whole number", size, f"{order}{'i' if flags & 8 else 'u'}{size}")
        case 1:
            code = _FLOATS.get((size, *struct.unpack("<BBBBI", data[12:20])))
            if code is None or flags & 0x40 or (code == BF16 and order == ">"):
                raise DataError(f"expected IEEE floats or bfloat16, got others of {size} bytes")
            return Datatype("float", size, code if code == BF16 else order + code)
        case 3:
            return Datatype("text", size)
        case 5 if size == 2:  # what h5py makes of the package ml_dtypes' bfloat16
            return Datatype("bfloat16", size, BF16)
        case 9 if flags & 15 == 1 and size == 16:
            return Datatype("text of any length", size)
        case _:
            return Datatype(f"type {kind & 15}", size)


def dataspace(data: memoryview) -> Shape | None:
    """Return the shape of a message; None if there is nothing.

    >>> import struct
    >>> from fcnn.weights._hdf5_types import dataspace
    >>> dataspace(memoryview(struct.pack("<BBB5xQQ", 1, 2, 0, 3, 4)))
    (3, 4)
    """
    version, rank, _, kind = struct.unpack("<BBBB", data[:4])
    if version not in (1, 2) or rank > 32:
        raise DataError(f"expected a shape of at most 32 axes, got {rank}, version {version}")
    if version == 2 and kind == 2:
        return None
    start = 8 if version == 1 else 4
    return struct.unpack(f"<{rank}Q", data[start : start + 8 * rank])


def padded(n: int) -> int:
    """Return the next multiple of eight."""
    return n + -n % 8
