"""SVHN, STL-10, USPS, small NORB and the digits of scikit-learn, each in a format of its own."""

from __future__ import annotations

import math
import string
from pathlib import Path
from typing import Any

import numpy as np

from fcnn._check import whole
from fcnn._typing import Array, IntArray
from fcnn.data._cifar import members
from fcnn.data._dataset import Dataset
from fcnn.data._lazy import LazyDataset
from fcnn.data._shelf import check_split, locate, made
from fcnn.errors import DataError

_TEN = tuple(string.digits)
_STL = (
    "airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck",
)  # fmt: skip
_NORB = ("animal", "human", "airplane", "truck", "car")
_NORB_TYPES = {0x1E3D4C55: "u1", 0x1E3D4C54: "<i4"}


def svhn(split: str, limit: int | None = None) -> LazyDataset[Array, IntArray]:
    """Load SVHN, house numbers in colour: (32, 32, 3), ten classes.

    The files ``train_32x32.mat`` and so on are read from the folder ``svhn``; else arguments,
    files and errors are those of `cifar10`. The label 10 becomes 0. A file of MATLAB's version
    7.3 needs h5py: ``pip install 'fcnn[hdf5]'``.

    Args:
        split: ``"train"`` (73,257), ``"test"`` (26,032) or ``"extra"`` (531,131).
        limit: the number of examples, the first ones; all by default.

    >>> from fcnn.data import svhn
    >>> svhn("all")
    Traceback (most recent call last):
        ...
    fcnn.errors.ArgumentError: expected split to be one of 'train', 'test', 'extra', got 'all'

    Source: Y. Netzer et al., "Reading digits in natural images with unsupervised feature
    learning" (2011).
    """
    check_split(split, "train", "test", "extra")
    path, _ = locate("svhn", f"{split}_32x32.mat")
    found = _read_mat(path)
    pixels, labels = found.get("X"), found.get("y")
    if pixels is None or labels is None or pixels.ndim != 4 or pixels.dtype != np.uint8:
        raise DataError(f"{path}: expected X (32, 32, 3, n) of uint8 and y, got {sorted(found)}")
    upright = np.ascontiguousarray(pixels.transpose(3, 0, 1, 2))
    return made(f"SVHN {split}", upright, labels.ravel() % 10, _TEN, limit)


def _read_mat(path: Path) -> dict[str, Array]:
    """Return the arrays of a MATLAB file."""
    import scipy.io  # type: ignore[import-untyped]

    try:
        return dict(scipy.io.loadmat(path, variable_names=["X", "y"]))
    except NotImplementedError:  # version 7.3, an HDF5 file with the axes reversed
        pass
    except Exception as error:  # a damaged file may raise anything
        raise DataError(f"{path}: expected a MATLAB file, got a damaged one: {error}") from error
    try:
        import h5py
    except ImportError as error:
        raise ImportError("MATLAB 7.3 files need h5py: pip install 'fcnn[hdf5]'") from error
    try:
        with h5py.File(path, "r") as file:
            return {name: file[name][()].T for name in ("X", "y") if name in file}
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: expected an HDF5 file, got a damaged one: {error}") from error


def stl10(split: str, limit: int | None = None) -> LazyDataset[Array, IntArray]:
    """Load STL-10, larger pictures of things and animals: (96, 96, 3), ten classes.

    The file ``stl10_binary.tar.gz`` is read from the folder ``stl-10``; else arguments, files
    and errors are those of `cifar10`. Classes count from 0. Images without labels are not read.

    Args:
        split: ``"train"`` (5,000) or ``"test"`` (8,000).
        limit: the number of examples, the first ones; all by default.

    >>> from fcnn.data import stl10
    >>> stl10("unlabeled")
    Traceback (most recent call last):
        ...
    fcnn.errors.ArgumentError: expected split to be one of 'train', 'test', got 'unlabeled'

    Source: A. Coates, H. Lee and A. Ng, "An analysis of single-layer networks in unsupervised
    feature learning" (2011).
    """
    check_split(split, "train", "test")
    path, _ = locate("stl-10", "stl10_binary.tar.gz")
    names = [f"{split}_X.bin", f"{split}_y.bin"]
    found = members(path, names, most=250 * 10**6)
    images, labels = (np.frombuffer(found[name], np.uint8) for name in names)
    if images.size % (3 * 96 * 96):
        raise DataError(f"{path}: expected images of {3 * 96 * 96} bytes, got {images.size} bytes")
    # Columns come before rows in the file.
    pixels = np.ascontiguousarray(images.reshape(-1, 3, 96, 96).transpose(0, 3, 2, 1))
    return made(f"STL-10 {split}", pixels, labels.astype(np.int64) - 1, _STL, limit)


