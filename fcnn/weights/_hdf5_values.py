"""What objects of HDF5 files hold: arrays, which are read on demand, and attributes of text."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from fcnn.errors import DataError
from fcnn.weights._hdf5_types import Datatype, dataspace, datatype, padded
from fcnn.weights._stored import Stored, numbers

if TYPE_CHECKING:
    from fcnn.weights._hdf5 import File


def array_of(file: File, messages: list[tuple[int, memoryview]]) -> Stored:
    """Return a dataset as an array that is read on demand."""
    found = dict(messages)
    if 0x07 in found:
        raise DataError("expected an array in the file, got one that is kept elsewhere")
    if 0x01 not in found or 0x03 not in found or 0x0B in found:
        raise DataError("expected an array as Keras writes it, got one without a type or filtered")
    shape, kind, layout = dataspace(found[0x01]), datatype(found[0x03]), found[0x08]
    count = 1
    for n in shape or ():
        count *= n
    size = count * kind.size
    if shape is None or kind.numbers is None:
        raise DataError(f"expected an array of numbers in the file, got a {kind.name}")
    if layout[0] not in (3, 4) or layout[1] > 1:
        raise DataError("expected an array in one piece as Keras writes it, got one in chunks")
    if layout[1] == 0:
        (n,) = struct.unpack("<H", layout[2:4])
        data = layout[4 : 4 + n]
    else:
        place, n = struct.unpack("<QQ", layout[2:18])
        data = file.block(place, size) if size else layout[:0]
    if n < size or len(data) < size:
        raise DataError(f"expected {size} bytes of an array {shape}, got {n}")
    code, data = kind.numbers, data[:size]
    return Stored(shape, lambda: numbers(data, code).reshape(shape))


def attribute_of(file: File, data: memoryview) -> tuple[str, Any]:
    """Return the name of an attribute, and its text."""
    version, _, of_name, of_type, of_space = struct.unpack("<BBHHH", data[:8])
    if version not in (1, 2, 3):
        raise DataError(f"expected an attribute of version 1 to 3, got {version}")
    at = 9 if version == 3 else 8
    sizes = [padded(n) if version == 1 else n for n in (of_name, of_type, of_space)]
    parts = []
    for n, wide in zip((of_name, of_type, of_space), sizes, strict=True):
        parts.append(data[at : at + n])
        at += wide
    name = until_zero(parts[0])
    if data[1] and version > 1:  # a type that is kept elsewhere
        return name, None
    kind, shape = datatype(parts[1]), dataspace(parts[2])
    if shape is None or kind.size == 0 or len(shape) > 1:
        return name, None
    count = shape[0] if shape else 1
    if len(data) < at + count * kind.size:
        raise DataError(f"expected {count} values of the attribute {name!r:.60}, got fewer")
    places = range(at, at + count * kind.size, kind.size)
    texts = [_text(file, kind, data[i : i + kind.size]) for i in places]
    return name, texts if shape else texts[0]


def _text(file: File, kind: Datatype, value: memoryview) -> str | None:
    if kind.name == "text":
        file.step(len(value))
        return bytes(value).split(b"\0")[0].decode()
    if kind.name != "text of any length":
        return None
    length, heap, index = struct.unpack("<IQI", value)
    if not length:
        return ""
    file.step(length)
    return bytes(_of_heap(file, heap, index)[:length]).split(b"\0")[0].decode()


def _of_heap(file: File, address: int, index: int) -> memoryview:
    """Return an object of a global heap."""
    (size,) = struct.unpack("<Q", file.signed(address, 16, b"GCOL")[8:])
    heap = file.block(address, size)
    at = 16
    while at + 16 <= size:
        file.step()
        number, n = struct.unpack("<H6xQ", heap[at : at + 16])
        if number == index:
            return heap[at + 16 : at + 16 + n]
        if number == 0:
            break
        at += 16 + padded(n)
    raise DataError(f"expected the object {index} of a heap, got none")


def until_zero(data: memoryview) -> str:
    """Return a name that ends at a zero byte."""
    name, zero, _ = bytes(data[:2000]).partition(b"\0")
    if not zero:
        raise DataError("expected a name of at most 2000 bytes, got a longer one")
    return name.decode()
