"""Fetching a whole data set from a mirror."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs

from fcnn._check import number
from fcnn.data import _catalogue, _remotes
from fcnn.data._catalogue import File, Source
from fcnn.data._folder import find, partial, remove_stale, user_path
from fcnn.data._idx import parse, read_idx
from fcnn.data._remotes import Remote
from fcnn.data._shelf import check, check_sum, home
from fcnn.errors import ArgumentError, DataError


def download(
    folder: str | os.PathLike[str] | None = None,
    *,
    name: str = "mnist",
    files: Sequence[str] | None = None,
    mirror: str | Sequence[str] | None = None,
    timeout: float = 300.0,
) -> Path:
    """Fetch the files of a data set to ``folder/name``, and return that folder.

    A file takes its name only when it is whole and its checksum is right, so any number
    of threads, processes and machines may share the folder. A file that is there
    already, gzipped or not, is not fetched again. Set FCNN_DATA to ``folder`` to have
    the set read from it.

    Args:
        folder: where the data sets are kept; made if it is missing. ``~`` is the home. By
            default the folder that FCNN_DATA names, or ``~/.cache/fcnn`` (in the place of
            ``~/.cache`` what XDG_CACHE_HOME names).
        name: ``"mnist"`` (11 MB), ``"fashion-mnist"`` (31 MB), ``"kmnist"`` (21 MB),
            ``"qmnist"`` (20 MB), ``"emnist"`` (560 MB), ``"cifar-10"`` (170 MB), ``"cifar-100"``
            (169 MB), ``"svhn"`` (250 MB), ``"stl-10"`` (2.6 GB), ``"usps"`` (9 MB), ``"norb"``
            (250 MB), or a name of `medmnist`. Of norb no checksum is known.
        files: the names of some of the set's files; by default those that its reader needs,
            without ``extra_32x32.mat`` of svhn and the archives of CIFAR for Python.
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
    fcnn.errors.ArgumentError: expected name to be one of mnist, fashion-mnist, kmnist, ...
    """
    wanted = _wanted(name, files)
    own = None if mirror is None else _mirrors(mirror)
    end = time.monotonic() + number(timeout, "timeout", 0.0)
    target = (home() if folder is None else user_path(folder)) / name
    target.mkdir(parents=True, exist_ok=True)
    remove_stale(target)
    used = ""
    for each in wanted:
        if not each.is_right(target):
            mirrors = list(each.mirrors) if own is None else own
            mirrors.sort(key=lambda one: one != used)  # the one that works comes first
            used = _get(target / each.name, each, mirrors, end)
    return target


@attrs.frozen
class _Wanted:
    """A file to fetch: its name, the most that it may have, and its check.

    ``parse`` takes an open file and raises a `DataError` if it is not the right one.
    """

    name: str
    path: str
    longest: int
    mirrors: tuple[str, ...]
    parse: Callable[[Any], object]
    is_right: Callable[[Path], bool]


def _wanted(name: Any, files: Sequence[str] | None) -> list[_Wanted]:
    """Return the files of a set that are to be there.

    Raises:
        ArgumentError: if there is no such set, or no such file in it.
    """
    if name in _catalogue.SOURCES:
        source = _catalogue.SOURCES[name]
        all_of_them = [_of_source(source, stem, file) for stem, file in source.files.items()]
        default = all_of_them
    elif isinstance(name, str) and name in _remotes.REMOTES:
        remotes = _remotes.REMOTES[name]
        all_of_them = [_of_remote(each) for each in remotes]
        default = [
            each for each, remote in zip(all_of_them, remotes, strict=True) if not remote.optional
        ]
    else:
        names = ", ".join([*_catalogue.SOURCES, *_remotes.REMOTES])
        raise ArgumentError(f"expected name to be one of {names}, got {name!r}")
    if files is None:
        return default
    by_name = {each.name: each for each in all_of_them}
    if isinstance(files, str) or not set(files) <= set(by_name):
        raise ArgumentError(f"expected files among {', '.join(by_name)}, got {files!r}")
    return [by_name[each] for each in files]


def _of_source(source: Source, stem: str, file: File) -> _Wanted:
    return _Wanted(
        f"{stem}.gz",
        f"{stem}.gz",
        file.size + file.size // 100 + 1024,  # what does not compress grows in gzip
        source.mirrors,
        functools.partial(parse, sha256=file.sha256, max_bytes=file.size),
        lambda folder: _is_right(folder, stem, file),
    )


def _of_remote(remote: Remote) -> _Wanted:
    def is_right(folder: Path) -> bool:
        try:
            check(folder / remote.name, remote)
        except (FileNotFoundError, DataError):
            return False
        return True

    return _Wanted(
        remote.name,
        remote.path or remote.name,
        remote.most,
        remote.mirrors,
        functools.partial(check_sum, remote=remote),
        is_right,
    )


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


def _get(path: Path, wanted: _Wanted, mirrors: list[str], end: float) -> str:
    """Fetch one file from the first mirror that has it, and return that mirror."""
    from fcnn.data._fetch import fetch

    failures = []
    for i, mirror in enumerate(mirrors):
        url = f"{mirror.rstrip('/')}/{wanted.path}"
        share = max(0.0, end - time.monotonic()) / (len(mirrors) - i)
        try:
            with closing(fetch(url, max_bytes=wanted.longest, seconds=share)) as parts:
                _put(path, wanted, parts, url)
        except DataError as error:
            failures.append(error)
        else:
            return mirror
    raise DataError(
        f"{'; '.join([str(error) for error in failures])}; pass another mirror or a longer "
        f"timeout, or put the file into {path.parent} by hand"
    ) from failures[-1]


def _put(path: Path, wanted: _Wanted, parts: Iterator[bytes], url: str) -> None:
    """Write a file beside ``path``, check it, and only then give it its name."""
    with partial(path) as (beside, temporary):
        for part in parts:
            temporary.write(part)
        temporary.flush()
        os.fsync(temporary.fileno())
        temporary.seek(0)
        try:
            wanted.parse(temporary)
        except DataError as error:
            raise DataError(f"{url} is not the right file: {error}") from error
        if os.name == "nt":
            temporary.close()
        beside.replace(path)
