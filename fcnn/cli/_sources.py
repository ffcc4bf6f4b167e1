"""The data that a word of the command line names: a known set, a folder, or an ``.npz`` file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from fcnn import data as sets
from fcnn.cli._known import KNOWN
from fcnn.cli._parser import near
from fcnn.data import Dataset
from fcnn.errors import DataError, ShapeError
from fcnn.prng import key

_TEST = ("test", "val", "valid", "validation")
_INPUTS, _TARGETS = ("inputs", "x", "images"), ("targets", "y", "labels")


@attrs.frozen
class Sets:
    """Examples to train on, and others to judge by.

    Attributes:
        train: the first.
        held: the second.
        held_name: what they are: ``"test"``, or ``"validation"`` for a fifth drawn from the first.
        about: where they are from, in words.
    """

    train: Dataset[Any, Any]
    held: Dataset[Any, Any]
    held_name: str
    about: str

    @property
    def shape(self) -> Any:
        """The shape of one example."""
        return self.train[:1].inputs.shape[1:]

    @property
    def outputs(self) -> int:
        """How many numbers a model gives for an example."""
        if self.is_classes:
            return len(self.train.classes)
        return int(self.train.targets.shape[1])

    @property
    def is_classes(self) -> bool:
        """Whether targets are classes."""
        return bool(self.train.targets.dtype.kind in "iu")


Found = Sets | Dataset[Any, Any]
"""Two parts, or one that is yet to be split."""


def read(
    text: str,
    *,
    size: tuple[int, int] | None = None,
    classes: Any = None,
    channels: int | None = None,
    whole: bool = False,
) -> Sets:
    """Return the data.

    Args:
        text: the name of a known set, a folder with a folder of images for each class (or
            with such folders ``train`` and ``test``), or an ``.npz`` file.
        size: (h, w) of the images of a folder.
        classes: the folders to read, in the order of their numbers.
        channels: of the images of a folder.
        whole: where there is no test set, give all of the examples instead of a fifth.

    Raises:
        DataError: if there is nothing of the kind.
    """
    path = Path(text).expanduser()
    if text in KNOWN:
        found = _known(text)
    elif path.is_dir():
        found = _folder(path, size, classes, channels)
    elif path.suffix == ".npz":
        found = _file(path)
    else:
        hint = near(text, KNOWN) or "; 'fcnn data where' lists the names"
        raise DataError(
            f"expected the name of a data set, a folder or an .npz file, got {text!r}{hint}"
        )
    if isinstance(found, Sets):
        return found
    return Sets(found, found, "all", text) if whole else _split(found, text)


def with_classes(data: Dataset[Any, Any], classes: Sequence[str]) -> Dataset[Any, Any]:
    """Return data with the classes of a run, and labels that are numbers of these.

    Raises:
        DataError: if a class is none of these.
    """
    if tuple(classes) == data.classes:
        return data
    strange = [name for name in data.classes if name not in classes]
    if strange:
        raise DataError(f"expected classes of {', '.join(classes)}, got {', '.join(strange)}")
    numbers = np.array([classes.index(name) for name in data.classes])
    return Dataset(data[:].inputs, numbers[data.targets], classes)


def _known(name: str) -> Found:
    known = KNOWN[name]
    try:
        train = known.read("train")
    except DataError as error:
        call, command = f"fcnn.data.download(name={name!r})", f"'fcnn data fetch {name}'"
        raise DataError(error.message.replace(call, command)) from None
    if not known.held:
        return train  # type: ignore[no-any-return]
    try:
        return Sets(train, known.read(known.held), known.held, name)
    except DataError:
        if name != "fashion-mnist":  # of which no test set is embedded
            raise
        return train  # type: ignore[no-any-return]


def _split(data: Dataset[Any, Any], about: str) -> Sets:
    stratify = data.targets.ndim == 1 and data.targets.dtype.kind in "iu"
    rest, part = sets.split(data, 0.2, key=key(0), stratify=stratify)
    return Sets(rest, part, "validation", about)


def _folder(path: Path, size: Any, classes: Any, channels: int | None) -> Found:
    test = next((path / name for name in _TEST if (path / name).is_dir()), None)
    if test is None or not (path / "train").is_dir():
        return _images(path, size, classes, channels)
    train = _images(path / "train", size, classes, channels)
    held = sets.folder(
        test, size=train.inputs.shape[1:3], classes=train.classes, channels=train.inputs.shape[3]
    )
    return Sets(train, held, "test" if test.name == "test" else "validation", str(path))


def _images(path: Path, size: Any, classes: Any, channels: int | None) -> Dataset[Any, Any]:
    try:
        return sets.folder(path, size=size, classes=classes, channels=channels)
    except ShapeError as error:
        if size is not None:
            raise
        message = error.message.replace("pass size=(h, w)", "pass --size 64, or another size")
        raise ShapeError(message) from None


def _file(path: Path) -> Found:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (ValueError, EOFError) as error:  # zipfile.BadZipFile is neither
        raise DataError(f"expected an .npz file without pickles, got {path}: {error}") from None
    except Exception as error:
        if isinstance(error, OSError):
            raise
        raise DataError(f"expected an .npz file, got {path}: {error}") from None
    for suffix in ("_test", "_val", "_validation"):
        if any(name + suffix in arrays for name in _INPUTS):
            train, held = _pair(arrays, ("_train", ""), path), _pair(arrays, (suffix,), path)
            return Sets(train, held, "test" if suffix == "_test" else "validation", str(path))
    return _pair(arrays, ("", "_train"), path)


def _pair(arrays: Mapping[str, Any], suffixes: tuple[str, ...], path: Path) -> Dataset[Any, Any]:
    """Return inputs and targets of a file as a data set, pixels of uint8 divided by 255."""
    inputs, targets = (
        next((arrays[n + s] for s in suffixes for n in names if n + s in arrays), None)
        for names in (_INPUTS, _TARGETS)
    )
    if inputs is None or targets is None:
        raise DataError(
            f"expected arrays x and y (or inputs and targets, or x_train, y_train, x_test and "
            f"y_test) in {path}, got {', '.join(arrays) or 'none'}"
        )
    if inputs.dtype.kind in "iub":
        inputs = inputs.astype(np.float32) / (255 if inputs.dtype == np.uint8 else 1)
    if inputs.ndim == 3:
        inputs = inputs[..., None]
    if targets.dtype.kind == "f":
        return Dataset(inputs, targets[:, None] if targets.ndim == 1 else targets)
    names = arrays.get("classes", arrays.get("class_names"))
    count = int(targets.max()) + 1 if targets.size else 1
    classes = [str(i) for i in range(count)] if names is None else [str(name) for name in names]
    return Dataset(inputs, targets.astype(np.int64), classes)
