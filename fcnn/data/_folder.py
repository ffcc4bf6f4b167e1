"""The folder of a data set: which of its files are there, and files that are being written."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedRandom
from pathlib import Path

from fcnn.errors import ArgumentError

_STALE = 3600.0  # seconds without a write after which a file that cannot be locked is stale


def user_path(folder: str | os.PathLike[str]) -> Path:
    """Return the path with ``~`` expanded.

    Raises:
        ArgumentError: if there is no such home, or ``folder`` is no path.
    """
    try:
        return Path(folder).expanduser()
    except (RuntimeError, TypeError) as error:
        raise ArgumentError(f"expected the path of a folder, got {folder!r}: {error}") from None


def find(folder: Path, stem: str) -> Path | None:
    """Return the path of a file, gzipped or not; None if there is neither."""
    paths = (folder / f"{stem}.gz", folder / stem)
    return next((path for path in paths if path.is_file()), None)


@contextmanager
def partial(path: Path) -> Iterator[tuple[Path, BufferedRandom]]:
    """Open a new file beside ``path``, locked, and remove it at the end unless renamed."""
    import secrets

    while True:
        beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
        with beside.open("x+b") as file:
            try:
                # `remove_stale` of another process may come between opening and locking.
                if _lock(file) is not False and beside.exists():
                    yield beside, file
                    return
            finally:
                beside.unlink(missing_ok=True)


def remove_stale(folder: Path) -> None:
    """Remove the partial files that no running process is writing."""
    for path in folder.glob(".*.*.part"):
        with suppress(OSError), path.open("r+b") as file:
            locked = _lock(file)
            if locked or (locked is None and time.time() - path.stat().st_mtime > _STALE):
                path.unlink()


def _lock(file: BufferedRandom) -> bool | None:
    """Lock a file until it is closed; None if the system or the file system has no locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
