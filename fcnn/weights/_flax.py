"""Flax's msgpack files: nested dicts of arrays.

An array is an extension of type 1 that holds ``(shape, dtype, bytes)``. Only what such a file
is made of is read, and the numbers stay in the file until they are asked for; so no library is
needed, and no copy is made.

Sources: ``flax/serialization.py`` of version 0.12; https://github.com/msgpack/msgpack.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from fcnn.errors import DataError
from fcnn.weights._stored import BF16, Stored, itemsize, mapped, numbers, reading

_NUMBERS = {
    0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b",
    0xD1: ">h", 0xD2: ">i", 0xD3: ">q",
}  # fmt: skip
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}
_LENGTHS = {
    0xC4: ("bin", ">B"), 0xC5: ("bin", ">H"), 0xC6: ("bin", ">I"), 0xC7: ("ext", ">B"),
    0xC8: ("ext", ">H"), 0xC9: ("ext", ">I"), 0xD9: ("str", ">B"), 0xDA: ("str", ">H"),
    0xDB: ("str", ">I"), 0xDC: ("array", ">H"), 0xDD: ("array", ">I"), 0xDE: ("map", ">H"),
    0xDF: ("map", ">I"),
}  # fmt: skip
_MOST = 2_000_000
"""Objects in a file: each takes some 60 bytes of memory, and one byte of the file."""


def read(path: Path) -> dict[str, Stored]:
    """Return the arrays by ``/``-joined names, in the file's order.

    Raises:
        OSError: if there is no such file.
        DataError: if it is damaged, or nothing that ``flax.serialization.to_bytes`` wrote.
    """
    with reading("Flax msgpack"):
        whole = mapped(path)
        reader = _Reader(whole)
        made = reader.value(0)
        if reader.at != len(whole) or not isinstance(made, dict):
            raise DataError("expected a dict of arrays as Flax writes it, got other bytes")
        found: dict[str, Stored] = {}
        _flatten(made, "", found)
        return found


def _flatten(made: dict[Any, Any], prefix: str, found: dict[str, Stored]) -> None:
    if "__msgpack_chunked_array__" in made:
        raise DataError(f"expected arrays of less than 1 GiB, got {prefix!r:.60} in chunks")
    for name, child in made.items():
        if isinstance(child, dict):
            _flatten(child, f"{prefix}{name}/", found)
        elif isinstance(child, Stored):
            found[f"{prefix}{name}"] = child


@attrs.define
class _Reader:
    """A place in the bytes."""

    data: memoryview
    at: int = 0
    count: int = 0

    def take(self, n: int) -> memoryview:
        """Return the next bytes."""
        found = self.data[self.at : self.at + n]
        if len(found) < n:
            raise DataError(f"expected {n} bytes at {self.at}, got the end of the file")
        self.at += n
        return found

    def value(self, depth: int) -> Any:
        """Return the next object."""
        self.count += 1
        if depth > 100 or self.count > _MOST:
            raise DataError("expected a dict of arrays, got one that is nested too deep or too big")
        first = self.take(1)[0]
        if first < 0x80:
            return first
        if first >= 0xE0:
            return first - 256
        if first in _CONSTANTS:
            return _CONSTANTS[first]
        if first in _NUMBERS:
            return self._number(_NUMBERS[first])
        kind, n = self._kind(first)
        match kind:
            case "str":
                return str(self.take(n), "utf-8")
            case "bin":
                return self.take(n)
            case "array":
                return [self.value(depth + 1) for _ in range(n)]
            case "map":
                return {self._key(depth): self.value(depth + 1) for _ in range(n)}
            case _:
                return self._extension(n, depth)

    def _number(self, code: str) -> Any:
        return struct.unpack(code, self.take(struct.calcsize(code)))[0]

    def _kind(self, first: int) -> tuple[str, int]:
        if first < 0x90:
            return "map", first & 15
        if first < 0xA0:
            return "array", first & 15
        if first < 0xC0:
            return "str", first & 31
        if 0xD4 <= first <= 0xD8:
            return "ext", 1 << (first - 0xD4)
        if first not in _LENGTHS:
            raise DataError(f"expected an object, got the byte {first:#x}")
        kind, code = _LENGTHS[first]
        return kind, self._number(code)

    def _key(self, depth: int) -> Any:
        key = self.value(depth + 1)
        if not isinstance(key, str | int):
            raise DataError(f"expected text as a name, got {type(key).__name__}")
        return key

    def _extension(self, n: int, depth: int) -> Any:
        (code,) = struct.unpack(">b", self.take(1))
        data = self.take(n)
        if code not in (1, 3):  # an array, or a NumPy number
            return None
        inner = _Reader(data)
        shape, dtype, content = inner.value(depth + 1)
        return _array(shape, dtype, content)


def _array(shape: Any, dtype: Any, content: Any) -> Stored:
    if type(dtype) is not str:
        raise DataError(f"expected the dtype of an array, got {dtype!r:.40}")
    kind = BF16 if dtype == "bfloat16" else f"<{np.dtype(dtype).str[1:]}"
    plain = isinstance(shape, list) and all(type(n) is int and n >= 0 for n in shape)
    if not plain or (kind[1] not in "fiubc" and kind != BF16):
        raise DataError(f"expected the shape and dtype of an array, got {shape!r:.40}, {dtype!r}")
    if not isinstance(content, memoryview) or len(content) != math.prod(shape) * itemsize(kind):
        raise DataError(f"expected the numbers of an array {shape}, got others")
    return Stored(tuple(shape), lambda: numbers(content, kind).reshape(shape))
