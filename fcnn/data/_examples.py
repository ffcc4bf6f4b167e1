"""What the training loop asks of a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from fcnn._typing import Array

if TYPE_CHECKING:
    from fcnn.data._dataset import Dataset


@runtime_checkable
class Examples(Protocol):
    """Examples that are read by their positions: what `fit`, `evaluate` and `batches` take.

    `Dataset` and `LazyDataset` are such, and a class of one's own may be. It is read in another
    thread, ``prefetch`` batches ahead (2 if it has no such attribute) and by ``threads`` threads
    (1); it prints the same in each process, since a run that goes on compares how data print.

    >>> import numpy as np
    >>> from fcnn.data import Dataset, Examples, batches
    >>> class Squares:
    ...     classes = ()
    ...     def __len__(self):
    ...         return 10
    ...     def __getitem__(self, rows):
    ...         return Dataset(rows[:, None].astype(np.float32), rows.astype(np.float32) ** 2)
    ...     def __repr__(self):
    ...         return "Squares()"
    >>> isinstance(Squares(), Examples)
    True
    >>> [targets.tolist() for _, targets in batches(Squares(), 4)]
    [[0.0, 1.0, 4.0, 9.0], [16.0, 25.0, 36.0, 49.0], [64.0, 81.0]]
    """

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes; empty where targets are no classes."""

    def __len__(self) -> int:
        """Return the number of examples."""

    def __getitem__(self, rows: Array, /) -> Dataset[Any, Any]:
        """Return the examples at an array of positions, in that order."""
