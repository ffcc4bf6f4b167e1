"""Where the files of published data sets lie, and whether they are the right ones."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from fcnn._check import whole
from fcnn._typing import Array, IntArray
from fcnn.data import _remotes
from fcnn.data._folder import user_path
from fcnn.data._lazy import LazyDataset
from fcnn.data._remotes import Remote
from fcnn.errors import ArgumentError, DataError

_CHUNK = 2**20


def cache() -> Path:
    """Return the folder of this user's data sets: ``fcnn`` in XDG_CACHE_HOME or ``~/.cache``."""
    return user_path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "fcnn"


def home() -> Path:
    """Return the folder that FCNN_DATA names, or the user's."""
    named = os.environ.get("FCNN_DATA")
    return user_path(named) if named else cache()


def folders(name: str) -> list[Path]:
    """Return where the files of a data set may be: FCNN_DATA's folder first, then the user's."""
    return [folder / name for folder in dict.fromkeys((home(), cache()))]


def locate(name: str, *files: str) -> tuple[Path, Remote]:
    """Return the first of these files of a data set that is there, its checksum checked.

    Raises:
        DataError: if there is none, or it is not the right one.
    """
    places = folders(name)
    remotes = {each.name: each for each in _remotes.REMOTES[name]}
    for file in files:
        for folder in places:
            if (folder / file).is_file():
                check(folder / file, remotes[file])
                return folder / file, remotes[file]
    wanted = f", files=[{files[0]!r}]" if remotes[files[0]].optional else ""
    raise DataError(
        f"expected {' or '.join(files)} in {' or '.join(map(str, places))}, got no such file; "
        f"fetch it with fcnn.data.download(name={name!r}{wanted})"
    )


def check(path: Path, remote: Remote) -> None:
    """Refuse a file that is too large or has another checksum.

    Raises:
        DataError: naming the file.
    """
    size = path.stat().st_size
    if size > remote.most:
        raise DataError(f"{path}: expected at most {remote.most} bytes, got {size}")
    with path.open("rb") as file:
        try:
            check_sum(file, remote)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None


def check_sum(file: Any, remote: Remote) -> None:
    """Refuse an open file that has another checksum, if one is known.

    Raises:
        DataError: with both.
    """
    import hashlib

    if not remote.md5:
        return
    digest = hashlib.md5(usedforsecurity=False)
    while part := file.read(_CHUNK):
        digest.update(part)
    if digest.hexdigest() != remote.md5:
        raise DataError(f"expected the MD5 {remote.md5}, got {digest.hexdigest()}")


def check_split(split: Any, *splits: str) -> None:
    """Refuse a split that there is not.

    Raises:
        ArgumentError: with those that there are.
    """
    if split not in splits:
        names = ", ".join([repr(each) for each in splits])
        raise ArgumentError(f"expected split to be one of {names}, got {split!r}")


def made(
    what: str, pixels: Array, labels: Array, classes: Any, limit: int | None
) -> LazyDataset[Array, IntArray]:
    """Return pixels of uint8 and their labels as a data set, the first ``limit`` of them.

    Raises:
        DataError: if there are fewer, or the labels are not as many as the images.
        LabelError: if a label is of no class.
    """
    if len(pixels) != len(labels):
        raise DataError(f"{what}: expected {len(pixels)} labels, got {len(labels)}")
    if limit is not None and whole(limit, "limit") > len(pixels):
        raise DataError(f"{what}: expected {limit} examples, got {len(pixels)}")
    labels = labels[:limit].astype(np.int64)
    return LazyDataset(pixels[:limit], labels, classes, scale=1 / 255)
