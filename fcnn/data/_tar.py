"""The files in a tar archive, compressed or not, one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fcnn.errors import DataError


def tar_files(
    path: Path, wanted: Callable[[str], bool], *, most: int
) -> Iterator[tuple[str, bytes]]:
    """Yield the names and contents of the files whose name is wanted.

    Raises:
        DataError: naming the archive, if it is damaged or has no end, or a file in it has more
            than ``most`` bytes.
        OSError: by Python itself, if it cannot be read.
    """
    import tarfile
    import zlib

    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if not member.isfile() or not wanted(member.name):
                    continue
                if member.size > most:
                    raise DataError(
                        f"{path}: expected at most {most} bytes in {member.name}, got {member.size}"
                    )
                file: Any = archive.extractfile(member)
                content = file.read()
                if len(content) < member.size:
                    raise EOFError(f"{member.name} has {len(content)} of {member.size} bytes")
                yield member.name, content
            stream: Any = archive.fileobj
            stream.seek(archive.offset)
            if not stream.read(1):  # a block of zeros ends an archive
                raise EOFError("unexpected end of data")
            while stream.read(2**20):  # gzip's checksum is looked at at its end
                pass
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError) as error:
        # An OSError without a number is gzip's own, of damage.
        if isinstance(error, DataError) or (isinstance(error, OSError) and error.errno is not None):
            raise
        raise DataError(f"{path}: expected a whole tar file: {error}") from error
