"""Columns of images: parquet files as Hugging Face's `datasets` writes them, and WebDataset's tars.

Sources: the Hugging Face Hub's documentation, "Image dataset", section "Parquet" (an image is a
struct of ``bytes`` and ``path``; the schema's metadata has the names of the classes), read and
checked with pyarrow 26; the WebDataset format (a sample is the adjacent files of a tar whose names
agree up to the first dot of the base name), checked with webdataset 1.0.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from fcnn._typing import Array
from fcnn.data._images import Background, Fit, Reader, pillow
from fcnn.data._lazy import LazyDataset
from fcnn.data._tar import tar_files
from fcnn.errors import DataError, ShapeError

_IMAGES = ("png", "jpg", "jpeg", "webp", "gif", "bmp", "ppm", "pgm", "tif", "tiff")

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def read_parquet(
    paths: Paths,
    *,
    image: str = "image",
    label: str = "label",
    classes: Iterable[str] = (),
    size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    background: Background | None = None,
    fit: Fit = "stretch",
) -> LazyDataset[Array, Array]:
    """Read the images and labels of parquet files, as Hugging Face's data sets have them.

    The encoded images are kept in memory, and are decoded when a batch is read, as `read_image`
    decodes them. Where the bytes of an image are null, its path is read, beside the file. Names
    of classes in the schema's metadata are found.

    Needs pyarrow and Pillow: ``pip install 'fcnn[images,parquet]'``.

    Args:
        paths: the file, or several, in this order.
        image: the column of images: structs of ``bytes`` and ``path``, or bytes.
        label: the column of targets, whole numbers or floats.
        classes: the names of the classes; those in the file by default.
        size: see `read_image`; may be left out where all images are of one size.
        channels: 1 or 3; those of the first image by default.
        background: see `read_image`.
        fit: see `read_image`.

    Raises:
        DataError: naming the file, if it is damaged, or has no such column.
        ArgumentError: if an argument is out of its range.
        ImportError: without pyarrow or Pillow.

    >>> from fcnn.data import read_parquet
    >>> read_parquet("train-00000-of-00001.parquet")
    Traceback (most recent call last):
        ...
    FileNotFoundError: train-00000-of-00001.parquet
    """
    reader = Reader.of(size, channels, background, fit)
    images: list[Any] = []
    labels: list[Any] = []
    names = tuple(classes)
    for path in _paths(paths):
        found, targets, named = _parquet(path, image, label)
        images += found
        labels.append(targets)
        names = names or named
    return _decoded(reader, images, np.concatenate(labels), names)


def read_webdataset(
    paths: Paths,
    *,
    image: Sequence[str] = _IMAGES,
    label: str = "cls",
    classes: Iterable[str] = (),
    size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    background: Background | None = None,
    fit: Fit = "stretch",
) -> LazyDataset[Array, Array]:
    """Read the images and labels of WebDataset's tar files.

    A sample is the adjacent files whose names agree up to the first dot of the base name; what
    follows is the field, in lower case. The encoded images are kept in memory, and are decoded
    when a batch is read, as `read_image` decodes them.

    Needs Pillow: ``pip install 'fcnn[images]'``.

    Args:
        paths: the file, or several, in this order.
        image: the fields that hold images; of each sample the first that it has.
        label: the field of the label, a whole number as text; ``"json.KEY"`` for one in JSON.
        classes: the names of the classes.
        size: see `read_parquet`.
        channels: see `read_parquet`.
        background: see `read_image`.
        fit: see `read_image`.

    Raises:
        DataError: naming the file, if it is damaged, or a sample lacks a field.
        ArgumentError: if an argument is out of its range.
        ImportError: without Pillow.

    >>> from fcnn.data import read_webdataset
    >>> read_webdataset("train-000000.tar")
    Traceback (most recent call last):
        ...
    FileNotFoundError: [Errno 2] No such file or directory: 'train-000000.tar'
    """
    reader = Reader.of(size, channels, background, fit)
    images: list[Any] = []
    labels: list[int] = []
    field, _, key = label.partition(".")
    for path in _paths(paths):
        for name, sample in samples(path):
            encoded = next((sample[each] for each in image if each in sample), None)
            if encoded is None or field not in sample:
                raise DataError(
                    f"{path}: expected an image and {field!r} in sample {name!r}, "
                    f"got {', '.join(sample)}"
                )
            images.append((encoded, f"{path}: {name}"))
            labels.append(_label(sample[field], key, f"{path}: {name}.{field}"))
    if not images:
        raise DataError(f"expected samples in {', '.join(map(str, _paths(paths)))}, got none")
    return _decoded(reader, images, np.array(labels), tuple(classes))


def _paths(paths: Paths) -> list[Path]:
    return [Path(each) for each in ([paths] if isinstance(paths, str | os.PathLike) else paths)]


@attrs.frozen
class _Encoded:
    """Encoded images, each with the name that an error gives it, decoded by position."""

    reader: Reader
    images: tuple[tuple[Any, str], ...] = attrs.field(repr=False)

    def __call__(self, rows: Array) -> Array:
        """Decode the images at these positions."""
        decoded: list[Array] = []
        for i in rows:
            content, name = self.images[i]
            try:
                file = content if isinstance(content, Path) else io.BytesIO(content)
                decoded.append(self.reader.read(file))
            except DataError as error:
                raise type(error)(f"{name}: {error}") from error.__cause__
            if decoded[-1].shape != decoded[0].shape:
                raise ShapeError(
                    f"expected images of one size, got {decoded[0].shape[:2]} and "
                    f"{decoded[-1].shape[:2]} in {name}; pass size=(h, w)"
                )
        return np.stack(decoded)


def _decoded(
    reader: Reader, images: list[Any], labels: Array, classes: tuple[str, ...]
) -> LazyDataset[Array, Array]:
    if images and reader.channels is None:
        first = attrs.evolve(reader, size=None).read(
            images[0][0] if isinstance(images[0][0], Path) else io.BytesIO(images[0][0])
        )
        reader = attrs.evolve(reader, channels=first.shape[2])
    threads = min(4, os.cpu_count() or 1)
    return LazyDataset(
        _Encoded(reader, tuple(images)), labels, classes, prefetch=max(2, threads), threads=threads
    )


def _parquet(path: Path, image: str, label: str) -> tuple[list[Any], Array, tuple[str, ...]]:
    """Return the images, targets and names of classes of one file."""
    pillow()
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError("parquet files need pyarrow: pip install 'fcnn[parquet]'") from error
    if not path.is_file():
        raise FileNotFoundError(path)
    try:
        file = pyarrow.parquet.ParquetFile(path)
        there = file.schema_arrow.names
        for column in (image, label):
            if column not in there:
                raise DataError(f"{path}: expected a column {column!r}, got {', '.join(there)}")
        table = file.read([image, label])
        encoded, targets = table[image].to_pylist(), table[label].to_numpy()
        metadata = file.schema_arrow.metadata or {}
        return (
            [_bytes(each, path, i) for i, each in enumerate(encoded)],
            targets,
            _classes(metadata, label),
        )
    except (pyarrow.ArrowException, OSError, ValueError, TypeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: expected a whole parquet file: {error}") from error


def _bytes(cell: Any, path: Path, i: int) -> tuple[Any, str]:
    """Return the bytes of an image, or the path that they are read from."""
    name = f"{path}: row {i}"
    content = cell.get("bytes") if isinstance(cell, dict) else cell
    if isinstance(content, bytes):
        return content, name
    if isinstance(cell, dict) and isinstance(cell.get("path"), str):
        return path.parent / cell["path"], name
    raise DataError(f"{name}: expected an image's bytes or path, got {cell!r:.40}")


def _classes(metadata: Any, label: str) -> tuple[str, ...]:
    """Return the names in the metadata that `datasets` writes; none if there is no such thing."""
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return tuple([str(name) for name in features[label]["names"]])
    except (KeyError, TypeError, ValueError):
        return ()


def samples(path: Path, most: int = 2**28) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yield the name and the fields of each sample of a tar file.

    Raises:
        DataError: naming the file, if it is damaged, or a file in it has more than ``most`` bytes.
    """
    name, sample = "", dict[str, bytes]()
    for file, content in tar_files(path, lambda file: all(_cut(file)), most=most):
        whole, field = _cut(file)
        if whole != name and sample:
            yield name, sample
            sample = {}
        name = whole
        sample[field.lower()] = content
    if sample:
        yield name, sample


def _cut(file: str) -> tuple[str, str]:
    """Return the name of a file's sample, empty if it is of none, and its field."""
    folder, _, base = file.rpartition("/")
    stem, _, field = base.partition(".")
    return (f"{folder}/{stem}" if folder and stem else stem), field


def _label(content: bytes, key: str, name: str) -> int:
    try:
        value: Any = json.loads(content)[key] if key else content.decode("ascii")
        return int(value)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{name}: expected a whole number, got {content!r:.40}") from error
