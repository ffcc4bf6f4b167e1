"""The `LazyDataset`: examples that stay where they are until a batch needs them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, overload

import attrs
import numpy as np

from fcnn._batch import LazyRows, example_shape, take
from fcnn._check import whole
from fcnn._typing import Array
from fcnn.data._dataset import Dataset, X, Y, check_labels, names_of, rows_of
from fcnn.data._leaves import as_inputs, as_targets, count, describe, leaves, map_leaves
from fcnn.data._stored import Scale, in_memory, opened, read_rows
from fcnn.errors import ArgumentError, DataError, NonFiniteError, ShapeError

if TYPE_CHECKING:
    from collections.abc import Sequence


@attrs.frozen(eq=False)
class _Source:
    """Where examples come from: ``read(positions)`` gives their inputs and targets.

    ``known`` holds which of them are known to be finite; ``targets`` are those in memory.
    """

    read: Callable[[Array], tuple[Any, Any]]
    size: int
    targets: Any
    known: Array


@attrs.frozen(eq=False, repr=False, init=False)
class LazyDataset(Generic[X, Y]):
    """Examples that are read when a batch needs them, for data larger than memory.

    `fcnn.fit`, `fcnn.evaluate`, `batches` and the others take it as they take a `Dataset`, and
    give the same bits as for a `Dataset` of the same numbers. ``data[rows]`` reads some examples
    into a `Dataset`; ``data.subset(rows)`` reads nothing. An example is checked (finite, of the
    shape and dtype of the first) when it is first read.

    Batches are read by a thread, ``prefetch`` of them ahead, while the model learns from those
    before. Order and results do not depend on it.

    Args:
        inputs: one of

            - an array, such as ``np.load(path, mmap_mode="r")``, or the path of a ``.npy``,
              which is then mapped into memory; its pages are released after each batch;
            - a tuple or dict of these;
            - a function ``read(rows) -> inputs`` of an array of positions.

            float16 becomes float32 when it is read; other dtypes are those of `Dataset`.
        targets: arrays in memory, checked at once, or mapped ones; or, where ``read`` returns
            ``(inputs, targets)``, the number of examples.
        classes: the names of the classes.
        scale: what inputs of whole numbers are multiplied by when they are read, as float32:
            ``1 / 255`` for pixels of uint8, which gives the bits of a division by 255.
        prefetch: the number of batches read ahead; 0 reads in the thread that trains.
        threads: how many threads read; a function must be safe to call from as many.

    Raises:
        ArgumentError: if an argument is out of its range.
        DataError: if there is no example, or a file is no ``.npy``.
        ShapeError: if the arrays have not the same number of examples.
        DTypeError: if an array has another dtype; uint8 needs ``scale``.
        LabelError: if the targets do not fit the classes.

    >>> import numpy as np
    >>> from fcnn.data import LazyDataset
    >>> pixels = np.full((3, 8, 8, 1), 51, np.uint8)
    >>> data = LazyDataset(pixels, [0, 1, 1], ("cat", "dog"), scale=1 / 255)
    >>> data, data.shape
    (LazyDataset(3 of (8, 8, 1) float32, 2 classes), (8, 8, 1))
    >>> data[:2], data[0][0].max().item()
    (Dataset(2 of (8, 8, 1) float32, 2 classes), 0.20000000298023224)
    >>> LazyDataset(lambda rows: rows[:, None] / 10, np.zeros(10**9, np.int8))
    LazyDataset(1000000000 of (1,) float64)
    """

    classes: tuple[str, ...]
    prefetch: int
    threads: int
    _source: _Source
    _first: Dataset[Any, Any]
    _rows: Array | None

    def __init__(
        self,
        inputs: Any,
        targets: Any,
        classes: Iterable[str] = (),
        *,
        scale: float | None = None,
        prefetch: int = 2,
        threads: int = 1,
    ) -> None:
        names, scaled = names_of(classes), Scale.of(scale)
        ahead, threads = whole(prefetch, "prefetch", 0), whole(threads, "threads")
        source = _source(inputs, targets, names, scaled)
        first = _read(source, names, np.zeros(1, np.int64), None)
        self.__attrs_init__(names, ahead, threads, source, first, None)

    def __len__(self) -> int:
        return self._source.size if self._rows is None else len(self._rows)

    @property
    def shape(self) -> Any:
        """The shape of an input, as `fcnn.summary` takes it; a tree of shapes for a tree."""
        return example_shape(self._first.inputs)

    @property
    def inputs(self) -> LazyRows:
        """The inputs, as `fcnn.predict` takes them; an index of rows gives arrays."""
        return _Part(self, "inputs")

    @property
    def targets(self) -> Any:
        """The targets: arrays if they are in memory, else read by an index of rows."""
        targets = self._source.targets
        if targets is None:
            return _Part(self, "targets")
        return targets if self._rows is None else take(targets, self._rows)

    @overload
    def __getitem__(self, index: slice | Sequence[int] | Array) -> Dataset[X, Y]: ...
    @overload
    def __getitem__(self, index: int | np.integer[Any]) -> tuple[X, Y]: ...
    def __getitem__(self, index: Any) -> Any:
        rows = rows_of(index)
        if type(rows) is int:
            inputs, targets = self[np.array([rows])][0]
            return inputs, targets
        return _read(self._source, self.classes, self._positions(rows), self._first)

    def __iter__(self) -> Iterator[tuple[X, Y]]:
        return (self[i] for i in range(len(self)))

    def subset(self, index: Any) -> LazyDataset[X, Y]:
        """Return the examples of a slice, an array of positions or a mask, as lazy as these.

        >>> import numpy as np
        >>> from fcnn.data import LazyDataset
        >>> LazyDataset(np.zeros((9, 2)), np.arange(9)).subset(slice(2, 5))
        LazyDataset(3 of (2,) float64)
        """
        rows = rows_of(index)
        positions = self._positions(np.array([rows]) if type(rows) is int else rows)
        made: LazyDataset[X, Y] = LazyDataset.__new__(LazyDataset)
        made.__attrs_init__(
            self.classes, self.prefetch, self.threads, self._source, self._first, positions
        )
        return made

    def _positions(self, rows: Any) -> Array:
        """Return the positions in the source, without an array of all of them."""
        n = len(self)
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(n))
        elif rows.dtype == bool:
            if len(rows) != n:
                raise IndexError(f"expected a mask of {n} examples, got one of {len(rows)}")
            rows = np.flatnonzero(rows)
        rows = rows.astype(np.int64)
        if rows.size and not -n <= rows.min() <= rows.max() < n:
            raise IndexError(f"expected positions below {n}, got {rows.min()} to {rows.max()}")
        rows = np.where(rows < 0, rows + n, rows)
        positions: Array = rows if self._rows is None else self._rows[rows]
        return positions

    def __repr__(self) -> str:
        classes = f", {len(self.classes)} classes" if self.classes else ""
        return f"LazyDataset({len(self)} of {describe(self._first.inputs)}{classes})"


class _Part(LazyRows):
    """The inputs or the targets of a lazy data set."""

    def __init__(self, data: LazyDataset[Any, Any], name: str) -> None:
        self._data, self._name = data, name

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, index: Any) -> Any:
        rows = rows_of(index)
        if type(rows) is int:
            return take(getattr(self._data[np.array([rows])], self._name), 0)
        return getattr(self._data[rows], self._name)

    def __repr__(self) -> str:
        return f"{self._data!r}.{self._name}"


@attrs.frozen(eq=False)
class _Reader:
    """How inputs and targets are read: by a function, or as rows of arrays."""

    inputs: Any
    targets: Any
    both: bool
    scale: Scale

    def __call__(self, rows: Array) -> tuple[Any, Any]:
        found = self.inputs(rows) if callable(self.inputs) else read_rows(self.inputs, rows)
        found, targets = _two(found) if self.both else (found, read_rows(self.targets, rows))
        return map_leaves(self.scale.apply, found, "inputs"), targets


def _source(inputs: Any, targets: Any, names: tuple[str, ...], scale: Scale) -> _Source:
    """Return where the examples come from, the arguments checked."""
    both = isinstance(targets, int | np.integer) and not isinstance(targets, bool)
    if both and not callable(inputs):
        raise ArgumentError(
            f"expected targets, got {targets}; the number of examples stands in their place "
            f"where a function reads both"
        )
    held = None
    if not both:
        targets = map_leaves(opened, targets, "targets")
        if in_memory(targets):
            targets = held = as_targets(targets)
            if names:
                check_labels(held, names)
    if not callable(inputs):
        inputs = map_leaves(opened, inputs, "inputs")
        n = count(inputs, targets)
    else:
        n = whole(targets, "targets, the number of examples") if both else count(targets, targets)
    if n == 0:
        raise DataError("expected at least one example, got none")
    return _Source(_Reader(inputs, targets, both, scale), n, held, np.zeros(n, bool))


def _two(found: Any) -> tuple[Any, Any]:
    if not (isinstance(found, tuple) and len(found) == 2):
        raise ArgumentError(
            f"expected the function to return (inputs, targets), got a {type(found).__name__}; "
            f"pass the targets themselves where it reads inputs alone"
        )
    return found


def _read(
    source: _Source, names: tuple[str, ...], rows: Array, first: Dataset[Any, Any] | None
) -> Dataset[Any, Any]:
    """Read examples, and check those that are read for the first time."""
    inputs, targets = source.read(rows)
    known = bool(source.known[rows].all())
    try:
        inputs = as_inputs(inputs, known=known)
        targets = as_targets(targets, known=known)
    except NonFiniteError as error:
        at = _not_finite((inputs, targets), rows)
        raise NonFiniteError(f"{error.message} (read for example {at})", error.path) from None
    for name, got in (("inputs", count(inputs, inputs)), ("targets", count(targets, targets))):
        if got != len(rows):
            raise ShapeError(
                f"expected {len(rows)} examples, as many as positions, got {got}", name
            )
    if names and source.targets is None:
        check_labels(targets, names)
    made = Dataset.unchecked(inputs, targets, names)
    if first is not None:
        _check_like(made, first)
    if not known:
        source.known[rows] = True
    return made


def _check_like(made: Dataset[Any, Any], first: Dataset[Any, Any]) -> None:
    for name in ("inputs", "targets"):
        ours, theirs = (describe(getattr(each, name)) for each in (made, first))
        if ours != theirs:
            raise ShapeError(f"expected examples of {theirs}, as the first, got {ours}", name)


def _not_finite(tree: Any, rows: Array) -> int:
    """Return the position of the first example with a number that is not finite."""
    for _, leaf in leaves(map_leaves(lambda leaf, _: np.asarray(leaf), tree)):
        finite = np.isfinite(leaf.reshape(len(leaf), -1)).all(axis=1)
        if not finite.all():
            return int(rows[np.argmin(finite)])
    return -1
