"""KMNIST, EMNIST and QMNIST: sets of 28x28 images in IDX files."""

from __future__ import annotations

import string
from pathlib import Path

import numpy as np

from fcnn._typing import Array, IntArray
from fcnn.data._idx import parse, read_idx
from fcnn.data._lazy import LazyDataset
from fcnn.data._shelf import check_split, locate, made
from fcnn.errors import ArgumentError, DataError

_KUZUSHIJI = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
_BOTH_CASES = "abdefghnqrt"  # the letters whose small form is a class of its own in merged parts
_MERGED = tuple(string.digits + string.ascii_uppercase + _BOTH_CASES)
_PARTS = {
    "byclass": tuple(string.digits + string.ascii_uppercase + string.ascii_lowercase),
    "bymerge": _MERGED,
    "balanced": _MERGED,
    "letters": tuple(string.ascii_uppercase),
    "digits": tuple(string.digits),
    "mnist": tuple(string.digits),
}


def kmnist(split: str, limit: int | None = None) -> LazyDataset[Array, IntArray]:
    """Load Kuzushiji-MNIST, cursive Japanese characters: (28, 28, 1), ten classes.

    The files are read from the folder ``kmnist`` in that of FCNN_DATA or in the user's cache,
    where `download` puts them; their checksums are checked. Pixels stay uint8 until a batch is
    read; ``data[:]`` has them all as float32.

    Args:
        split: ``"train"`` (60,000) or ``"test"`` (10,000).
        limit: the number of examples, the first ones; all by default.

    Raises:
        ArgumentError: if there is no such split.
        DataError: if a file is missing or damaged, or there are fewer examples.

    >>> from fcnn.data import kmnist
    >>> kmnist("validation")
    Traceback (most recent call last):
        ...
    fcnn.errors.ArgumentError: expected split to be one of 'train', 'test', got 'validation'

    Source: T. Clanuwat et al., "Deep learning for classical Japanese literature" (2018).
    """
    check_split(split, "train", "test")
    prefix = "train" if split == "train" else "t10k"
    images = read_idx(locate("kmnist", f"{prefix}-images-idx3-ubyte.gz")[0])
    labels = read_idx(locate("kmnist", f"{prefix}-labels-idx1-ubyte.gz")[0])
    return made(f"KMNIST {split}", _pixels(images), labels, _KUZUSHIJI, limit)


def qmnist(split: str, limit: int | None = None) -> LazyDataset[Array, IntArray]:
    """Load QMNIST, MNIST with the 60,000 test digits: (28, 28, 1), ten classes.

    The arguments, files and errors are those of `kmnist`, ``"test"`` having 60,000 examples.
    Of the labels' eight columns the first, the class, is read.

    >>> from fcnn.data import qmnist
    >>> qmnist("train", 0)
    Traceback (most recent call last):
        ...
    fcnn.errors.DataError: expected qmnist-train-images-idx3-ubyte.gz in ...

    Source: C. Yadav and L. Bottou, "Cold case: the lost MNIST digits" (2019).
    """
    check_split(split, "train", "test")
    images = read_idx(locate("qmnist", f"qmnist-{split}-images-idx3-ubyte.gz")[0])
    path = locate("qmnist", f"qmnist-{split}-labels-idx2-int.gz")[0]
    labels = read_idx(path)
    if labels.ndim != 2 or not labels.shape[1]:
        raise DataError(f"{path}: expected labels of shape (n, 8), got {labels.shape}")
    return made(f"QMNIST {split}", _pixels(images), labels[:, 0], tuple(string.digits), limit)


def emnist(
    split: str, limit: int | None = None, *, part: str = "balanced"
) -> LazyDataset[Array, IntArray]:
    """Load EMNIST, handwritten letters and digits: (28, 28, 1).

    The file ``gzip.zip`` is read from the folder ``emnist``; else the arguments, files and
    errors are those of `kmnist`. Images are turned upright, and the classes of letters count
    from 0.

    Args:
        split: ``"train"`` or ``"test"``.
        limit: the number of examples, the first ones; all by default.
        part: ``"byclass"`` (62 classes), ``"bymerge"`` or ``"balanced"`` (47: some small letters
            count as capitals), ``"letters"`` (26), ``"digits"`` or ``"mnist"`` (10).

    >>> from fcnn.data import emnist
    >>> emnist("train", part="words")
    Traceback (most recent call last):
        ...
    fcnn.errors.ArgumentError: expected part to be one of byclass, bymerge, balanced, letters, \
digits, mnist, got 'words'

    Source: G. Cohen et al., "EMNIST: an extension of MNIST to handwritten letters" (2017).
    """
    check_split(split, "train", "test")
    if part not in _PARTS:
        raise ArgumentError(f"expected part to be one of {', '.join(_PARTS)}, got {part!r}")
    path, _ = locate("emnist", "gzip.zip")
    stem = f"emnist-{part}-{split}"
    images = _member(path, f"gzip/{stem}-images-idx3-ubyte.gz")
    labels = _member(path, f"gzip/{stem}-labels-idx1-ubyte.gz").astype(np.int64)
    if part == "letters":
        labels -= 1
    upright = np.ascontiguousarray(_pixels(images).swapaxes(1, 2))
    return made(f"EMNIST {part} {split}", upright, labels, _PARTS[part], limit)


def _pixels(images: Array) -> Array:
    """Return images (n, h, w) with a channel axis."""
    if images.ndim != 3 or images.dtype != np.uint8:
        raise DataError(f"expected images (n, h, w) of uint8, got {images.shape} {images.dtype}")
    return images[..., None]


def _member(path: Path, name: str) -> Array:
    """Read a gzipped IDX file in a zip file."""
    import tempfile
    import zipfile
    import zlib

    try:
        with (
            zipfile.ZipFile(path) as archive,
            archive.open(name) as member,
            tempfile.TemporaryFile() as file,
        ):
            while content := member.read(2**20):
                file.write(content)
            file.seek(0)
            return parse(file)
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
        raise DataError(f"{path}: expected a whole zip file with {name}: {error}") from error
    except DataError as error:
        raise DataError(f"{path}: {name}: {error}") from error.__cause__
