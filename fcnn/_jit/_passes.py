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
    if node.op.style == "guard" and not node.op.args:
        return True
    drawn = any(isinstance(each, Way) for each in node.op.args)
    return drawn or bool((node.reads | node.writes) & varies)


class Arena(NamedTuple):
    """Where each owner lies, and how long the memory is."""

    starts: dict[Owner, int]
    size: int


def arena_of(nodes: list[Node], away: set[Owner], ends: set[Owner]) -> Arena:
    """Lay owners out by their lives: those that live at once side by side, the lowest place first.

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
    size = 0
    free: list[tuple[int, int]] = []  # starts and ends, in order
    dying: dict[int, list[Owner]] = {}
    for i in sorted(first, key=lambda i: first[i]):
        for at in sorted(each for each in dying if each < first[i]):
            for gone in dying.pop(at):
                free = _freed(free, starts[gone], starts[gone] + sizes(gone))
        need = sizes(i)
        start, free, size = _taken(free, need, size)
        starts[i] = start
        dying.setdefault(last[i], []).append(i)
    return Arena(starts, size)


def sizes(owner: Owner) -> int:
    """Return the bytes of an owner, in whole cache lines."""
    return -(-owner.nbytes // ALIGNED) * ALIGNED


def _taken(
    free: list[tuple[int, int]], need: int, size: int
) -> tuple[int, list[tuple[int, int]], int]:
    """Take the smallest free part that is long enough, or one at the end."""
    fitting = [(end - start, start) for start, end in free if end - start >= need]
    if fitting:
        _, start = min(fitting)
        rest = [
            (start + need, b) if a == start else (a, b)
            for a, b in free
            if a != start or b - a > need
        ]
        return start, rest, size
    if free and free[-1][1] == size:
        start = free[-1][0]
        return start, free[:-1], start + need
    return size, free, size + need


def _freed(free: list[tuple[int, int]], start: int, end: int) -> list[tuple[int, int]]:
    """Add a part to the free ones, joined with its neighbours."""
    if start == end:
        return free
    joined: list[tuple[int, int]] = []
    for a, b in sorted([*free, (start, end)]):
        if joined and joined[-1][1] == a:
            joined[-1] = joined[-1][0], b
        else:
            joined.append((a, b))
    return joined
