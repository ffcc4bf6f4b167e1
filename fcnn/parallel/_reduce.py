"""The sum of the gradients of shards, by this process and workers, in shared memory.

Each gradient is written once, by the worker that computed it, into its shard's slot, and read
once, where it is added. Where gradients are large and many, each process adds a slice of all slots
and this one collects the slices; else this one adds them alone, which for two gradients is as fast
as collecting. Every element is added in the order of the shards either way, and so has the bits of
the serial sum.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fcnn import tree
from fcnn._batch import add_gradients
from fcnn.parallel._arena import GRAIN, Arena, Pickled, aligned, lay, put, sizes_of, write
from fcnn.parallel._exchange import ask_all, exchange, join
from fcnn.parallel._flat import array_of, form_of
from fcnn.parallel._pickling import dumps
from fcnn.parallel._work import Shards, Slice
from fcnn.parallel._worker import Worker

LEAST = 4 << 20
"""Bytes that the other processes must take over for slices to pay: a second exchange of messages
takes about 0.1 ms, in which one core adds as many."""


FEWEST = 3
"""Other processes that slices need: with one, this process adds 1.2 M params of 8 shards alone in
three quarters of the time, since its own gradients need not be copied."""

SMALL = 1 << 20
"""Bytes of the common argument below which one message with everything in it is faster."""


class Outcome(NamedTuple):
    """What a sum gives, and how many shards a worker that died left to this process."""

    rests: list[Any]
    total: Any
    lost: int


def reduce(
    workers: Sequence[Worker],
    arena: Arena,
    function: Callable[[Any, Any], Any],
    common: Any,
    parts: Sequence[Sequence[Any]],
    weights: Sequence[float],
) -> Outcome:
    """Compute the first part here and the others in workers, and add the gradients.

    Raises:
        Exception: the first that the function raises, in the order of the shards.
    """
    buffers: list[pickle.PickleBuffer] = []
    data = dumps(common, buffers) if workers else b""
    if sum(sizes_of(buffers)) < SMALL:
        outcomes = exchange(workers, function, common, parts, (data, buffers))
        lost = _count_lost(parts, outcomes)
        done = join(function, common, parts, outcomes)
        total = add_gradients([gradient for _, gradient in done], weights)
        return Outcome([rest for rest, _ in done], total, lost)
    plan = Plan(arena, data, buffers, parts)
    code = dumps(function)
    orders = [
        Shards(code, plan.common, part, plan.slots[i], plan.room)
        for i, part in enumerate(parts[1:])
    ]

    def here() -> list[Any]:
        return [function(common, shard) for shard in parts[0]]

    outcomes = ask_all(workers, orders, here, arena)
    lost = _count_lost(parts, outcomes)
    done = join(function, common, parts, outcomes)
    rests, gradients = [rest for rest, _ in done], [gradient for _, gradient in done]
    total = None
    if not lost:
        total = _by_slices(workers, arena, plan, gradients, weights)
    if total is None:
        found = [loaded(gradient, plan.memory) for gradient in gradients]
        total = add_gradients(found, weights)
    arena.slot = max(arena.slot, size_of(gradients[-1]))
    return Outcome(rests, total, lost)


def _count_lost(parts: Sequence[Sequence[Any]], outcomes: Sequence[Any]) -> int:
    return sum(len(part) for part, done in zip(parts, outcomes, strict=True) if done is None)


class Plan:
    """Where everything of a call lies in the arena; the common argument is written."""

    def __init__(
        self,
        arena: Arena,
        data: bytes,
        buffers: Sequence[pickle.PickleBuffer],
        parts: Sequence[Sequence[Any]],
    ) -> None:
        places, start = lay(sizes_of(buffers), 0, 64)
        self.room = aligned(max(arena.slot, start))
        self.own = start  # the slot of the sum of this process's gradients
        start += self.room
        self.slots: list[list[int]] = []
        for part in parts[1:]:
            self.slots.append([start + i * self.room for i in range(len(part))])
            start += self.room * len(part)
        self.total = start
        self.memory = arena.need(start + self.room)
        self.first = len(parts[0])
        write(self.memory, buffers, places)
        self.common = Pickled(data, places)


def loaded(gradient: Any, memory: Any) -> Any:
    """Return a gradient; its arrays are views of the memory if it lies there."""
    return gradient.load(memory) if type(gradient) is Pickled else gradient


def size_of(gradient: Any) -> int:
    """Return the bytes that a gradient needs in a slot."""
    if type(gradient) is Pickled:
        return sum(aligned(n, GRAIN) for _, n in gradient.places)
    return sum(aligned(np.asarray(array_of(leaf)).nbytes, GRAIN) for leaf in tree.leaves(gradient))


def _by_slices(
    workers: Sequence[Worker],
    arena: Arena,
    plan: Plan,
    gradients: Sequence[Any],
    weights: Sequence[float],
) -> Any:
    """Return the sum, or None where slices do not pay or the gradients are not alike."""
    others = gradients[plan.first :]
    size = size_of(others[0])
    takeover = (len(others) - 1) * size * len(workers) // (len(workers) + 1)
    if len(workers) < FEWEST or takeover < LEAST:
        return None
    if any(type(each) is not Pickled for each in others):
        return None
    own = gradients[: plan.first]
    dtype = _common_dtype(own[0])
    first = put(own[0], plan.memory, plan.own, plan.room) if dtype is not None else None
    slots = [slot for part in plan.slots for slot in part]
    if first is None or dtype is None or not _are_alike(first, plan, own, others, slots):
        return None
    _add_own(first, plan, own[1:])
    bytes_ = np.empty(size, np.uint8)
    _add(workers, arena, plan, dtype, slots, bytes_.view(dtype))
    return _rebuilt(first, plan, bytes_, gradients, weights)


def _common_dtype(gradient: Any) -> str | None:
    """Return the one dtype of all arrays, whose sum may be that of flat memory."""
    marked = zip(tree.leaves(gradient), tree.statistics(gradient), strict=True)
    if any((type(leaf) is tree.Observation) is not is_marked for leaf, is_marked in marked):
        return None
    leaves = [array_of(leaf) for leaf in tree.leaves(gradient)]
    dtypes = {leaf.dtype if type(leaf) is np.ndarray else None for leaf in leaves}
    dtype = dtypes.pop() if len(dtypes) == 1 else None
    is_plain = dtype is not None and dtype.kind == "f" and dtype.itemsize <= GRAIN
    return dtype.str if dtype is not None and is_plain else None


def _are_alike(
    first: Pickled,
    plan: Plan,
    own: Sequence[Any],
    others: Sequence[Pickled],
    slots: Sequence[int],
) -> bool:
    """Whether all are the same tree of arrays of the same shapes, each at the same place."""
    places, form = first.shifted(plan.own), form_of(own[0])
    return (
        len(places) == len(form[1])
        and all(form_of(gradient) == form for gradient in own[1:])
        and all(
            other.shifted(slot) == places
            and (other.data == first.data or form_of(other.load(plan.memory)) == form)
            for other, slot in zip(others, slots, strict=True)
        )
    )


def _add_own(first: Pickled, plan: Plan, gradients: Sequence[Any]) -> None:
    """Add this process's other gradients to its first one's copy in its slot."""
    leaves = [array_of(leaf) for leaf in tree.leaves(first.load(plan.memory))]
    for gradient in gradients:
        for (at, _), old, leaf in zip(first.places, leaves, tree.leaves(gradient), strict=True):
            held = np.ndarray(old.shape, old.dtype, plan.memory, at, old.strides)
            with np.errstate(all="ignore"):
                np.add(held, array_of(leaf), out=held)


def _add(
    workers: Sequence[Worker], arena: Arena, plan: Plan, dtype: str, slots: list[int], total: Any
) -> None:
    """Add the slots into ``total``: a slice here, the others in the workers."""
    count, n = total.size, len(workers) + 1
    bounds = [aligned(count * i // n, 16) for i in range(n)] + [count]
    pieces = [
        Slice(dtype, [plan.own, *slots], plan.total, bounds[i], bounds[i + 1]) for i in range(n)
    ]

    def here() -> list[Any]:
        pieces[0].add(plan.memory, total[: bounds[1]])
        return []

    outcomes = ask_all(workers, pieces[1:], here, arena)
    for outcome, piece in zip(outcomes[1:], pieces[1:], strict=True):
        part = total[piece.start : piece.stop]
        if outcome == []:
            size = total.itemsize
            at = plan.total + piece.start * size
            part[:] = np.frombuffer(plan.memory, dtype, piece.stop - piece.start, at)
        else:  # its worker died
            piece.add(plan.memory, part)


def _rebuilt(
    first: Pickled, plan: Plan, found: Any, gradients: Sequence[Any], weights: Sequence[float]
) -> Any:
    """Return the tree of the total; its observations are averaged from all gradients."""
    view = memoryview(found)
    buffers = [view[at : at + n] for at, n in first.shifted(plan.own)]
    total = pickle.loads(first.data, buffers=buffers)
    every = [loaded(gradient, plan.memory) for gradient in gradients]
    return tree.map(
        lambda leaf, *each: leaf if leaf.ndim else leaf[()],
        total,
        *(every if any(tree.statistics(total)) else []),
        statistic=lambda leaf, *each: tree.average(each, weights),
    )
