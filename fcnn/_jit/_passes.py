"""What is made of the recorded operations before they are laid out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from fcnn._jit._op import Op, Way
from fcnn._jit._spans import ALIGNED, Owner

SEGMENT = 16 << 20
"""Bytes of a piece of the arena, unless an array is longer.

Pieces find room in the memory that the C library kept of unrecorded steps, where one piece would
not: that came from the system, beside it. ResNet-20, 64 images, peak of a run over the imports in
MB: pieces of 4 MiB 174, 16 MiB 198, 32 MiB 246, one piece 263. In smaller pieces fewer of the pages
are huge ones (10, 55, 120 and 140 MB of them).
"""


class Node(NamedTuple):
    """An operation with the owners that it reads and writes."""

    op: Op
    reads: frozenset[Owner]
    writes: frozenset[Owner]


def nodes_of(ops: Iterable[Op]) -> list[Node]:
    """Return the operations with the owners of their places."""
    return [
        Node(
            op,
            frozenset(each.owner for each in op.reads()),
            frozenset(each.owner for each in op.outs),
        )
        for op in ops
    ]


def without_unused(nodes: list[Node], needed: Iterable[Owner]) -> list[Node]:
    """Leave out what no result and no guard reads."""
    live, kept = set(needed), []
    for node in reversed(nodes):
        if node.op.style == "guard" or node.writes & live:
            kept.append(node)
            live |= node.reads
    return kept[::-1]


def without_constant(nodes: list[Node], varying: set[Owner]) -> tuple[list[Node], set[Owner]]:
    """Leave out what depends on no argument; return the rest, and the owners that are constants.

    What is in their memory now stays there. An owner of which something reads that varies before
    all of it is written is no constant.
    """
    varies = set(varying)
    while True:
        before = len(varies)
        last = {i: at for at, node in enumerate(nodes) for i in node.writes}
        for at, node in enumerate(nodes):
            if _varies(node, varies):
                varies |= node.writes
                varies |= {i for i in node.reads if last.get(i, -1) > at}
        if len(varies) == before:
            break
    kept = [node for node in nodes if _varies(node, varies)]
    constant = {i for node in nodes for i in node.reads | node.writes} - varies
    return kept, constant


def _varies(node: Node, varies: set[Owner]) -> bool:
    if not (varies.isdisjoint(node.reads) and varies.isdisjoint(node.writes)):
        return True
    args = node.op.args
    return any(isinstance(each, Way) for each in args) if args else node.op.style == "guard"


class Arena(NamedTuple):
    """Where each owner lies: a segment and a place in it; and how long the segments are."""

    starts: dict[Owner, tuple[int, int]]
    lengths: list[int]


class Free(NamedTuple):
    """A part of a segment in which nothing lies."""

    segment: int
    start: int
    end: int


def arena_of(nodes: list[Node], away: set[Owner], ends: set[Owner]) -> Arena:
    """Lay owners out by their lives: those that live at once side by side, in the closest gap.

    Args:
        nodes: the operations, in order.
        away: owners that lie elsewhere.
        ends: those of them that are read after the last operation.
    """
    first: dict[Owner, int] = {}
    last: dict[Owner, int] = {}
    for at, node in enumerate(nodes):
        for i in (node.reads | node.writes) - away:
            first.setdefault(i, at)
            last[i] = at
    for i in ends - away:
        first.setdefault(i, 0)
        last[i] = len(nodes)
    starts: dict[Owner, tuple[int, int]] = {}
    lengths: list[int] = []
    free: list[Free] = []  # in order
    dying: dict[int, list[Owner]] = {}
    for i in sorted(first, key=lambda i: first[i]):
        for at in sorted(each for each in dying if each < first[i]):
            for gone in dying.pop(at):
                segment, start = starts[gone]
                free = _freed(free, Free(segment, start, start + sizes(gone)))
        need = sizes(i)
        part = _gap(free, lengths, need)
        starts[i] = part.segment, part.start
        free = _without(free, part._replace(end=part.start + need))
        dying.setdefault(last[i], []).append(i)
    return Arena(starts, lengths)


def sizes(owner: Owner) -> int:
    """Return the bytes of an owner, in whole cache lines."""
    return -(-owner.nbytes // ALIGNED) * ALIGNED


def _gap(free: list[Free], lengths: list[int], need: int) -> Free:
    """Return the smallest free part that is long enough, or one at the end of a segment."""
    fitting = [(part.end - part.start, part) for part in free if part.end - part.start >= need]
    if fitting:
        return min(fitting)[1]
    for segment, length in enumerate(lengths):
        start = next((p.start for p in free if p.segment == segment and p.end == length), length)
        if start + need <= SEGMENT:
            lengths[segment] = start + need
            return Free(segment, start, start + need)
    lengths.append(need)
    return Free(len(lengths) - 1, 0, need)


def _without(free: list[Free], taken: Free) -> list[Free]:
    """Return the free parts without one that begins where one of them does, or behind all."""
    rest = []
    for part in free:
        if part[:2] != taken[:2]:
            rest.append(part)
        elif part.end > taken.end:
            rest.append(part._replace(start=taken.end))
    return rest


def _freed(free: list[Free], part: Free) -> list[Free]:
    """Add a part to the free ones, joined with its neighbours."""
    if part.start == part.end:
        return free
    joined: list[Free] = []
    for each in sorted([*free, part]):
        if joined and joined[-1].segment == each.segment and joined[-1].end == each.start:
            joined[-1] = joined[-1]._replace(end=each.end)
        else:
            joined.append(each)
    return joined
