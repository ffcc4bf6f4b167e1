"""Arrays that are still in a file: shape and dtype are known, the numbers are read on demand.

So what a file claims costs no memory before its shape is known to be that of a layer, and the
largest array that exists twice is the one that is converted at the moment.
"""

from __future__ import annotations

import errno
import mmap
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from fcnn._typing import Shape
from fcnn.errors import DataError, FcnnError

BF16 = "bf16"
"""Not a NumPy dtype: the upper half of a float32."""


@attrs.frozen(eq=False)
class Stored:
    """An array in a file.

    Attributes:
        shape: its shape.
        read: returns the numbers; perhaps a view of the file.
        name: the file's name of the numbers, if several arrays may be the same ones.
    """

    shape: Shape
    read: Callable[[], Any]
    name: str = ""


def mapped(path: Path) -> memoryview:
    """Return a file's bytes, which the operating system reads when they are looked at.

    Raises:
        OSError: if there is no such file.
        DataError: if it is empty.
    """
    with path.open("rb") as file:
        if not path.stat().st_size:
            raise DataError(f"expected a file of weights, got an empty one: {path.name}")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def itemsize(kind: str) -> int:
    """Return the bytes of a number of a NumPy dtype or of `BF16`."""
    return 2 if kind == BF16 else np.dtype(kind).itemsize


def numbers(data: memoryview, kind: str) -> np.ndarray:
    """Return bytes as numbers of a NumPy dtype or of `BF16`, which become float32."""
    if kind != BF16:
        return np.frombuffer(data, kind)
    wide = np.frombuffer(data, "<u2").astype(np.uint32)
    wide <<= 16
    return wide.view(np.float32)


@contextmanager
def reading(kind: str) -> Iterator[None]:
    """Turn whatever damaged bytes raise into one error."""
    try:
        yield
    except FcnnError:
        raise
    except OSError as error:
        if error.errno is not None and error.errno != errno.EINVAL:
            raise
        raise _damaged(kind, error) from None
    except (
        AttributeError, EOFError, KeyError, IndexError, MemoryError, NotImplementedError,
        OverflowError, RecursionError, RuntimeError, TypeError, ValueError, struct.error,
        zipfile.BadZipFile, zlib.error, Warning,  # an escape in a name, where warnings are errors
    ) as error:  # fmt: skip
        raise _damaged(kind, error) from None


def _damaged(kind: str, error: Exception) -> DataError:
    return DataError(
        f"expected a {kind} file, got a damaged one: {type(error).__name__}: {error!s:.100}"
    )


def member(archive: zipfile.ZipFile, whole: memoryview, name: str) -> memoryview:
    """Return the bytes of an uncompressed member of a zip archive, without a copy.

    Raises:
        DataError: if it is compressed, or its checksum is not that of its bytes.
    """
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
        raise DataError(f"expected an uncompressed member, got {name!r:.60} compressed")
    header = whole[info.header_offset : info.header_offset + 30]
    if bytes(header[:4]) != b"PK\3\4":
        raise DataError(f"expected the header of {name!r:.60}, got other bytes")
    of_name, of_extra = struct.unpack("<HH", header[26:30])
    start = info.header_offset + 30 + of_name + of_extra
    data = whole[start : start + info.file_size]
    # PyTorch writes 0 for every member after set_crc32_options(False).
    has_checksums = any(each.CRC for each in archive.infolist())
    if len(data) != info.file_size or (has_checksums and zlib.crc32(data) != info.CRC):
        raise DataError(f"expected the checksum of {name!r:.60}, got other bytes")
    return data
