"""CIFAR-10 and CIFAR-100, from the archives for C or for Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fcnn._typing import Array, IntArray
from fcnn.data._lazy import LazyDataset
from fcnn.data._pickled import Pickled, unpickle
from fcnn.data._shelf import check_split, locate, made
from fcnn.data._tar import tar_files
from fcnn.errors import ArgumentError, DataError

_MOST = 160 * 10**6
"""The bytes of the largest file in the archives, CIFAR-100's 50,000 images, and some more."""

_TEN = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
_COARSE = (
    "aquatic_mammals", "fish", "flowers", "food_containers", "fruit_and_vegetables",
    "household_electrical_devices", "household_furniture", "insects", "large_carnivores",
    "large_man-made_outdoor_things", "large_natural_outdoor_scenes",
    "large_omnivores_and_herbivores", "medium_mammals", "non-insect_invertebrates", "people",
    "reptiles", "small_mammals", "trees", "vehicles_1", "vehicles_2",
)  # fmt: skip
_NAMES = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus
butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch
crab crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo
keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse
mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy
porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper
snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television
tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""
_FINE = tuple(_NAMES.split())


def cifar10(split: str, limit: int | None = None) -> LazyDataset[Array, IntArray]:
    """Load CIFAR-10, pictures of things and animals: (32, 32, 3), ten classes.

    ``cifar-10-binary.tar.gz`` or ``cifar-10-python.tar.gz`` is read from the folder ``cifar-10``
    in that of FCNN_DATA or in the user's cache, where `download` puts the former; its checksum
    is checked. Nothing of a pickle is run. Pixels stay uint8 until a batch is read; ``data[:]``
    has them all as float32.

    Args:
        split: ``"train"`` (50,000) or ``"test"`` (10,000).
        limit: the number of examples, the first ones; all by default.

    Raises:
        ArgumentError: if there is no such split.
        DataError: if the file is missing or damaged, or there are fewer examples.

    >>> from fcnn.data import cifar10
    >>> cifar10("all")
    Traceback (most recent call last):
        ...
    fcnn.errors.ArgumentError: expected split to be one of 'train', 'test', got 'all'

    Source: A. Krizhevsky, "Learning multiple layers of features from tiny images" (2009).
    """
    check_split(split, "train", "test")
    parts = [f"data_batch_{i}" for i in range(1, 6)] if split == "train" else ["test_batch"]
    path, _ = locate("cifar-10", "cifar-10-binary.tar.gz", "cifar-10-python.tar.gz")
    pixels, labels = _read(path, parts, ["labels"])
    return made(f"CIFAR-10 {split}", pixels, labels[:, 0], _TEN, limit)


def cifar100(
    split: str, limit: int | None = None, *, labels: str = "fine"
) -> LazyDataset[Array, IntArray]:
    """Load CIFAR-100, pictures of things and animals: (32, 32, 3), a hundred classes.

    The files are ``cifar-100-binary.tar.gz`` or ``cifar-100-python.tar.gz``; files, arguments
    and errors are those of `cifar10`.

    Args:
        split: ``"train"`` (50,000) or ``"test"`` (10,000).
        limit: the number of examples, the first ones; all by default.
        labels: ``"fine"``, the hundred classes, or ``"coarse"``, the twenty that these form.

    >>> from fcnn.data import cifar100
    >>> cifar100("train", labels="all")
    Traceback (most recent call last):
        ...
    fcnn.errors.ArgumentError: expected labels to be 'fine' or 'coarse', got 'all'
    """
    check_split(split, "train", "test")
    if labels not in ("fine", "coarse"):
        raise ArgumentError(f"expected labels to be 'fine' or 'coarse', got {labels!r}")
    path, _ = locate("cifar-100", "cifar-100-binary.tar.gz", "cifar-100-python.tar.gz")
    pixels, both = _read(path, [split], ["coarse_labels", "fine_labels"])
    column, classes = (1, _FINE) if labels == "fine" else (0, _COARSE)
    return made(f"CIFAR-100 {split}", pixels, both[:, column], classes, limit)


def _read(path: Path, parts: Sequence[str], keys: Sequence[str]) -> tuple[Array, Array]:
    """Return the images (n, 32, 32, 3) of some files in an archive, and their labels (n, k)."""
    is_binary = "binary" in path.name
    names = [f"{part}.bin" if is_binary else part for part in parts]
    found = members(path, names)
    images, labels = [], []
    for name in names:
        try:
            split = _rows(found.pop(name), len(keys)) if is_binary else (
                _pickle(found.pop(name), keys)
            )  # fmt: skip
        except DataError as error:
            raise DataError(f"{path}: {name}: {error}") from error.__cause__
        images.append(split[0].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
        labels.append(split[1])
    return np.concatenate(images), np.concatenate(labels)


def members(path: Path, names: Sequence[str], most: int = _MOST) -> dict[str, bytes]:
    """Return the contents of some files in a tar archive by their base names.

    Raises:
        DataError: naming the archive, if it is damaged, or a file in it is too large or missing.
    """
    found = {
        name.rpartition("/")[2]: content
        for name, content in tar_files(
            path, lambda name: name.rpartition("/")[2] in names, most=most
        )
    }
    if missing := [name for name in names if name not in found]:
        raise DataError(f"{path}: expected a file {missing[0]} in the archive, got none")
    return found


def _rows(content: bytes, labels: int) -> tuple[Array, Array]:
    """Split rows of labels and 3,072 pixels, the channels one after another."""
    if not content or len(content) % (labels + 3072):
        raise DataError(f"expected rows of {labels + 3072} bytes, got {len(content)} bytes")
    rows = np.frombuffer(content, np.uint8).reshape(-1, labels + 3072)
    return rows[:, labels:], rows[:, :labels]


def _pickle(content: bytes, keys: Sequence[str]) -> tuple[Array, Array]:
    found = unpickle(content)
    try:
        named = {k.decode() if isinstance(k, bytes) else k: v for k, v in found.items()}
        data, columns = named["data"], [named[key] for key in keys]
        pixels = data.array() if isinstance(data, Pickled) else None
        labels = np.array(columns)
    except (AttributeError, KeyError, UnicodeDecodeError, ValueError, TypeError) as error:
        raise DataError(f"expected a dict with data and {', '.join(keys)}: {error!r}") from error
    if (
        pixels is None
        or pixels.ndim != 2
        or pixels.shape[1] != 3072
        or labels.dtype.kind not in "iu"
        or labels.shape != (len(keys), len(pixels))
    ):
        raise DataError(f"expected an array (n, 3072) and n labels, got {labels.shape} labels")
    return pixels, labels.T
