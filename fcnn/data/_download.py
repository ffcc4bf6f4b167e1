"""Fetching a whole data set from its mirror."""

from __future__ import annotations

import os
from pathlib import Path

from fcnn.data import _catalogue
from fcnn.data._idx import read_idx
from fcnn.errors import ArgumentError, DataError


def download(
    folder: str | os.PathLike[str],
    *,
    name: str = "mnist",
    mirror: str | None = None,
    timeout: float = 30.0,
) -> Path:
    """Fetch the four files of a data set to ``folder/name``, and return that folder.

    A file takes its name only when it is whole and its checksum is right, so what
    stands there can be trusted; what is there already is not fetched again. Let
    FCNN_DATA name ``folder`` to have the set read from it.

    Args:
        folder: where the data sets are kept; made if it is missing.
        name: ``"mnist"`` (11 MB) or ``"fashion-mnist"`` (31 MB).
        mirror: the address that the files lie under; the data set's own by default.
        timeout: how many seconds to wait for an answer.

    Raises:
        DataError: naming the address, if a file cannot be fetched or is not the right one.
        OSError: by Python itself, if the folder cannot be written.

    >>> from fcnn.data import download
    >>> download("data", name="cifar")
    Traceback (most recent call last):
        ...
    fcnn.errors.ArgumentError: name must be one of mnist, fashion-mnist, and 'cifar' came
    """
    source = _catalogue.source(name)
    base = source.mirror if mirror is None else mirror
    if not base.startswith(("http://", "https://")):
        raise ArgumentError(f"mirror must begin with http:// or https://, and {base!r} came")
    target = Path(folder, source.name)
    target.mkdir(parents=True, exist_ok=True)
    for split in _catalogue.SPLITS:
        for stem in _catalogue.stems(split):
            path = target / f"{stem}.gz"
            if not _is_right(path, source.sha256[stem]):
                url = f"{base.rstrip('/')}/{stem}.gz"
                _put(_fetch(url, timeout), path, url, source.sha256[stem])
    return target


def _is_right(path: Path, sha256: str) -> bool:
    try:
        read_idx(path, sha256=sha256)
    except (FileNotFoundError, DataError):
        return False
    return True


def _fetch(url: str, timeout: float) -> bytes:
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import urlopen

    try:
        with urlopen(url, timeout=timeout) as response:
            content: bytes = response.read()
    except HTTPError as error:
        error.close()
        raise DataError(f"{url} cannot be fetched: {error}") from error
    except (OSError, HTTPException) as error:
        raise DataError(f"{url} cannot be fetched: {error}") from error
    return content


def _put(content: bytes, path: Path, url: str, sha256: str) -> None:
    """Write beside ``path``, check, and only then let the file take its name."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            read_idx(partial, sha256=sha256)
        except DataError as error:
            raise DataError(f"{url} is not the file wanted: {error}") from error
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
