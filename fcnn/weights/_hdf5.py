"""HDF5 files as h5py and Keras write them, read without the C library.

That library can crash or run for minutes on a damaged file (1.14 and 2.0 do). Here all is slices
of the file's bytes: what lies outside of them is refused, and each object that is looked at is
counted. Read are groups, attributes, and datasets in one piece or within their header. Refused are
chunks, filters, links to elsewhere and groups of the newest format that are kept in a heap.

Source: the HDF5 File Format Specification, version 3.0, sections II to IV.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import attrs

from fcnn.errors import DataError
from fcnn.weights._hdf5_values import array_of, attribute_of, until_zero
from fcnn.weights._stored import Stored

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_NOWHERE = 0xFFFF_FFFF_FFFF_FFFF
_MOST = 1_000_000
"""Blocks that are looked at, and pieces of text: links and names may lead to the same ones."""


@attrs.define(eq=False)
class File:
    """The bytes of a file."""

    whole: memoryview
    count: int = 0

    @classmethod
    def of(cls, whole: memoryview) -> File:
        """Return a file.

        Raises:
            DataError: if it does not begin as one of HDF5 does.
        """
        if bytes(whole[:8]) != _SIGNATURE:
            raise DataError("expected an HDF5 file, got other bytes")
        return cls(whole)

    def root(self) -> Group:
        """Return the group that all others are in."""
        version = self.whole[8]
        widths = self.whole[13:15] if version < 2 else self.whole[9:11]
        if version > 3 or bytes(widths) != b"\x08\x08":
            raise DataError(f"expected HDF5 of addresses of 8 bytes, got version {version}")
        at = {0: 24, 1: 28}.get(version, 12)
        if self.words(at, 1) != (0,):
            raise DataError("expected HDF5 from the first byte of the file, got it further on")
        (address,) = self.words(at + (40 if version < 2 else 24), 1)
        found = self.object(address)
        if not isinstance(found, Group):
            raise DataError("expected a group at the root of the file, got an array")
        return found

    def step(self, n: int = 0) -> None:
        """Count a block or a text of n bytes."""
        self.count += 1 + n // 64
        if self.count > _MOST:
            raise DataError("expected a tree of layers, got one too deep or too big")

    def block(self, at: int, n: int) -> memoryview:
        """Return bytes of a block, and count it."""
        self.step()
        found = self.whole[at : at + n]
        if len(found) < n:
            raise DataError(f"expected {n} bytes at {at}, got the end of the file")
        return found

    def words(self, at: int, n: int) -> tuple[int, ...]:
        """Return whole numbers of eight bytes."""
        return struct.unpack(f"<{n}Q", self.block(at, 8 * n))

    def signed(self, at: int, n: int, signature: bytes) -> memoryview:
        """Return a block that begins with four letters."""
        block = self.block(at, n)
        if bytes(block[:4]) != signature:
            raise DataError(f"expected a block {signature!r} at {at}, got {bytes(block[:4])!r}")
        return block

    def object(self, address: int) -> Group | Stored:
        """Return the group or the array at an address."""
        messages = list(_messages(self, address))
        if any(kind == 0x08 for kind, _ in messages):
            return array_of(self, messages)
        return Group(self, messages)


@attrs.define(eq=False, slots=False)
class Group:
    """A group: other groups and arrays by name, and attributes."""

    file: File
    messages: list[tuple[int, memoryview]]

    @cached_property
    def attrs(self) -> dict[str, Any]:
        """The attributes: text, a list of text or None, if it is of another kind."""
        pairs = [attribute_of(self.file, data) for kind, data in self.messages if kind == 0x0C]
        return dict(pairs)

    @cached_property
    def _places(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for kind, data in self.messages:
            if kind == 0x11:
                tree, heap = struct.unpack("<QQ", data[:16])
                found.update(_of_tree(self.file, tree, _names_of(self.file, heap)))
            elif kind == 0x06:
                found.update([_of_link(data)])
            elif kind in (0x02, 0x15):
                flags = data[1]
                at = 2 + (8 if kind == 0x02 and flags & 1 else 2 if flags & 1 else 0)
                if struct.unpack("<Q", data[at : at + 8]) != (_NOWHERE,):
                    raise DataError("expected a group as Keras writes it, got one in a heap")
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __getitem__(self, name: str) -> Group | Stored:
        if name not in self._places:
            raise DataError(f"expected {name!r:.60} in a group of the file, got none")
        return self.file.object(self._places[name])

    def group(self, name: str) -> Group:
        """Return a group.

        Raises:
            DataError: if it is an array.
        """
        found = self[name]
        if not isinstance(found, Group):
            raise DataError(f"expected the group {name!r:.60} in the file, got an array")
        return found


def _messages(file: File, address: int) -> Iterator[tuple[int, memoryview]]:
    """Yield kind and content of each message of an object's header."""
    start = file.block(address, 16)
    is_new = bytes(start[:4]) == b"OHDR"
    if not is_new and start[0] != 1:
        raise DataError(f"expected the header of an object at {address}, got other bytes")
    form, head = "<HHB", 8
    blocks = [(address + 16, int.from_bytes(start[8:12], "little"))]
    if is_new:
        flags = start[5]
        at = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        size = int.from_bytes(file.block(address + at, width), "little")
        form, head = "<BHB", 6 if flags & 4 else 4
        blocks = [(address + at + width, size)]
    while blocks:
        place, size = blocks.pop(0)
        block = file.block(place, size)
        at = 0
        while at + head <= size:
            file.step()
            kind, n, shared = struct.unpack(form, block[at : at + struct.calcsize(form)])
            data, at = block[at + head : at + head + n], at + head + n
            if len(data) < n or (shared & 2 and kind in (0x01, 0x03, 0x08, 0x0C)):
                raise DataError(f"expected a message of {n} bytes in its header, got another")
            if kind == 0x10:
                there, length = struct.unpack("<QQ", data[:16])
                if is_new:
                    file.signed(there, length, b"OCHK")
                blocks.append((there + 4, length - 8) if is_new else (there, length))
            elif kind:
                yield kind, data


