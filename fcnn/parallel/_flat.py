"""Gradients as flat arrays: their sum is that of the trees, where these are alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from fcnn import tree
from fcnn._typing import Array


def array_of(leaf: Any) -> Any:
    """Return the array of a leaf, which may be an observation."""
    return leaf.value if type(leaf) is tree.Observation else leaf


def form_of(gradient: Any) -> tuple[Any, list[Any]]:
    """Return all that is known of a gradient but its numbers; None for what is no array."""
    forms: list[Any] = []
    for leaf in tree.leaves(gradient):
        array = array_of(leaf)
        if type(array) is np.ndarray:
            flags = array.flags.c_contiguous, array.flags.f_contiguous
            forms.append((type(leaf), array.dtype, array.shape, flags))
        else:
            forms.append(None)
    return tree.structure(gradient), forms


def flat(gradient: Any) -> list[Array] | None:
    """Return the arrays that are no statistics as views of one axis, in the order of memory.

    None if there is anything else: a number, an array with gaps or of objects, an array in the
    place of an observation.
    """
    views = []
    for leaf, is_statistic in zip(tree.leaves(gradient), tree.statistics(gradient), strict=True):
        if (type(leaf) is tree.Observation) is not is_statistic:
            return None
        if is_statistic:
            continue
        if type(leaf) is not np.ndarray or not leaf.flags.forc:
            return None
        if leaf.dtype.kind not in "iufc" or not leaf.dtype.isnative:
            return None
        views.append(leaf.reshape(-1, order="A"))
    return views


def observed(gradient: Any) -> list[Any]:
    """Return what stands in the places of statistics."""
    marked = zip(tree.leaves(gradient), tree.statistics(gradient), strict=True)
    return [leaf for leaf, is_statistic in marked if is_statistic]


def rebuilt(
    like: Any, sums: Sequence[Array], seen: Sequence[Sequence[Any]], weights: Sequence[float]
) -> Any:
    """Return a gradient's tree with flat sums in the place of its arrays.

    Args:
        like: the gradient.
        sums: one for each array of `flat`.
        seen: of each shard what it `observed`.
        weights: one a shard, to average these.
    """
    arrays = iter(sums)
    averages = iter([tree.average(each, weights) for each in zip(*seen, strict=True)])

    def shaped(leaf: Any) -> Any:
        found = next(arrays)
        if leaf.ndim == 0:
            return found[0]  # as NumPy gives the sum of arrays without axes
        return found.reshape(leaf.shape, order="C" if leaf.flags.c_contiguous else "F")

    return tree.map(shaped, like, statistic=lambda _: next(averages))


def pieces(arrays: Sequence[Array], size: int) -> Iterator[list[tuple[int, slice]]]:
    """Cut flat arrays into runs of pieces, each run of about ``size`` bytes.

    A piece is the place of its array and the elements, ``arrays[i][slice]``.
    """
    run: list[tuple[int, slice]] = []
    held = 0
    for i, array in enumerate(arrays):
        most = max(1, size // array.itemsize)
        for at in range(0, array.size, most):
            part = slice(at, min(at + most, array.size))
            run.append((i, part))
            held += (part.stop - part.start) * array.itemsize
            if held >= size:
                yield run
                run, held = [], 0
    if run:
        yield run