def usps(split: str, limit: int | None = None) -> Dataset[Array, IntArray]:
    """Load USPS, handwritten digits of envelopes: (16, 16, 1) float32 in [0, 1], ten classes.

    The files ``usps.bz2`` and ``usps.t.bz2`` of LIBSVM are read from the folder ``usps``; else
    arguments, files and errors are those of `cifar10`. Their pixels are from -1 to 1.

    Args:
        split: ``"train"`` (7,291) or ``"test"`` (2,007).
        limit: the number of examples, the first ones; all by default.

    >>> from fcnn.data import usps
    >>> usps("validation")
    Traceback (most recent call last):
        ...
    fcnn.errors.ArgumentError: expected split to be one of 'train', 'test', got 'validation'

    Source: J. Hull, "A database for handwritten text recognition research" (1994).
    """
    import bz2

    check_split(split, "train", "test")
    path, _ = locate("usps", "usps.bz2" if split == "train" else "usps.t.bz2")
    images, labels = [], []
    try:
        with bz2.open(path, "rt", encoding="ascii") as lines:
            for line in lines:
                label, *pixels = line.split()
                image = np.zeros(256, np.float32)  # LIBSVM's format leaves zeros out
                for pixel in pixels:
                    at, value = pixel.split(":")
                    image[int(at) - 1] = float(value)
                images.append(image)
                labels.append(int(label) - 1)
        stacked = (np.array(images, np.float32).reshape(-1, 16, 16, 1) + 1) / 2
    except (ValueError, IndexError, EOFError, OSError) as error:
        raise DataError(f"{path}: expected lines 'label index:value ...': {error}") from error
    if limit is not None and whole(limit, "limit") > len(labels):
        raise DataError(f"USPS {split}: expected {limit} examples, got {len(labels)}")
    return Dataset(stacked[:limit], np.array(labels[:limit]), _TEN)


def norb(split: str, limit: int | None = None) -> LazyDataset[Array, IntArray]:
    """Load small NORB, toys by two cameras: (96, 96, 2), a camera a channel, five classes.

    The files ``smallnorb-5x...-dat.mat.gz`` and ``...-cat.mat.gz`` are read from the folder
    ``norb``; else arguments, files and errors are those of `cifar10`. No checksum is known.

    Args:
        split: ``"train"`` or ``"test"``, 24,300 each.
        limit: the number of examples, the first ones; all by default.

    >>> from fcnn.data import norb
    >>> norb("validation")
    Traceback (most recent call last):
        ...
    fcnn.errors.ArgumentError: expected split to be one of 'train', 'test', got 'validation'

    Source: Y. LeCun, F. Huang and L. Bottou, "Learning methods for generic object recognition
    with invariance to pose and lighting" (2004).
    """
    check_split(split, "train", "test")
    part = {"train": "46789x9x18x6x2x96x96-training", "test": "01235x9x18x6x2x96x96-testing"}
    images, labels = (
        _read_norb(locate("norb", f"smallnorb-5x{part[split]}-{kind}.mat.gz")[0])
        for kind in ("dat", "cat")
    )
    if images.ndim != 4 or images.shape[1] != 2 or images.dtype != np.uint8:
        raise DataError(f"small NORB: expected images (n, 2, h, w) of uint8, got {images.shape}")
    pixels = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
    return made(f"small NORB {split}", pixels, labels.ravel(), _NORB, limit)


def _read_norb(path: Path) -> Array:
    """Read one gzipped array: type, number of axes, at least three lengths, little-endian."""
    import gzip
    import zlib

    try:
        with gzip.open(path) as file:
            kind, axes = np.frombuffer(file.read(8), "<i4").tolist()
            if kind not in _NORB_TYPES or not 1 <= axes <= 4:
                raise DataError(f"{path}: expected bytes or integers, got a type {kind:#x}")
            lengths = np.frombuffer(file.read(4 * max(axes, 3)), "<u4").tolist()[:axes]
            dtype = np.dtype(_NORB_TYPES[kind])
            size = math.prod(lengths) * dtype.itemsize
            content = bytearray()
            while len(content) <= size and (more := file.read(2**20)):
                content += more
    except (EOFError, zlib.error, gzip.BadGzipFile, ValueError, KeyError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: expected a whole gzip file: {error}") from error
    if len(content) != size or len(lengths) != axes:
        raise DataError(f"{path}: expected {size} bytes for {lengths}, got {len(content)}")
    return np.frombuffer(content, dtype).reshape(lengths)


def sklearn_digits(limit: int | None = None) -> Dataset[Array, IntArray]:
    """Load the 1,797 digits that are part of scikit-learn: (8, 8, 1) float32 in [0, 1].

    Needs scikit-learn: ``pip install 'fcnn[sklearn]'``.

    Args:
        limit: the number of examples, the first ones; all by default.

    Raises:
        DataError: if there are fewer.
        ImportError: without scikit-learn.

    >>> from fcnn.data import sklearn_digits
    >>> sklearn_digits(100)
    Dataset(100 of (8, 8, 1) float32, 10 classes)

    Source: E. Alpaydin and C. Kaynak, "Optical recognition of handwritten digits", UCI (1998).
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError("these digits need scikit-learn: pip install 'fcnn[sklearn]'") from error
    found: Any = load_digits()
    if limit is not None and whole(limit, "limit") > len(found.target):
        raise DataError(f"expected {limit} examples, got {len(found.target)}")
    pixels = (found.images / 16).astype(np.float32)[..., None]  # whole numbers up to 16
    return Dataset(pixels[:limit], found.target[:limit], _TEN)
