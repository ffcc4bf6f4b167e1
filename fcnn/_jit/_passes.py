"""What is made of the recorded operations before they are laid out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from fcnn._jit._op import Op, Way
from fcnn._jit._spans import ALIGNED, Owner


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
    """Where each owner begins in one piece of memory, and how long that is."""

    starts: dict[Owner, int]
    length: int


class Free(NamedTuple):
    """A part of the memory in which nothing lies."""

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
    starts: dict[Owner, int] = {}
    length = 0
    free: list[Free] = []  # in order
    dying: dict[int, list[Owner]] = {}
    for i in sorted(first, key=lambda i: first[i]):
        for at in sorted(each for each in dying if each < first[i]):
            for gone in dying.pop(at):
                free = _freed(free, Free(starts[gone], starts[gone] + sizes(gone)))
        need = sizes(i)
        part = _gap(free, length, need)
        length = max(length, part.start + need)
        starts[i] = part.start
        free = _without(free, Free(part.start, part.start + need))
        dying.setdefault(last[i], []).append(i)
    return Arena(starts, length)


def sizes(owner: Owner) -> int:
    """Return the bytes of an owner, in whole cache lines."""
    return -(-owner.nbytes // ALIGNED) * ALIGNED


def _gap(free: list[Free], length: int, need: int) -> Free:
    """Return the smallest free part that is long enough, or the end of the memory."""
    fitting = [(part.end - part.start, part) for part in free if part.end - part.start >= need]
    if fitting:
        return min(fitting)[1]
    start = free[-1].start if free and free[-1].end == length else length
    return Free(start, start + need)


def _without(free: list[Free], taken: Free) -> list[Free]:
    """Return the free parts without one that begins where one of them does, or behind all."""
    rest = []
    for part in free:
        if part.start != taken.start:
            rest.append(part)
        elif part.end > taken.end:
            rest.append(Free(taken.end, part.end))
    return rest


def _freed(free: list[Free], part: Free) -> list[Free]:
    """Add a part to the free ones, joined with its neighbours."""
    if part.start == part.end:
        return free
    joined: list[Free] = []
    for each in sorted([*free, part]):
        if joined and joined[-1].end == each.start:
            joined[-1] = Free(joined[-1].start, each.end)
        else:
            joined.append(each)
    return joined
