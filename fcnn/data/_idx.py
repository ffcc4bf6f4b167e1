"""IDX files: the format of MNIST and its relatives.

Two zero bytes, a byte for the type, a byte for the number of axes, the axes'
lengths as big-endian 32-bit numbers, then the array, big-endian, last axis
fastest. Source: Y. LeCun, C. Cortes and C. J. C. Burges, "The MNIST database of
handwritten digits", http://yann.lecun.com/exdb/mnist/ (section "File formats").
"""

from __future__ import annotations

import math
import os
from io import BufferedIOBase, BufferedRandom, BufferedReader
from pathlib import Path

import numpy as np

from fcnn._typing import Array
from fcnn.errors import DataError, DTypeError, ShapeError

_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_CODES = {np.dtype(name).newbyteorder("="): code for code, name in _TYPES.items()}
_GZIP = b"\x1f\x8b"
_CHUNK = 2**17  # bytes unzipped at a time


def read_idx(
    path: str | os.PathLike[str], *, sha256: str | None = None, max_bytes: int | None = None
) -> Array:
    """Read the array in an IDX file, gzipped or not, as a read-only array of the file's type.

    The file is unzipped while it is read and never beyond what its header says, so a
    damaged or hostile file takes no more memory than the array that it promises.

    Args:
        path: the file; its content, not its name, tells whether it is gzipped.
        sha256: the checksum that its content, unzipped, must have.
        max_bytes: the largest size that its content, unzipped, may have.

    Raises:
        DataError: naming the file, if it is no IDX file, if its size is not what its
            header says or above ``max_bytes``, or if its checksum is not ``sha256``.
        OSError: by Python itself, if the file cannot be read.

    >>> import tempfile, numpy as np
    >>> from pathlib import Path
    >>> from fcnn.data import read_idx, write_idx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "numbers-idx2-int.gz")
    ...     write_idx(path, np.eye(2, dtype=np.int32))
    ...     read_idx(path)
    array([[1, 0],
           [0, 1]], dtype=int32)
    """
    try:
        with Path(path).open("rb") as file:
            return parse(file, sha256=sha256, max_bytes=max_bytes)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error.__cause__


def parse(
    file: BufferedReader | BufferedRandom,
    *,
    sha256: str | None = None,
    max_bytes: int | None = None,
) -> Array:
    """Read an array as `read_idx` does, from a file that is open in binary mode."""
    if not file.peek(2).startswith(_GZIP):
        return _parse(file, sha256, max_bytes)
    import gzip
    import zlib

    size = os.fstat(file.fileno()).st_size
    try:
        with gzip.GzipFile(fileobj=file, mode="rb") as stream:
            return _parse(stream, sha256, max_bytes, size)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"expected a whole gzip file, got a damaged one: {error}") from error


def _parse(
    stream: BufferedIOBase, sha256: str | None, max_bytes: int | None, zipped: int = 0
) -> Array:
    head = stream.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _TYPES:
        raise DataError(
            f"expected an IDX file, which begins with two zero bytes and a type from "
            f"{', '.join(f'{code:#04x}' for code in _TYPES)}, got {head.hex(' ') or 'nothing'}"
        )
    dtype, head = np.dtype(_TYPES[head[2]]), head + stream.read(4 * head[3])
    start = 4 + 4 * head[3]
    if len(head) < start:
        raise DataError(f"expected a header of {start} bytes, got {len(head)}")
    shape = tuple(np.frombuffer(head[4:], ">u4").tolist())
    size = math.prod(shape) * dtype.itemsize
    what = f"{start + size} bytes for shape {shape} of {dtype.name}"
    if max_bytes is not None and start + size > max_bytes:
        raise DataError(f"expected at most {max_bytes} bytes, got {what}")
    if zipped > 2 * (start + size) + _CHUNK:  # gzip adds a thousandth at most
        raise DataError(f"expected {what}, got {zipped} bytes of gzip")
    content = _content(stream, size)
    if len(content) < size:
        raise DataError(f"expected {what}, got {start + len(content)} bytes")
    if stream.read(1):
        raise DataError(f"expected {what}, got more")
    if sha256 is not None:
        _check_sum(head, content, sha256)
    try:
        array: Array = np.ndarray(shape, dtype, content)
    except ValueError as error:
        raise DataError(f"expected a shape that NumPy can hold, got {shape}: {error}") from error
    if not dtype.isnative:  # in place: a copy would double the memory
        array = array.byteswap(inplace=True).view(dtype.newbyteorder("="))
    array.flags.writeable = False
    return array


def _content(stream: BufferedIOBase, size: int) -> bytearray:
    """Read up to ``size`` bytes, taking memory for those that are there only."""
    content = bytearray()
    while len(content) < size and (part := stream.read(min(_CHUNK, size - len(content)))):
        content += part
    return content


def _check_sum(head: bytes, content: bytearray, sha256: str) -> None:
    import hashlib

    digest = hashlib.sha256(head)
    digest.update(content)
    if digest.hexdigest() != sha256:
        raise DataError(f"expected the SHA-256 {sha256}, got {digest.hexdigest()}")


def write_idx(path: str | os.PathLike[str], array: Array) -> None:
    """Write an array as an IDX file, gzipped if ``path`` ends in ``.gz``.

    Raises:
        DTypeError: if IDX has no such type; it has uint8, int8, int16, int32 and floats.
        ShapeError: if an axis is of 2**32 or more.
        OSError: by Python itself, if the file cannot be written.

    >>> from fcnn.data import write_idx
    >>> import numpy as np
    >>> write_idx("labels-idx1-long", np.arange(3, dtype=np.int64))
    Traceback (most recent call last):
        ...
    fcnn.errors.DTypeError: expected uint8, int8, int16, int32, float32, float64, \
got int64; convert with array.astype(np.int32)
    """
    array = np.asarray(array)
    code = _CODES.get(array.dtype.newbyteorder("="))
    if code is None:
        names = ", ".join(dtype.name for dtype in _CODES)
        hint = {"b": "np.uint8", "f": "np.float32"}.get(array.dtype.kind, "np.int32")
        raise DTypeError(f"expected {names}, got {array.dtype}; convert with array.astype({hint})")
    if any(length >= 2**32 for length in array.shape):
        raise ShapeError(f"expected axes of less than 2**32, got shape {array.shape}")
    content = bytes([0, 0, code, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    content += array.astype(_TYPES[code]).tobytes()
    if os.fspath(path).endswith(".gz"):
        import gzip

        content = gzip.compress(content, 9, mtime=0)
    Path(path).write_bytes(content)
