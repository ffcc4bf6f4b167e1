"""Fetching a whole data set from a mirror."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from fcnn._check import number
from fcnn.data import _catalogue
from fcnn.data._catalogue import File
from fcnn.data._folder import find, partial, remove_stale, user_path
from fcnn.data._idx import parse, read_idx
from fcnn.errors import ArgumentError, DataError


def download(
    folder: str | os.PathLike[str],
    *,
    name: str = "mnist",
    mirror: str | Sequence[str] | None = None,
    timeout: float = 300.0,
) -> Path:
    """Fetch the four files of a data set to ``folder/name``, and return that folder.

    A file takes its name only when it is whole and its checksum is right, so any number
    of threads, processes and machines may share the folder. A file that is there
    already, gzipped or not, is not fetched again. Set FCNN_DATA to ``folder`` to have
    the set read from it.

    Args:
        folder: where the data sets are kept; made if it is missing. ``~`` is the home.
        name: ``"mnist"`` (11 MB) or ``"fashion-mnist"`` (31 MB).
        mirror: the address that the files lie under, or several, tried in turn; those
            of the data set by default.
        timeout: the seconds that all this may take. The mirrors that are still to be
            tried share what is left.

    Raises:
        ArgumentError: if an argument is out of its range.
        DataError: naming the addresses, if a file cannot be fetched in time or is not
            the right one.
        OSError: by Python itself, if the folder cannot be written.

    >>> from fcnn.data import download
    >>> download("data", name="cifar")
    Traceback (most recent call last):
        ...
    fcnn.errors.ArgumentError: expected name to be one of mnist, fashion-mnist, got 'cifar'
    """
    source = _catalogue.source(name)
    mirrors = _mirrors(source.mirrors if mirror is None else mirror)
    end = time.monotonic() + number(timeout, "timeout", 0.0)
    target = user_path(folder) / source.name
    target.mkdir(parents=True, exist_ok=True)
    remove_stale(target)
    for stem, file in source.files.items():
        if not _is_right(target, stem, file):
            used = _get(target / f"{stem}.gz", file, mirrors, end)
            mirrors.sort(key=lambda each: each != used)  # the one that works comes first
    return target


def _mirrors(given: str | Sequence[str]) -> list[str]:
    try:
        mirrors = [given] if isinstance(given, str) else list(given)
    except TypeError:
        mirrors = [str(given)]
    for each in mirrors:
        if not isinstance(each, str) or not each.startswith(("http://", "https://")):
            raise ArgumentError(f"expected mirror to begin with http:// or https://, got {each!r}")
    if not mirrors:
        raise ArgumentError("expected at least one mirror, got none")
    return mirrors


def _is_right(folder: Path, stem: str, file: File) -> bool:
    path = find(folder, stem)
    if path is None:
        return False
    try:
        read_idx(path, sha256=file.sha256, max_bytes=file.size)
    except (FileNotFoundError, DataError):
        return False
    return True


def _get(path: Path, file: File, mirrors: list[str], end: float) -> str:
    """Fetch one file from the first mirror that has it, and return that mirror."""
    from fcnn.data._fetch import fetch

    failures = []
    for i, mirror in enumerate(mirrors):
        url = f"{mirror.rstrip('/')}/{path.name}"
        share = max(0.0, end - time.monotonic()) / (len(mirrors) - i)
        longest = file.size + file.size // 100 + 1024  # what does not compress grows in gzip
        try:
            with closing(fetch(url, max_bytes=longest, seconds=share)) as parts:
                _put(path, file, parts, url)
        except DataError as error:
            failures.append(error)
        else:
            return mirror
    raise DataError(
        f"{'; '.join([str(error) for error in failures])}; pass another mirror or a longer "
        f"timeout, or put the file into {path.parent} by hand"
    ) from failures[-1]


def _put(path: Path, file: File, parts: Iterator[bytes], url: str) -> None:
    """Write a file beside ``path``, check it, and only then give it its name."""
    with partial(path) as (beside, temporary):
        for part in parts:
            temporary.write(part)
        temporary.flush()
        os.fsync(temporary.fileno())
        temporary.seek(0)
        try:
            parse(temporary, sha256=file.sha256, max_bytes=file.size)
        except DataError as error:
            raise DataError(f"{url} is not the right file: {error}") from error
        if os.name == "nt":
            temporary.close()
        beside.replace(path)
