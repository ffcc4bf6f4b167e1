"""IDX files: the format of MNIST and its relatives.

Two zero bytes, a byte for the type, a byte for the number of axes, the axes'
lengths as big-endian 32-bit numbers, then the array, big-endian, last axis
fastest. Source: Y. LeCun, C. Cortes and C. J. C. Burges, "The MNIST database of
handwritten digits", http://yann.lecun.com/exdb/mnist/ (section "File formats").
"""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np

from fcnn._typing import Array
from fcnn.errors import DataError, DTypeError

_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_CODES = {np.dtype(name).newbyteorder("="): code for code, name in _TYPES.items()}
_GZIP = b"\x1f\x8b"


def read_idx(path: str | os.PathLike[str], *, sha256: str | None = None) -> Array:
    """The array in an IDX file, gzipped or not, read-only and of the file's own type.

    Args:
        path: the file; whether it is gzipped is told by its content.
        sha256: the checksum that its content, unzipped, must have.

    Raises:
        DataError: naming the file, if it is no IDX file, if its size is not what its
            header says, or if its checksum is not ``sha256``.
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
    content = _content(Path(path))
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _TYPES:
        raise DataError(
            f"{path}: an IDX file begins with two zero bytes and a type "
            f"from {', '.join(f'{code:#04x}' for code in _TYPES)}, "
            f"and this one with {content[:4].hex(' ') or 'nothing'}"
        )
    dtype, start = np.dtype(_TYPES[content[2]]), 4 + 4 * content[3]
    if len(content) < start:
        raise DataError(f"{path}: its header has {start} bytes, and the file {len(content)}")
    shape = tuple(np.frombuffer(content[4:start], ">u4").tolist())
    wanted = start + math.prod(shape) * dtype.itemsize
    if len(content) != wanted:
        raise DataError(
            f"{path}: an IDX file of shape {shape} and type {dtype.name} "
            f"has {wanted} bytes, and {len(content)} came"
        )
    if sha256 is not None:
        import hashlib

        came = hashlib.sha256(content).hexdigest()
        if came != sha256:
            raise DataError(f"{path}: its SHA-256 should be {sha256}, and is {came}")
    array = np.frombuffer(content, dtype, offset=start).reshape(shape)
    array = array.astype(dtype.newbyteorder("="), copy=False)
    array.flags.writeable = False
    return array


def write_idx(path: str | os.PathLike[str], array: Array) -> None:
    """Write an array as an IDX file, gzipped if ``path`` ends in ``.gz``.

    Raises:
        DTypeError: if IDX has no such type; it has uint8, int8, int16, int32 and floats.

    >>> from fcnn.data import write_idx
    >>> import numpy as np
    >>> write_idx("labels-idx1-long", np.arange(3, dtype=np.int64))
    Traceback (most recent call last):
        ...
    fcnn.errors.DTypeError: an IDX file holds uint8, int8, int16, int32, float32, float64, \
and int64 came
    """
    code = _CODES.get(array.dtype.newbyteorder("="))
    if code is None:
        names = ", ".join(dtype.name for dtype in _CODES)
        raise DTypeError(f"an IDX file holds {names}, and {array.dtype} came")
    content = bytes([0, 0, code, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    content += array.astype(_TYPES[code]).tobytes()
    if os.fspath(path).endswith(".gz"):
        import gzip

        content = gzip.compress(content, 9, mtime=0)
    Path(path).write_bytes(content)


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    if not content.startswith(_GZIP):
        return content
    import gzip
    import zlib

    try:
        return gzip.decompress(content)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: a damaged gzip file: {error}") from error
