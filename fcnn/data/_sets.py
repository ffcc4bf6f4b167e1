"""MNIST and Fashion-MNIST: the embedded first examples, or the whole sets from FCNN_DATA."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fcnn._check import whole
from fcnn._typing import Array
from fcnn.data import _catalogue
from fcnn.data._catalogue import Source
from fcnn.data._dataset import Dataset
from fcnn.data._idx import read_idx
from fcnn.errors import ArgumentError, DataError, LabelError


def mnist(
    split: str,
    limit: int | None = None,
    *,
    per_class: int | None = None,
    classes: Sequence[int] | None = None,
) -> Dataset:
    """Handwritten digits: ``images`` (n, 28, 28, 1) float32 in [0, 1], ``labels`` (n,) int64.

    The first 5,000 of the training set and the first 1,200 of the test set are
    embedded; where FCNN_DATA names a folder, all 60,000 and 10,000 are read from it.

    Args:
        split: ``"train"`` or ``"test"``.
        limit: the first so many; without it, all that are at hand.
        per_class: of each class the first so many, in the order of the set.
        classes: these classes only; labels stay what they are.

    Raises:
        DataError: if more is asked for than is at hand, or a file is missing or damaged.

    >>> from fcnn import data
    >>> data.mnist("train", 1000).labels[:5].tolist()
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
) -> Dataset:
    """Pictures of clothes: ``images`` (n, 28, 28, 1) float32 in [0, 1], ``labels`` (n,) int64.

    The first 10,000 of the training set are embedded, and none of the test set;
    where FCNN_DATA names a folder, all 60,000 and 10,000 are read from it.
    The arguments and errors are those of `mnist`.

    >>> from fcnn import data
    >>> clothes = data.fashion_mnist("train", 100)
    >>> clothes.classes[clothes.labels[0]]
    'Ankle boot'
    """
    return _load(_catalogue.FASHION_MNIST, split, limit, per_class, classes)


def available(name: str, split: str) -> int:
    """How many examples of ``"mnist"`` or ``"fashion-mnist"`` are at hand in a split.

    Raises:
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
) -> Dataset:
    folder = _folder(source, split)
    stems = _catalogue.stems(split)
    if folder is not None:
        images, labels = [_read(source, folder, stem) for stem in stems]
    elif source.embedded[split]:
        images, labels = [_read_embedded(source, stem) for stem in stems]
    else:
        images, labels = np.zeros((0, 28, 28), np.uint8), np.zeros(0, np.uint8)
    chosen, short = _choose(labels, source, limit, per_class, classes)
    if short or not len(labels):
        what = f"{source.title} {split}" + (f": {short}" if short else "")
        raise DataError(f"{what}; {_at_hand(source, split, len(labels), folder)}")
    pixels = np.divide(images[chosen], 255, dtype=np.float32)
    return Dataset(pixels[..., None], labels[chosen], source.classes)


def _choose(
    labels: Array,
    source: Source,
    limit: int | None,
    per_class: int | None,
    classes: Sequence[int] | None,
) -> tuple[Array, str]:
    """The indices, in the order of the set, and what was asked for and is not there."""
    n = len(source.classes)
    wanted = range(n) if classes is None else sorted(set(classes))
    if not wanted or any(label not in range(n) for label in wanted):
        raise LabelError(f"classes must be from 0 to {n - 1}, and {classes!r} came")
    short = ""
    found = [np.flatnonzero(labels == label) for label in wanted]
    if per_class is not None:
        per_class = whole(per_class, "per_class")
        for label, places in zip(wanted, found, strict=True):
            if len(places) < per_class:
                short = f"{per_class} of class {label} were asked for, and it has {len(places)}"
        found = [places[:per_class] for places in found]
    chosen = np.sort(np.concatenate(found))
    if limit is not None and len(chosen) < whole(limit, "limit"):
        short = short or f"{limit} were asked for, and there are {len(chosen)}"
    return chosen[:limit], short


def _at_hand(source: Source, split: str, n: int, folder: Path | None) -> str:
    if folder is not None:
        return f"{folder} has {n} in all"
    return (
        f"{n or 'none'} of its examples are embedded: for the whole set, let the environment "
        f"variable FCNN_DATA name a folder that fcnn.data.download(folder, "
        f"name={source.name!r}) has filled"
    )


def _folder(source: Source, split: str) -> Path | None:
    """Where the whole set is, or None: the embedded one."""
    if split not in _catalogue.SPLITS:
        raise ArgumentError(f"split must be 'train' or 'test', and {split!r} came")
    named = os.environ.get("FCNN_DATA")
    return Path(named, source.name) if named else None


def _read(source: Source, folder: Path, stem: str) -> Array:
    for path in (folder / f"{stem}.gz", folder / stem):
        if path.is_file():
            return read_idx(path, sha256=source.sha256[stem])
    raise DataError(
        f"{folder / stem}.gz is missing, and FCNN_DATA says that {source.title} is there: "
        f"fcnn.data.download({str(folder.parent)!r}, name={source.name!r}) fetches it, "
        f"and without FCNN_DATA the embedded examples are read"
    )


def _read_embedded(source: Source, stem: str) -> Array:
    """An embedded file, checked against the sums that lie beside it."""
    folder = _catalogue.EMBEDDED
    lines = (folder / "SHA256SUMS.txt").read_text("ascii").splitlines()
    sums = {name: sha256 for sha256, name in (line.split() for line in lines)}
    name = f"{source.name}-{stem}"
    return read_idx(folder / f"{name}.gz", sha256=sums[name])
