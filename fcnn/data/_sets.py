"""MNIST and Fashion-MNIST: the embedded first examples, or the whole sets from FCNN_DATA."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fcnn._check import whole
from fcnn._typing import Array, IntArray
from fcnn.data import _catalogue
from fcnn.data._catalogue import Source
from fcnn.data._dataset import Dataset
from fcnn.data._folder import find, user_path
from fcnn.data._idx import read_idx
from fcnn.data._shelf import cache
from fcnn.errors import ArgumentError, DataError, LabelError

DEBIAN = Path("/usr/share/datasets")
"""Where the package dataset-fashion-mnist has its files."""


def mnist(
    split: str,
    limit: int | None = None,
    *,
    per_class: int | None = None,
    classes: Sequence[int] | None = None,
) -> Dataset[Array, IntArray]:
    """Load handwritten digits: inputs (n, 28, 28, 1) float32 in [0, 1], targets (n,) int64.

    The first 5,000 of the training set and the first 1,200 of the test set are
    embedded; where FCNN_DATA names a folder, all 60,000 and 10,000 are read from it. Where it
    is not set and more is asked for than is embedded, the user's cache is looked into, which
    `download` fills by default.

    Args:
        split: ``"train"`` or ``"test"``.
        limit: the number of examples, the first ones; all that are available by default.
        per_class: the number of examples of each class, the first ones, in the set's order.
        classes: the classes to keep, as numbers; the labels stay the same.

    Raises:
        ArgumentError: if an argument is out of its range.
        DataError: if more is asked for than is available, or a file is missing or damaged.
        LabelError: if there is no such class.

    >>> from fcnn import data
    >>> data.mnist("train", 1000).targets[:5].tolist()
    [5, 0, 4, 1, 9]
    >>> data.mnist("test", classes=(0, 1), per_class=100)
    Dataset(200 of (28, 28, 1) float32, 10 classes)
    """
    return _load(_catalogue.MNIST, split, limit, per_class, classes)


def fashion_mnist(
    split: str,
    limit: int | None = None,
    *,
    per_class: int | None = None,
    classes: Sequence[int] | None = None,
) -> Dataset[Array, IntArray]:
    """Load pictures of clothes: inputs (n, 28, 28, 1) float32 in [0, 1], targets (n,) int64.

    The first 10,000 of the training set are embedded, and none of the test set;
    where FCNN_DATA names a folder, all 60,000 and 10,000 are read from it. Where it is not
    set, the user's cache and Debian's package dataset-fashion-mnist are looked into.
    The arguments and errors are those of `mnist`.

    >>> from fcnn import data
    >>> clothes = data.fashion_mnist("train", 100)
    >>> clothes.classes[clothes.targets[0]]
    'Ankle boot'
    """
    return _load(_catalogue.FASHION_MNIST, split, limit, per_class, classes)


def available(name: str, split: str) -> int:
    """Return the number of examples of ``"mnist"`` or ``"fashion-mnist"`` in a split.

    Raises:
        ArgumentError: if there is no such set or split.
        DataError: if FCNN_DATA names a folder that lacks the set.

    >>> from fcnn.data import available
    >>> available("mnist", "test") in (1200, 10000)
    True
    """
    source = _catalogue.source(name)
    folder = _folder(source, split)
    if folder is None:
        return source.embedded[split]
    return len(_read(source, folder, _catalogue.stems(split)[1]))


def _load(
    source: Source,
    split: str,
    limit: int | None,
    per_class: int | None,
    classes: Sequence[int] | None,
) -> Dataset[Array, IntArray]:
    folder = _folder(source, split)
    stems = _catalogue.stems(split)
    if folder is not None:
        images, labels = [_read(source, folder, stem) for stem in stems]
    elif source.embedded[split]:
        images, labels = [_read_embedded(source, stem) for stem in stems]
    else:
        images, labels = np.zeros((0, 28, 28), np.uint8), np.zeros(0, np.uint8)
    chosen, missing = _choose(labels, source, limit, per_class, classes)
    if (missing or not len(labels)) and folder is None:
        elsewhere = _elsewhere(source)
        if elsewhere is not None:
            folder = elsewhere
            images, labels = [_read(source, folder, stem) for stem in stems]
            chosen, missing = _choose(labels, source, limit, per_class, classes)
    if missing or not len(labels):
        what = f"{source.title} {split}: {missing or 'expected examples, got none'}"
        raise DataError(f"{what}; {_available(source, split, len(labels), folder)}")
    pixels = np.divide(images[chosen], 255, dtype=np.float32)
    return Dataset(pixels[..., None], labels[chosen], source.classes)


def _choose(
    labels: Array,
    source: Source,
    limit: int | None,
    per_class: int | None,
    classes: Sequence[int] | None,
) -> tuple[Array, str]:
    """Return the indices, in the set's order, and what of the request is missing."""
    n = len(source.classes)
    chosen = _classes(classes, n)
    missing = ""
    found = [np.flatnonzero(labels == label) for label in chosen]
    if per_class is not None:
        per_class = whole(per_class, "per_class")
        for label, places in zip(chosen, found, strict=True):
            if len(places) < per_class:
                missing = f"expected {per_class} of class {label}, got {len(places)}"
        found = [places[:per_class] for places in found]
    indices = np.sort(np.concatenate(found))
    if limit is not None and len(indices) < whole(limit, "limit"):
        missing = missing or f"expected {limit} examples, got {len(indices)}"
    return indices[:limit], missing


