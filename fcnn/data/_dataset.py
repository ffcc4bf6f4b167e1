"""The `Dataset`: inputs and their targets as one value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, overload

import attrs
import numpy as np

from fcnn import tree
from fcnn._batch import example_shape, take
from fcnn._typing import Array
from fcnn.data._leaves import as_inputs, as_targets, count, describe, leaves
from fcnn.errors import ArgumentError, DTypeError, LabelError

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    X = TypeVar("X", default=Array)
    Y = TypeVar("Y", default=Array)
else:
    from typing import TypeVar

    X, Y = TypeVar("X"), TypeVar("Y")

ArrayLike: TypeAlias = Array | list[Any]


@attrs.frozen(eq=False, repr=False, init=False)
class Dataset(Generic[X, Y]):
    """Inputs, their targets and the names of the classes, as one value.

    ``inputs`` and ``targets`` are arrays ``(n, ...)``, or tuples or dicts of such
    arrays, nested to any depth; the first axis of every array counts the examples.
    A list is no tree: it is converted to one array, as by ``np.asarray``. Arrays keep
    float32 and float64; whole numbers are kept as int64. All are read-only views.

    Images ``(n, h, w, c)``, features ``(n, f)`` and indices for an embedding are
    inputs. Class labels ``(n,)`` are targets of whole numbers, checked against
    ``classes`` where these are given; float targets are for regression or, with
    ``classes``, one probability per class, ``(n, len(classes))``.

    A slice, an array of indices or a mask gives a `Dataset`; a whole number gives
    one example, ``(input, target)``.

    Args:
        inputs: arrays of floats or whole numbers; uint8 is refused, because it is
            nearly always pixels that have yet to be divided by 255.
        targets: arrays of whole numbers or floats.
        classes: the names of the classes, for targets that are one array.

    Raises:
        ShapeError: if the arrays have not the same number of examples.
        DTypeError: if an array has another dtype than those above.
        NonFiniteError: if there is a NaN or an infinity.
        LabelError: if the targets do not fit the classes.
        TreeError: if there is no array, or something else than a tuple or dict of them.

    >>> import numpy as np
    >>> from fcnn.data import Dataset
    >>> pets = Dataset(np.zeros((3, 8, 8, 3), np.float32), [0, 1, 1], ("cat", "dog"))
    >>> pets
    Dataset(3 of (8, 8, 3) float32, 2 classes)
    >>> len(pets[1:]), pets[1:] == pets[[1, 2]], pets[2][1].item()
    (2, True, 1)
    >>> Dataset({"left": np.zeros((3, 2)), "right": np.zeros((3, 1))}, np.ones(3))
    Dataset(3 of {'left': (2,) float64, 'right': (1,) float64})
    """

    inputs: X
    targets: Y
    classes: tuple[str, ...]

    @overload
    def __init__(
        self: Dataset[Array, Array],
        inputs: ArrayLike,
        targets: ArrayLike,
        classes: Iterable[str] = (),
    ) -> None: ...
    @overload
    def __init__(
        self: Dataset[X, Array], inputs: X, targets: ArrayLike, classes: Iterable[str] = ()
    ) -> None: ...
    @overload
    def __init__(
        self: Dataset[Array, Y], inputs: ArrayLike, targets: Y, classes: Iterable[str] = ()
    ) -> None: ...
    @overload
    def __init__(self, inputs: X, targets: Y, classes: Iterable[str] = ()) -> None: ...
    def __init__(self, inputs: Any, targets: Any, classes: Iterable[str] = ()) -> None:
        names = names_of(classes)
        inputs, targets = as_inputs(inputs), as_targets(targets)
        count(inputs, targets)
        if names:
            check_labels(targets, names)
        self.__attrs_init__(inputs, targets, names)

    @classmethod
    def unchecked(cls, inputs: X, targets: Y, classes: tuple[str, ...]) -> Dataset[X, Y]:
        """Return a data set of what has been checked, as `Dataset` itself would keep it."""
        made: Dataset[X, Y] = cls.__new__(cls)
        made.__attrs_init__(inputs, targets, classes)
        return made

    def __len__(self) -> int:
        return len(next(leaves(self.inputs))[1])

    @property
    def shape(self) -> Any:
        """The shape of an input, as `fcnn.summary` takes it; a tree of shapes for a tree."""
        return example_shape(self.inputs)

    def __iter__(self) -> Iterator[tuple[X, Y]]:
        return (self[i] for i in range(len(self)))

    @overload
    def __getitem__(self, index: slice | Sequence[int] | Array) -> Dataset[X, Y]: ...
    @overload
    def __getitem__(self, index: int | np.integer[Any]) -> tuple[X, Y]: ...
    def __getitem__(self, index: Any) -> Any:
        rows = rows_of(index)
        inputs, targets = take(self.inputs, rows), take(self.targets, rows)
        return (inputs, targets) if type(rows) is int else Dataset(inputs, targets, self.classes)

    def __eq__(self, other: object) -> Any:
        if not isinstance(other, Dataset):
            return NotImplemented
        return (
            self.classes == other.classes
            and tree.equal(self.inputs, other.inputs)
            and tree.equal(self.targets, other.targets)
        )

    def __hash__(self) -> int:
        both = (self.inputs, self.targets)
        shapes = [array.shape for _, array in leaves(both)]
        return hash((tree.structure(both), tuple(shapes), self.classes))

    def __reduce__(self) -> Any:
        return Dataset, (self.inputs, self.targets, self.classes)

    def __repr__(self) -> str:
        classes = f", {len(self.classes)} classes" if self.classes else ""
        return f"Dataset({len(self)} of {describe(self.inputs)}{classes})"


def names_of(classes: Any) -> tuple[str, ...]:
    """Return the names of classes, checked."""
    try:
        if isinstance(classes, str):
            raise ArgumentError(
                f"expected a sequence of names as classes, got the string {classes!r}; "
                f"write [{classes!r}] for one class"
            )
        names = tuple(classes)
    except TypeError:
        raise ArgumentError(
            f"expected classes to be a sequence of names, got {classes!r}"
        ) from None
    return tuple([str(name) for name in names])


def rows_of(index: Any) -> Any:
    """Return a slice, an int or a vector of indices or booleans."""
    if isinstance(index, slice):
        return index
    if not isinstance(index, tuple):
        array = np.asarray(index, np.intp if isinstance(index, list) and not index else None)
        if array.ndim == 0 and array.dtype.kind in "iu":
            return int(array)
        if array.ndim == 1 and array.dtype.kind in "iub":
            return array
    raise DTypeError(
        f"expected an int, a slice, or a vector of indices or booleans, got {index!r}; "
        f"index .inputs and .targets along other axes"
    )


def check_labels(targets: Any, classes: tuple[str, ...]) -> None:
    """Refuse targets that do not fit the classes."""
    n = len(classes)
    if type(targets) in (tuple, dict):
        raise LabelError(
            f"expected targets to be one array where classes are given, "
            f"got a {type(targets).__name__} of {len(targets)}; leave classes out"
        )
    shape, is_float = targets.shape, targets.dtype.kind == "f"
    if shape == (len(targets), n) and is_float:
        return
    if len(shape) != 1 or is_float:
        hint = f"pass one probability for each class, (n, {n}), as floats"
        if len(shape) == 1:
            hint = "pass targets.astype(np.int64)"
        elif shape[1:] == (1,):
            hint = "pass targets[:, 0]" + (".astype(np.int64)" if is_float else "")
        elif shape[1:] == (n,):
            hint = "pass targets.argmax(axis=1), or targets.astype(np.float32)"
        raise LabelError(
            f"expected whole numbers of shape (n,) for {n} classes, "
            f"got {targets.dtype} of shape {shape}; {hint}",
            "targets",
        )
    if targets.size and not 0 <= targets.min() <= targets.max() < n:
        at = int(np.argmax((targets < 0) | (targets >= n)))
        raise LabelError(
            f"expected labels from 0 to {n - 1} for {n} classes, got {targets[at]} at [{at}]",
            "targets",
        )
