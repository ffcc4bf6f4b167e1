"""Arrays and a JSON description in an ``.npz`` file, uncompressed and without pickles.

`numpy.load` reads the arrays by their names. The members' times are those of no day, so the
same tree gives the same bytes. A reader takes no more memory than the file is long: the sizes
that the archive and the arrays' headers claim are checked before anything is read.

Source: the ``.npy`` format, https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
"""

from __future__ import annotations

import errno
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from fcnn.errors import DataError

DESCRIPTION = "fcnn.json"
_NPY = ".npy"
_PIECE = 2**20  # zipfile reads into a buffer of its own, and copies


def write(file: IO[bytes], doc: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a description and arrays."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        archive.writestr(_member(DESCRIPTION), json.dumps(doc))
        for name, array in arrays.items():
            with archive.open(_member(name + _NPY), "w", force_zip64=True) as out:
                np.lib.format.write_array(out, np.asarray(array, order="C"), allow_pickle=False)


def _member(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))


def read(path: Path) -> tuple[Any, dict[str, np.ndarray]]:
    """Return the description, None if there is none, and the arrays.

    Raises:
        DataError: if it is no such file, or damaged.
    """
    with path.open("rb") as file:
        try:
            return _read(file, path.stat().st_size)
        except DataError:
            raise
        except OSError as error:
            if error.errno != errno.EINVAL:  # which a place before the file's start gives
                raise
            raise DataError(f"expected an .npz file, got a damaged one: {error}") from None
        except RecursionError:
            raise DataError("expected a description, got one that is nested too deep") from None
        except (
            zipfile.BadZipFile, EOFError, ValueError, KeyError, NotImplementedError, RuntimeError,
            OverflowError, SyntaxError, TypeError,
        ) as error:  # fmt: skip
            raise DataError(f"expected an .npz file, got a damaged one: {error}") from None


def _read(file: IO[bytes], size: int) -> tuple[Any, dict[str, np.ndarray]]:
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        _check_sizes(members, size)
        doc, arrays = None, {}
        for member in members:
            if member.filename == DESCRIPTION:
                doc = json.loads(archive.read(member))
            elif member.filename.endswith(_NPY):
                arrays[member.filename.removesuffix(_NPY)] = _array(archive, member)
    return doc, arrays


def _check_sizes(members: list[zipfile.ZipInfo], available: int) -> None:
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED:
            raise DataError(
                f"expected uncompressed arrays, got {member.filename!r:.60} compressed; "
                f"write it with fcnn.save or numpy.savez"
            )
    total = sum(member.file_size for member in members)
    if total > available or len({member.filename for member in members}) < len(members):
        raise DataError(
            f"expected members of at most {available} bytes, each once, got {total} bytes"
        )


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        elif version == (2, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(file)
        else:
            raise DataError(f"expected .npy version 1.0 or 2.0, got {version}")
        count = 1
        for n in shape:
            count *= n
        size = count * dtype.itemsize
        if dtype.hasobject or min(shape, default=0) < 0 or size != member.file_size - file.tell():
            raise DataError(
                f"expected {member.file_size - file.tell()} bytes of numbers in "
                f"{member.filename!r:.60}, got the header of {dtype} {shape}"
            )
        array = np.empty(shape, dtype, order="F" if fortran else "C")
        flat = array.reshape(-1, order="A").view(np.uint8) if size else np.empty(0, np.uint8)
        done = 0
        while done < size:
            got = file.readinto(flat.data[done : done + _PIECE])  # type: ignore[attr-defined]
            if not got:
                raise DataError(f"expected {size} bytes in {member.filename!r:.60}, got {done}")
            done += got
        file.read(1)  # the end, where the checksum is compared
    return array
