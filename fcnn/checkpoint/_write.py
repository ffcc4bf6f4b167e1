"""Files that are written at once or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file beside ``path``; it takes the place of ``path`` at the end.

    It is flushed and synced before it is renamed, so a reader finds the old file or the new one
    whatever happens. After an error it is gone, and the old file is as it was.

    Raises:
        OSError: if the folder is not there, or the disk is full.
    """
    path = path.expanduser()
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    with _named(path, lambda: path.parent.is_dir()):
        handle = os.open(temporary, _NEW, 0o666)  # less what the umask takes away
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            os.chmod(temporary, path.stat().st_mode & 0o777)
        os.replace(temporary, path)
    except BaseException as error:
        if isinstance(error, OSError) and error.errno and error.filename is None:  # a full disk
            error.filename = str(path)
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(path.parent)


@contextmanager
def _named(path: Path, is_there: Callable[[], bool]) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        if is_there():
            raise
        raise FileNotFoundError(
            f"expected a folder {path.parent} for {path.name}, found none; create it first"
        ) from None


def _sync_folder(folder: Path) -> None:
    """Make the renaming last: without this a power cut may undo it."""
    with contextlib.suppress(OSError):  # not every file system opens folders
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