def _classes(classes: Sequence[int] | None, n: int) -> list[int]:
    if classes is None:
        return list(range(n))
    try:
        chosen = sorted({int(whole(label, "class", 0)) for label in classes})
    except (TypeError, ArgumentError):
        chosen = []
    if not chosen or chosen[-1] >= n:
        raise LabelError(f"expected classes to be numbers from 0 to {n - 1}, got {classes!r}")
    return chosen


def _available(source: Source, split: str, n: int, folder: Path | None) -> str:
    if folder is not None:
        return f"{folder} has {n} in all"
    return (
        f"{n or 'none'} of its examples are embedded; for the whole set, let the environment "
        f"variable FCNN_DATA name a folder that fcnn.data.download(folder, "
        f"name={source.name!r}) has filled"
    )


def _folder(source: Source, split: str) -> Path | None:
    """Return the folder of the whole set; None if the embedded examples are to be read."""
    if split not in _catalogue.SPLITS:
        raise ArgumentError(f"expected split to be 'train' or 'test', got {split!r}")
    named = os.environ.get("FCNN_DATA")
    return user_path(named) / source.name if named else None


def _elsewhere(source: Source) -> Path | None:
    """Return a folder with the whole set that `download` or Debian's package has made, if any."""
    stems = [stem for split in _catalogue.SPLITS for stem in _catalogue.stems(split)]
    for folder in (cache() / source.name, DEBIAN / source.name):
        if all(find(folder, stem) is not None for stem in stems):
            return folder
    return None


def _read(source: Source, folder: Path, stem: str) -> Array:
    path, file = find(folder, stem), source.files[stem]
    if path is None:
        raise DataError(
            f"expected {folder / stem}.gz in the folder of FCNN_DATA, got no such file; fetch it "
            f"with fcnn.data.download({str(folder.parent)!r}, name={source.name!r}), "
            f"or unset FCNN_DATA to read the embedded examples"
        )
    return read_idx(path, sha256=file.sha256, max_bytes=file.size)


def _read_embedded(source: Source, stem: str) -> Array:
    """Read an embedded file and check it against SHA256SUMS.txt."""
    folder = _catalogue.EMBEDDED
    lines = (folder / "SHA256SUMS.txt").read_text("ascii").splitlines()
    sums = {name: sha256 for sha256, name in (line.split() for line in lines)}
    name = f"{source.name}-{stem}"
    return read_idx(folder / f"{name}.gz", sha256=sums[name])
