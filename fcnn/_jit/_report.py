"""A plan for people: its calls, the time of each, and its memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from fcnn._jit._program import Call

if TYPE_CHECKING:
    from fcnn._jit._plan import Plan

ROWS = 30
"""The most lines of a printed plan."""


@attrs.frozen
class Report:
    """What a plan does and holds; prints as a table, the slowest lines of the source first.

    Attributes:
        calls: the calls in order: name, line of the source, dtype and shape of the result.
        times: the shortest time of each in seconds, of a few replays.
        arena: bytes of the memory that temporary arrays share.
        temporaries: bytes that they would take if each had its own.
        constants: bytes of constants.
    """

    calls: tuple[Call, ...]
    times: tuple[float, ...]
    arena: int
    temporaries: int
    constants: int

    @classmethod
    def of(cls, plan: Plan, leaves: list[Any]) -> Report:
        """Time the calls of a plan."""
        program, times = plan.program, plan.times(leaves)
        return cls(
            tuple(program.calls),
            tuple(times),
            program.arena,
            program.temporaries,
            program.constant_bytes,
        )

    def __str__(self) -> str:
        total = sum(self.times)
        lines: dict[tuple[str, str, str], list[float]] = {}
        for call, spent in zip(self.calls, self.times, strict=True):
            lines.setdefault((call.place, call.name, call.shape), []).append(spent)
        found = sorted(lines.items(), key=lambda item: -sum(item[1]))
        rows = [
            (f"{sum(each) * 1e6:9.1f}", f"{sum(each) / total:5.1%}", f"{len(each):5}", *what)
            for what, each in found[:ROWS]
        ]
        rest = [spent for _, each in found[ROWS:] for spent in each]
        if rest:
            share = f"{sum(rest) / total:5.1%}"
            rows.append((f"{sum(rest) * 1e6:9.1f}", share, f"{len(rest):5}", "others", "", ""))
        wide = max((len(row[3]) for row in rows), default=0)
        named = max((len(row[4]) for row in rows), default=0)
        head = (
            f"{len(self.calls)} calls, {total * 1e6:.0f} µs; arena {_mib(self.arena)} for "
            f"{_mib(self.temporaries)} of arrays, constants {_mib(self.constants)}"
        )
        table = [
            f"{'µs':>9} {'share':>6} {'calls':>5}  {'line':<{wide}}  {'call':<{named}}  result"
        ]
        table += [
            f"{a} {b:>6} {c}  {d:<{wide}}  {e:<{named}}  {f}".rstrip() for a, b, c, d, e, f in rows
        ]
        return "\n".join([head, *table])


def _mib(size: int) -> str:
    return f"{size / 2**20:.2f} MiB"