def _names_of(file: File, address: int) -> memoryview:
    """Return the names of a group, each ended by a zero."""
    size, _, place = struct.unpack("<QQQ", file.signed(address, 32, b"HEAP")[8:])
    return file.block(place, size)


def _of_tree(file: File, address: int, names: memoryview) -> Iterator[tuple[str, int]]:
    """Yield the names and addresses of a group's tree, in order."""
    waiting = [address]
    while waiting:
        address = waiting.pop()
        head = file.block(address, 24)
        if bytes(head[:4]) == b"SNOD":
            (n,) = struct.unpack("<H", head[6:8])
            for i in range(n):
                entry = struct.unpack("<QQI", file.block(address + 8 + 40 * i, 20))
                if entry[2] > 1:
                    raise DataError("expected an object in the file, got a link to elsewhere")
                name = until_zero(names[entry[0] :])
                file.step(len(name))
                yield name, entry[1]
        else:
            file.signed(address, 24, b"TREE")
            kind, level, n = struct.unpack("<BBH", head[4:8])
            if kind or level > 20:
                raise DataError("expected the tree of a group, got another")
            waiting += file.words(address + 24, 2 * n)[1::2][::-1]


def _of_link(data: memoryview) -> tuple[str, int]:
    """Return name and address of a link message."""
    flags, at = data[1], 2
    if flags & 8 and data[at]:
        raise DataError("expected an object in the file, got a link to elsewhere")
    at += bool(flags & 8) + 8 * bool(flags & 4) + bool(flags & 16)
    width = 1 << (flags & 3)
    end = at + width + int.from_bytes(data[at : at + width], "little")
    (address,) = struct.unpack("<Q", data[end : end + 8])
    return str(data[at + width : end], "utf-8"), address
