"""Batches of trees of arrays: length, parts, joining, and the sum of their gradients."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from fcnn import tree
from fcnn._typing import Array, Tree
from fcnn.errors import ShapeError
from fcnn.tree._children import shape_of, walk

T = TypeVar("T")


class LazyRows(ABC):
    """An array, or a tree of them, whose examples are read when they are asked for."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of examples."""

    @abstractmethod
    def __getitem__(self, rows: Any) -> Any:
        """Read the examples at an array of positions or a slice, in that order."""


def first_of(data: Any, n: int = 1) -> Any:
    """Return the first examples of a data set as one whose arrays are in memory."""
    return data[np.arange(min(n, len(data)))]


def targets_of(data: Any, n: int) -> Any:
    """Return the targets of a data set if they are in memory, else those of its first examples."""
    targets = getattr(data, "targets", None)
    is_lazy = targets is None or isinstance(targets, LazyRows)
    return first_of(data, n).targets if is_lazy else targets


def is_streamed(data: Any) -> bool:
    """Return whether a data set's inputs are not in memory."""
    inputs = getattr(data, "inputs", None)
    return inputs is None or isinstance(inputs, LazyRows)


def length(x: Tree, what: str = "x") -> int:
    """Return the number of examples, the first axis of every array.

    Raises:
        ShapeError: if the arrays differ in it, or one has no axis, or there is none.
    """
    if (isinstance(x, np.ndarray) and x.ndim) or isinstance(x, LazyRows):
        return len(x)
    if isinstance(x, list) and any(isinstance(part, np.ndarray) and part.ndim for part in x):
        raise ShapeError(
            f"expected an array or a tuple of arrays as {what}, got a list of arrays; "
            f"use tuple(...) for several inputs, np.stack(...) for one"
        )
    shapes = {f"{what}{path}": np.shape(leaf) for path, leaf, _ in walk(_arrays(x))}
    lengths = {shape[:1] for shape in shapes.values()}
    if len(lengths) != 1 or () in lengths:
        found = ", ".join(f"{path} {shape}" for path, shape in shapes.items()) or "no array"
        raise ShapeError(f"expected arrays with one batch axis in front, got {found}")
    return int(lengths.pop()[0])


def _arrays(x: Tree) -> Tree:
    """Return a list of numbers as an array; everything else as it is."""
    return np.asarray(x) if isinstance(x, list) else x


def check_targets(x: Tree, target: Tree) -> int:
    """Return the number of examples of a batch.

    Raises:
        ShapeError: if the batch is empty, or has another number of targets.
    """
    n, m = length(x), length(target, "target")
    if n != m:
        raise ShapeError(f"expected {n} targets for a batch of {n} examples, got {m}")
    if n == 0:
        raise ShapeError("expected at least one example, got an empty batch")
    return n


def take(x: Any, index: Any) -> Any:
    """Return some of the examples."""
    if isinstance(x, np.ndarray | LazyRows):
        return x[index]
    return tree.map(lambda leaf: leaf[index], _arrays(x))


def concatenate(parts: Sequence[Any]) -> Any:
    """Return batches as one, leaf by leaf."""
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    leaves = [tree.leaves(part) for part in parts]
    joined = [np.concatenate(column) for column in zip(*leaves, strict=True)]
    return tree.unflatten(tree.structure(parts[0]), joined)


def example_shape(x: Tree) -> Any:
    """Return the shape of one example; a tuple or dict of shapes where x is one."""
    return tree.map(lambda leaf: shape_of(leaf)[1:], x)


def add_gradients(grads: Sequence[T], weights: Sequence[float]) -> T:
    """Return the sum in the order given, so the bits do not depend on what computed a gradient.

    The gradients are weighted already; observations are averaged with ``weights``.
    """
    if len(grads) == 1:
        return grads[0]
    return tree.map(sum_in_order, *grads, statistic=lambda *seen: tree.average(seen, weights))


def sum_in_order(first: Array, second: Array, *others: Array) -> Array:
    """Return ``(first + second) + others[0] + …``."""
    total: Array = first + second
    for array in others:
        total += array
    return total
