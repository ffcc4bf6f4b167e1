"""A folder of images, one folder a class, as a data set."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, overload

import attrs
import numpy as np

from fcnn._typing import Array, IntArray
from fcnn.data._dataset import Dataset
from fcnn.data._folder import user_path
from fcnn.data._images import (
    Background,
    Fit,
    NotAnImageError,
    OpacityError,
    Reader,
    channels_of,
)
from fcnn.data._lazy import LazyDataset
from fcnn.errors import ArgumentError, DataError, ShapeError

THREADS = min(8, os.cpu_count() or 1)


@overload
def folder(
    path: str | os.PathLike[str],
    *,
    size: int | tuple[int, int] | None = None,
    classes: Sequence[str] | None = None,
    channels: int | None = None,
    background: Background | None = None,
    fit: Fit = "stretch",
    lazy: Literal[False] = False,
) -> Dataset[Array, IntArray]: ...
@overload
def folder(
    path: str | os.PathLike[str],
    *,
    size: int | tuple[int, int] | None = None,
    classes: Sequence[str] | None = None,
    channels: int | None = None,
    background: Background | None = None,
    fit: Fit = "stretch",
    lazy: Literal[True],
) -> LazyDataset[Array, IntArray]: ...
def folder(
    path: str | os.PathLike[str],
    *,
    size: int | tuple[int, int] | None = None,
    classes: Sequence[str] | None = None,
    channels: int | None = None,
    background: Background | None = None,
    fit: Fit = "stretch",
    lazy: bool = False,
) -> Any:
    r"""Read the images of a folder that has a folder for each class.

    Inputs are (n, h, w, c) of float32 in [0, 1], targets (n,) of int64. Classes are the names of
    the folders, sorted as strings; within a class, images come in the order of their paths,
    sorted as strings. Folders within a class's folder belong to it. What begins with a dot is
    passed over; for all else that is left out there is one warning, which says how many files
    and why.

    Needs Pillow: ``pip install 'fcnn[images]'``.

    Args:
        path: the folder.
        size: ``(h, w)`` of the inputs; may be left out where all images are of one size.
        classes: the folders to read, in the order of their numbers, such as those of the
            training set; all by default.
        channels: 1 or 3; by default 1 if all images are grey, and else 3.
        background: see `read_image`.
        fit: see `read_image`.
        lazy: return a `LazyDataset`, whose images are read by threads, batch by batch. What is
            damaged behind its header is then an error when it is read, a DataError that names
            the file.

    Raises:
        ArgumentError: if an argument is out of its range.
        DataError: if there is no folder, no image in a class, or an image that is not opaque.
        ShapeError: if ``size`` is None and the images differ in theirs.
        ImportError: without Pillow.

    >>> import tempfile, numpy as np
    >>> from pathlib import Path
    >>> from fcnn.data import folder
    >>> with tempfile.TemporaryDirectory() as pets:
    ...     for name in ("cat/1.pgm", "cat/2.pgm", "dog/1.pgm"):
    ...         Path(pets, name).parent.mkdir(exist_ok=True)
    ...         _ = Path(pets, name).write_bytes(b"P5 2 1 255 \x00\xff")
    ...     data = folder(pets, size=(8, 8))
    >>> data, data.classes
    (Dataset(3 of (8, 8, 1) float32, 2 classes), ('cat', 'dog'))
    """
    reader = Reader.of(size, channels, background, fit)
    found = find_images(user_path(path), classes, reader)
    if lazy:
        _report(found.left_out, len(found.paths))
        _refuse_empty(found.labels, found, classes is None)
        threads = min(4, THREADS)
        return LazyDataset(
            Files(found.reader, tuple(found.paths)),
            found.labels,
            found.classes,
            prefetch=max(2, threads),
            threads=threads,
        )
    inputs, bad = _read(found.reader, found.paths)
    labels = np.delete(found.labels, list(bad))
    damaged = {found.paths[i]: why for i, why in bad.items()}
    _report({**found.left_out, **damaged}, len(labels))
    _refuse_empty(labels, found, classes is None)
    return Dataset(inputs, labels, found.classes)


@attrs.frozen
class Images:
    """The images of a folder: their paths and labels, and what else is there and why not."""

    paths: list[Path]
    labels: Array
    classes: tuple[str, ...]
    left_out: dict[Path, str]
    reader: Reader


@attrs.frozen
class Files:
    """The images of some files by their positions."""

    reader: Reader
    paths: tuple[Path, ...]

    def __call__(self, rows: Array) -> Array:
        """Read the images at these positions."""
        images = []
        for i in rows:
            images.append(self.reader.read(self.paths[i]))
            check_shape(images[-1], images[0].shape, self.paths[i], self.paths[rows[0]])
        return np.stack(images)


def find_images(root: Path, classes: Sequence[str] | None, reader: Reader) -> Images:
    """Find the images by their headers.

    Raises:
        DataError: if there is no folder, or no class.
        ArgumentError: if ``classes`` are not names.
    """
    if not root.is_dir():
        raise DataError(f"expected a folder {root}, got {'a file' if root.exists() else 'none'}")
    entries = sorted([p for p in root.iterdir() if p.name[0] != "."], key=lambda p: p.name)
    names = _names(classes) or tuple([each.name for each in entries if each.is_dir()])
    if not names:
        raise DataError(f"expected a folder for each class in {root}, got {len(entries)} files")
    left_out = {each: "in no folder of a class" for each in entries if not each.is_dir()}
    for other in [each for each in entries if each.is_dir() and each.name not in names]:
        left_out |= dict.fromkeys(_files(other, set()), "in the folder of another class")
    paths, labels, counts = [], [], []
    for label, name in enumerate(names):
        if not (root / name).is_dir():
            raise DataError(f"expected a folder {name!r} in {root}, got none; leave the class out")
        for path in sorted(_files(root / name, set()), key=lambda path: path.as_posix()):
            try:
                counts.append(channels_of(path))
            except NotAnImageError:
                left_out[path] = "no image"
            except (DataError, OSError) as error:
                left_out[path] = _why(error)
            else:
                paths.append(path)
                labels.append(label)
    if reader.channels is None:
        reader = attrs.evolve(reader, channels=max(counts, default=1))
    return Images(paths, np.array(labels, np.int64), names, left_out, reader)


def _names(classes: Any) -> tuple[str, ...]:
    if classes is None:
        return ()
    names = () if isinstance(classes, str) else tuple(classes)
    if not names or not all(isinstance(name, str) for name in names):
        raise ArgumentError(f"expected the names of folders as classes, got {classes!r}")
    return names


def _files(folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    """Yield the files of a folder and of those in it; each folder once, however links go round."""
    stat = folder.stat()
    if (stat.st_dev, stat.st_ino) in seen:
        return
    seen.add((stat.st_dev, stat.st_ino))
    for each in folder.iterdir():
        if each.name.startswith("."):
            continue
        if each.is_dir():
            yield from _files(each, seen)
        else:
            yield each


def _read(reader: Reader, paths: list[Path]) -> tuple[Array, dict[int, str]]:
    """Return the images that can be read, and why each other cannot."""
    bad: dict[int, str] = {}
    first = None
    for i, path in enumerate(paths):
        try:
            first = reader.read(path)
        except OpacityError:
            raise
        except (DataError, OSError) as error:
            bad[i] = _why(error)
        else:
            break
    if first is None:
        return np.zeros((0, 1, 1, 1), np.float32), bad
    start, out = len(bad), np.empty((len(paths), *first.shape), np.float32)
    out[start] = first

    def read(i: int) -> str | None:
        try:
            image = reader.read(paths[i])
        except OpacityError:
            raise
        except (DataError, OSError) as error:
            return _why(error)
        check_shape(image, out.shape[1:], paths[i], paths[start])
        out[i] = image
        return None

    with ThreadPoolExecutor(THREADS) as pool:
        rest = range(start + 1, len(paths))
        bad |= {i: why for i, why in zip(rest, pool.map(read, rest), strict=True) if why}
    return np.delete(out, list(bad), axis=0) if bad else out, bad


def check_shape(image: Array, shape: tuple[int, ...], path: Path, first: Path) -> None:
    """Refuse an image of another size than the first.

    Raises:
        ShapeError: naming both files.
    """
    if image.shape != shape:
        raise ShapeError(
            f"expected images of one size, got {image.shape[:2]} in {path} and {shape[:2]} in "
            f"{first}; pass size=(h, w)"
        )


def _why(error: Exception) -> str:
    """Say in a word what is wrong with a file."""
    return "damaged" if isinstance(error, DataError) else f"unreadable ({error.__class__.__name__})"


def _report(left_out: dict[Path, str], kept: int) -> None:
    """Warn once of everything that was left out: how many files of each kind, and which."""
    if not left_out:
        return
    reasons: dict[str, list[str]] = {}
    for path, why in left_out.items():
        reasons.setdefault(why, []).append(f"{path.parent.name}/{path.name}")
    parts = [
        f"{len(names)} {why} ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})"
        for why, names in sorted(reasons.items())
    ]
    count = f"{len(left_out)} of {kept + len(left_out)} files"
    warnings.warn(f"left out {count}: {'; '.join(parts)}", stacklevel=3)


def _refuse_empty(labels: Array, found: Images, all_of_them: bool) -> None:
    counts = np.bincount(labels, minlength=len(found.classes))
    if not counts.any() or (all_of_them and not counts.all()):
        empty = [name for name, n in zip(found.classes, counts, strict=True) if not n]
        raise DataError(
            f"expected an image in the folder of each class, got none in {', '.join(empty)}; "
            f"remove the folder, or name the classes with classes="
        )
