"""Arrays in ``.npz`` files, and MedMNIST."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fcnn._typing import Array
from fcnn.data import _remotes
from fcnn.data._lazy import LazyDataset
from fcnn.data._shelf import check_split, locate, made
from fcnn.errors import ArgumentError, DataError

if TYPE_CHECKING:
    from zipfile import ZipFile

_RATIO = 1032
"""The most that deflate shortens, 1032 to 1 (zlib's technical notes)."""

MEDICAL = {
    "pathmnist": (
        "adipose", "background", "debris", "lymphocytes", "mucus", "smooth muscle",
        "normal colon mucosa", "cancer-associated stroma", "colorectal adenocarcinoma epithelium",
    ),
    "chestmnist": (),
    "dermamnist": (
        "actinic keratoses and intraepithelial carcinoma", "basal cell carcinoma",
        "benign keratosis-like lesions", "dermatofibroma", "melanoma", "melanocytic nevi",
        "vascular lesions",
    ),
    "octmnist": (
        "choroidal neovascularization", "diabetic macular edema", "drusen", "normal",
    ),
    "pneumoniamnist": ("normal", "pneumonia"),
    "retinamnist": ("0", "1", "2", "3", "4"),
    "breastmnist": ("malignant", "normal, benign"),
    "bloodmnist": (
        "basophil", "eosinophil", "erythroblast", "immature granulocytes", "lymphocyte",
        "monocyte", "neutrophil", "platelet",
    ),
    "tissuemnist": (
        "Collecting Duct, Connecting Tubule", "Distal Convoluted Tubule",
        "Glomerular endothelial cells", "Interstitial endothelial cells", "Leukocytes",
        "Podocytes", "Proximal Tubule Segments", "Thick Ascending Limb",
    ),
    **dict.fromkeys(
        ("organamnist", "organcmnist", "organsmnist"),
        (
            "bladder", "femur-left", "femur-right", "heart", "kidney-left", "kidney-right",
            "liver", "lung-left", "lung-right", "pancreas", "spleen",
        ),
    ),
}  # fmt: skip


def read_npz(
    path: str | os.PathLike[str],
    *,
    inputs: str = "x",
    targets: str = "y",
    classes: Iterable[str] = (),
    scale: float | None = None,
) -> LazyDataset[Array, Array]:
    """Read two arrays of a ``.npz`` file as inputs and targets.

    The arrays are in memory, in their own dtype. Images (n, h, w) get a channel axis. A file
    whose sizes contradict each other is refused before memory is taken for it.

    Args:
        path: the file.
        inputs: the name of the array of inputs, such as ``"x_train"``.
        targets: the name of the array of targets.
        classes: the names of the classes.
        scale: see `LazyDataset`; ``1 / 255`` for pixels of uint8.

    Raises:
        DataError: naming the file, if it is damaged, or has no such array of numbers.
        FcnnError: what `LazyDataset` raises for the arrays.
        OSError: by Python itself, if the file cannot be read.

    >>> import numpy as np
    >>> from fcnn.data import read_npz
    >>> np.savez("pets.npz", x=np.zeros((3, 8, 8), np.uint8), y=[0, 1, 1])
    >>> read_npz("pets.npz", classes=("cat", "dog"), scale=1 / 255)
    LazyDataset(3 of (8, 8, 1) float32, 2 classes)
    """
    read = arrays(Path(path), [inputs, targets])
    x = read[inputs]
    return LazyDataset(
        x[..., None] if x.ndim == 3 else x, _column(read[targets]), classes, scale=scale
    )


def medmnist(name: str, split: str, limit: int | None = None) -> LazyDataset[Array, Array]:
    """Load a set of MedMNIST, medical images: (28, 28, 1) or (28, 28, 3).

    The file ``NAME.npz`` is read from the folder ``NAME`` in that of FCNN_DATA or in the user's
    cache, where `download` puts it; its checksum is checked.

    Args:
        name: ``"pathmnist"``, ``"chestmnist"`` (fourteen labels of 0 or 1 an image, as float32),
            ``"dermamnist"``, ``"octmnist"``, ``"pneumoniamnist"``, ``"retinamnist"``,
            ``"breastmnist"``, ``"bloodmnist"``, ``"tissuemnist"``, ``"organamnist"``,
            ``"organcmnist"`` or ``"organsmnist"``.
        split: ``"train"``, ``"val"`` or ``"test"``.
        limit: the number of examples, the first ones; all by default.

    Raises:
        ArgumentError: if there is no such set or split.
        DataError: if the file is missing or damaged, or there are fewer examples.

    >>> from fcnn.data import medmnist
    >>> medmnist("pathmnist", "all")
    Traceback (most recent call last):
        ...
    fcnn.errors.ArgumentError: expected split to be one of 'train', 'val', 'test', got 'all'

    Source: J. Yang et al., "MedMNIST v2: a large-scale lightweight benchmark for 2D and 3D
    biomedical image classification" (2023).
    """
    if name not in MEDICAL or name not in _remotes.REMOTES:
        raise ArgumentError(f"expected name to be one of {', '.join(MEDICAL)}, got {name!r}")
    check_split(split, "train", "val", "test")
    path, _ = locate(name, f"{name}.npz")
    names = [f"{split}_images", f"{split}_labels"]
    images, labels = arrays(path, names).values()
    pixels = images[..., None] if images.ndim == 3 else images
    if pixels.ndim != 4 or pixels.dtype != np.uint8 or labels.ndim != 2:
        raise DataError(f"{path}: expected images of uint8 and labels (n, k), got {images.shape}")
    if name != "chestmnist":
        return made(f"{name} {split}", pixels, labels[:, 0], MEDICAL[name], limit)
    first = made(f"{name} {split}", pixels, np.zeros(len(labels)), (), limit)
    several = labels[: len(first)].astype(np.float32)
    return LazyDataset(pixels[: len(first)], several, scale=1 / 255)


def _column(array: Array) -> Array:
    """Return whole-number targets (n, 1) as (n,)."""
    is_column = array.ndim == 2 and array.shape[1] == 1 and array.dtype.kind in "iu"
    return array[:, 0] if is_column else array


def arrays(path: Path, names: list[str]) -> dict[str, Array]:
    """Read some arrays of a ``.npz``, each in memory of the order of what is there.

    Raises:
        DataError: naming the file, if it is damaged, or lacks one.
    """
    import zipfile
    import zlib

    try:
        with zipfile.ZipFile(path) as archive:
            return {name: _array(archive, name) for name in names}
    except DataError as error:
        raise DataError(f"{path}: {error}") from error.__cause__
    except (
        zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError,
        OverflowError, KeyError,
    ) as error:  # fmt: skip
        raise DataError(f"{path}: expected a whole .npz file: {error}") from error


def _header(file: Any) -> tuple[tuple[int, ...], bool, Any]:
    """Read the header of a ``.npy``: shape, order and dtype."""
    try:
        if np.lib.format.read_magic(file) == (1, 0):
            return np.lib.format.read_array_header_1_0(file)
        return np.lib.format.read_array_header_2_0(file)
    except Exception as error:  # it is an expression of Python, whose parser may raise anything
        raise DataError(f"expected the header of an array: {error}") from error


def _array(archive: ZipFile, name: str) -> Array:
    there = archive.namelist()
    if f"{name}.npy" not in there:
        names = ", ".join([each.removesuffix(".npy") for each in there][:20])
        raise DataError(f"expected an array {name!r}, got {names or 'none'}")
    entry: Any = archive.getinfo(f"{name}.npy")
    if entry.file_size > _RATIO * entry.compress_size + 1000:
        raise DataError(f"expected at most {_RATIO} times {entry.compress_size} bytes in {name!r}")
    with archive.open(entry) as file:
        shape, fortran, dtype = _header(file)
        if dtype.kind not in "biuf":
            raise DataError(f"expected numbers in {name!r}, got {dtype}")
        size, head = math.prod(shape) * dtype.itemsize, file.tell()
        if head + size != entry.file_size:
            raise DataError(
                f"expected {head + size} bytes for {name!r} of shape {shape}, got {entry.file_size}"
            )
        content = bytearray()
        while part := file.read(2**20):
            content += part
    if len(content) != size:
        raise DataError(f"expected {size} bytes for {name!r}, got {len(content)}")
    made: Array = np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")
    return made
