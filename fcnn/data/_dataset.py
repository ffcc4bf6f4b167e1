"""The `Dataset`: images and their labels as one value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, SupportsIndex

import attrs
import numpy as np

from fcnn._typing import Array
from fcnn.errors import DTypeError, LabelError, NonFiniteError, ShapeError


def _frozen(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view


def _features(images: Any) -> Array:
    array = np.asarray(images)
    if array.dtype not in (np.float32, np.float64):
        hint = " / 255" if array.dtype == np.uint8 else ""
        raise DTypeError(
            f"images must be float32 or float64, and {array.dtype} came: "
            f"pass images.astype(np.float32){hint}"
        )
    return _frozen(array)


def _targets(labels: Any) -> Array:
    array = np.asarray(labels)
    if array.dtype.kind in "iu":
        array = array.astype(np.int64, copy=False)
    elif array.dtype not in (np.float32, np.float64):
        raise DTypeError(
            f"labels must be whole numbers, or targets of float32 or float64, "
            f"and {array.dtype} came: pass labels.astype(np.int64)"
        )
    return _frozen(array)


def _names(classes: Iterable[str]) -> tuple[str, ...]:
    names = (classes,) if isinstance(classes, str) else tuple(classes)
    return tuple([str(name) for name in names])


@attrs.frozen(eq=False, repr=False)
class Dataset:
    """Images ``(n, ...)``, labels ``(n,)`` and the names of the classes, as one value.

    Images of any shape and features of any kind will do, in float32 or float64.
    Labels are whole numbers, kept as int64, and name their class where ``classes``
    are given; float targets ``(n, ...)`` are for regression or, with ``classes``,
    a probability for each class. All arrays are read-only views.

    A slice, an array of indices or a mask gives a `Dataset`; a whole number gives
    one example, ``(image, label)``.

    Raises:
        ShapeError: if there are not as many labels as images.
        DTypeError: if images are not floats, or labels neither whole numbers nor floats.
        NonFiniteError: if there is a NaN or an infinity.
        LabelError: if a label names none of the classes.

    >>> import numpy as np
    >>> from fcnn.data import Dataset
    >>> pets = Dataset(np.zeros((3, 8, 8, 3), np.float32), [0, 1, 1], ("cat", "dog"))
    >>> pets
    Dataset(3 of (8, 8, 3) float32, 2 classes)
    >>> len(pets[1:]), pets[1:] == pets[[1, 2]], pets[2][1].item()
    (2, True, 1)
    """

    images: Array = attrs.field(converter=_features)
    labels: Array = attrs.field(converter=_targets)
    classes: tuple[str, ...] = attrs.field(default=(), converter=_names)

    def __attrs_post_init__(self) -> None:
        images, labels, classes = self.images, self.labels, self.classes
        if images.ndim == 0 or labels.ndim == 0 or len(images) != len(labels):
            raise ShapeError(
                f"a data set has a label for each image, "
                f"and images of shape {images.shape} and labels of shape {labels.shape} came"
            )
        for what, array in (("images", images), ("labels", labels)):
            if not _is_finite(array):
                first = np.argwhere(~np.isfinite(array))[0].tolist()
                raise NonFiniteError(f"{what}{first} is {array[tuple(first)]}")
        if classes:
            _check_labels(labels, classes)

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[tuple[Array, Any]]:
        return zip(self.images, self.labels, strict=True)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, SupportsIndex) and not isinstance(index, np.ndarray | bool):
            return self.images[index], self.labels[index]
        if isinstance(index, tuple):
            raise TypeError("a data set is indexed by example only: use .images for pixels")
        index = np.asarray(index, np.intp) if isinstance(index, list) and not index else index
        return Dataset(self.images[index], self.labels[index], self.classes)

    def __eq__(self, other: object) -> Any:
        if not isinstance(other, Dataset):
            return NotImplemented
        return (
            self.classes == other.classes
            and _is_same(self.images, other.images)
            and _is_same(self.labels, other.labels)
        )

    def __hash__(self) -> int:
        return hash((self.images.shape, self.labels.shape, self.classes))

    def __reduce__(self) -> Any:
        return Dataset, (self.images, self.labels, self.classes)

    def __repr__(self) -> str:
        example = f"{self.images.shape[1:]} {self.images.dtype}"
        classes = f", {len(self.classes)} classes" if self.classes else ""
        return f"Dataset({len(self)} of {example}{classes})"


def _is_finite(array: Array) -> bool:
    """As ``isfinite(array).all()``, without an array of booleans: NaN passes through min."""
    if array.size == 0 or array.dtype.kind != "f":
        return True
    return bool(np.isfinite(array.min()) and np.isfinite(array.max()))


def _is_same(a: Array, b: Array) -> bool:
    return a.dtype == b.dtype and np.array_equal(a, b)


def _check_labels(labels: Array, classes: tuple[str, ...]) -> None:
    n = len(classes)
    if labels.dtype.kind == "f":
        if labels.ndim != 2 or labels.shape[1] != n:
            raise LabelError(
                f"labels of {n} classes are whole numbers, or floats of shape (n, {n}), "
                f"and {labels.dtype} of shape {labels.shape} came"
            )
    elif labels.ndim != 1:
        raise LabelError(
            f"labels of {n} classes are one whole number for each image, "
            f"and an array of shape {labels.shape} came"
        )
    elif labels.size and not 0 <= labels.min() <= labels.max() < n:
        at = int(np.argmax((labels < 0) | (labels >= n)))
        raise LabelError(f"labels must be from 0 to {n - 1}, and labels[{at}] is {labels[at]}")
